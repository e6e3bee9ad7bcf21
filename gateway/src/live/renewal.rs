//! When the provider must be asked about a session again, and that only one asks at a time. The time comes in; asking is left to
//! `login/renewal`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::config::Session;

/// The first wait after a renewal that failed, in seconds; each further one is twice as long.
const FIRST_WAIT_S: i64 = 2;
/// The longest wait, in seconds: so soon the return of a provider is noticed.
pub(crate) const LONGEST_WAIT_S: i64 = 60;
/// What lies further ahead than this was written down before the clock was set back, in seconds.
const CLOCK_STEP_S: i64 = 120;

/// How old what the provider said may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    every_s: i64,
    grace_s: i64,
}

impl Pace {
    pub(crate) fn of(session: &Session) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self { every_s: seconds(session.renew_every), grace_s: seconds(session.renewal_grace) }
    }
}

/// What may be made of what the provider said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It counts.
    Fresh,
    /// It counts for a while yet; the provider is to be asked.
    Due,
    /// It counts no more, until the provider has answered.
    Overdue,
}

/// How the renewals of one session stand. It outlives every configuration, so that a reload does not let two of them run.
#[derive(Debug)]
pub(crate) struct Renewals {
    /// When the provider said so last, in unix seconds.
    told_at: AtomicI64,
    attempts: Mutex<Attempts>,
    /// Counts the attempts that are over.
    over: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Attempts {
    under_way: bool,
    failures: u32,
    /// Not before that time, in unix seconds.
    retry_at: i64,
    /// A refresh token that came and could not be stored yet, sealed. The one in the store may be worth nothing any more.
    unsaved: Option<Vec<u8>>,
}

/// The one attempt under way. Letting go of it without a word is a failure.
#[derive(Debug)]
pub(crate) struct Attempt {
    renewals: Arc<Renewals>,
    begun_at: i64,
    succeeded: bool,
}

impl Renewals {
    pub(super) fn new(told_at: i64) -> Self {
        Self { told_at: AtomicI64::new(told_at), attempts: Mutex::default(), over: watch::Sender::new(0) }
    }

    pub(crate) fn freshness(&self, pace: Pace, now: i64) -> Freshness {
        let age = now.saturating_sub(self.told_at.load(Ordering::Acquire));
        if age < -CLOCK_STEP_S {
            return Freshness::Due;
        }
        match age.saturating_sub(pace.every_s) {
            ..0 => Freshness::Fresh,
            late if late < pace.grace_s => Freshness::Due,
            _ => Freshness::Overdue,
        }
    }

    /// The right to ask the provider; none while somebody else does, or when it is too soon after a failure.
    pub(crate) fn begin(self: &Arc<Self>, now: i64) -> Option<Attempt> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = attempts.retry_at.saturating_sub(now);
        if attempts.under_way || (1..=LONGEST_WAIT_S).contains(&wait) {
            return None;
        }
        attempts.under_way = true;
        Some(Attempt { renewals: self.clone(), begun_at: now, succeeded: false })
    }

    /// Returns when the attempt that is under way is over; at once when there is none.
    pub(crate) async fn over(&self) {
        let mut over = self.over.subscribe();
        if self.attempts.lock().unwrap_or_else(PoisonError::into_inner).under_way {
            // The sender is ours: it does not go away meanwhile.
            let _ = over.changed().await;
        }
    }

    /// The session has ended: nothing is kept of it.
    pub(super) fn forget(&self) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).unsaved = None;
    }

    /// The provider has said so.
    pub(super) fn told(&self, at: i64) {
        self.told_at.store(at, Ordering::Release);
    }
}

impl Attempt {
    /// The provider has said that all is as it was, or what is otherwise was stored.
    pub(crate) fn succeed(mut self, now: i64) {
        self.renewals.told(now);
        self.succeeded = true;
    }

    /// Keeps a sealed refresh token in memory, until it is stored.
    pub(crate) fn hold(&self, sealed: Vec<u8>) {
        self.attempts().unsaved = Some(sealed);
    }

    /// The sealed refresh token that is in memory alone.
    pub(crate) fn held(&self) -> Option<Vec<u8>> {
        self.attempts().unsaved.clone()
    }

    /// It is stored now.
    pub(crate) fn saved(&self) {
        self.attempts().unsaved = None;
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, Attempts> {
        self.renewals.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        {
            let mut attempts = self.attempts();
            attempts.under_way = false;
            if self.succeeded {
                (attempts.failures, attempts.retry_at) = (0, 0);
            } else {
                let wait = FIRST_WAIT_S.saturating_mul(1 << attempts.failures.min(16)).min(LONGEST_WAIT_S);
                attempts.failures = attempts.failures.saturating_add(1);
                attempts.retry_at = self.begun_at.saturating_add(wait);
            }
        }
        self.renewals.over.send_modify(|count| *count = count.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { every_s: 100, grace_s: 50 };

    #[test]
    fn what_was_said_counts_for_a_while_and_a_grace() {
        let renewals = Renewals::new(1000);
        for (now, freshness) in [
            (1000, Freshness::Fresh),
            (1099, Freshness::Fresh),
            (1100, Freshness::Due),
            (1149, Freshness::Due),
            (1150, Freshness::Overdue),
            (i64::MAX, Freshness::Overdue),
            (1000 - CLOCK_STEP_S, Freshness::Fresh),
            (999 - CLOCK_STEP_S, Freshness::Due),
        ] {
            assert_eq!(renewals.freshness(PACE, now), freshness, "{now}");
        }
    }

    #[test]
    fn one_asks_at_a_time_and_less_often_when_it_fails() {
        let renewals = Arc::new(Renewals::new(0));
        let first = renewals.begin(100).unwrap();
        assert!(renewals.begin(100).is_none(), "two attempts at once");
        drop(first);
        let mut now = 100;
        for wait in [2, 4, 8, 16, 32, LONGEST_WAIT_S, LONGEST_WAIT_S] {
            assert!(renewals.begin(now + wait - 1).is_none(), "too soon after a failure");
            now += wait;
            drop(renewals.begin(now).unwrap());
        }
        assert!(
            renewals.begin(now - 1_000_000).is_some(),
            "a clock that was set back does not stop renewals"
        );
    }

    #[test]
    fn a_success_ends_the_waiting() {
        let renewals = Arc::new(Renewals::new(0));
        drop(renewals.begin(100).unwrap());
        renewals.begin(102).unwrap().succeed(103);
        assert_eq!(renewals.freshness(PACE, 110), Freshness::Fresh);
        assert!(renewals.begin(103).is_some());
    }

    #[tokio::test]
    async fn those_who_wait_go_on_when_it_is_over() {
        let renewals = Arc::new(Renewals::new(0));
        renewals.over().await;
        let attempt = renewals.begin(100).unwrap();
        attempt.hold(vec![1]);
        let waiting = renewals.over();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(attempt);
        waiting.await;
        assert_eq!(
            renewals.begin(200).unwrap().held(),
            Some(vec![1]),
            "what could not be stored is not lost"
        );
    }
}
