//! The lease of this process, as whoever serves looks at it: one number against the boot-time clock. Renewing it is left to the writer
//! thread.

use portcullis_lease::{Moment, Streams, Terms};
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Until when this process may serve. It ends by itself: whoever holds it needs nobody to tell them.
#[derive(Debug)]
pub struct Lease {
    until: AtomicU64,
    freeze_us: AtomicU64,
    lapses: AtomicU64,
}

/// The clock that goes on while the process is stopped and while the machine sleeps, and that nobody sets.
pub(crate) fn now() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Moment(
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default() / 1_000),
    )
}

impl Lease {
    /// One that was never held.
    pub(crate) fn new() -> Self {
        Self {
            until: AtomicU64::new(Moment::NEVER.0),
            freeze_us: AtomicU64::new(in_us(Terms::default().freeze)),
            lapses: AtomicU64::new(0),
        }
    }

    /// One that never ends, for what serves without a store.
    #[must_use]
    pub fn endless() -> Self {
        let lease = Self::new();
        lease.publish(Moment(u64::MAX));
        lease
    }

    /// Whether this process may serve at this moment.
    #[must_use]
    pub fn holds(&self) -> bool {
        now().0 < self.until.load(Ordering::Acquire)
    }

    /// What open streams may do at this moment.
    #[must_use]
    pub fn streams(&self) -> Streams {
        let until = Moment(self.until.load(Ordering::Acquire));
        let freeze = Duration::from_micros(self.freeze_us.load(Ordering::Relaxed));
        Terms { freeze, ..Terms::default() }.streams(now(), until)
    }

    /// How often it began anew. What was judged under one count is not known to be right under another: the lease was over between.
    #[must_use]
    pub fn lapses(&self) -> u64 {
        self.lapses.load(Ordering::Acquire)
    }

    /// How long open streams stand still without a lease before they are dropped.
    pub fn freeze_for(&self, freeze: Duration) {
        self.freeze_us.store(in_us(freeze), Ordering::Relaxed);
    }

    pub(crate) fn publish(&self, until: Moment) {
        let now = now().0;
        // Counted first: whoever sees that it holds again sees that it was over.
        if now >= self.until.load(Ordering::Acquire) && now < until.0 {
            self.lapses.fetch_add(1, Ordering::AcqRel);
        }
        self.until.store(until.0, Ordering::Release);
    }
}

fn in_us(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_by_itself() {
        let lease = Lease::new();
        assert!(!lease.holds());
        assert_eq!(lease.streams(), Streams::Over, "never held");
        lease.publish(now().plus(Duration::from_millis(50)));
        while lease.holds() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(lease.streams(), Streams::Frozen);
        lease.freeze_for(Duration::ZERO);
        assert_eq!(lease.streams(), Streams::Over);
        assert!(Lease::endless().holds());
    }

    #[test]
    fn whether_a_lease_was_over_is_known_after_it_is_held_again() {
        let lease = Lease::new();
        let long = || now().plus(Duration::from_secs(3_600));
        lease.publish(long());
        let first = lease.lapses();
        lease.publish(long());
        assert_eq!(lease.lapses(), first, "it was renewed in time");
        lease.publish(Moment::NEVER);
        assert_eq!(lease.lapses(), first, "it is over, which `holds` tells");
        lease.publish(long());
        assert_eq!(lease.lapses(), first + 1);
    }
}
