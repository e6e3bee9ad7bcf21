//! One line of the log, as JSON or as text: the same fields in the same order either way. Whatever a peer has said is escaped, so that
//! nobody writes a second line.

use std::fmt::{Display, Write as _};
use std::io::Write as _;

use crate::config::LogFormat;

/// A line being written at the end of a buffer.
pub(crate) struct Line<'a> {
    out: &'a mut Vec<u8>,
    format: LogFormat,
    target: &'static str,
    shown: &'a mut String,
}

/// What lines have in common, and room to write in.
#[derive(Debug)]
pub(crate) struct Lines {
    format: LogFormat,
    shown: String,
}

impl Lines {
    pub(crate) fn new(format: LogFormat) -> Self {
        Self { format, shown: String::new() }
    }

    /// Begins a line of level INFO.
    pub(crate) fn begin<'a>(
        &'a mut self,
        out: &'a mut Vec<u8>,
        stamp: &str,
        target: &'static str,
        message: &str,
    ) -> Line<'a> {
        let begin: [&str; 5] = match self.format {
            LogFormat::Json => [r#"{"timestamp":""#, stamp, r#"","level":"INFO","message":""#, message, "\""],
            LogFormat::Text => [stamp, "  INFO ", target, ": ", message],
        };
        begin.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        Line { out, format: self.format, target, shown: &mut self.shown }
    }
}

impl Lines {
    /// Begins a record of decisions, always as JSON. Whoever seals it ends it.
    pub(crate) fn begin_record<'a>(
        &'a mut self,
        out: &'a mut Vec<u8>,
        seq: u64,
        stamp: &str,
        kind: &str,
    ) -> Line<'a> {
        let _ = write!(out, "{{\"seq\":{seq}");
        for part in [",\"timestamp\":\"", stamp, "\",\"record\":\"", kind, "\""] {
            out.extend_from_slice(part.as_bytes());
        }
        Line { out, format: LogFormat::Json, target: "", shown: &mut self.shown }
    }
}

impl Line<'_> {
    fn name(&mut self, name: &str) {
        let around: [&str; 2] = match self.format {
            LogFormat::Json => [",\"", "\":"],
            LogFormat::Text => [" ", "="],
        };
        let [before, after] = around;
        for part in [before, name, after] {
            self.out.extend_from_slice(part.as_bytes());
        }
    }

    /// A field of text; one that is empty is left out.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        self.name(name);
        write_text(self.out, self.format, text);
    }

    /// A field of whatever can be shown.
    pub(crate) fn shown(&mut self, name: &str, value: impl Display) {
        self.shown.clear();
        // Writing to a string fails only where a `Display` is wrong, and then there is nothing to show.
        let _ = write!(self.shown, "{value}");
        self.name(name);
        write_text(self.out, self.format, self.shown);
    }

    pub(crate) fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        let _ = write!(self.out, "{number}");
    }

    pub(crate) fn end(self) {
        if self.format == LogFormat::Json {
            for part in [",\"target\":\"", self.target, "\"}"] {
                self.out.extend_from_slice(part.as_bytes());
            }
        }
        self.out.push(b'\n');
    }
}

/// Text in quotation marks. Writing to memory does not fail.
fn write_text(out: &mut Vec<u8>, format: LogFormat, text: &str) {
    match format {
        LogFormat::Json => drop(serde_json::to_writer(out, text)),
        LogFormat::Text => drop(write!(out, "{text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LogFormat) -> String {
        let (mut out, mut lines) = (Vec::new(), Lines::new(format));
        let mut line =
            lines.begin(&mut out, "2026-01-31T23:59:59.000001Z", "portcullis::decision", "request");
        line.text("path", "/a\"b\n{\"level\":\"ERROR\"}\u{1b}[31m");
        line.text("email", "");
        line.number("status", 200);
        line.shown("client", std::net::Ipv4Addr::LOCALHOST);
        line.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_peer_said_stays_within_its_field() {
        let json = line(LogFormat::Json);
        assert_eq!(json.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "timestamp": "2026-01-31T23:59:59.000001Z", "level": "INFO", "message": "request",
                "path": "/a\"b\n{\"level\":\"ERROR\"}\u{1b}[31m", "status": 200, "client": "127.0.0.1",
                "target": "portcullis::decision",
            })
        );
        let text = line(LogFormat::Text);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.ends_with("status=200 client=\"127.0.0.1\"\n"), "{text}");
    }
}
