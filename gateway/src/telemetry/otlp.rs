//! Spans in the JSON form of OTLP over HTTP, with the attribute names of the semantic conventions for HTTP. As in the decision log, no
//! query, header or body is told; people are not told either.

use std::time::Duration;

use serde_json::{Value, json};

use crate::decision_log::{Event, Verdict};

/// `SPAN_KIND_SERVER`
const KIND_SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`
const STATUS_ERROR: u8 = 2;

/// The span of an event that is recorded; none of any other.
pub(super) fn span(event: &Event<'_>, answered: Duration) -> Option<Value> {
    let (facts, texts) = (event.facts, &event.texts);
    let trace = facts.trace.filter(|trace| trace.recorded)?;
    let begun = answered.saturating_sub(Duration::from_micros(facts.answer.micros));
    let mut attributes = vec![
        number("http.response.status_code", facts.answer.status.into()),
        text("client.address", &facts.client.to_string()),
        text("url.scheme", "https"),
        text("portcullis.verdict", facts.answer.verdict.as_str()),
    ];
    let told = [
        ("http.request.method", texts.method),
        ("server.address", texts.host),
        ("url.path", texts.path),
        ("portcullis.application", texts.application),
        ("portcullis.policy", texts.policy),
    ];
    attributes
        .extend(told.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| text(key, value)));
    if let Some(micros) = facts.answer.upstream_micros {
        attributes.push(number("portcullis.upstream_micros", micros));
    }
    let mut span = json!({
        "traceId": trace.id.to_string(),
        "spanId": texts.request,
        "name": texts.method,
        "kind": KIND_SERVER,
        "startTimeUnixNano": begun.as_nanos().to_string(),
        "endTimeUnixNano": answered.as_nanos().to_string(),
        "attributes": attributes,
    });
    if let Some(span) = span.as_object_mut() {
        if trace.parent != 0 {
            span.insert("parentSpanId".to_owned(), format!("{:016x}", trace.parent).into());
        }
        if facts.answer.status >= 500 || facts.answer.verdict == Verdict::Failed {
            span.insert("status".to_owned(), json!({ "code": STATUS_ERROR }));
        }
    }
    Some(span)
}

/// A message to the collector.
pub(super) fn message(service: &str, spans: &[Value]) -> Vec<u8> {
    let resource = [text("service.name", service), text("service.version", env!("CARGO_PKG_VERSION"))];
    let message = json!({
        "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{ "scope": { "name": "portcullis" }, "spans": spans }],
        }],
    });
    message.to_string().into_bytes()
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Whole numbers are strings in this form, since JSON's are not that long.
fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}
