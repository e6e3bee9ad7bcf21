//! Sessions that nobody uses: the store is told of the uses that were seen here, and those sessions end that no process has seen used for
//! too long. When a session is idle is left to `live`, and so is refusing it until then.

use std::time::Duration;

use portcullis_store::{EndReason, EndWhat, SessionId, Store};
use tokio::time::{Instant, MissedTickBehavior};

use super::{CHORE_INTERVAL, LOOK_INTERVAL};
use crate::gateway::now;
use crate::live::{Idle, Live};

/// Of the time that a session may be idle, the part that its last use is noted late at most.
const IDLE_PARTS: u32 = 4;
/// How long after the end of a pause it may take until the store knows of the use, wherever that was.
const NOTED_WITHIN: Duration = Duration::from_secs(2);
/// How long after a reload with another limit nobody is ended by it: other processes on the store have it too by then, and have noted what
/// they saw.
const LIMIT_SETTLES: Duration = Duration::from_secs(20);

/// Runs until the runtime ends. An end waits until every process has applied it; uses are noted meanwhile, since a process that does not
/// wait trusts the store to know of them.
pub(super) async fn keep(live: &Live, store: &Store, limit: impl Fn() -> Option<Duration>) {
    tokio::join!(note(live, store, &limit), end(live, store, &limit));
}

async fn note(live: &Live, store: &Store, limit: &impl Fn() -> Option<Duration>) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    let mut all_noted = Instant::now();
    loop {
        ticks.tick().await;
        let Some(limit) = limit() else { continue };
        let uses = if all_noted.elapsed() >= interval(limit) {
            all_noted = Instant::now();
            live.unnoted_uses(now())
        } else {
            live.unnoted_uses_after_a_pause(now())
        };
        note_uses(live, store, uses).await;
    }
}

async fn end(live: &Live, store: &Store, limit: &impl Fn() -> Option<Duration>) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    // Others write at least as long between two ends.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looked, mut more_wait) = (Instant::now(), false);
    let (mut in_force, mut changed) = (limit(), None);
    loop {
        ticks.tick().await;
        let wanted = limit();
        if wanted != in_force {
            (in_force, changed) = (wanted, Some(Instant::now()));
        }
        let Some(limit) = in_force else { continue };
        let is_due = more_wait || looked.elapsed() >= interval(limit);
        if is_due && changed.is_none_or(|at: Instant| at.elapsed() >= LIMIT_SETTLES) {
            looked = Instant::now();
            more_wait = end_some(live, store, limit, now()).await;
        }
    }
}

fn interval(limit: Duration) -> Duration {
    (limit / IDLE_PARTS).clamp(LOOK_INTERVAL, CHORE_INTERVAL)
}

async fn note_uses(live: &Live, store: &Store, mut uses: Vec<(SessionId, i64)>) {
    while !uses.is_empty() {
        match store.note_uses(uses.clone(), now()).await {
            Ok(noted) if noted > 0 => {
                let rest = uses.split_off(noted.min(uses.len()));
                live.note_uses(&uses);
                uses = rest;
            }
            Ok(_) => return,
            Err(cause) => {
                tracing::warn!(target: "portcullis::session", %cause, "last uses could not be noted");
                return;
            }
        }
    }
}

/// Ends idle sessions, as many as one write may; whether others wait. What fails is done when they are looked through again.
async fn end_some(live: &Live, store: &Store, limit: Duration, now: i64) -> bool {
    let Idle { sessions, more_wait } = live.idle(now);
    if sessions.is_empty() {
        return more_wait;
    }
    let unused = i64::try_from((limit + NOTED_WITHIN).as_secs()).unwrap_or(i64::MAX);
    let since = now.saturating_sub(unused);
    match store.end_sessions(EndWhat::Unused { sessions, since }, EndReason::Idle, now).await {
        Ok(_) => more_wait,
        Err(cause) => {
            tracing::warn!(target: "portcullis::session", %cause, "idle sessions could not be ended");
            false
        }
    }
}

#[cfg(test)]
mod tests;
