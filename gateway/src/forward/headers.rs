//! What is taken out of a head and what is put in, in both directions. Identity headers from outside are removed in every
//! spelling, always, before ours are set.

use http::header::{
    ALT_SVC, AUTHORIZATION, CONNECTION, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::Context;
use crate::authorize::Permit;
use crate::cookies;

/// The assertion, as origins written for Cloudflare Access expect it.
const ASSERTION: HeaderName = HeaderName::from_static("cf-access-jwt-assertion");
const EMAIL: HeaderName = HeaderName::from_static("cf-access-authenticated-user-email");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields that concern one connection only (RFC 9110 section 7.6.1), beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Names, or beginnings of names ending in `-`, by which upstreams are told who somebody is or where a request came from.
const IDENTITY: [&str; 28] = [
    "cf-access-",
    "cf-connecting-ip",
    "client-ip",
    "forwarded",
    "remote-",
    "ssl-client-",
    "tailscale-user-",
    "true-client-ip",
    "x-auth-",
    "x-authenticated-",
    "x-client-",
    "x-email",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-authenticated-",
    "x-http-method-",
    "x-method-override",
    "x-ms-client-principal",
    "x-original-",
    "x-portcullis-",
    "x-real-ip",
    "x-remote-",
    "x-request-id",
    "x-rewrite-",
    "x-ssl-client-",
    "x-user",
    "x-user-",
    "x-webauth-",
];

/// Whether the client asks for a WebSocket over HTTP/1.1 (RFC 6455 section 4.1). No other upgrade is carried.
pub(super) fn wanted_upgrade(head: &Parts) -> bool {
    let has = |name: HeaderName, wanted: &str| {
        let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    head.version == Version::HTTP_11
        && head.method == Method::GET
        && has(CONNECTION, "upgrade")
        && has(UPGRADE, "websocket")
}

/// Turns the client's head into the one that the upstream gets.
pub(super) fn for_upstream(headers: &mut HeaderMap, permit: &Permit, context: &Context<'_>, upgrade: bool) {
    let trailers = accepts_trailers(headers);
    strip_hop_by_hop(headers);
    strip_identity(headers);
    cookies::strip_ours(headers);
    headers.remove(EXPECT);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    headers.insert(ASSERTION, context.assertion.clone());
    let mut set = |name: HeaderName, value: &str| {
        // Set, never added to: what the client sent under the name is gone also when ours cannot be written.
        headers.remove(&name);
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    if let Some(email) = &permit.session.record.email {
        set(EMAIL, email);
    }
    let ip = context.client_ip.to_string();
    set(HOST, context.authority);
    set(FORWARDED_FOR, &ip);
    set(FORWARDED_HOST, context.authority);
    set(FORWARDED_PROTO, "https");
    set(FORWARDED, &forwarded(&ip, context.authority));
    set(REQUEST_ID, context.request_id);
}

/// RFC 7239 section 4: an IPv6 address is bracketed, and whatever holds a colon is quoted.
fn forwarded(ip: &str, authority: &str) -> String {
    let node = if ip.contains(':') { format!("\"[{ip}]\"") } else { ip.to_owned() };
    format!("for={node};host=\"{authority}\";proto=https")
}

/// `TE: trailers` is said anew on each hop (RFC 9110 section 10.1.4).
fn accepts_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// Turns the upstream's head into the one that the client gets.
pub(super) fn for_client(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    // An upstream must neither plant our session in a browser nor lead it past us.
    headers.remove(ALT_SVC);
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

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    // `Connection: authorization` would make us drop what the upstream decides by.
    for name in named.iter().filter(|name| **name != AUTHORIZATION && **name != HOST) {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn strip_identity(headers: &mut HeaderMap) {
    let forged: Vec<HeaderName> =
        headers.keys().filter(|name| speaks_of_identity(name.as_str())).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
}

/// Whether a name is, or could be read as, one of ours. Upstreams in the CGI tradition read `X_User`, `X.User` and `X-User` as
/// one name, so a name with other characters than letters, digits and hyphens does not pass at all.
fn speaks_of_identity(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    !plain || IDENTITY.iter().any(|known| name == *known || (known.ends_with('-') && name.starts_with(known)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        fields.iter().map(pair).collect()
    }

    fn left(mut headers: HeaderMap, strip: impl Fn(&mut HeaderMap)) -> BTreeSet<String> {
        strip(&mut headers);
        headers.keys().map(ToString::to_string).collect()
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn t26_t27_forged_identity_goes_in_every_spelling() {
        let forged = headers(&[
            ("Cf-Access-Jwt-Assertion", "x"),
            ("CF_Access_Authenticated_User_Email", "x"),
            ("cf.access.jwt.assertion", "x"),
            ("X-Forwarded-For", "x"),
            ("X_Forwarded_Host", "x"),
            ("x-forwarded-user", "x"),
            ("Forwarded", "x"),
            ("X-Original-URL", "x"),
            ("X-Rewrite-URL", "x"),
            ("X-HTTP-Method-Override", "x"),
            ("X-Real-IP", "x"),
            ("X-Auth-User", "x"),
            ("X.Auth.User", "x"),
            ("Remote-User", "x"),
        ]);
        assert_eq!(left(forged, strip_identity), names(&[]));
        let honest =
            headers(&[("accept", "x"), ("authorization", "x"), ("forwarded-to", "x"), ("x-usersnap", "x")]);
        assert_eq!(left(honest, strip_identity).len(), 4);
    }

    #[test]
    fn t31_what_connection_names_goes_but_not_what_decides() {
        let request = headers(&[
            ("connection", "close, X-Hop, Authorization, host"),
            ("x-hop", "1"),
            ("authorization", "Basic x"),
            ("host", "a"),
            ("keep-alive", "1"),
            ("te", "gzip"),
            ("upgrade", "h2c"),
        ]);
        assert_eq!(left(request, strip_hop_by_hop), names(&["authorization", "host"]));
    }

    #[test]
    fn t24_forwarded_is_quoted() {
        assert_eq!(forwarded("127.0.0.1", "a:1"), "for=127.0.0.1;host=\"a:1\";proto=https");
        assert_eq!(forwarded("::1", "a"), "for=\"[::1]\";host=\"a\";proto=https");
    }

    #[test]
    fn an_upstream_cannot_plant_our_cookie() {
        let mut answer = headers(&[("alt-svc", "h3=\":443\""), ("x-a", "1")]);
        answer.append(SET_COOKIE, HeaderValue::from_static("a=1"));
        answer.append(SET_COOKIE, HeaderValue::from_static(" __host-Portcullis=stolen; Path=/"));
        answer.append(SET_COOKIE, HeaderValue::from_static("=__Host-portcullis=stolen; Domain=corp.example"));
        for_client(&mut answer);
        let cookies: Vec<_> = answer.get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1"]);
        assert!(!answer.contains_key(ALT_SVC) && answer.contains_key("x-a"));
    }
}
