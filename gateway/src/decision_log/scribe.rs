//! Makes lines of events, on the thread that writes the log. Which fields there are, and under which names, is decided here.

use std::fmt;
#[cfg(feature = "otel")]
use std::time::Duration;

use portcullis_store::SessionId;

use super::journal::Event;
use crate::config::LogFormat;
use crate::log::{Line, Lines, Stamps};

const TARGET: &str = "portcullis::decision";

/// Writes events one after another.
#[derive(Debug)]
pub(crate) struct Scribe {
    stamps: Stamps,
    lines: Lines,
}

impl Scribe {
    pub(crate) fn new(format: LogFormat) -> Self {
        Self { stamps: Stamps::new(), lines: Lines::new(format) }
    }

    /// Called before each batch.
    pub(crate) fn begin(&mut self) {
        self.stamps.compare_clocks();
    }

    /// When an event was, since 1970.
    #[cfg(feature = "otel")]
    pub(crate) fn since_epoch(&self, event: &Event<'_>) -> Duration {
        self.stamps.since_epoch(event.facts.answered)
    }

    /// Adds an event's line to `out`.
    pub(crate) fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let stamp = self.stamps.text(event.facts.answered);
        let mut line = self.lines.begin(out, stamp, TARGET, "request");
        write_fields(event, &mut line);
        line.end();
    }

    /// When an event was, as its line says.
    pub(crate) fn stamp(&mut self, event: &Event<'_>) -> &str {
        self.stamps.text(event.facts.answered)
    }
}

/// Adds what an event says to a line, in the log and in the record of decisions alike.
pub(super) fn write_fields(event: &Event<'_>, line: &mut Line<'_>) {
    let (facts, answer, texts) = (event.facts, &event.facts.answer, &event.texts);
    line.text("request", texts.request);
    line.text("verdict", answer.verdict.as_str());
    line.number("status", answer.status.into());
    line.text("application", texts.application);
    line.text("host", texts.host);
    line.text("method", texts.method);
    line.text("path", texts.path);
    line.shown("client", facts.client);
    line.text("certificate", texts.certificate);
    line.text("certificate_subject", texts.certificate_subject);
    line.text("email", texts.email);
    line.text("subject", texts.subject);
    line.text("provider", texts.provider);
    line.text("service", texts.service);
    if let Some(session) = &facts.session {
        line.shown("session", Short(session));
    }
    if let Some(login_at) = facts.login_at.and_then(|at| u64::try_from(at).ok()) {
        line.number("login_at", login_at);
    }
    line.text("policy", texts.policy);
    line.text("action", facts.action.map_or("", |action| action.as_str()));
    if let Some(rule) = facts.rule {
        line.shown("rule", rule);
    }
    line.text("reason", facts.reason.map_or("", |reason| reason.as_str()));
    if let Some(revision) = facts.revision {
        line.shown("revision", format_args!("{revision:016x}"));
    }
    line.text("purpose", texts.purpose);
    line.text("reports", texts.reports);
    line.text("cause", texts.cause);
    if let Some(trace) = facts.trace {
        line.shown("trace", trace.id);
    }
    line.number("micros", answer.micros);
    if let Some(micros) = answer.upstream_micros {
        line.number("upstream_micros", micros);
    }
}

/// Enough of a session's hashed id to find it; it opens nothing.
struct Short<'a>(&'a SessionId);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, ..] = *self.0.as_bytes();
        write!(f, "{:016x}", u64::from_be_bytes([a, b, c, d, e, g, h, i]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_by_the_beginning_of_its_hashed_id() {
        let id = SessionId::new(std::array::from_fn(|at| u8::try_from(at).unwrap()));
        assert_eq!(Short(&id).to_string(), "0001020304050607");
        assert!(id.to_string().starts_with("0001020304050607"));
    }
}
