//! Looks through a worker's upstream connections a few times each second: cuts what stands still for too long, and closes what
//! was idle for too long. Runs only while connections are open.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use slab::Slab;

use super::activity::Activity;
use super::clock::{Clock, TICK};
use super::pool::Pools;

/// The open connections of one worker.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    pub(super) clock: Arc<Clock>,
    running: AtomicBool,
    open: Mutex<Slab<Arc<Activity>>>,
}

impl Sweeper {
    /// Counts a connection in. Returns the number by which it is counted out.
    pub(super) fn enter(&self, activity: Arc<Activity>) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(activity)
    }

    pub(super) fn leave(&self, number: usize) {
        let _left = self.open.lock().unwrap_or_else(PoisonError::into_inner).try_remove(number);
    }

    /// Cuts what stands still. False when nothing is open any more.
    fn sweep(&self) -> bool {
        let now = self.clock.set();
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, activity) in open.iter() {
            activity.sweep(now);
        }
        !open.is_empty()
    }
}

/// Makes sure that somebody sweeps.
pub(super) fn start(pools: &Arc<Pools>) {
    let sweeper = &pools.sweeper;
    if sweeper.running.swap(true, Ordering::AcqRel) {
        return;
    }
    sweeper.clock.set();
    let pools = pools.clone();
    tokio::spawn(async move {
        while pools.sweeper.sweep() {
            pools.close_idle();
            tokio::time::sleep(TICK).await;
        }
        pools.sweeper.running.store(false, Ordering::Release);
    });
}
