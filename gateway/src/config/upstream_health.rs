//! `[application.upstream.health]` and `outlier`: when an endpoint counts as well, asked or by what it does. Judging is left to
//! `forward`.

use std::time::Duration;

use http::StatusCode;
use http::uri::PathAndQuery;

use super::document::Value;
use super::upstream::read_statuses;

/// How endpoints are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is asked for.
    pub path: PathAndQuery,
    /// Time between two questions.
    pub interval: Duration,
    /// Time for the answer, connecting included.
    pub timeout: Duration,
    /// Good answers in a row until an endpoint counts as well.
    pub healthy_after: u32,
    /// Bad answers in a row until it does not.
    pub unhealthy_after: u32,
    /// Which answers are good.
    pub status: Vec<StatusCode>,
}

/// When an endpoint that fails is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlier {
    /// Failures in a row; 0 turns it off.
    pub failures: u32,
    /// For how long.
    pub eject_for: Duration,
    /// How many endpoints in a hundred may be left alone at once.
    pub max_ejected_percent: u32,
}

impl Default for Outlier {
    fn default() -> Self {
        Self { failures: 5, eject_for: Duration::from_secs(30), max_ejected_percent: 50 }
    }
}

const IN_A_ROW: std::ops::RangeInclusive<u64> = 1..=100;

pub(super) fn read_health(value: &Value<'_, '_>) -> Option<Health> {
    let mut section = value.section()?;
    let path = section.required("path", "such as \"/healthz\"").and_then(|value| {
        let path = value.string()?.parse::<PathAndQuery>().ok().filter(|path| path.path().starts_with('/'));
        if path.is_none() {
            value.fault("must be a path such as \"/healthz\"");
        }
        path
    });
    let interval = section.optional("interval").map(|value| value.duration());
    let timeout = section.optional("timeout").map(|value| value.duration());
    let healthy_after = section.optional("healthy_after").map(|value| value.number(IN_A_ROW));
    let unhealthy_after = section.optional("unhealthy_after").map(|value| value.number(IN_A_ROW));
    let status = section.optional("status").map(|value| read_statuses(&value));
    section.finish();
    Some(Health {
        path: path?,
        interval: interval.unwrap_or(Some(Duration::from_secs(10)))?,
        timeout: timeout.unwrap_or(Some(Duration::from_secs(2)))?,
        healthy_after: u32::try_from(healthy_after.unwrap_or(Some(2))?).ok()?,
        unhealthy_after: u32::try_from(unhealthy_after.unwrap_or(Some(3))?).ok()?,
        status: status.unwrap_or(Some(vec![StatusCode::OK]))?,
    })
}

pub(super) fn read_outlier(value: &Value<'_, '_>) -> Option<Outlier> {
    let mut section = value.section()?;
    let default = Outlier::default();
    let failures = section.optional("failures").map(|value| value.number(0..=1_000));
    let eject_for = section.optional("eject_for").map(|value| value.duration());
    let max_ejected = section.optional("max_ejected").map(|value| value.number(0..=100));
    section.finish();
    Some(Outlier {
        failures: u32::try_from(failures.unwrap_or(Some(default.failures.into()))?).ok()?,
        eject_for: eject_for.unwrap_or(Some(default.eject_for))?,
        max_ejected_percent: u32::try_from(max_ejected.unwrap_or(Some(default.max_ejected_percent.into()))?)
            .ok()?,
    })
}
