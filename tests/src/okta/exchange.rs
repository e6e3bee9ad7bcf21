//! One question and one answer over HTTP, read whole before it is looked at. Knows nothing of Okta; sockets and faults are
//! for `serve` and `misbehave`.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use url::form_urlencoded;

/// The longest request body that is read; a longer one is answered 413.
pub const MAX_REQUEST_BODY: usize = 1 << 20;

/// The parameters of a query or of a form, in the order sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The first value of this name; an empty value counts as none, as Okta treats it.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(super) fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(key, _)| !names.contains(&key.as_str()));
        self
    }
}

/// A request, with its path already cut into decoded segments.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) segments: Vec<String>,
    pub(super) query: Params,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Ask {
    pub(super) fn new(parts: &http::request::Parts, body: Bytes) -> Self {
        Self {
            method: parts.method.clone(),
            segments: parts.uri.path().split('/').skip(1).map(decode_segment).collect(),
            query: Params::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            headers: parts.headers.clone(),
            body,
        }
    }

    pub(super) fn form(&self) -> Params {
        Params::parse(&self.body)
    }

    /// The form of a POST, the query of anything else: Okta's front-channel endpoints take both.
    pub(super) fn either(&self) -> Params {
        if self.method == Method::POST { self.form() } else { self.query.clone() }
    }

    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        self.headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    }
}

/// An answer that is whole; `misbehave` may still spoil its delivery.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self { body: body.to_string().into(), ..Self::empty(status) }
            .with(CONTENT_TYPE, "application/json")
            .with(CACHE_CONTROL, "no-cache, no-store")
    }

    pub(super) fn html(status: StatusCode, body: String) -> Self {
        Self { body: body.into(), ..Self::empty(status) }
            .with(CONTENT_TYPE, "text/html; charset=utf-8")
            .with(CACHE_CONTROL, "no-cache, no-store")
    }

    pub(super) fn redirect(status: StatusCode, location: &str) -> Self {
        Self::empty(status).with(LOCATION, location).with(http::header::REFERRER_POLICY, "no-referrer")
    }

    /// Sets a header; a value that is no header value is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Adds a further line of a header that may stand several times.
    pub(super) fn and(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }
}

/// Percent-decodes one path segment; `+` stays what it is.
fn decode_segment(raw: &str) -> String {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match hex_pair(tail) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                rest = &tail[2..];
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_pair(digits: &[u8]) -> Option<u8> {
    let high = char::from(*digits.first()?).to_digit(16)?;
    let low = char::from(*digits.get(1)?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// Percent-encodes everything but the unreserved characters, as one path segment or query value.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Text made safe to stand in HTML, attribute values included.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
