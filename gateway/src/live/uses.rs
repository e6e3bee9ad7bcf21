//! When a session was last used, and since when it is idle. Ending idle sessions is left to `upkeep`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How long a session may go unused; one for all sessions, and replaced by a reload.
#[derive(Debug, Clone)]
pub(super) struct IdleLimit(Arc<AtomicI64>);

impl Default for IdleLimit {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }
}

impl IdleLimit {
    pub(super) fn set(&self, limit: Option<Duration>) {
        let seconds = limit.and_then(|limit| i64::try_from(limit.as_secs()).ok()).unwrap_or(i64::MAX);
        self.0.store(seconds, Ordering::Relaxed);
    }
}

/// The uses of one session.
#[derive(Debug)]
pub(super) struct Uses {
    /// In unix seconds.
    last: AtomicI64,
    /// The one that the store knows.
    noted: AtomicI64,
    limit: IdleLimit,
}

impl Uses {
    pub(super) fn new(last: i64, limit: IdleLimit) -> Self {
        Self { last: AtomicI64::new(last), noted: AtomicI64::new(last), limit }
    }

    /// One more use. Written once in a second at most: many cores may serve one person.
    pub(super) fn touch(&self, now: i64) {
        if self.last.load(Ordering::Relaxed) < now {
            self.last.fetch_max(now, Ordering::Relaxed);
        }
    }

    pub(super) fn are_too_long_ago(&self, now: i64) -> bool {
        now.saturating_sub(self.last.load(Ordering::Relaxed)) >= self.limit.0.load(Ordering::Relaxed)
    }

    /// The last use, unless it was noted.
    pub(super) fn unnoted(&self) -> Option<i64> {
        let last = self.last.load(Ordering::Relaxed);
        (last > self.noted.load(Ordering::Relaxed)).then_some(last)
    }

    pub(super) fn note(&self, at: i64) {
        self.noted.fetch_max(at, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_idle_from_its_last_use_on() {
        let limit = IdleLimit::default();
        let uses = Uses::new(100, limit.clone());
        assert!(!uses.are_too_long_ago(i64::MAX - 1), "without a limit nothing is idle");
        limit.set(Some(Duration::from_secs(10)));
        assert!(!uses.are_too_long_ago(109));
        assert!(uses.are_too_long_ago(110));
        uses.touch(109);
        uses.touch(50);
        assert!(!uses.are_too_long_ago(118));
        assert!(uses.are_too_long_ago(119));
    }

    #[test]
    fn a_use_is_noted_once() {
        let uses = Uses::new(100, IdleLimit::default());
        assert_eq!(uses.unnoted(), None);
        uses.touch(105);
        assert_eq!(uses.unnoted(), Some(105));
        uses.note(105);
        assert_eq!(uses.unnoted(), None);
    }
}
