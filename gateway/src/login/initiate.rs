//! A login that somebody else begins (OpenID Connect Core 1.0 section 4): a click on the tile of a provider's dashboard, or a link.
//! It only says where to go and by which provider; the login itself begins at the application, as always, so nothing is
//! gained by whoever makes a browser come here.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use serde::{Deserialize, Serialize};

mod error;

pub(crate) use error::InitiateError;

use super::{ATTEMPT_LIFE_S, LoginError};
use crate::body::Body;
use crate::config::{Application, IdentityProvider};
use crate::cookies;
use crate::gateway::Gateway;
use crate::host::HostPattern;
use crate::page_address::PageAddress;
use crate::query::Query;
use crate::respond;
use crate::route::{Destination, NormalPath};
use crate::seal::Purpose;
use crate::session::{Visitor, login_visitor};

/// The longest hint that is passed on, in bytes; a longer one is not an address that somebody has.
const MAX_LOGIN_HINT_BYTES: usize = 320;

/// What the next login of this browser is to know, sealed into a cookie on the auth host.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wish {
    /// The issuer whose tile was clicked.
    #[serde(rename = "i")]
    pub(super) issuer: String,
    /// Who is probably logging in.
    #[serde(rename = "l")]
    pub(super) login_hint: Option<String>,
}

/// `initiate` on the auth host, by GET or as a posted form.
pub(crate) fn initiate(
    gateway: &Gateway,
    head: &Parts,
    asked: &Query,
    now: i64,
) -> Result<Response<Body>, LoginError> {
    if asked.has("id_token") {
        return Err(InitiateError::IdToken.into());
    }
    if ["iss", "login_hint", "target_link_uri"].into_iter().any(|name| asked.repeats(name)) {
        return Err(InitiateError::Malformed.into());
    }
    let issuer = asked.only("iss").ok_or(InitiateError::Malformed)?;
    let providers = &gateway.config.identity_providers;
    let mut named = providers.iter().filter(|provider| provider.issuer == issuer).peekable();
    if named.peek().is_none() {
        let nearest = providers.iter().find(|provider| is_near(&provider.issuer, issuer));
        return Err(InitiateError::UnknownIssuer { nearest: nearest.map(|it| it.issuer.clone()) }.into());
    }
    let location = match asked.only("target_link_uri").filter(|target| !target.is_empty()) {
        Some(target) => page(gateway, target).ok_or(InitiateError::Target)?,
        None => front(gateway, named).ok_or(InitiateError::NoTarget)?,
    };
    if let Visitor::Known(session) = login_visitor(&gateway.process.live, &head.headers, now)
        && gateway.provider(&session.provider).is_some_and(|known| known.settings().issuer == issuer)
    {
        return Ok(respond::redirect(&location, None));
    }
    let hint = asked.only("login_hint").filter(|hint| is_hint(hint));
    let wish = Wish { issuer: issuer.to_owned(), login_hint: hint.map(str::to_owned) };
    Ok(respond::redirect(&location, Some(keep(gateway, wish, now)?)))
}

/// What administrators take for the issuer: with a slash behind it, or with the host of their own pages.
fn is_near(configured: &str, named: &str) -> bool {
    let bare = |issuer: &str| issuer.trim_end_matches('/').replacen("-admin.", ".", 1);
    bare(configured) == bare(named)
}

/// A page of an application, as we write its address.
fn page(gateway: &Gateway, target: &str) -> Option<String> {
    let address: PageAddress = target.parse().ok()?;
    address.host(gateway.config.server.public_port)?;
    match gateway.routes.destination(&address.canonical) {
        Ok(Destination::Application(_)) => Some(address.written(&gateway.config)),
        Ok(Destination::AuthHost | Destination::ApplicationHost) | Err(_) => None,
    }
}

/// Where a click leads that names no page: where the provider's configuration says, or to the only application that there is.
fn front<'p>(
    gateway: &Gateway,
    mut named: impl Iterator<Item = &'p Arc<IdentityProvider>>,
) -> Option<String> {
    if let Some(configured) = named.find_map(|provider| provider.entrance.initiate_to.as_deref()) {
        return page(gateway, configured);
    }
    match gateway.config.applications.as_slice() {
        [only] => front_of(gateway, only),
        _ => None,
    }
}

fn front_of(gateway: &Gateway, application: &Application) -> Option<String> {
    let path = NormalPath::parse("/").ok()?;
    match application.hosts.as_slice() {
        [HostPattern::Exact(host)] if application.covers(&path) => {
            Some(format!("{}/", gateway.config.origin(host)))
        }
        _ => None,
    }
}

fn is_hint(hint: &str) -> bool {
    !hint.is_empty() && hint.len() <= MAX_LOGIN_HINT_BYTES && !hint.chars().any(char::is_control)
}

fn keep(gateway: &Gateway, wish: Wish, now: i64) -> Result<HeaderValue, LoginError> {
    let auth_host = gateway.config.server.auth_host.as_str();
    let sealed = gateway.process.sealer.seal(Purpose::Wish, auth_host, now + ATTEMPT_LIFE_S, wish);
    let cookie = sealed.and_then(|sealed| cookies::set(cookies::WISH.to_owned(), sealed, ATTEMPT_LIFE_S));
    cookie.ok_or(LoginError::NoRandomness)
}

/// What this browser was sent here with, if that was lately.
pub(super) fn wish(gateway: &Gateway, headers: &HeaderMap, now: i64) -> Option<Wish> {
    let sealed = cookies::only(headers, cookies::WISH)?;
    let auth_host = gateway.config.server.auth_host.as_str();
    gateway.process.sealer.open(Purpose::Wish, auth_host, now, sealed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_that_are_taken_for_each_other_are_near() {
        for (configured, named, near) in [
            ("https://corp.okta.com", "https://corp.okta.com/", true),
            ("https://corp.okta.com/", "https://corp.okta.com", true),
            ("https://corp.okta.com", "https://corp-admin.okta.com", true),
            ("https://corp.okta.com", "https://evil.okta.com", false),
            ("https://corp.okta.com", "https://corp.okta.com/oauth2/default", false),
            ("https://corp.okta.com", "", false),
        ] {
            assert_eq!(is_near(configured, named), near, "{named}");
        }
    }

    #[test]
    fn a_hint_at_its_limit_and_one_byte_more() {
        assert!(
            is_hint(&"a".repeat(MAX_LOGIN_HINT_BYTES)) && !is_hint(&"a".repeat(MAX_LOGIN_HINT_BYTES + 1))
        );
        assert!(!is_hint("") && !is_hint("a\r\nb"));
    }
}
