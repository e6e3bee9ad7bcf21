//! What a request carries: its body as a JSON object, its query, and the version that it is about.
//!
//! `password` is dropped here, before anything else sees the body. What a listing asks for is `list_query`'s matter.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Request};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::limits::{MAX_BODY_BYTES, MAX_JSON_DEPTH};
use crate::rejection::Rejection;

/// The body as a JSON object, without `password`.
pub(crate) fn json_object(request: &Request<Bytes>) -> Result<Map<String, Value>, Rejection> {
    accept_media_type(request.headers())?;
    if request.body().len() > MAX_BODY_BYTES {
        return Err(Rejection::BodyTooLarge);
    }
    let parsed = serde_json::from_slice::<Value>(request.body()).map_err(|error| {
        // Its text names what was expected, the line and the column, and nothing of the content.
        Rejection::InvalidSyntax(format!("the body is not JSON of at most {MAX_JSON_DEPTH} levels: {error}"))
    })?;
    let Value::Object(mut body) = parsed else {
        return Err(Rejection::InvalidSyntax("the body must be a JSON object at line 1 column 1".to_owned()));
    };
    body.retain(|key, _| !key.eq_ignore_ascii_case("password"));
    Ok(body)
}

/// RFC 7644 section 3.1; `application/json` is accepted too, and so is a body without a type.
fn accept_media_type(headers: &HeaderMap) -> Result<(), Rejection> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let known = ["application/scim+json", "application/json"];
    if known.iter().any(|known| known.eq_ignore_ascii_case(essence)) {
        Ok(())
    } else {
        Err(Rejection::UnsupportedMediaType)
    }
}

/// RFC 7643 section 3: `schemas` says what the body is. A body without it is taken for what the address says.
pub(crate) fn expect_schema(body: &Map<String, Value>, urn: &str) -> Result<(), Rejection> {
    let Some(listed) = crate::filter::attribute(body, "schemas") else { return Ok(()) };
    let names_it = |value: &Value| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(urn));
    match listed {
        Value::Array(listed) if listed.iter().any(names_it) => Ok(()),
        _ => Err(Rejection::InvalidValue(format!("`schemas` must contain `{urn}`"))),
    }
}

/// A parameter of the query, decoded; giving it twice is refused, for nobody could say which is meant.
pub(crate) fn parameter(query: &str, name: &str) -> Result<Option<String>, Rejection> {
    let mut found = form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.into_owned());
    let value = found.next();
    match found.next() {
        Some(_) => Err(Rejection::InvalidValue(format!("`{name}` is given more than once"))),
        None => Ok(value.filter(|value| !value.is_empty())),
    }
}

/// The text of a version, as it stands in `meta.version` (RFC 7644 section 3.14).
pub(crate) fn version_tag(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// The versions that a write is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// No header, or `*`: whatever there is.
    Any,
    /// One of these.
    Listed(Vec<String>),
}

impl Precondition {
    /// `If-Match`. It is compared weakly, for all our tags are weak (RFC 7644 section 3.14).
    pub(crate) fn of(headers: &HeaderMap) -> Precondition {
        let mut listed = Vec::new();
        for value in headers.get_all(IF_MATCH) {
            listed.extend(value.to_str().unwrap_or_default().split(',').map(|tag| tag.trim().to_owned()));
        }
        if listed.is_empty() || listed.iter().any(|tag| tag == "*") {
            return Precondition::Any;
        }
        Precondition::Listed(listed)
    }

    pub(crate) fn check(&self, version: i64) -> Result<(), Rejection> {
        match self {
            Precondition::Any => Ok(()),
            Precondition::Listed(tags) if tags.iter().any(|tag| same_tag(tag, version)) => Ok(()),
            Precondition::Listed(_) => Err(Rejection::VersionChanged),
        }
    }
}

fn same_tag(tag: &str, version: i64) -> bool {
    tag.strip_prefix("W/").unwrap_or(tag) == format!("\"{version}\"")
}

/// Whether the client has this version already (`If-None-Match` of a GET).
pub(crate) fn has_version(headers: &HeaderMap, version: i64) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        value
            .to_str()
            .unwrap_or_default()
            .split(',')
            .any(|tag| tag.trim() == "*" || same_tag(tag.trim(), version))
    })
}
