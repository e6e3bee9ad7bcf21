//! One round: everybody logs in and works, everybody is deactivated while something is done to the processes, and everything that was seen is
//! handed to the checker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use tokio::task::JoinSet;

use super::checker::{self, Dropped, Witness};
use super::dice::Dice;
use super::fault::{Fault, Shape};
use super::former::former_sessions;
use super::load::{Pace, Worker};
use super::notes::Notes;
use super::proof;
use super::report::Told;
use super::stage::{LOOK, PATIENCE, SIDE_BY_SIDE, Stage, login};
use crate::okta::{Okta, Push};

/// Deactivations that may be under way at once: fewer than the requests that the sink answers at once.
const DROPS_AT_ONCE: usize = 96;
/// Into how many bursts the deactivations of a round are divided.
const BURSTS: usize = 12;
/// Between two requests for the same deactivation.
const AGAIN: Duration = Duration::from_millis(400);

/// What is to happen.
pub(super) struct Round {
    pub(super) shape: Shape,
    pub(super) fault: Fault,
    /// The shape of the round after it: people are let in again through that door.
    pub(super) next: Shape,
}

impl Round {
    pub(super) async fn play(self, stage: &mut Stage) -> Told {
        let begun = Instant::now();
        let workers = everybody_logs_in(stage).await;
        let mut jobs = JoinSet::new();
        workers.iter().for_each(|worker| worker.work(&mut jobs));
        everybody_is_at_work(&workers).await;
        let ready = begun.elapsed();

        let under_way = Arc::clone(&stage.under_way);
        let dropping = tokio::spawn(deactivate_all(stage.okta.org_handle(), self.arrivals(stage), under_way));
        let mut dice = Dice::new(stage.dice.of(0..u64::MAX));
        let signs = self.fault.strike(stage, self.shape, &mut dice, stage.plan.extent).await;
        let dropped = dropping.await.unwrap();
        let mut amiss = proof::missing(self.fault, &signs, &dropped);
        amiss.extend(stage.not_ready().await);
        let all_end = async { while jobs.join_next().await.is_some_and(|job| job.is_ok()) {} };
        if tokio::time::timeout(PATIENCE, all_end).await.is_err() {
            amiss.push(format!("{} of what people do goes on without end", jobs.len()));
            jobs.abort_all();
        }
        tokio::time::sleep(workers[0].pace.longest() + Duration::from_millis(500)).await;
        amiss.extend(stage.damage());
        let struck = begun.elapsed();

        let stored = stage.stored().await;
        // Whoever is active again needs a new login: until then, nothing of theirs may come through.
        stage.everybody_works(self.next).await;
        let former = former_sessions(stage, &workers).await;
        for dropped in &dropped {
            let login = login(dropped.person);
            let notes: &Notes = &workers[dropped.person].notes;
            let witness = Witness {
                upstream: stage.upstream.recorder().of(&login),
                pieces: notes.pieces(),
                stored: said_of(&stored, &login),
                former: former[dropped.person].clone(),
            };
            let found = checker::judge(dropped, &witness);
            amiss.extend(found.iter().map(|violation| format!("{login}: {violation}")));
        }
        stage.upstream.recorder().clear();
        let to_close = dropped.iter().map(|d| checker::until_closed(d, &workers[d.person].notes.stays()));
        Told {
            shape: self.shape,
            fault: self.fault,
            to_2xx: dropped.iter().map(|d| d.acknowledged.saturating_duration_since(d.asked)).collect(),
            to_close: to_close.collect(),
            refused: dropped.iter().map(|d| d.refused).sum(),
            amiss,
            took: [ready, struck - ready, begun.elapsed() - struck],
        }
    }

    /// Who is deactivated when, counted from now: in another order each time, some at once, over the span of the fault.
    fn arrivals(&self, stage: &mut Stage) -> Vec<(usize, Duration)> {
        let span = self.fault.span(stage.plan.extent);
        let mut order: Vec<usize> = (0..stage.plan.people).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, stage.dice.index(place + 1));
        }
        let at_once = stage.plan.people.div_ceil(BURSTS);
        let bursts = stage.plan.people.div_ceil(at_once);
        let begins = |place: usize| span * (place / at_once) as u32 / bursts as u32;
        order.into_iter().enumerate().map(|(place, person)| (person, begins(place))).collect()
    }
}

async fn everybody_logs_in(stage: &Stage) -> Vec<Worker> {
    let pace = Pace::of_each(stage.plan.people);
    let browsers = stream::iter(0..stage.plan.people).map(|number| async move {
        let (browser, wiki) = (stage.log_in(number).await, stage.wiki(number));
        Worker { browser, lines: stage.lines.clone(), wiki, pace, notes: Arc::default() }
    });
    browsers.buffered(SIDE_BY_SIDE).collect().await
}

async fn everybody_is_at_work(workers: &[Worker]) {
    let begun = Instant::now();
    while !workers.iter().all(|worker| worker.notes.are_of_somebody_at_work()) {
        assert!(begun.elapsed() < PATIENCE, "not everybody gets to work");
        tokio::time::sleep(LOOK).await;
    }
}

async fn deactivate_all(
    okta: Arc<Okta>,
    arrivals: Vec<(usize, Duration)>,
    under_way: Arc<AtomicUsize>,
) -> Vec<Dropped> {
    let begun = tokio::time::Instant::now();
    let drops = stream::iter(arrivals).map(|(person, after)| {
        let (okta, under_way) = (Arc::clone(&okta), Arc::clone(&under_way));
        async move {
            tokio::time::sleep_until(begun + after).await;
            under_way.fetch_add(1, Ordering::Relaxed);
            let dropped = deactivate(&okta, person).await;
            under_way.fetch_sub(1, Ordering::Relaxed);
            dropped
        }
    });
    drops.buffer_unordered(DROPS_AT_ONCE).collect().await
}

/// Asks until there is a 2xx, as an administrator does who repeats a failed task.
async fn deactivate(okta: &Okta, person: usize) -> Dropped {
    let (asked, mut refused) = (Instant::now(), 0);
    loop {
        let pushes = okta.deactivate(&login(person)).await.unwrap();
        refused += pushes.iter().filter(|push| !push.accepted()).count();
        // A sequence that ends with what it read has written nothing.
        if let Some(push) = pushes.last().filter(|push| push.accepted() && push.method != "GET") {
            return Dropped { person, asked, acknowledged: push.answered, refused };
        }
        let last = pushes.last().map(|push: &Push| (push.status, &push.body));
        assert!(asked.elapsed() < PATIENCE, "{} cannot be deactivated: {last:?}", login(person));
        tokio::time::sleep(AGAIN).await;
    }
}

fn said_of(stored: &[(String, BTreeMap<String, bool>)], login: &str) -> Vec<(String, Option<bool>)> {
    stored.iter().map(|(door, people)| (door.clone(), people.get(login).copied())).collect()
}
