//! What a comparison found, for people and for programs.

use std::error::Error;
use std::fmt::Write;

use serde_json::{Value, json};

use super::compare::{Access, Asking, Change, Direction, Kind, Outcome, Totals};
use super::crowd::Crowd;
use super::recorded::Replayed;
use crate::cli::date;
use crate::cli::policy::{LoggedIn, count, thousands};

/// Most references of requests that are shown beside a kind.
const REFERENCES: usize = 3;

/// A comparison over a directory.
pub(super) struct Told<'a> {
    pub(super) asking: &'a Asking<'a>,
    pub(super) login: &'a LoggedIn,
    pub(super) crowd: &'a Crowd,
    pub(super) changes: &'a [Change],
    pub(super) totals: &'a Totals,
    /// Applications whose the path is not.
    pub(super) left_out: usize,
}

impl Told<'_> {
    pub(super) fn text(&self) -> String {
        let Self { crowd, changes, totals, .. } = self;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "Compared for {} of the directory at {}; {} left out.",
            count(crowd.names.len(), "active person", "active people"),
            count(changes.len(), "application", "applications"),
            count(crowd.deactivated, "deactivated person is", "deactivated people are"),
        );
        if self.left_out > 0 {
            let _ = writeln!(
                text,
                "{} no such path, and left out.",
                count(self.left_out, "application has", "applications have")
            );
        }
        text.push_str("Assumed, since the directory does not say:\n");
        for assumed in self.assumed() {
            let _ = writeln!(text, "  {assumed}");
        }
        let changed: Vec<&Change> =
            changes.iter().filter(|change| !change.kinds.is_empty() || !change.others.is_empty()).collect();
        for change in &changed {
            application(&mut text, change, crowd.names.len());
        }
        let same = changes.len() - changed.len();
        let _ = writeln!(
            text,
            "\nIn all {} something and {} something; nothing changes at {}.",
            count(totals.gained(), "person gains", "people gain"),
            count(totals.lost(), "person loses", "people lose"),
            count(same, "application", "applications"),
        );
        text.trim_end().to_owned()
    }

    /// What is assumed of every request, and how to assume something else.
    fn assumed(&self) -> Vec<String> {
        let Self { asking, login, crowd, .. } = self;
        let [at, _] = asking.at;
        let path = asking.path.unwrap_or("each application's first path");
        let country =
            at.country.map_or_else(|| "country not known".to_owned(), |country| format!("country {country}"));
        let told = at.answers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let told = if told.is_empty() { "none was asked".to_owned() } else { format!("{told} as told") };
        let age = login.login_age.map_or_else(|| "just now".to_owned(), |age| format!("{age} s ago"));
        let acr = login.acr.as_deref().unwrap_or("not known");
        let amr = if login.amr.is_empty() { "not known".to_owned() } else { login.amr.join(", ") };
        let without = crowd.names.len() - crowd.with_session;
        let certificate = match &at.shown {
            Some(crate::config::Shown::Certificate(_)) => "the one named",
            _ => "none",
        };
        vec![
            format!(
                "request: {} of {path}, from {}, {country}, at {} (--method --path --ip --country --time)",
                asking.method,
                at.ip,
                date(at.now)
            ),
            format!(
                "login: {age}, acr {acr}, amr {amr}; nobody has a grant or gave a purpose (--login-age --acr --amr)"
            ),
            format!(
                "client certificate: {certificate} (--common-name); external evaluations: {told} (--external)"
            ),
            format!(
                "claims and groups of tokens: those of the newest session; {} none, and count as in the directory alone",
                count(without, "person has", "people have")
            ),
        ]
    }

    pub(super) fn json(&self) -> Result<String, Box<dyn Error>> {
        let changes: Vec<Value> = self.changes.iter().map(change_json).collect();
        Ok(serde_json::to_string_pretty(&json!({
            "people": self.crowd.names.len(),
            "deactivated": self.crowd.deactivated,
            "assumed": self.assumed(),
            "gain": self.totals.gained(),
            "lose": self.totals.lost(),
            "applications": changes,
        }))?)
    }
}

fn application(text: &mut String, change: &Change, people: usize) {
    let sum = |direction| {
        change.kinds.iter().filter(|it| it.direction == direction).map(|it| it.count).sum::<usize>()
    };
    let [before, after] = change.allowed.map(thousands);
    let counts: Vec<String> = [Direction::Gain, Direction::Lose, Direction::Change]
        .into_iter()
        .filter(|direction| sum(*direction) > 0)
        .map(|direction| format!("{} {}", thousands(sum(direction)), verb(direction)))
        .collect();
    let counts = if counts.is_empty() { "nothing changes for people".to_owned() } else { counts.join(", ") };
    let _ = writeln!(
        text,
        "\n`{}`: {counts}; {before} of {} could use it, {after} can",
        change.application,
        thousands(people)
    );
    for kind in &change.kinds {
        let Kind { direction, before, after, count, names } = kind;
        let _ = writeln!(
            text,
            "  {} {}: {} -> {}",
            thousands(*count),
            verb(*direction),
            said(before),
            said(after)
        );
        if !names.is_empty() {
            let more = count.saturating_sub(names.len());
            let more =
                if more > 0 { format!(" and {} more (--all)", thousands(more)) } else { String::new() };
            let _ = writeln!(text, "      {}{more}", names.join(", "));
        }
    }
    for (who, direction, before, after) in &change.others {
        let verb = match direction {
            Direction::Gain => "gains",
            Direction::Lose => "loses",
            Direction::Change => "comes in otherwise",
        };
        let _ = writeln!(text, "  {who} {verb}: {} -> {}", said(before), said(after));
    }
}

fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Gain => "gain",
        Direction::Lose => "lose",
        Direction::Change => "come in otherwise",
    }
}

fn said(outcome: &Outcome) -> String {
    let access = match outcome.access {
        Access::Yes => "allowed",
        Access::IfMore => "allowed if more is given",
        Access::No => "denied",
    };
    let by = outcome.policy.as_deref().map(|policy| format!(" by `{policy}`")).unwrap_or_default();
    format!("{access}{by} ({})", outcome.reason)
}

fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Gain => "gain",
        Direction::Lose => "lose",
        Direction::Change => "change",
    }
}

fn outcome_json(outcome: &Outcome) -> Value {
    let access = match outcome.access {
        Access::Yes => "allow",
        Access::IfMore => "allow_if_more",
        Access::No => "deny",
    };
    json!({ "access": access, "reason": outcome.reason, "policy": outcome.policy })
}

fn change_json(change: &Change) -> Value {
    let kinds: Vec<Value> = change
        .kinds
        .iter()
        .map(|kind| {
            json!({
                "direction": direction_word(kind.direction),
                "before": outcome_json(&kind.before),
                "after": outcome_json(&kind.after),
                "count": kind.count,
                "people": kind.names,
            })
        })
        .collect();
    let others: Vec<Value> = change
        .others
        .iter()
        .map(|(who, direction, before, after)| {
            json!({
                "who": who,
                "direction": direction_word(*direction),
                "before": outcome_json(before),
                "after": outcome_json(after),
            })
        })
        .collect();
    let [before, after] = change.allowed;
    json!({
        "application": change.application,
        "allowed_before": before,
        "allowed_after": after,
        "kinds": kinds,
        "others": others,
    })
}

/// What a record told.
pub(super) fn recorded(replayed: &Replayed) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Asked {} again with what the directory says now; {} left out, which no policy decided or which lead nowhere.",
        count(replayed.asked, "recorded request", "recorded requests"),
        thousands(replayed.left_out)
    );
    text.push_str("Assumed: purposes were given; no external evaluation was asked; of a login only its time is recorded.\n");
    if replayed.strangers > 0 {
        let _ = writeln!(
            text,
            "{} of people whom no directory knows: their groups are not known.",
            count(replayed.strangers, "request is", "requests are")
        );
    }
    if replayed.changed_since > 0 {
        let _ = writeln!(
            text,
            "{} be decided otherwise than recorded by the first configuration already: people or policies have changed since.",
            count(replayed.changed_since, "request would", "requests would")
        );
    }
    for ((application, direction, before, after), requests) in &replayed.kinds {
        let _ = writeln!(
            text,
            "\n`{application}`: {} of {} {}: {} -> {}",
            count(requests.count, "request", "requests"),
            count(requests.people.len(), "asker", "askers"),
            verb(*direction),
            said(before),
            said(after)
        );
        let people: Vec<&str> = requests.people.iter().take(REFERENCES + 2).map(String::as_str).collect();
        let _ = writeln!(
            text,
            "      {}; such as {}",
            people.join(", "),
            requests.references.iter().take(REFERENCES).cloned().collect::<Vec<_>>().join(", ")
        );
    }
    if replayed.kinds.is_empty() {
        text.push_str("\nEvery request would be decided as it would be by the first configuration.\n");
    }
    text.trim_end().to_owned()
}

pub(super) fn recorded_json(replayed: &Replayed) -> Result<String, Box<dyn Error>> {
    let kinds: Vec<Value> = replayed
        .kinds
        .iter()
        .map(|((application, direction, before, after), requests)| {
            json!({
                "application": application,
                "direction": direction_word(*direction),
                "before": outcome_json(before),
                "after": outcome_json(after),
                "requests": requests.count,
                "people": requests.people,
                "references": requests.references,
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&json!({
        "asked": replayed.asked,
        "left_out": replayed.left_out,
        "strangers": replayed.strangers,
        "changed_since": replayed.changed_since,
        "kinds": kinds,
    }))?)
}
