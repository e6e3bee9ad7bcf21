//! `[session]`: how long a login lasts, without use and without a word of its provider. Who keeps to it is left to `live` and `upkeep`.

use std::time::Duration;

use super::document::{Section, Value};

/// How long what a login began may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The most that a login lasts, however much it is used.
    pub duration: Duration,
    /// How long it lasts without a request; none for as long as it lasts anyway.
    pub idle_timeout: Option<Duration>,
    /// How often the provider is asked anew about a login with a refresh token.
    pub renew_every: Duration,
    /// How long requests go on after that without an answer of the provider.
    pub renewal_grace: Duration,
}

/// 30 days: the store remembers names that groups left for a little longer.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

impl Default for Session {
    /// A quarter of an hour: so long may somebody go on whom the provider has suspended without telling us, and a thousand people at work
    /// are little more than one question in a second. The grace outlasts a usual outage of a provider.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(24 * 3_600),
            idle_timeout: None,
            renew_every: Duration::from_secs(15 * 60),
            renewal_grace: Duration::from_secs(30 * 60),
        }
    }
}

pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Session> {
    let defaults = Session::default();
    let Some(value) = root.optional("session") else { return Some(defaults) };
    let mut section = value.section()?;
    let duration = section.optional("duration").map(|value| bounded(&value, "a session lasts"));
    let idle = section.optional("idle_timeout").map(|value| bounded(&value, "a session stays unused"));
    let every =
        section.optional("renew_every").map(|value| bounded(&value, "a session goes without renewal"));
    let grace = section.optional("renewal_grace").map(|value| bounded(&value, "a renewal is waited for"));
    section.finish();
    Some(Session {
        duration: duration.unwrap_or(Some(defaults.duration))?,
        idle_timeout: idle.map_or(Some(None), |idle| idle.map(Some))?,
        renew_every: every.unwrap_or(Some(defaults.renew_every))?,
        renewal_grace: grace.unwrap_or(Some(defaults.renewal_grace))?,
    })
}

fn bounded(value: &Value<'_, '_>, what: &str) -> Option<Duration> {
    let duration = value.duration()?;
    if duration > LONGEST {
        value.fault(format!("{what} at most 30d"));
    }
    Some(duration)
}
