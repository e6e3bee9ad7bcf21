//! What is taken out of a head and what is put in, in both directions. Identity from outside is removed in every spelling,
//! always, before ours is set; which names those are is left to `names`, what ours says to `identity_headers` and `forwarded`.

use std::str::FromStr as _;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, FORWARDED, HOST, ORIGIN,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

mod names;

use super::{Context, Told};
use crate::config::{RequestHeaders, ResponseHeaders};
use crate::cookies;
use crate::credential;
use crate::identity_headers::IdentityHeaders;
use names::Fate;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// About as many fields as are put in.
const PUT_IN: usize = 12;

/// Whether the client asks for a WebSocket over HTTP/1.1 (RFC 6455 section 4.1). No other upgrade is carried.
pub(super) fn wanted_upgrade(head: &Parts) -> bool {
    head.version == Version::HTTP_11
        && head.method == Method::GET
        && has_token(&head.headers, &CONNECTION, "upgrade")
        && has_token(&head.headers, &UPGRADE, "websocket")
}

/// Whether the body is made of messages that may come as seldom as the two sides like (gRPC over HTTP/2, section Requests).
pub(super) fn is_grpc(head: &Parts) -> bool {
    let mut kinds = head.headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    let kind = kinds.next().and_then(|kind| kind.strip_prefix(b"application/grpc"));
    let is_kind = kind.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')));
    is_kind && kinds.next().is_none() && head.version == Version::HTTP_2 && head.method == Method::POST
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

/// Turns the client's head into the one that the upstream gets.
pub(super) fn for_upstream(
    headers: &mut HeaderMap,
    rules: &RequestHeaders,
    context: &Context<'_>,
    upgrade: bool,
) {
    if matches!(context.told, Told::Preflight) {
        keep_preflight(headers);
    }
    let announced = announced_trailers(headers, rules);
    let trailers = strip_request(headers);
    // What a client sent under a name of ours is gone also when we have nothing to tell under it.
    for name in rules.told.iter().map(|told| &told.name).chain(rules.fixed.iter().map(|(name, _)| name)) {
        headers.remove(name);
    }
    if let Some(name) = &rules.service_token
        && headers.get_all(name).iter().any(|value| credential::is_pair(name, value))
    {
        headers.remove(name);
    }
    headers.reserve(PUT_IN + rules.fixed.len() + rules.told.len());
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(announced) = announced {
        headers.insert(TRAILER, announced);
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    let way = context.way;
    headers.insert(HOST, way.authority.clone());
    headers.insert(FORWARDED_FOR, way.address.clone());
    headers.insert(FORWARDED_HOST, way.authority.clone());
    headers.insert(FORWARDED_PORT, way.port_text.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    headers.insert(FORWARDED, way.forwarded.clone());
    headers.extend(HeaderValue::try_from(context.request_id).ok().map(|id| (REQUEST_ID, id)));
    let identity = match context.told {
        Told::Somebody(identity) => Some(identity),
        Told::Nobody => None,
        Told::Preflight => return,
    };
    for (name, value) in rules.fixed.iter().chain(identity.into_iter().flat_map(IdentityHeaders::iter)) {
        headers.insert(name.clone(), value.clone());
    }
}

/// Nobody has been let in: what browsers say in a preflight goes along, and nothing else that could open or carry anything.
fn keep_preflight(headers: &mut HeaderMap) {
    const ITS_OWN: [HeaderName; 8] = [
        ACCEPT,
        ACCEPT_ENCODING,
        ACCEPT_LANGUAGE,
        ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD,
        ORIGIN,
        USER_AGENT,
        HeaderName::from_static("access-control-request-private-network"),
    ];
    let mut kept = HeaderMap::with_capacity(ITS_OWN.len() + PUT_IN);
    for name in ITS_OWN {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    *headers = kept;
}

/// Takes out what is of the client's connection alone, forged identity and our cookies. Whether the client takes trailers, which
/// is said anew on each hop (RFC 9110 section 10.1.4).
fn strip_request(headers: &mut HeaderMap) -> bool {
    let (mut gone, mut cookies, mut te, mut connection) = (Vec::new(), false, false, false);
    for name in headers.keys() {
        match names::fate(name) {
            Fate::Passes => {}
            Fate::Goes => gone.push(name.clone()),
            Fate::Cookie => cookies = true,
            Fate::Te => te = true,
            Fate::Connection => connection = true,
        }
    }
    let trailers = te && has_token(headers, &TE, "trailers");
    if te {
        headers.remove(TE);
    }
    if connection {
        strip_connection(headers);
    }
    for name in gone {
        headers.remove(name);
    }
    if cookies && headers.contains_key(COOKIE) {
        cookies::strip_ours(headers);
    }
    trailers
}

/// Takes out `Connection` and what it names.
fn strip_connection(headers: &mut HeaderMap) {
    // `Connection: authorization` would make us drop what the upstream decides by, and `content-length` how it reads.
    const STAY: [HeaderName; 4] = [AUTHORIZATION, HOST, CONTENT_LENGTH, TRANSFER_ENCODING];
    for name in names::named_by_connection(headers) {
        if !STAY.contains(&name) {
            headers.remove(name);
        }
    }
    headers.remove(CONNECTION);
}

/// Takes out of a request's trailers what would tell an identity, or mean something for the connection.
pub(super) fn strip_trailers(trailers: &mut HeaderMap, rules: &RequestHeaders) {
    let gone: Vec<HeaderName> = trailers.keys().filter(|name| !may_trail(name, rules)).cloned().collect();
    for name in gone {
        trailers.remove(name);
    }
}

/// The trailers that a client announces, of those that may come: over HTTP/1.1 no other is written (RFC 9110 section 6.6.2).
fn announced_trailers(headers: &HeaderMap, rules: &RequestHeaders) -> Option<HeaderValue> {
    let values = headers.get_all(TRAILER).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(|name| HeaderName::from_str(name.trim()));
    let kept: Vec<HeaderName> = names.flatten().filter(|name| may_trail(name, rules)).collect();
    let text = kept.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then(|| HeaderValue::try_from(text).ok()).flatten()
}

fn may_trail(name: &HeaderName, rules: &RequestHeaders) -> bool {
    let ours = rules.told.iter().any(|told| told.name == *name)
        || rules.fixed.iter().any(|(fixed, _)| fixed == name)
        || rules.service_token.as_ref() == Some(name);
    // Fields that decide how a message is read, or whose it is, have no place in trailers (RFC 9110 section 6.5.1).
    let misplaced = [AUTHORIZATION, HOST, CONTENT_LENGTH].contains(name);
    names::fate(name) == Fate::Passes && !ours && !misplaced
}

/// Turns the upstream's head into the one that the client gets.
pub(super) fn for_client(headers: &mut HeaderMap, rules: &ResponseHeaders) {
    let (mut gone, mut cookies, mut connection) = (Vec::new(), false, false);
    for name in headers.keys() {
        match name.as_str() {
            "connection" => connection = true,
            "set-cookie" => cookies = true,
            hop if names::is_hop_by_hop(hop) => gone.push(name.clone()),
            // An upstream must not lead a browser past us.
            "alt-svc" => gone.push(ALT_SVC),
            _ => {}
        }
    }
    if connection {
        strip_connection(headers);
    }
    for name in gone {
        headers.remove(name);
    }
    if cookies {
        strip_planted_cookies(headers);
    }
    for name in &rules.removed {
        headers.remove(name);
    }
    for (name, value) in &rules.set {
        headers.insert(name.clone(), value.clone());
    }
}

/// An upstream must not plant our session in a browser.
fn strip_planted_cookies(headers: &mut HeaderMap) {
    let planted = |value: &HeaderValue| {
        // A cookie without a name is told by browsers as its value alone, so `=__Host-...` would come back as ours.
        let text = value.as_bytes().trim_ascii_start();
        let text = text.strip_prefix(b"=").unwrap_or(text).trim_ascii_start();
        let name = text.get(..cookies::OUR_PREFIX.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(cookies::OUR_PREFIX.as_bytes()))
    };
    if headers.get_all(SET_COOKIE).iter().any(planted) {
        let kept: Vec<HeaderValue> =
            headers.get_all(SET_COOKIE).iter().filter(|value| !planted(value)).cloned().collect();
        headers.remove(SET_COOKIE);
        cookies::append(headers, kept);
    }
}

#[cfg(test)]
mod tests;
