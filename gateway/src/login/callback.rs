//! The provider sends the browser back: the attempt is opened once, the code exchanged, the ID token verified, the groups
//! fetched, and a session begun. An error at any step ends the login.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::request::Parts;
use http::{HeaderValue, Response};
use portcullis_store::{BeginSessionError, NewSession, Provisioning, SessionRecord};

use super::LoginError;
use super::claims::VerifiedClaims;
use super::groups::groups_of;
use super::hand_over::hand_over;
use super::hint::logout_hint;
use super::provider::{Provider, ProviderError, ProviderTokens};
use super::renewal;
use super::sign_in_domain;
use super::start::Attempt;
use super::step_up;
use crate::body::Body;
use crate::cookies;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::query::Query;
use crate::seal::Purpose;
use crate::session::{SessionToken, Visitor, login_visitor};

/// A callback that led to no session.
pub(crate) struct RefusedCallback {
    pub(crate) error: LoginError,
    /// Clears the cookie of the attempt.
    pub(crate) spent: Option<HeaderValue>,
    /// The front page of the application that it was for.
    pub(crate) front: Option<String>,
}

/// `callback` on the auth host.
pub(crate) async fn callback(
    gateway: &Arc<Gateway>,
    head: &Parts,
    query: &Query,
    now: i64,
) -> Result<Response<Body>, RefusedCallback> {
    let unknown = |error| RefusedCallback { error, spent: None, front: None };
    let (attempt, spent) = open_attempt(gateway, head, query, now).await.map_err(unknown)?;
    match finish(gateway, head, &attempt, query, now).await {
        Ok(mut response) => {
            cookies::append(response.headers_mut(), spent);
            Ok(response)
        }
        Err(error) => {
            let host = attempt.return_to.host.parse::<Host>().ok();
            let front = host.map(|host| format!("{}/", gateway.config.origin(&host)));
            Err(RefusedCallback { error, spent, front })
        }
    }
}

/// Finds the attempt that this browser was given for this state, and spends it.
async fn open_attempt(
    gateway: &Gateway,
    head: &Parts,
    query: &Query,
    now: i64,
) -> Result<(Attempt, Option<HeaderValue>), LoginError> {
    if ["state", "code", "error", "iss"].into_iter().any(|name| query.repeats(name)) {
        return Err(LoginError::Malformed);
    }
    let state = query.only("state").filter(|state| !state.is_empty()).ok_or(LoginError::Malformed)?;
    let name = Attempt::cookie_name(state);
    let sealed = cookies::only(&head.headers, &name).ok_or(LoginError::Stale)?;
    let auth_host = gateway.config.server.auth_host.as_str();
    let opened = gateway.process.sealer.open::<Attempt>(Purpose::LoginAttempt, auth_host, now, sealed);
    let attempt = opened.map_err(|_| LoginError::Stale)?;
    verify_slices_are_equal(attempt.state().as_bytes(), state.as_bytes()).map_err(|_| LoginError::Stale)?;
    if !gateway.process.is_first_use(&attempt.state(), now).await {
        return Err(LoginError::Stale);
    }
    Ok((attempt, cookies::clear(&name)))
}

async fn finish(
    gateway: &Arc<Gateway>,
    head: &Parts,
    attempt: &Attempt,
    query: &Query,
    now: i64,
) -> Result<Response<Body>, LoginError> {
    let provider = gateway.provider(&attempt.provider).ok_or(LoginError::Stale)?;
    check_issuer(gateway, provider, query, now).await?;
    if let Some(error) = query.only("error") {
        return Err(refusal(provider, error, query.only("error_description")));
    }
    let code = query.only("code").filter(|code| !code.is_empty()).ok_or(LoginError::Malformed)?;
    let (claims, tokens, groups) = ask_provider(gateway, provider, attempt, code, now).await?;
    sign_in_domain::check(gateway, provider, &claims)?;
    let need = attempt.return_to.need.as_ref();
    step_up::check(need, &claims, now)?;
    let (token, record) =
        begin_session(gateway, provider, claims, (&tokens, &attempt.nonce()), groups, now).await?;
    let former = login_visitor(&gateway.process.live, &head.headers, now);
    if let (Some(need), Visitor::Known(former)) = (need, former) {
        step_up::replace(gateway, need, &former, now).await?;
    }
    let mut response = hand_over(gateway, record.id, &attempt.return_to, now)?;
    let life = record.expires_at - now;
    let cookie = cookies::set(cookies::SESSION.to_owned(), token.cookie_value(), life);
    cookies::append(response.headers_mut(), cookie);
    Ok(response)
}

/// RFC 9207 section 2.4: the answer must come from whom the browser was sent to.
async fn check_issuer(
    gateway: &Gateway,
    provider: &Arc<Provider>,
    query: &Query,
    now: i64,
) -> Result<(), LoginError> {
    let (provider, iss) = (provider.clone(), query.only("iss").map(str::to_owned));
    let asked =
        gateway.process.control.spawn(async move { provider.issuer_parameter_ok(iss.as_deref(), now).await });
    let matches = asked.await.map_err(|_| LoginError::Interrupted)??;
    if matches { Ok(()) } else { Err(LoginError::IssuerParameter) }
}

/// Some refusals have a cause that we know; the others are told in the provider's own words.
fn refusal(provider: &Provider, error: &str, description: Option<&str>) -> LoginError {
    match provider.refusal(error, description) {
        ProviderError::Refused { error, description } => LoginError::ProviderRefused { error, description },
        known => LoginError::Provider(known),
    }
}

/// Exchanges the code and fetches the groups, away from the threads that carry requests.
async fn ask_provider(
    gateway: &Arc<Gateway>,
    provider: &Arc<Provider>,
    attempt: &Attempt,
    code: &str,
    now: i64,
) -> Result<(VerifiedClaims, ProviderTokens, Vec<String>), LoginError> {
    let (provider, redirect_uri) = (provider.clone(), gateway.redirect_uri());
    let (code, nonce) = (code.to_owned(), attempt.nonce());
    let verifier = provider.settings().pkce.then(|| attempt.code_verifier());
    let asked = gateway.process.control.spawn(async move {
        let (claims, tokens) =
            provider.redeem(&redirect_uri, &code, &nonce, verifier.as_deref(), now).await?;
        let groups = groups_of(&provider, &claims, now).await?;
        Ok((claims, tokens, groups))
    });
    asked.await.map_err(|_| LoginError::Interrupted)?
}

async fn begin_session(
    gateway: &Gateway,
    provider: &Provider,
    claims: VerifiedClaims,
    (tokens, nonce): (&ProviderTokens, &str),
    groups: Vec<String>,
    now: i64,
) -> Result<(SessionToken, Arc<SessionRecord>), LoginError> {
    let token = SessionToken::generate().ok_or(LoginError::NoRandomness)?;
    let email_ignored = claims.email_ignored;
    let id = token.id();
    let sealed = logout_hint(gateway, provider, &tokens.id_token, id);
    let refresh = tokens.refresh_token.as_ref();
    let refresh = refresh.and_then(|token| renewal::seal(&gateway.process.sealer, id, token, nonce));
    if provider.settings().refresh && refresh.is_none() {
        tracing::warn!(
            target: "portcullis::login",
            provider = provider.settings().name,
            "no refresh token came: the provider does not grant them to us; this session is not renewed"
        );
    }
    let life = i64::try_from(gateway.config.session.duration.as_secs()).unwrap_or(i64::MAX);
    let session = NewSession {
        id,
        provider: provider.settings().name.clone(),
        subject: claims.subject.sub,
        email: claims.email,
        claimed: claims.unproved_addresses,
        display_name: claims.name,
        groups,
        claims_json: claims.others_json,
        authenticated_at: claims.auth_time.unwrap_or(now).min(now),
        now,
        expires_at: now.saturating_add(life),
        sealed,
        refresh,
    };
    let provisioning = match gateway.config.requires_provisioning(&provider.settings().name) {
        true => Provisioning::Required,
        false => Provisioning::Optional,
    };
    let begun = gateway.process.store.begin_session(session, provisioning).await;
    let record = begun.map_err(|error| match error {
        BeginSessionError::Deactivated => LoginError::Deactivated,
        BeginSessionError::NotProvisioned => LoginError::NotProvisioned,
        BeginSessionError::TooLong(error) => LoginError::TooLarge(error),
        BeginSessionError::Store(error) => LoginError::Store(error),
    })?;
    tracing::info!(
        target: "portcullis::login",
        provider = record.provider,
        subject = record.subject,
        email = record.profile.email.as_deref(),
        unverified_email_ignored = email_ignored,
        provisioned = record.person.is_some(),
        groups = record.profile.groups.len(),
        "logged in"
    );
    Ok((token, record))
}
