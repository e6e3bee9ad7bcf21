//! What was confirmed becomes a token: an application session of the login that confirmed it, marked as a terminal's, so that
//! no browser's cookie can be passed off as one, nor the other way round.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Response;
use portcullis_store::{EndReason, EndWhat, NewApplicationSession, SessionId};
use serde::{Deserialize, Serialize};

use super::device;
use super::{CODE_LIFE_S, GrantError, Program};
use crate::body::Body;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::live::LiveSession;
use crate::login::longest_session;
use crate::query::Query;
use crate::respond;
use crate::seal::{Purpose, random_text};
use crate::session::TerminalToken;

/// The shortest and the longest verifier (RFC 7636 section 4.1).
const VERIFIER_BYTES: std::ops::RangeInclusive<usize> = 43..=128;

/// What a person has confirmed, on its way to the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Code {
    /// Redeemed once.
    id: String,
    /// The history of the store that it was made in, which alone remembers whether it was redeemed.
    history: String,
    /// The login that the token will be part of.
    session: [u8; 32],
    program: Program,
}

impl Code {
    /// None when the system has no random bytes.
    pub(super) fn new(gateway: &Gateway, session: &LiveSession, program: Program) -> Option<Self> {
        let id = random_text::<16>()?;
        let history = gateway.process.history.to_string();
        Some(Self { id, history, session: *session.id.as_bytes(), program })
    }

    pub(super) fn seal(self, gateway: &Gateway, host: &Host, now: i64) -> Option<String> {
        gateway.process.sealer.seal(Purpose::TerminalCode, host.as_str(), now + CODE_LIFE_S, self)
    }
}

/// `token` on an application's host: a code for a token.
pub(crate) async fn redeem(gateway: &Arc<Gateway>, host: &Host, form: &Query, now: i64) -> Response<Body> {
    match granted(gateway, host, form, now).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn granted(
    gateway: &Arc<Gateway>,
    host: &Host,
    form: &Query,
    now: i64,
) -> Result<Response<Body>, GrantError> {
    let code = match form.only("grant_type").ok_or(GrantError::InvalidRequest)? {
        "authorization_code" => {
            let sealed = form.only("code").ok_or(GrantError::InvalidRequest)?;
            let opened =
                gateway.process.sealer.open::<Code>(Purpose::TerminalCode, host.as_str(), now, sealed);
            opened.map_err(|_| GrantError::InvalidGrant)?
        }
        device::GRANT => device::collect(gateway, host, form, now)?,
        _ => return Err(GrantError::UnsupportedGrant),
    };
    let verifier = form.only("code_verifier").filter(|text| VERIFIER_BYTES.contains(&text.len()));
    let verifier = verifier.ok_or(GrantError::InvalidRequest)?;
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    // A wrong verifier spends the code: whoever has it without the verifier has stolen it.
    let first =
        *code.history == *gateway.process.history && gateway.process.is_first_use(&code.id, now).await;
    let knows = verify_slices_are_equal(challenge.as_bytes(), code.program.code_challenge.as_bytes()).is_ok();
    if !first || !knows {
        return Err(GrantError::InvalidGrant);
    }
    begin(gateway, host, code, now).await
}

async fn begin(gateway: &Gateway, host: &Host, code: Code, now: i64) -> Result<Response<Body>, GrantError> {
    let token = TerminalToken::generate().ok_or(GrantError::NoRandomness)?;
    let life = i64::try_from(longest_session(gateway, host).as_secs()).unwrap_or(i64::MAX);
    let begun = gateway.process.store.begin_application_session(NewApplicationSession {
        id: token.id(),
        parent: SessionId::new(code.session),
        host: host.to_string(),
        binding: None,
        terminal: Some(code.program.name),
        now,
        expires_at: now.saturating_add(life),
    });
    let record = begun.await?;
    tracing::info!(
        target: "portcullis::login",
        host = record.host,
        program = record.terminal.as_deref(),
        session = record.parent.to_string().get(..16),
        "a terminal was given a token"
    );
    Ok(respond::identity(&serde_json::json!({
        "access_token": token.text().expose(),
        "token_type": "cf-access-token",
        "expires_in": record.expires_at - now,
        "expires_at": record.expires_at,
    })))
}

/// `token/revoke` on an application's host (RFC 7009): whoever has a token can end it. An unknown one is as good as revoked.
pub(crate) async fn revoke(gateway: &Arc<Gateway>, host: &Host, form: &Query, now: i64) -> Response<Body> {
    let Some(token) = form.only("token").and_then(TerminalToken::parse) else {
        return GrantError::InvalidRequest.into_response();
    };
    let found = gateway.process.live.application_session(&token.id());
    if found.is_some_and(|found| found.host == *host && found.terminal.is_some()) {
        let what = EndWhat::ApplicationSession(token.id());
        if let Err(error) = gateway.process.store.end_sessions(what, EndReason::Revoked, now).await {
            return GrantError::Store(error).into_response();
        }
    }
    respond::identity(&serde_json::json!({}))
}
