//! A login begins on the auth host: state, nonce and verifier are made and sealed into a cookie of this attempt, and the
//! browser is sent to the provider. Whoever is logged in already goes straight on.

use std::sync::Arc;

use http::Response;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use super::challenge::surplus;
use super::hand_over::hand_over;
use super::initiate;
use super::picker::{self, Choice};
use super::provider::{AuthorizationRequest, Provider, Wanted};
use super::{ATTEMPT_LIFE_S, LoginError, Need, ReturnTo};
use crate::body::Body;
use crate::cookies;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::query::Query;
use crate::respond::{self, Rejection};
use crate::seal::{Purpose, digest_text, random_text};
use crate::session::{Visitor, login_visitor};

/// One attempt to log in, sealed in a cookie of its own so that many tabs can log in at once. The names are short and there is
/// one secret for all, since a browser sends the cookies of all tabs with each request.
#[derive(Serialize, Deserialize)]
pub(super) struct Attempt {
    /// What state, nonce and code verifier are made of. None of them tells anything of it, or of another.
    #[serde(rename = "s")]
    secret: String,
    #[serde(rename = "p")]
    pub(super) provider: String,
    #[serde(rename = "r")]
    pub(super) return_to: ReturnTo,
}

impl Attempt {
    pub(super) fn state(&self) -> String {
        digest_text(&format!("state {}", self.secret))
    }

    pub(super) fn nonce(&self) -> String {
        digest_text(&format!("nonce {}", self.secret))
    }

    /// 43 characters, as many as RFC 7636 section 4.1 asks for at least.
    pub(super) fn code_verifier(&self) -> String {
        digest_text(&format!("code_verifier {}", self.secret))
    }

    /// The name of its cookie.
    pub(super) fn cookie_name(state: &str) -> String {
        let id: String = state.chars().take(8).collect();
        format!("{}{id}", cookies::ATTEMPT_PREFIX)
    }
}

/// `login/<host>` on the auth host.
pub(crate) async fn start(
    gateway: &Arc<Gateway>,
    head: &Parts,
    host: &str,
    query: &Query,
    now: i64,
) -> Result<Response<Body>, Rejection> {
    let host: Host = host.parse().map_err(|_| Rejection::NotFound)?;
    if !gateway.routes.serves(&host) {
        return Err(Rejection::NotFound);
    }
    let front = format!("{}/", gateway.config.origin(&host));
    let Some(sealed) = query.only("request") else {
        // Without a request from the application's host there is nothing to bind to; it makes one.
        return Ok(respond::redirect(&front, None));
    };
    begin(gateway, head, &host, sealed, query, now).await.map_err(|rejection| rejection.leading_to(front))
}

/// A login for a request that an application's host has sealed.
async fn begin(
    gateway: &Arc<Gateway>,
    head: &Parts,
    host: &Host,
    sealed: &str,
    query: &Query,
    now: i64,
) -> Result<Response<Body>, Rejection> {
    let auth_host = gateway.config.server.auth_host.as_str();
    let opened = gateway.process.sealer.open::<ReturnTo>(Purpose::LoginRequest, auth_host, now, sealed);
    let return_to = opened.map_err(|_| LoginError::Stale)?;
    if return_to.host != host.as_str() {
        return Err(LoginError::Stale.into());
    }
    // An application that is gone since has nobody to come back to.
    let mut applications = gateway.routes.applications(host);
    let application = applications.find(|known| *known.name == *return_to.application);
    let application = application.ok_or(LoginError::Stale)?;
    let mut known = None;
    if let Visitor::Known(session) = login_visitor(&gateway.process.live, &head.headers, now)
        && application.accepts(&session.provider)
    {
        let enough = return_to.need.as_ref().is_none_or(|need| need.is_met_by_session(&session, now));
        if enough {
            return Ok(hand_over(gateway, session.id, &return_to, now)?);
        }
        known = Some(session);
    }
    let wish = initiate::wish(gateway, &head.headers, now);
    let wanted_issuer = wish.as_ref().map(|wish| wish.issuer.as_str());
    // Who only has to log in better does so where they logged in.
    let provider = query.only("provider").or(known.as_ref().map(|session| session.provider.as_str()));
    match picker::choose(gateway, application, provider, wanted_issuer)? {
        Choice::Made(provider) => {
            // The hint of a tile is for the provider that gave it, and for one login.
            let wish = wish.filter(|wish| wish.issuer == provider.settings().issuer);
            let spent = wish.as_ref().and_then(|_| cookies::clear(cookies::WISH));
            let known = known.and_then(|session| session.standing().profile.email.clone());
            let hint = known.or(wish.and_then(|wish| wish.login_hint));
            let mut response = to_provider(gateway, head, (provider, hint), return_to, now).await?;
            cookies::append(response.headers_mut(), spent);
            Ok(response)
        }
        Choice::Open(offered) => Ok(picker::page(gateway, &offered, host, sealed)),
    }
}

async fn to_provider(
    gateway: &Arc<Gateway>,
    head: &Parts,
    (provider, hint): (&Arc<Provider>, Option<String>),
    return_to: ReturnTo,
    now: i64,
) -> Result<Response<Body>, Rejection> {
    let attempt = Attempt {
        secret: random_text::<32>().ok_or(LoginError::NoRandomness)?,
        provider: provider.settings().name.clone(),
        return_to,
    };
    let location = authorization_url(gateway, (provider, hint), &attempt, now).await?;
    let auth_host = gateway.config.server.auth_host.as_str();
    let name = Attempt::cookie_name(&attempt.state());
    let sealed = gateway.process.sealer.seal(Purpose::LoginAttempt, auth_host, now + ATTEMPT_LIFE_S, attempt);
    let cookie = cookies::set(name, sealed.ok_or(LoginError::NoRandomness)?, ATTEMPT_LIFE_S);
    let cookies = cookie.into_iter().chain(surplus(&head.headers, cookies::ATTEMPT_PREFIX));
    Ok(respond::redirect(&location, cookies))
}

/// Talks to the provider away from the threads that carry requests.
async fn authorization_url(
    gateway: &Arc<Gateway>,
    (provider, hint): (&Arc<Provider>, Option<String>),
    attempt: &Attempt,
    now: i64,
) -> Result<String, LoginError> {
    let (provider, redirect_uri) = (provider.clone(), gateway.redirect_uri());
    let (state, nonce) = (attempt.state(), attempt.nonce());
    let verifier = provider.settings().pkce.then(|| attempt.code_verifier());
    let wanted = attempt.return_to.need.as_ref().map_or(Wanted::default(), Need::wanted);
    let asked = gateway.process.control.spawn(async move {
        let request = AuthorizationRequest {
            redirect_uri: &redirect_uri,
            state: &state,
            nonce: &nonce,
            code_verifier: verifier.as_deref(),
            login_hint: hint.as_deref(),
            wanted: &wanted,
        };
        provider.authorization_url(&request, now).await
    });
    let url = asked.await.map_err(|_| LoginError::Interrupted)??;
    Ok(url.into())
}
