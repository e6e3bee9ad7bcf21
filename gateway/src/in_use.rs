//! Whether a client connection carries requests at the moment, and since when it carries none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::InFlight;

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
}

/// One request under way.
#[derive(Debug)]
pub(crate) struct InUse {
    state: Arc<State>,
    _counted: InFlight,
}

impl Requests {
    /// Those of a connection that a worker serves.
    pub(crate) fn new(worker: usize) -> Self {
        let (open, ended_ms) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { state: Arc::new(State { begun: Instant::now(), open, ended_ms }), worker }
    }

    pub(crate) fn begin(&self) -> InUse {
        self.state.open.fetch_add(1, Ordering::AcqRel);
        InUse { state: self.state.clone(), _counted: InFlight::begin(self.worker) }
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

impl Drop for InUse {
    fn drop(&mut self) {
        let now = u64::try_from(self.state.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state.ended_ms.store(now, Ordering::Release);
        self.state.open.fetch_sub(1, Ordering::AcqRel);
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
}
