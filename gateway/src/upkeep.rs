//! What the clock does to sessions: they run out, want renewal, and are forgotten. Requests are refused by themselves; this ends
//! what is open, and tells the store. Ending idle sessions is left to `idle`, how a session is renewed to `login`.

use std::sync::Arc;
use std::time::Duration;

use portcullis_store::{Store, Streams};
use tokio::time::Instant;

mod idle;

use crate::evaluation;
use crate::gate;
use crate::gateway::{Current, Gateway, now};
use crate::live::{Cuts, Freshness};
use crate::login;
use crate::metrics;

/// How often what is open is looked through.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the store is told what it need not know at once.
const CHORE_INTERVAL: Duration = Duration::from_secs(60);
/// How often the store is told when services asked last.
const NOTE_INTERVAL: Duration = Duration::from_secs(10);
/// How long others may write between two steps of a sweep at least, and how many times as long as the step took.
const SWEEP_PAUSE: Duration = Duration::from_millis(20);
const SWEEP_SHARE: u32 = 3;
/// How long a stop waits for renewals, beyond what a provider may take for one answer.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// Runs until the runtime ends. What is open is looked through also while the store is slow to be told.
pub(crate) async fn run(current: Arc<Current>) {
    let process = current.get().process.clone();
    let limit = || current.get().config.session.idle_timeout;
    tokio::join!(
        look_through(&current),
        idle::keep(&process.live, &process.store, limit),
        purge(&process.store)
    );
}

async fn look_through(current: &Current) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    let (mut noted, mut was_open) = (Instant::now(), true);
    loop {
        ticks.tick().await;
        let gateway = current.get();
        look(&gateway, now());
        was_open = tell_of_the_gate(&gateway, was_open);
        if noted.elapsed() >= NOTE_INTERVAL {
            noted = Instant::now();
            note_service_uses(&gateway);
        }
    }
}

/// What fails is done the next time.
async fn purge(store: &Store) {
    loop {
        tokio::time::sleep(CHORE_INTERVAL).await;
        if let Err(cause) = store.purge_expired(now()).await {
            tracing::warn!(target: "portcullis::session", %cause, "expired sessions could not be purged");
        }
    }
}

/// Sweeps away the memberships of large groups that were left by many at once, step by step, until the runtime ends. Others write between the
/// steps, also where several processes sweep.
pub(crate) async fn sweep(current: Arc<Current>) {
    loop {
        let begun = Instant::now();
        let swept = current.get().process.store.sweep_rosters().await;
        let pause = match swept {
            Ok(true) => (begun.elapsed() * SWEEP_SHARE).clamp(SWEEP_PAUSE, LOOK_INTERVAL),
            Ok(false) => LOOK_INTERVAL,
            Err(cause) => {
                tracing::warn!(target: "portcullis::session", %cause, "memberships that count no more could not be deleted");
                CHORE_INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Waits for the renewals that are under way, as long as their providers may take to answer.
pub(crate) async fn finish_renewals(gateway: &Gateway) {
    let renewing = &gateway.process.renewing;
    renewing.close();
    let patience = gateway.config.limits.provider_timeout + LAST_WRITES;
    if tokio::time::timeout(patience, renewing.wait()).await.is_err() {
        tracing::warn!(target: "portcullis::session", renewals = renewing.len(), "renewals were broken off");
    }
}

/// Ends what is open on sessions that have run out or lie idle; has those renewed that carry something, and cuts what runs on without a
/// word of the provider for too long.
fn look(gateway: &Arc<Gateway>, now: i64) {
    let (mut expired, mut unconfirmed) = (0, 0);
    for session in gateway.process.live.carrying() {
        evaluation::keep_answers(gateway, &session, now);
        expired += session.drop_run_out(now).0;
        let is_over = session.is_expired(now) || session.standing().ended.is_some();
        if !is_over && login::keep_fresh(gateway, &session, now) == Freshness::Overdue {
            unconfirmed += session.drop_all().0;
        }
    }
    expired += gateway.process.live.drop_run_out_without_login(now).0;
    if gate::streams() == Streams::Over {
        report("unleased", gateway.process.live.drop_everything());
    }
    report("expired", Cuts(expired));
    report("unconfirmed", Cuts(unconfirmed));
}

/// Says once that nothing passes any more, and once that it does again; whether it does.
fn tell_of_the_gate(gateway: &Gateway, was_open: bool) -> bool {
    let is_open = gate::is_open();
    let store = gateway.process.store.path().display();
    match (was_open, is_open) {
        (true, false) => tracing::error!(
            target: "portcullis::lease",
            %store,
            "nothing is served: the lease on the store could not be renewed for 10 seconds, so another process may have ended sessions \
             unknown to this one; look for a full or slow disk, or a program that holds the write lock of the store"
        ),
        (false, true) => {
            tracing::info!(target: "portcullis::lease", %store, "the lease on the store is renewed; requests are served again");
        }
        _ => {}
    }
    is_open
}

fn report(change: &'static str, cuts: Cuts) {
    if cuts.0 > 0 {
        metrics::cut(change, cuts.0);
        tracing::info!(target: "portcullis::drop", change, connections = cuts.0, "connections were cut");
    }
}

/// Requests leave them in memory. Losing some in a crash harms nobody.
fn note_service_uses(gateway: &Gateway) {
    let uses = gateway.process.live.service_uses();
    if uses.is_empty() {
        return;
    }
    if let Err(cause) = gateway.process.store.note_service_token_uses(uses) {
        tracing::warn!(target: "portcullis::session", %cause, "uses of service tokens could not be noted");
    }
}
