//! Asks the provider again who somebody is, by the refresh token of their session: once at a time, however many requests come. When that
//! is due is left to `live/renewal`, the protocol to `provider/refresh`.
//!
//! The order of steps is what keeps a login alive where each refresh token can be used once: the new token is stored before anything else
//! is done with the answer, and before it is ever used. A crash between the provider's answer and that write, or an answer that is lost on its way, loses it: the next renewal
//! shows the spent token, which Okta takes for 30 seconds more; after that the session ends, and its person signs in again.

use std::sync::Arc;

use portcullis_store::{
    EndReason, EndWhat, Profile, RenewSessionError, Renewal, Secret, SessionId, StoreError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claims::VerifiedClaims;
use super::groups::groups_told_anew;
use super::hint::logout_hint;
use super::provider::{IdTokenFault, Provider, ProviderError, Refreshed};
use super::{LoginError, sign_in_domain};
use crate::assertion::short_id;
use crate::gateway::{Gateway, now};
use crate::live::{Attempt, Freshness, LiveSession, Pace};
use crate::metrics::{self, Renewed};
use crate::seal::{Purpose, Sealer};

/// How many sessions are renewed at once: after a start all of them may be due in the same second, and providers count requests.
pub(crate) const MAX_RENEWALS_AT_ONCE: usize = 16;

/// What is sealed in the store for the next renewal.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(rename = "t")]
    token: String,
    /// The nonce of the login: a renewed ID token has none, or this one.
    #[serde(rename = "n")]
    nonce: String,
}

/// Why a session was not renewed.
#[derive(Debug, thiserror::Error)]
enum RenewalError {
    #[error("{0}")]
    Provider(#[from] ProviderError),
    #[error("the renewed ID token speaks of somebody else")]
    AnotherSubject,
    #[error("{0}")]
    NotAdmitted(LoginError),
    #[error("there is no refresh token, or it does not open with this key file")]
    NoToken,
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    NotKept(RenewSessionError),
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl RenewalError {
    /// Whether asking again can never help. Everything else may pass: a provider that is down, or a set-up that somebody mends.
    fn is_final(&self) -> bool {
        match self {
            Self::Provider(error) => matches!(
                error,
                ProviderError::CodeRefused { .. }
                    | ProviderError::PersonInactive { .. }
                    | ProviderError::IdToken(
                        IdTokenFault::Issuer | IdTokenFault::Audience | IdTokenFault::Nonce
                    )
            ),
            Self::AnotherSubject | Self::NotAdmitted(_) | Self::NoToken => true,
            Self::NotKept(error) => !matches!(error, RenewSessionError::Store(_)),
            Self::Store(_) | Self::NoRandomness => false,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Provider(error) => error.code(),
            Self::AnotherSubject => "another_subject",
            Self::NotAdmitted(error) => error.code(),
            Self::NoToken => "no_refresh_token",
            Self::NotKept(RenewSessionError::TooLong(_)) => "profile_too_large",
            Self::NotKept(RenewSessionError::Ended) => "session_ended",
            Self::Store(_) | Self::NotKept(RenewSessionError::Store(_)) => "store_unavailable",
            Self::NoRandomness => "no_randomness",
        }
    }
}

/// Seals a refresh token for the store.
pub(super) fn seal(sealer: &Sealer, id: SessionId, token: &Secret<String>, nonce: &str) -> Option<Vec<u8>> {
    let kept = Kept { token: token.expose().clone(), nonce: nonce.to_owned() };
    sealer.seal_bytes(Purpose::AtRest, &context(id), serde_json::to_vec(&kept).ok()?)
}

/// Beside it in the row stands the ID token, sealed for the id alone: the two cannot be exchanged.
fn context(id: SessionId) -> String {
    format!("refresh {id}")
}

/// What a request of this session may count on now. Where the provider is to be asked, that begins, and nobody waits for it here.
pub(crate) fn keep_fresh(gateway: &Arc<Gateway>, session: &Arc<LiveSession>, now: i64) -> Freshness {
    let Some(renewals) = &session.renewals else { return Freshness::Fresh };
    // Where the configuration does not ask for renewals any more, none is missing.
    let provider = gateway.provider(&session.provider).filter(|provider| provider.settings().refresh);
    let Some(provider) = provider else { return Freshness::Fresh };
    let freshness = renewals.freshness(Pace::of(&gateway.config.session), now);
    if freshness == Freshness::Fresh {
        return freshness;
    }
    if let Some(attempt) = renewals.begin(now) {
        let task = attempt_renewal(gateway.clone(), provider.clone(), session.clone(), attempt);
        gateway.process.renewing.spawn_on(task, &gateway.process.control);
    }
    freshness
}

async fn attempt_renewal(
    gateway: Arc<Gateway>,
    provider: Arc<Provider>,
    session: Arc<LiveSession>,
    attempt: Attempt,
) {
    // The semaphore is never closed.
    let _turn = gateway.process.renewals_at_once.acquire().await;
    let outcome = renew(&gateway, &provider, &session, &attempt).await;
    let id = short_id(&session);
    match outcome {
        Ok(()) => {
            attempt.succeed(now());
            metrics::renewed(Renewed::Done);
            tracing::info!(target: "portcullis::session", session = id, "a session was renewed");
        }
        // It ended while the provider was asked, for a reason of its own.
        Err(RenewalError::NotKept(RenewSessionError::Ended)) => {}
        Err(cause) if cause.is_final() => {
            metrics::renewed(Renewed::Refused);
            let code = cause.code();
            tracing::warn!(target: "portcullis::session", session = id, code, %cause, "a session is not renewed, and ends");
            let ended = gateway.process.store.end_sessions(
                EndWhat::Session(session.id),
                EndReason::NotRenewed,
                now(),
            );
            if let Err(cause) = ended.await {
                tracing::warn!(target: "portcullis::session", session = id, %cause, "a session could not be ended");
            }
        }
        Err(cause) => {
            metrics::renewed(Renewed::Failed);
            let code = cause.code();
            tracing::warn!(target: "portcullis::session", session = id, code, %cause, "a session could not be renewed yet");
        }
    }
}

async fn renew(
    gateway: &Gateway,
    provider: &Provider,
    session: &LiveSession,
    attempt: &Attempt,
) -> Result<(), RenewalError> {
    let kept = stored_token(gateway, session.id, attempt).await?;
    let refreshed = provider.refresh(&Secret::new(kept.token), now()).await?;
    if let Some(next) = &refreshed.refresh_token {
        let sealed = seal(&gateway.process.sealer, session.id, next, &kept.nonce);
        attempt.hold(sealed.ok_or(RenewalError::NoRandomness)?);
        save_held(gateway, session.id, attempt).await?;
    }
    let now = now();
    let Some(claims) = provider.verify_refreshed(&refreshed, &kept.nonce, now).await? else {
        // The grant still stands, and that is all that was said.
        return Ok(());
    };
    if claims.subject.sub != session.subject {
        return Err(RenewalError::AnotherSubject);
    }
    let before = session.standing().profile.clone();
    let mut claims = claims;
    keep_untold_address(&mut claims, &before);
    sign_in_domain::check(gateway, provider, &claims).map_err(RenewalError::NotAdmitted)?;
    let groups = groups_told_anew(provider, &claims, now).await?;
    let sealed = renewed_hint(gateway, provider, &refreshed, session.id);
    let renewed = gateway.process.store.renew_session(Renewal {
        id: session.id,
        claims_json: with_authentication_of(&before, &claims.others_json),
        // A renewal is no login: nobody proved anything anew.
        authenticated_at: claims.auth_time.unwrap_or(i64::MAX).min(before.authenticated_at),
        email: claims.email,
        claimed: claims.unproved_addresses,
        display_name: claims.name,
        groups,
        now,
        sealed,
    });
    renewed.await.map(drop).map_err(RenewalError::NotKept)
}

/// The token to use. One that could not be stored when it came is stored first.
async fn stored_token(gateway: &Gateway, id: SessionId, attempt: &Attempt) -> Result<Kept, RenewalError> {
    save_held(gateway, id, attempt).await?;
    let sealed = gateway.process.store.refresh(id)?.ok_or(RenewalError::NoToken)?;
    let opened = gateway.process.sealer.open_bytes(Purpose::AtRest, &context(id), &sealed);
    opened.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(RenewalError::NoToken)
}

async fn save_held(gateway: &Gateway, id: SessionId, attempt: &Attempt) -> Result<(), RenewalError> {
    let Some(sealed) = attempt.held() else { return Ok(()) };
    let is_live = gateway.process.store.keep_refresh(id, sealed).await.map_err(RenewalError::NotKept)?;
    attempt.saved();
    if is_live { Ok(()) } else { Err(RenewalError::NotKept(RenewSessionError::Ended)) }
}

fn renewed_hint(
    gateway: &Gateway,
    provider: &Provider,
    refreshed: &Refreshed,
    id: SessionId,
) -> Option<Vec<u8>> {
    logout_hint(gateway, provider, refreshed.id_token.as_ref()?, id)
}

/// A refreshed ID token may leave the address out, which takes nothing back. One that is there and not verified takes the known one away.
fn keep_untold_address(claims: &mut VerifiedClaims, before: &Profile) {
    if claims.email.is_none() && !claims.email_ignored {
        claims.email.clone_from(&before.email);
    }
}

/// How somebody proved who they are, and when, is said at the login: a renewed token that leaves it out takes nothing of it back, and none
/// makes the login younger.
fn with_authentication_of(before: &Profile, others_json: &str) -> String {
    let mut others: Map<String, Value> = serde_json::from_str(others_json).unwrap_or_default();
    let mut known: Map<String, Value> = serde_json::from_str(&before.claims_json).unwrap_or_default();
    for name in ["amr", "acr", "auth_time"] {
        let is_said_anew = others.contains_key(name) && name != "auth_time";
        if let (false, Some(value)) = (is_said_anew, known.remove(name)) {
            others.insert(name.to_owned(), value);
        }
    }
    Value::Object(others).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewed(before: &str, now: &str) -> Value {
        let profile = Profile {
            email: None,
            display_name: None,
            groups: Vec::new(),
            claims_json: before.to_owned(),
            authenticated_at: 100,
            told_at: 100,
        };
        serde_json::from_str(&with_authentication_of(&profile, now)).unwrap()
    }

    #[test]
    fn a_renewal_is_no_login() {
        let login = r#"{"amr":["mfa"],"acr":"phr","auth_time":90,"department":"it"}"#;
        let silent = serde_json::json!({"amr": ["mfa"], "acr": "phr", "auth_time": 90, "title": "cto"});
        assert_eq!(
            renewed(login, r#"{"title":"cto"}"#),
            silent,
            "what is not said anew stays, if it is of the login"
        );
        let said = renewed(login, r#"{"amr":["pwd"],"auth_time":5000}"#);
        assert_eq!(said["amr"], serde_json::json!(["pwd"]));
        assert_eq!(said["auth_time"], 90, "a renewal made the login younger");
        assert_eq!(renewed("{}", r#"{"auth_time":80}"#)["auth_time"], 80);
    }
}
