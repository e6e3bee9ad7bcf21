//! Recorded decisions, and what a look through them has found, as words for people. Nothing that a peer has said moves the cursor or
//! changes the order of what is read.

use std::fmt::{self, Write as _};

use chrono::{DateTime, NaiveDate};
use serde_json::{Map, Value, json};

use crate::decision_log::{Findings, Record};
use crate::gateway::now;

/// A moment as people write it, in unix seconds.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.timestamp());
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp());
    }
    let unit = text.chars().next_back().and_then(|unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    });
    let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse::<u32>().ok());
    match (number, unit) {
        (Some(number), Some(unit)) => Ok(now().saturating_sub(i64::from(number) * unit)),
        _ => Err("write 2026-01-31, 2026-01-31T09:00:00Z, or how long ago: 90s, 15m, 2h, 7d".to_owned()),
    }
}

/// A decision in one line.
pub(super) fn single_line(record: &Record) -> String {
    let Record {
        timestamp, verdict, status, method, host, path, reason, policy, rule, cause, request, ..
    } = record;
    let who = [&record.email, &record.service, &record.subject].into_iter().find(|name| !name.is_empty());
    let mut line = format!("{timestamp} {verdict} {status} {} {}{}", Shown(method), Shown(host), Shown(path));
    if let Some(who) = who {
        let _ = write!(line, " {}", Shown(who));
    }
    if let Some(client) = record.client {
        let _ = write!(line, " from {client}");
    }
    if !record.application.is_empty() {
        let _ = write!(line, " to {}", Shown(&record.application));
    }
    for (before, text) in [(": ", reason), (" by ", policy), (" ", rule)] {
        if !text.is_empty() {
            let _ = write!(line, "{before}{}", Shown(text));
        }
    }
    if reason.is_empty() && !cause.is_empty() {
        let _ = write!(line, ": {}", Shown(cause));
    }
    let _ = write!(line, " [{}]", Shown(request));
    line
}

/// All that is recorded of a decision.
pub(super) fn several_lines(line: &str) -> String {
    let fields: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
    let mut text = String::new();
    for (name, value) in &fields {
        let name = if name == "request" { "reference" } else { name };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = writeln!(text, "{:<20} {}", Shown(name).to_string(), Shown(&value));
    }
    text
}

/// What a look through the record has found.
pub(super) fn report(found: &Findings) -> String {
    let mut text = String::new();
    for (at, fault) in &found.faults {
        let _ = writeln!(text, "{}:{}: {fault}", at.file.display(), at.line);
    }
    if found.more > 0 {
        let _ = writeln!(text, "and {} more", found.more);
    }
    let Findings { files, records, decisions, first, .. } = found;
    let newest = found.newest.seq;
    let _ = writeln!(
        text,
        "{files} files, {records} records ({first} to {newest}), {decisions} of them decisions"
    );
    match found.known {
        Some(known) => {
            let _ = writeln!(text, "the store knows of record {}", known.seq);
        }
        None => text.push_str(
            "the store knows nothing of this folder: if its end were cut off, this would not tell\n",
        ),
    }
    if found.lost > 0 {
        let _ = writeln!(text, "{} decisions could not be recorded, as the gateway says itself", found.lost);
    }
    if found.torn > 0 {
        let _ = writeln!(
            text,
            "{} bytes were broken off by a crash or a full disk, as the gateway says itself",
            found.torn
        );
    }
    if found.unfinished > 0 {
        let _ = writeln!(
            text,
            "{} bytes at the end are no record: one is being written, or a crash has broken it off",
            found.unfinished
        );
    }
    if found.faults.is_empty() {
        text.push_str("every record is as the gateway wrote it, and none is missing\n");
    }
    text
}

/// The same for programs.
pub(super) fn report_json(found: &Findings) -> Value {
    let faults = found.faults.iter().map(|(at, fault)| {
        json!({ "file": at.file.display().to_string(), "line": at.line, "fault": fault.to_string() })
    });
    json!({
        "whole": found.faults.is_empty(),
        "faults": faults.collect::<Vec<_>>(),
        "more_faults": found.more,
        "files": found.files,
        "records": found.records,
        "decisions": found.decisions,
        "first": found.first,
        "newest": found.newest.seq,
        "known_to_the_store": found.known.map(|known| known.seq),
        "lost": found.lost,
        "torn_bytes": found.torn,
        "unfinished_bytes": found.unfinished,
    })
}

/// A peer's text for a terminal.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(f, "{}", char.escape_unicode())
            }
            char if char.is_control() => write!(f, "{}", char.escape_default()),
            char => f.write_char(char),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_days_times_or_spans() {
        assert_eq!(moment("2026-01-31"), Ok(1_769_817_600));
        assert_eq!(moment("2026-01-31T09:00:00Z"), Ok(1_769_850_000));
        assert_eq!(moment("2026-01-31T10:00:00+01:00"), Ok(1_769_850_000));
        let hour_ago = now() - 3_600;
        assert!((hour_ago..hour_ago + 30).contains(&moment("1h").unwrap()));
        for wrong in ["", "h", "-1h", "1y", "yesterday", "2026-13-01", "ä"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_peer_said_moves_no_cursor() {
        let line = r#"{"timestamp":"2026-01-31T09:00:00.000001Z","request":"00ff","verdict":"deny","status":403,"method":"GET",
            "host":"wiki.corp.example","path":"/\u001b[2J\u202e","email":"a\nb@corp.example","client":"10.0.0.7","application":"wiki",
            "policy":"no-outsiders","rule":"include[0]","reason":"blocked_by_policy"}"#;
        let record = Record::read(line.as_bytes()).unwrap();
        assert_eq!(
            single_line(&record),
            "2026-01-31T09:00:00.000001Z deny 403 GET wiki.corp.example/\\u{1b}[2J\\u{202e} a\\nb@corp.example \
             from 10.0.0.7 to wiki: blocked_by_policy by no-outsiders include[0] [00ff]"
        );
        let long = several_lines(line);
        assert!(long.contains("reference            00ff\n") && long.contains("\\u{1b}[2J"), "{long}");
    }
}
