//! What must hold for any bytes at all, as functions that panic when it does not: for the programs in `fuzz`, and for the tests
//! that replay what those have found. Not part of what is shipped.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a surprise must stop the program that looks for surprises"
)]

mod connection;
#[cfg(test)]
mod tests;
mod wire;

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use http::header::{CONNECTION, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use crate::config::Config;
use crate::cookies;
use crate::forward::{self, Context, Told};
use crate::forwarded::Ways;
use crate::identity_headers::IdentityHeaders;
use crate::route::{Canonical, NormalPath, Routes};

pub use connection::connection;

/// What is put into a request beside what every upstream gets.
const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:443"]
inner_listen = "127.0.0.1:9443"
auth_host = "auth.corp.example"
[tls]
self_signed = true
[store]
url = "sqlite:portcullis.db"
[[identity_provider]]
name = "okta"
type = "okta"
issuer = "https://corp.okta.com"
client_id = "portcullis"
[[application]]
name = "wiki"
hosts = ["wiki.corp.example"]
upstreams = ["http://127.0.0.1:8081"]
policies = ["anybody"]
[[policy]]
name = "anybody"
action = "allow"
include = [{ everyone = true }]
"#;

const WIKI: &str = "wiki.corp.example";

/// What upstreams are told about the one person there is.
const TOLD: [(&str, &str); 2] = [
    ("cf-access-jwt-assertion", "e30.e30.e30"),
    ("cf-access-authenticated-user-email", "engineer@corp.example"),
];

static WORLD: LazyLock<Config> =
    LazyLock::new(|| Config::parse(CONFIG, std::path::Path::new("")).expect("the configuration is good"));

/// A path has one normal form, which means what was asked for and can be taken apart in one way only.
pub fn path(bytes: &[u8]) {
    let Ok(raw) = std::str::from_utf8(bytes) else { return };
    let Ok(path) = NormalPath::parse(raw) else { return };
    let normal = path.as_str();
    assert_eq!(NormalPath::parse(normal).as_ref(), Ok(&path), "normal form is its own normal form");
    assert_eq!(wire::decoded(normal.as_bytes()), wire::decoded(bytes), "another path came out");
    // What only some servers read differently passes to an application that asks for it, and to no other.
    if path.unusual().next().is_none() {
        assert_one_reading(normal);
    }
}

/// No server can find another segment in it than we did.
fn assert_one_reading(normal: &str) {
    let text = String::from_utf8(wire::decoded(normal.as_bytes())).expect("a path is text");
    assert!(
        normal.starts_with('/') && normal.is_ascii() && !normal.contains([';', '\\', '#', '?']),
        "{normal}"
    );
    assert!(
        !text.contains("//") && !text.contains('\\') && !text.bytes().any(|byte| byte < 0x20),
        "{normal}"
    );
    assert!(!text.split('/').any(|segment| matches!(segment, "." | "..")), "{normal}");
    assert_eq!(text.matches('/').count(), normal.matches('/').count(), "{normal}");
}

/// A filter, a PATCH path or a policy's predicate is refused, or reads as it is written; and whatever it asks, it is true or false of a
/// document, and its opposite the opposite.
pub fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = portcullis_filter::parse_target(text);
    if let Ok(predicate) = text.parse::<portcullis_policy::Predicate>() {
        assert_eq!(predicate.to_string().parse().as_ref(), Ok(&predicate), "{text:?}");
    }
    let Ok(filter) = text.parse::<portcullis_filter::Filter>() else { return };
    match filter.to_string().parse::<portcullis_filter::Filter>() {
        Ok(again) => assert_eq!(again, filter, "{text:?}"),
        // Written out with all its spaces it may be longer than what was read.
        Err(error) => assert_eq!(error, portcullis_filter::FilterError::TooLong, "{text:?}"),
    }
    let person = serde_json::json!({
        "userName": "Jane@Corp.example", "active": true, "logins": 12, "tags": ["red"], "nickName": "",
        "emails": [{"value": "jane@corp.example", "type": "work"}, {"value": "j@home.example"}],
        "meta": {"lastModified": "2026-05-01T10:00:00Z"},
    });
    let document = person.as_object().expect("an object");
    let opposite = portcullis_filter::Filter::Not(Box::new(filter.clone()));
    assert_ne!(filter.matches(document, |_| false), opposite.matches(document, |_| false), "{text:?}");
}

/// Each line is a `Cookie` field: ours go, the others stay in their order, and ours has a value only when it is there once.
pub fn cookies(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    for value in lines {
        headers.append(COOKIE, value);
    }
    let ours = wire::cookies(&headers).into_iter().filter(|pair| wire::is_ours(pair)).count();
    if cookies::only(&headers, cookies::SESSION).is_some() {
        assert!(ours > 0, "a session out of nothing");
    }
    let foreign: Vec<Vec<u8>> =
        wire::cookies(&headers).into_iter().filter(|pair| !wire::is_ours(pair)).collect();
    cookies::strip_ours(&mut headers);
    assert!(headers.get_all(COOKIE).iter().count() <= 1, "more than one field is left");
    assert_eq!(wire::cookies(&headers), foreign, "a cookie of others was lost, moved or made");
}

/// Each line is a field: nothing that could be read as an identity is left, but what the gateway itself says.
pub fn headers(bytes: &[u8]) {
    let mut request = Request::get("/").body(()).expect("a request");
    for line in bytes.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let pair =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.get(1..).unwrap_or_default()));
        if let ((Ok(name), Ok(value)), true) = (pair, request.headers().len() < 200) {
            request.headers_mut().append(name, value);
        }
    }
    let routed = Request::get("/").header(HOST, WIKI).body(()).expect("a request").into_parts().0;
    let (canonical, _) = routes().resolve(&routed, None).expect("the wiki");
    let outgoing = for_upstream(&canonical, request);
    let fields = outgoing.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    wire::assert_head(fields);
    // Said again by the gateway itself when it asks for a WebSocket, and in no other words.
    let said: Vec<_> = outgoing.headers().get_all(CONNECTION).iter().collect();
    assert!(said.is_empty() || said == ["upgrade"], "{said:?}");
}

/// The request that the wiki gets.
fn for_upstream<B>(canonical: &Canonical, request: Request<B>) -> Request<B> {
    let way = Ways::default().way(Ipv4Addr::LOCALHOST.into(), &canonical.host, 443).expect("a way");
    let identity = IdentityHeaders::made(&TOLD);
    let context = Context { request_id: "0", way: &way, told: Told::Somebody(&identity) };
    let application = WORLD.applications.first().expect("the wiki");
    forward::rehearse(canonical, request, application, &context).expect("what was judged can be written")
}

fn routes() -> Routes {
    Routes::new(WORLD.server.auth_host.clone(), &WORLD.applications, &WORLD.policies)
}
