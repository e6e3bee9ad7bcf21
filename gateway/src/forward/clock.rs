//! Time in milliseconds since the program began to forward, coarse enough to be read without asking the system.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a worker's time is set, and so how late a limit may be noticed.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// The time, exactly. The same on all threads.
pub(super) fn now_ms() -> u64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    in_ms(BEGUN.get_or_init(Instant::now).elapsed())
}

/// A span of time in whole milliseconds.
pub(super) fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One worker's time, set by its sweeper: behind the exact one by a tick at most while connections are open.
#[derive(Debug, Default)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    #[cfg(test)]
    pub(super) fn at(ms: u64) -> Self {
        Self(AtomicU64::new(ms))
    }

    pub(super) fn ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) -> u64 {
        let now = now_ms();
        self.0.store(now, Ordering::Relaxed);
        now
    }
}
