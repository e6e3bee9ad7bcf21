//! "Nobody is logged in" on an application's host: where to go, sealed so that nobody can send a person elsewhere, and bound to
//! this browser so that nobody can be logged in as somebody else.

use http::{HeaderMap, HeaderValue};

use super::{ATTEMPT_LIFE_S, MAX_RETURN_BYTES, Need, ReturnTo};
use crate::access;
use crate::config::Application;
use crate::cookies;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::route::{Canonical, RESERVED_PREFIX};
use crate::seal::{Purpose, digest_text, random_text};

/// The way to a login.
#[derive(Debug)]
pub(crate) struct Challenge {
    /// Where a browser goes.
    pub(crate) location: String,
    /// What it must keep on the application's host.
    pub(crate) cookies: Vec<HeaderValue>,
    /// Where a person can begin by hand; the same for everybody.
    pub(crate) entrance: String,
}

/// Where a person can begin a login for an application by hand.
pub(crate) fn entrance(gateway: &Gateway, host: &Host) -> String {
    let auth = gateway.config.origin(&gateway.config.server.auth_host);
    format!("{auth}{RESERVED_PREFIX}login/{host}")
}

/// The way to a login for this request, which has to bring something or not. Without random bytes it leads to the entrance, and no further.
pub(crate) fn challenge(
    gateway: &Gateway,
    (canonical, application): (&Canonical, &Application),
    need: Option<Need>,
    headers: &HeaderMap,
    now: i64,
) -> Challenge {
    let entrance = entrance(gateway, &canonical.host);
    match bound(gateway, (canonical, application), need, now) {
        Some((sealed, cookie)) => Challenge {
            location: format!("{entrance}?request={sealed}"),
            cookies: cookie.into_iter().chain(surplus(headers, cookies::RETURN_PREFIX)).collect(),
            entrance,
        },
        None => Challenge { location: entrance.clone(), cookies: Vec::new(), entrance },
    }
}

fn bound(
    gateway: &Gateway,
    (canonical, application): (&Canonical, &Application),
    need: Option<Need>,
    now: i64,
) -> Option<(String, Option<HeaderValue>)> {
    let secret = random_text::<16>()?;
    let return_to = ReturnTo {
        host: canonical.host.to_string(),
        application: application.name.to_string(),
        path: return_path(canonical),
        need,
        binding_id: random_text::<6>()?,
        binding: digest_text(&secret),
    };
    let name = format!("{}{}", cookies::RETURN_PREFIX, return_to.binding_id);
    let auth_host = gateway.config.server.auth_host.as_str();
    let sealed =
        gateway.process.sealer.seal(Purpose::LoginRequest, auth_host, now + ATTEMPT_LIFE_S, return_to)?;
    Some((sealed, cookies::set(name, secret, ATTEMPT_LIFE_S)))
}

/// The page that was asked for, unless it is an endpoint of ours without a page, or longer than is carried along.
pub(crate) fn return_path(canonical: &Canonical) -> String {
    let path = canonical.path.as_str();
    let full = match &canonical.query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let ours = path.strip_prefix(RESERVED_PREFIX).is_some_and(|endpoint| !access::is_page(endpoint));
    if full.len() > MAX_RETURN_BYTES || ours { "/".to_owned() } else { full }
}

/// Clears what earlier logins of this browser have left, when it is more than many tabs at once would need.
pub(super) fn surplus(headers: &HeaderMap, prefix: &str) -> Vec<HeaderValue> {
    let names = cookies::names(headers, prefix);
    if names.len() < cookies::MAX_LOGINS_AT_ONCE {
        return Vec::new();
    }
    names.into_iter().filter_map(cookies::clear).collect()
}
