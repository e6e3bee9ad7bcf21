//! When something last moved on a way, so that waiting can be bounded by standing still and not by size.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a byte last moved, either way.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    last_ms: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn note(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Returns when nothing has moved for that long.
    pub(super) async fn still_for(&self, limit: Duration) {
        loop {
            let still = self.now_ms().saturating_sub(self.last_ms.load(Ordering::Relaxed));
            let left = limit.saturating_sub(Duration::from_millis(still));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}
