//! The numbers of the protocol, and moments on one process's own clock. Which clock that is, is left to the driver: it must go on while
//! the process is stopped and while the machine sleeps, and nobody may set it.

use std::time::Duration;

/// A moment on the clock of one process, in microseconds. Moments of two processes are never compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// Before every other moment: a lease until then was never held.
    pub const NEVER: Self = Self(0);

    /// So much later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long ago another moment was; nothing if it is still to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// What all processes of one store must agree on, and what each may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The lease. The same for all.
    pub lease: Duration,
    /// How much faster or slower than true time a clock may go, in percent. The same for all.
    pub drift_percent: u32,
    /// How often a member renews.
    pub renew_every: Duration,
    /// How long a member's streams may stand still without a lease before they are dropped.
    pub freeze: Duration,
    /// How long a writer waits for the members before it says that a change is not yet in force everywhere.
    pub patience: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            drift_percent: 2,
            renew_every: Duration::from_secs(2),
            freeze: Duration::from_secs(10),
            patience: Duration::from_secs(45),
        }
    }
}

/// What the streams of a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// Bytes pass.
    Flow,
    /// No byte passes until the lease is back.
    Frozen,
    /// They are to be dropped.
    Over,
}

impl Terms {
    /// How long a member may serve after it sent a renewal, on its own clock: however slow that is, less than a lease of true time.
    #[must_use]
    pub fn held_for(&self) -> Duration {
        self.lease * 100_u32.saturating_sub(self.drift_percent.saturating_mul(2)) / 100
    }

    /// How long a row must have stood unchanged before it is fenced, on the writer's own clock: however fast that is, more than a
    /// lease of true time.
    #[must_use]
    pub fn fenced_after(&self) -> Duration {
        self.lease * 100_u32.saturating_add(self.drift_percent.saturating_mul(2)) / 100
    }

    /// What streams may do at a moment, by the lease of their process.
    #[must_use]
    pub fn streams(&self, now: Moment, lease_until: Moment) -> Streams {
        if now < lease_until {
            Streams::Flow
        } else if lease_until != Moment::NEVER && now < lease_until.plus(self.freeze) {
            Streams::Frozen
        } else {
            Streams::Over
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_before_it_is_fenced_on_the_worst_of_clocks() {
        let terms = Terms::default();
        let drift = f64::from(terms.drift_percent) / 100.0;
        // True time, by a member's clock that is as slow and a writer's that is as fast as may be.
        let held = terms.held_for().as_secs_f64() / (1.0 - drift);
        let waited = terms.fenced_after().as_secs_f64() / (1.0 + drift);
        assert!(held < terms.lease.as_secs_f64(), "{held}");
        assert!(waited > terms.lease.as_secs_f64(), "{waited}");
    }

    #[test]
    fn streams_stand_still_before_they_are_dropped() {
        let terms = Terms::default();
        let until = Moment(1_000_000);
        assert_eq!(terms.streams(Moment(999_999), until), Streams::Flow);
        assert_eq!(terms.streams(until, until), Streams::Frozen);
        assert_eq!(terms.streams(Moment(10_999_999), until), Streams::Frozen);
        assert_eq!(terms.streams(Moment(11_000_000), until), Streams::Over);
        assert_eq!(terms.streams(Moment(5), Moment::NEVER), Streams::Over);
    }
}
