//! Whether a client connection carries requests at the moment, since when it carries none, and how many were broken off. What is
//! done about it is left to `listen`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::InFlight;

/// How many requests a client may break off before they are answered, beyond as many as it lets be answered (rapid reset).
const MAX_BROKEN_OFF: usize = 100;

/// Counts the requests of one connection, from their head to the end of their answer.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    state: Arc<State>,
    worker: usize,
}

#[derive(Debug)]
struct State {
    begun: Instant,
    open: AtomicUsize,
    /// When the last one ended, in milliseconds from the beginning.
    ended_ms: AtomicU64,
    /// Requests that were broken off, less those that were answered since.
    broken_off: AtomicUsize,
    too_many: Notify,
}

/// One request under way.
#[derive(Debug)]
pub(crate) struct InUse {
    state: Arc<State>,
    is_answered: bool,
    _counted: InFlight,
}

impl Requests {
    /// Those of a connection that a worker serves.
    pub(crate) fn new(worker: usize) -> Self {
        let state = State {
            begun: Instant::now(),
            open: AtomicUsize::new(0),
            ended_ms: AtomicU64::new(0),
            broken_off: AtomicUsize::new(0),
            too_many: Notify::new(),
        };
        Self { state: Arc::new(state), worker }
    }

    pub(crate) fn begin(&self) -> InUse {
        self.state.open.fetch_add(1, Ordering::AcqRel);
        InUse { state: self.state.clone(), is_answered: false, _counted: InFlight::begin(self.worker) }
    }

    /// The connection is in use, beyond the end of the request that was answered with this. How it ends tells nothing.
    pub(crate) fn outlast(&self) -> InUse {
        let mut in_use = self.begin();
        in_use.is_answered = true;
        in_use
    }

    /// Returns once the client has broken off so many requests that this looks like its purpose.
    pub(crate) async fn broken_off_too_often(&self) {
        while self.state.broken_off.load(Ordering::Acquire) <= MAX_BROKEN_OFF {
            self.state.too_many.notified().await;
        }
    }

    /// Returns once the connection has carried no request for that long.
    pub(crate) async fn unused_for(&self, limit: Duration) {
        loop {
            let ended = Duration::from_millis(self.state.ended_ms.load(Ordering::Acquire));
            let unused = self.state.begun.elapsed().saturating_sub(ended);
            if self.state.open.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(limit).await;
            } else if unused < limit {
                tokio::time::sleep(limit - unused).await;
            } else {
                return;
            }
        }
    }
}

impl InUse {
    /// The same, once there is an answer: whether it is read to its end is another matter.
    pub(crate) fn answered(mut self) -> Self {
        self.is_answered = true;
        let one_less = |count: usize| count.checked_sub(1);
        // None broken off is none to make up for.
        let _ = self.state.broken_off.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        self
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let state = &self.state;
        if !self.is_answered && state.broken_off.fetch_add(1, Ordering::AcqRel) >= MAX_BROKEN_OFF {
            state.too_many.notify_one();
        }
        let now = u64::try_from(state.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        state.ended_ms.store(now, Ordering::Release);
        state.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_unused_from_its_last_request_on() {
        let requests = Requests::new(0);
        let begun = Instant::now();
        requests.unused_for(LIMIT).await;
        assert_eq!(begun.elapsed().as_secs(), 10);
        let request = requests.begin();
        let waited = tokio::time::timeout(LIMIT * 5, requests.unused_for(LIMIT)).await;
        assert!(waited.is_err(), "a request is under way");
        drop(request);
        let ended = Instant::now();
        requests.unused_for(LIMIT).await;
        assert!(ended.elapsed() >= LIMIT && ended.elapsed() < LIMIT * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn breaking_off_more_than_is_answered_is_noticed() {
        let requests = Requests::new(0);
        let noticed = async || tokio::time::timeout(LIMIT, requests.broken_off_too_often()).await.is_ok();
        for _ in 0..MAX_BROKEN_OFF {
            drop(requests.begin());
        }
        assert!(!noticed().await);
        drop(requests.begin().answered());
        drop(requests.begin());
        assert!(!noticed().await, "one answered makes up for one broken off");
        drop(requests.outlast());
        drop(requests.begin());
        assert!(noticed().await, "what outlasts a request makes up for none");
    }
}
