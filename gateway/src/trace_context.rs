//! Which trace a request belongs to (W3C Trace Context): a context that is whole goes on to the upstream as it came, one that is not is
//! taken out, and a request that is recorded here becomes the parent of what follows. Sending spans anywhere is left to `telemetry`.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::request_id::RequestId;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Longer states, and such of more members, need not be passed on (section 3.3.1.5), and are not.
const MAX_STATE_BYTES: usize = 512;
const MAX_STATE_MEMBERS: usize = 32;

const VERSION_BYTES: usize = 2;
const TRACE_BYTES: usize = 32;
const SPAN_BYTES: usize = 16;
const FLAGS_BYTES: usize = 2;

/// The trace of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    /// The span that the client's side said it belongs to; zero when this is the first.
    pub(crate) parent: u64,
    /// Whether a span of ours is recorded; its id is that of the request.
    pub(crate) recorded: bool,
}

/// Sixteen bytes that all spans of a trace share; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Leaves a whole context in a request's head, and takes any other out. When the request is recorded, what the upstream does belongs
/// to it. The client's word that it is sampled is passed on and counts for nothing here: it costs the client nothing.
pub(crate) fn settle(headers: &mut HeaderMap, id: &RequestId) -> Option<Trace> {
    let told = keep_whole(headers);
    if !is_recorded(id) {
        return told.map(|(id, parent)| Trace { id, parent, recorded: false });
    }
    let (trace, parent) = told.unwrap_or((TraceId(id.trace_number()), 0));
    let parent_of_next = HeaderValue::try_from(format!("00-{trace}-{id}-01")).ok()?;
    headers.insert(TRACEPARENT, parent_of_next);
    Some(Trace { id: trace, parent, recorded: true })
}

/// The context, if it is whole. Anything else of it goes.
fn keep_whole(headers: &mut HeaderMap) -> Option<(TraceId, u64)> {
    let told = only(headers).and_then(parse);
    if told.is_none() {
        headers.remove(TRACEPARENT);
    }
    if headers.contains_key(TRACESTATE) && (told.is_none() || !is_whole_state(headers)) {
        headers.remove(TRACESTATE);
    }
    told
}

#[cfg(feature = "otel")]
fn is_recorded(id: &RequestId) -> bool {
    crate::telemetry::is_recorded(id)
}

#[cfg(not(feature = "otel"))]
fn is_recorded(_: &RequestId) -> bool {
    false
}

/// The one value of the field; two are none (section 3.2).
fn only(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    only.to_str().ok()
}

/// Trace and parent of a `traceparent` (section 3.2.2). Of a later version the part that is known is read.
fn parse(text: &str) -> Option<(TraceId, u64)> {
    let (version, rest) = text.split_at_checked(VERSION_BYTES)?;
    let (trace, rest) = rest.strip_prefix('-')?.split_at_checked(TRACE_BYTES)?;
    let (parent, rest) = rest.strip_prefix('-')?.split_at_checked(SPAN_BYTES)?;
    let (flags, rest) = rest.strip_prefix('-')?.split_at_checked(FLAGS_BYTES)?;
    let known = match version {
        "00" => rest.is_empty(),
        "ff" => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let lower_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !known || ![version, trace, parent, flags].into_iter().all(lower_hex) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
    Some((TraceId(trace), parent))
}

fn is_whole_state(headers: &HeaderMap) -> bool {
    let (mut bytes, mut members) = (0, 0);
    for value in headers.get_all(TRACESTATE) {
        let Ok(text) = value.to_str() else { return false };
        bytes += text.len() + 1;
        let mut listed = text.split(',').map(str::trim).filter(|member| !member.is_empty());
        if !listed.all(|member| {
            members += 1;
            member.split_once('=').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
        }) {
            return false;
        }
    }
    bytes <= MAX_STATE_BYTES + 1 && members <= MAX_STATE_MEMBERS
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn settled(fields: &[(&'static str, &str)]) -> (Option<(TraceId, u64)>, HeaderMap) {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        let mut headers: HeaderMap = HeaderMap::new();
        fields.for_each(|(name, value)| {
            headers.append(name, value);
        });
        (keep_whole(&mut headers), headers)
    }

    #[test]
    fn a_whole_context_goes_on_as_it_came() {
        for later in [
            WHOLE,
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "42-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            let (trace, headers) =
                settled(&[("traceparent", later), ("tracestate", "a=1,b=2"), ("tracestate", "c=3")]);
            let (trace, parent) = trace.unwrap();
            assert_eq!(trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(parent, 0xb7ad_6b71_6920_3331);
            assert_eq!(headers.get("traceparent").unwrap(), later);
            assert_eq!(headers.get_all("tracestate").iter().count(), 2);
        }
    }

    #[test]
    fn any_other_is_taken_out_with_its_state() {
        for wrong in [
            "",
            "00",
            &WHOLE.to_uppercase(),
            &format!("{WHOLE}-more"),
            &format!("{WHOLE}0"),
            &WHOLE.replace("00-0", "ff-0"),
            &WHOLE.replace('-', "_"),
            &WHOLE.replace("-01", "-0g"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333ä-01",
        ] {
            let (trace, headers) = settled(&[("traceparent", wrong), ("tracestate", "a=1")]);
            assert_eq!((trace, headers.len()), (None, 0), "{wrong}");
        }
        let (trace, headers) = settled(&[("traceparent", WHOLE), ("traceparent", WHOLE)]);
        assert_eq!((trace, headers.len()), (None, 0));
        let (trace, headers) = settled(&[("tracestate", "a=1")]);
        assert_eq!((trace, headers.len()), (None, 0));
    }

    #[test]
    fn a_state_over_its_limits_is_not_passed_on() {
        let state = |text: &str| {
            settled(&[("traceparent", WHOLE), ("tracestate", text)]).1.contains_key("tracestate")
        };
        let members = |count: usize| vec!["a=1"; count].join(",");
        assert!(state(&members(MAX_STATE_MEMBERS)) && !state(&members(MAX_STATE_MEMBERS + 1)));
        let long = |bytes: usize| format!("a={}", "b".repeat(bytes - 2));
        assert!(state(&long(MAX_STATE_BYTES)) && !state(&long(MAX_STATE_BYTES + 1)));
        assert!(!state("a") && !state("=1") && !state("a="));
    }
}
