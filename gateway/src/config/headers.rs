//! `[application.headers]` and `[application.response_headers]`: what is put into requests towards an upstream beside what
//! every upstream gets, and what is changed in its answers. Writing values is left to `identity_headers`, putting them into a
//! head to `forward`.

use std::path::Path;

use http::{HeaderName, HeaderValue};

use super::document::{Section, Value};
use super::provider::read_secret;

/// Fields that the gateway itself writes, or that frame a message: no configuration may touch them.
const NOT_IN_REQUESTS: [&str; 22] = [
    "cf-access-authenticated-user-email",
    "cf-access-jwt-assertion",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-request-id",
];
const NOT_IN_RESPONSES: [&str; 10] = [
    "alt-svc",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// `[application.headers]`: fields that an upstream gets beside the assertion and the e-mail address.
#[derive(Debug, Default)]
pub struct RequestHeaders {
    /// The same for everybody.
    pub fixed: Vec<(HeaderName, HeaderValue)>,
    /// The field in which the application takes both halves of a service token; it goes no further.
    pub service_token: Option<HeaderName>,
    /// Something about the person. Absent when there is nothing to tell; what a client sent under the name never passes.
    pub told: Vec<Told>,
}

/// One field that tells something about the person.
#[derive(Debug)]
pub struct Told {
    /// Its name.
    pub name: HeaderName,
    /// What it tells.
    pub source: Source,
    /// How a value is written that is not plain text.
    pub encoding: Encoding,
}

/// What is told about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `sub`, `email`, `name`, `provider`, or another claim of the login.
    Claim(String),
    /// The names of the groups that count now.
    Groups {
        /// Stands between two names.
        separator: Separator,
        /// Only these are told; everything when empty.
        only: Vec<String>,
    },
}

/// What stands between two values: a mark, with or without a space behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Separator {
    /// The mark, which no value holds unless it is encoded.
    pub mark: char,
    /// Whether a space follows.
    pub spaced: bool,
}

/// How text becomes a field value. Values of a list are encoded one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As it is when it is printable ASCII; else as RFC 8187 has it: `UTF-8''` and percent-encoding.
    #[default]
    Rfc8187,
    /// Printable ASCII but `%` and the separator as it is, every other byte as `%` and two digits.
    Percent,
    /// All of it in base64.
    Base64,
    /// As it is; who has a value that cannot be written so is denied.
    Plain,
}

/// `[application.response_headers]`: what is changed in an upstream's answers.
#[derive(Debug, Default)]
pub struct ResponseHeaders {
    /// Replaces what the upstream said under the name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Taken out.
    pub removed: Vec<HeaderName>,
}

pub(super) fn read_request_headers(section: &mut Section<'_, '_>, folder: &Path) -> RequestHeaders {
    let mut headers = RequestHeaders::default();
    let table = section.optional("headers").and_then(|value| value.section());
    for (key, value) in table.into_iter().flat_map(Section::entries) {
        let Some(name) = read_name(key, &value, &NOT_IN_REQUESTS) else { continue };
        if value.is_string() {
            headers.fixed.extend(read_text(&value).map(|text| (name, text)));
            continue;
        }
        match read_table(&value, folder) {
            Some(Written::Secret(secret)) => headers.fixed.push((name, secret)),
            Some(Written::Told(source, encoding)) => headers.told.push(Told { name, source, encoding }),
            None => {}
        }
    }
    headers.service_token = section.optional("service_token_header").and_then(|value| {
        let name = value.string()?;
        read_name(name, &value, &NOT_IN_REQUESTS)
    });
    headers
}

pub(super) fn read_response_headers(section: &mut Section<'_, '_>) -> ResponseHeaders {
    let mut headers = ResponseHeaders::default();
    let table = section.optional("response_headers").and_then(|value| value.section());
    for (key, value) in table.into_iter().flat_map(Section::entries) {
        let Some(name) = read_name(key, &value, &NOT_IN_RESPONSES) else { continue };
        if value.is_string() {
            headers.set.extend(read_text(&value).map(|text| (name, text)));
        } else if value.boolean() == Some(false) {
            headers.removed.push(name);
        } else {
            value.fault("must be a text, or false to take the field out");
        }
    }
    headers
}

/// Names with other characters are no better than forged ones to many upstreams, and are never sent.
fn read_name(key: &str, value: &Value<'_, '_>, reserved: &[&str]) -> Option<HeaderName> {
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let name = HeaderName::try_from(key).ok().filter(|_| plain);
    let Some(name) = name else {
        value.fault("a header name consists of letters, digits and hyphens");
        return None;
    };
    if reserved.contains(&name.as_str()) {
        value.fault("is written by the gateway itself");
        return None;
    }
    Some(name)
}

fn read_text(value: &Value<'_, '_>) -> Option<HeaderValue> {
    let text = HeaderValue::try_from(value.string()?).ok();
    if text.is_none() {
        value.fault("must be printable ASCII");
    }
    text
}

/// What a table in the place of a text says.
enum Written {
    Secret(HeaderValue),
    Told(Source, Encoding),
}

fn read_table(value: &Value<'_, '_>, folder: &Path) -> Option<Written> {
    const FORM: &str =
        "write a text, { claim = \"sub\" }, { groups = \",\" }, { env = \"NAME\" } or { file = \"path\" }";
    let mut section = value.section_or(FORM)?;
    let claim = section.optional("claim");
    let groups = section.optional("groups");
    let only = section.optional("only");
    let encoding = section.optional("encoding");
    let source = match (claim, groups) {
        (Some(claim), None) => claim.string().map(|claim| Source::Claim(claim.to_owned())),
        (None, Some(separator)) => read_separator(&separator).map(|separator| Source::Groups {
            separator,
            only: only.map(|only| only.texts()).unwrap_or_default(),
        }),
        (None, None) if only.is_none() && encoding.is_none() => {
            let mut secret = HeaderValue::try_from(read_secret(value, folder)?.expose().as_str()).ok()?;
            secret.set_sensitive(true);
            return Some(Written::Secret(secret));
        }
        _ => {
            value.fault(FORM);
            None
        }
    };
    let encoding = encoding.map_or(Some(Encoding::default()), |value| read_encoding(&value));
    section.finish();
    Some(Written::Told(source?, encoding?))
}

fn read_separator(value: &Value<'_, '_>) -> Option<Separator> {
    let text = value.string()?;
    let (mark, spaced) = text.strip_suffix(' ').map_or((text, false), |mark| (mark, true));
    match mark {
        "," | ";" | "|" => mark.chars().next().map(|mark| Separator { mark, spaced }),
        _ => {
            value.fault("must be \",\", \";\" or \"|\", with or without a space behind it");
            None
        }
    }
}

fn read_encoding(value: &Value<'_, '_>) -> Option<Encoding> {
    match value.string()? {
        "rfc8187" => Some(Encoding::Rfc8187),
        "percent" => Some(Encoding::Percent),
        "base64" => Some(Encoding::Base64),
        "plain" => Some(Encoding::Plain),
        _ => {
            value.fault("must be \"rfc8187\", \"percent\", \"base64\" or \"plain\"");
            None
        }
    }
}
