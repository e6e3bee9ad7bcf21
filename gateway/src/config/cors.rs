//! `cors` of an application: whether preflights pass to it, or are answered here for named origins. Judging a request is left to
//! `cors` beside `respond`.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use url::Url;

use super::document::{Section, Value};

/// Longer than any browser keeps what a preflight brought.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(24 * 3_600);
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);

/// What becomes of requests that a page of another origin makes.
#[derive(Debug, Default)]
pub enum Cors {
    /// Nothing special: a preflight without a session is refused like any request.
    #[default]
    Off,
    /// Preflights go to the application without a session, and so without identity and without cookies.
    Pass,
    /// Preflights are answered here, and answers to listed origins are marked as readable.
    Answer(CorsRules),
}

/// `[application.cors]`
#[derive(Debug)]
pub struct CorsRules {
    /// The origins whose pages may ask, as browsers write them.
    pub origins: Vec<HeaderValue>,
    /// `Access-Control-Allow-Methods`
    pub methods: HeaderValue,
    /// `Access-Control-Allow-Headers`
    pub headers: Option<HeaderValue>,
    /// `Access-Control-Expose-Headers`
    pub expose: Option<HeaderValue>,
    /// Whether cookies may come along; without them nobody has a session.
    pub credentials: bool,
    /// `Access-Control-Max-Age`, in seconds.
    pub max_age: HeaderValue,
}

pub(super) fn read_cors(section: &mut Section<'_, '_>) -> Cors {
    let Some(value) = section.optional("cors") else { return Cors::Off };
    if value.is_string() {
        if value.string() == Some("pass") {
            return Cors::Pass;
        }
        value.fault("must be \"pass\", or a table with `origins`");
        return Cors::Off;
    }
    let table = value.section_or("must be \"pass\", or a table with `origins`");
    table.and_then(read_rules).map_or(Cors::Off, Cors::Answer)
}

fn read_rules(mut section: Section<'_, '_>) -> Option<CorsRules> {
    let origins = section.required("origins", "a list such as [\"https://app.corp.example\"]");
    let origins = origins.map(|value| value.list().iter().filter_map(read_origin).collect::<Vec<_>>());
    let methods = section.optional("methods").map(|value| joined(&value, read_method));
    let headers = section.optional("headers").map(|value| joined(&value, read_header));
    let expose = section.optional("expose").map(|value| joined(&value, read_header));
    let credentials = section.optional("credentials").and_then(|value| value.boolean());
    let max_age = section.optional("max_age").and_then(|value| {
        let duration = value.duration()?;
        if duration > LONGEST_MAX_AGE {
            value.fault("is at most 24h");
        }
        Some(duration)
    });
    section.finish();
    Some(CorsRules {
        origins: origins?,
        methods: methods.flatten().unwrap_or(HeaderValue::from_static("GET, HEAD, POST")),
        headers: headers.flatten(),
        expose: expose.flatten(),
        credentials: credentials.unwrap_or(true),
        max_age: HeaderValue::from(max_age.unwrap_or(DEFAULT_MAX_AGE).as_secs()),
    })
}

/// The names in a list, one after the other; none when the list is empty.
fn joined(value: &Value<'_, '_>, read: fn(&Value<'_, '_>) -> Option<String>) -> Option<HeaderValue> {
    let names: Vec<String> = value.list().iter().filter_map(read).collect();
    HeaderValue::try_from(names.join(", ")).ok().filter(|joined| !joined.is_empty())
}

fn read_method(value: &Value<'_, '_>) -> Option<String> {
    let method = Method::from_bytes(value.string()?.as_bytes()).ok();
    if method.is_none() {
        value.fault("must be a method, such as \"PUT\"");
    }
    method.map(|method| method.to_string())
}

fn read_header(value: &Value<'_, '_>) -> Option<String> {
    let name = HeaderName::try_from(value.string()?).ok();
    if name.is_none() {
        value.fault("must be a header name");
    }
    name.map(|name| name.to_string())
}

/// An origin in the one form in which browsers write it (RFC 6454 section 6.2).
fn read_origin(value: &Value<'_, '_>) -> Option<HeaderValue> {
    let text = value.string()?;
    let written = Url::parse(text).ok().map(|url| url.origin().ascii_serialization());
    match written {
        Some(written) if written == text => HeaderValue::try_from(written).ok(),
        Some(written) if written != "null" => {
            value.fault(format!("must be an origin alone, as browsers write it: {written}"));
            None
        }
        _ => {
            value.fault(
                "must be an origin, such as \"https://app.corp.example\"; every origin cannot be meant",
            );
            None
        }
    }
}
