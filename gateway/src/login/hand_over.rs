//! The last hop: a login on the auth host becomes a session on the application's host, by a sealed code that works once, soon,
//! and only in the browser that asked.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use cookie::SameSite;
use http::request::Parts;
use http::{Response, StatusCode};
use portcullis_store::{BeginApplicationSessionError, NewApplicationSession, SessionId};
use serde::{Deserialize, Serialize};

use super::{HAND_OVER_LIFE_S, LoginError, ReturnTo};
use crate::body::Body;
use crate::config::Application;
use crate::cookies;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::query::Query;
use crate::respond::{self, Page};
use crate::route::RESERVED_PREFIX;
use crate::seal::{Purpose, digest_text, random_text};
use crate::session::SessionToken;

/// What the code carries, sealed for the application's host.
#[derive(Serialize, Deserialize)]
struct HandOver {
    /// Used once.
    id: String,
    /// The process that made it, which alone remembers whether it was used.
    history: String,
    session: [u8; 32],
    return_to: ReturnTo,
}

/// Sends the browser from the auth host to the application's host.
pub(super) fn hand_over(
    gateway: &Gateway,
    session: SessionId,
    return_to: &ReturnTo,
    now: i64,
) -> Result<Response<Body>, LoginError> {
    let host: Host = return_to.host.parse().map_err(|_| LoginError::Stale)?;
    let id = random_text::<16>().ok_or(LoginError::NoRandomness)?;
    let history = gateway.process.history.to_string();
    let carried = HandOver { id, history, session: *session.as_bytes(), return_to: return_to.clone() };
    let code = gateway.process.sealer.seal(Purpose::HandOver, host.as_str(), now + HAND_OVER_LIFE_S, carried);
    let code = code.ok_or(LoginError::NoRandomness)?;
    let location = format!("{}{RESERVED_PREFIX}authorized?code={code}", gateway.config.origin(&host));
    Ok(respond::redirect(&location, None))
}

/// `authorized` on an application's host: redeems the code, sets the cookie of this host, and goes to the page that was asked
/// for.
pub(crate) async fn redeem(
    gateway: &Arc<Gateway>,
    head: &Parts,
    host: &Host,
    query: &Query,
    now: i64,
) -> Result<Response<Body>, LoginError> {
    let code = query.only("code").ok_or(LoginError::Malformed)?;
    let opened = gateway.process.sealer.open::<HandOver>(Purpose::HandOver, host.as_str(), now, code);
    let carried = opened.map_err(|_| LoginError::Stale)?;
    let return_cookie = format!("{}{}", cookies::RETURN_PREFIX, carried.return_to.binding_id);
    let held = cookies::only(&head.headers, &return_cookie).ok_or(LoginError::Stale)?;
    verify_slices_are_equal(digest_text(held).as_bytes(), carried.return_to.binding.as_bytes())
        .map_err(|_| LoginError::Stale)?;
    let ours = carried.return_to.host == host.as_str() && *carried.history == *gateway.process.history;
    if !ours || !gateway.process.is_first_use(&carried.id, now).await {
        return Err(LoginError::Stale);
    }
    let token = SessionToken::generate().ok_or(LoginError::NoRandomness)?;
    let is_bound = gateway.routes.applications(host).any(|application| application.binding_cookie);
    let binding = if is_bound { Some(random_text::<32>().ok_or(LoginError::NoRandomness)?) } else { None };
    let life = i64::try_from(longest_session(gateway, host).as_secs()).unwrap_or(i64::MAX);
    let begun = gateway.process.store.begin_application_session(NewApplicationSession {
        id: token.id(),
        parent: SessionId::new(carried.session),
        host: host.to_string(),
        terminal: None,
        now,
        expires_at: now.saturating_add(life),
        binding: binding.as_deref().map(hash),
    });
    let record = begun.await.map_err(|error| match error {
        BeginApplicationSessionError::ParentEnded => LoginError::Stale,
        BeginApplicationSessionError::TooLong(error) => LoginError::TooLarge(error),
        BeginApplicationSessionError::Store(error) => LoginError::Store(error),
    })?;
    let same_site = strictest(gateway.routes.applications(host).map(|application| application.same_site));
    let set =
        |name: &str, value| cookies::set_for_site(name.to_owned(), value, record.expires_at - now, same_site);
    let second = match binding {
        Some(value) => set(cookies::BINDING, value),
        // One that is left of an earlier session means nothing.
        None => cookies::only(&head.headers, cookies::BINDING).and_then(|_| cookies::clear(cookies::BINDING)),
    };
    let cookie = set(cookies::SESSION, token.cookie_value());
    let location = format!("{}{}", gateway.config.origin(host), carried.return_to.path);
    let cookies = cookie.into_iter().chain(second).chain(cookies::clear(&return_cookie));
    if same_site == SameSite::Strict {
        // A browser that came from the provider would not show this cookie to where it is led, only to where it goes from here.
        let page = Page::new(StatusCode::OK, "You are signed in").leading_to(&location, "Go on");
        return Ok(respond::page(&gateway.look, page, cookies));
    }
    Ok(respond::redirect(&location, cookies))
}

fn hash(binding: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, binding.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// One cookie serves all applications of a host, so it keeps what the most careful of them asks for.
fn strictest(wanted: impl Iterator<Item = SameSite>) -> SameSite {
    let care = |same_site: &SameSite| match same_site {
        SameSite::None => 0,
        SameSite::Lax => 1,
        SameSite::Strict => 2,
    };
    wanted.max_by_key(care).unwrap_or(SameSite::Lax)
}

/// One cookie serves all applications of a host; each of them counts its own duration from the beginning of the session.
pub(crate) fn longest_session(gateway: &Gateway, host: &Host) -> Duration {
    let of_application = |application: &Arc<Application>| {
        application.session_duration.unwrap_or(gateway.config.session.duration)
    };
    gateway.routes.applications(host).map(of_application).max().unwrap_or(gateway.config.session.duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_several_applications_share_is_as_strict_as_any_of_them() {
        use SameSite::{Lax, None, Strict};
        for (wanted, kept) in
            [(&[None, Strict][..], Strict), (&[Lax, None], Lax), (&[None], None), (&[], Lax)]
        {
            assert_eq!(strictest(wanted.iter().copied()), kept, "{wanted:?}");
        }
    }
}
