//! When a host's certificate is ordered: at two thirds of the life of the one before, and after a failure ever later, with some
//! chance so that many gateways do not ask at once. Ordering is left to `acme`.

use crate::seal::random;
use crate::tls::Validity;

/// The soonest that an order follows a success, in seconds, however short a life the authority gives.
const RENEWAL_FLOOR_S: i64 = 15;
/// The first wait after an authority could not be asked, and the longest, in seconds.
const UNASKED_S: (i64, i64) = (10, 1_800);
/// The same after it refused: public ones take five refusals of a host in an hour.
const REFUSED_S: (i64, i64) = (300, 43_200);
/// The longest wait that an authority may ask for, in seconds.
pub(super) const MAX_TOLD_WAIT_S: i64 = 86_400;

/// How soon a failure is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// The authority knows nothing of the attempt.
    Unasked,
    /// It counts the attempt.
    Refused,
}

/// When the next order for a host is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    due: i64,
    failures: u32,
}

impl Plan {
    /// At the beginning: what is held may do for a while.
    pub(super) fn first(held: Option<Validity>, now: i64) -> Self {
        let due = held.map_or(now, |validity| renewed_at(validity, chance()).max(now));
        Self { due, failures: 0 }
    }

    /// After a certificate was issued.
    pub(super) fn renewal(validity: Validity, now: i64) -> Self {
        let due = renewed_at(validity, chance()).max(now.saturating_add(RENEWAL_FLOOR_S));
        Self { due, failures: 0 }
    }

    /// After one was not.
    pub(super) fn fail(&mut self, patience: Patience, told_to_wait_s: i64, now: i64) {
        let (first, longest) = match patience {
            Patience::Unasked => UNASKED_S,
            Patience::Refused => REFUSED_S,
        };
        let doubled = first.saturating_mul(1_i64.checked_shl(self.failures.min(30)).unwrap_or(i64::MAX));
        let wait = doubled.min(longest).max(told_to_wait_s.min(MAX_TOLD_WAIT_S));
        self.failures = self.failures.saturating_add(1);
        self.due = now.saturating_add(wait).saturating_add(share(wait / 4, chance()));
    }

    pub(super) fn is_due(&self, now: i64) -> bool {
        now >= self.due
    }

    /// How long until then, in seconds.
    pub(super) fn wait_s(&self, now: i64) -> i64 {
        self.due.saturating_sub(now).max(0)
    }
}

/// Between six and two thirds of the life: at two thirds, or up to a thirtieth of the life before.
fn renewed_at(validity: Validity, chance: u64) -> i64 {
    let life = validity.not_after.saturating_sub(validity.not_before).max(0);
    let two_thirds = validity.not_before.saturating_add(life / 3 * 2);
    two_thirds.saturating_sub(share(life / 30, chance))
}

/// A part of a span that chance decides.
fn share(span: i64, chance: u64) -> i64 {
    let parts = u64::try_from(span).unwrap_or(0).saturating_add(1);
    i64::try_from(chance % parts).unwrap_or(0)
}

fn chance() -> u64 {
    random::<8>().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const QUARTER: Validity = Validity { not_before: 0, not_after: 90 * DAY };

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        assert_eq!(renewed_at(QUARTER, 0), 60 * DAY);
        for chance in [1, 7, u64::MAX / 2, u64::MAX] {
            let at = renewed_at(QUARTER, chance);
            assert!((57 * DAY..=60 * DAY).contains(&at), "{at}");
        }
        let plan = Plan::first(Some(QUARTER), DAY);
        assert!(!plan.is_due(57 * DAY - 1) && plan.is_due(60 * DAY));
        assert!(Plan::first(Some(QUARTER), 80 * DAY).is_due(80 * DAY));
        assert!(Plan::first(None, 5).is_due(5));
    }

    #[test]
    fn a_life_that_is_short_or_over_is_not_ordered_without_end() {
        for validity in [
            Validity { not_before: 1_000, not_after: 1_003 },
            Validity { not_before: 1_000, not_after: 900 },
            Validity { not_before: i64::MAX, not_after: i64::MIN },
        ] {
            let plan = Plan::renewal(validity, 1_000);
            assert!(!plan.is_due(1_000 + RENEWAL_FLOOR_S - 1), "{plan:?}");
        }
        let endless = Validity { not_before: i64::MIN, not_after: i64::MAX };
        assert!(!Plan::renewal(endless, 1_000).is_due(1_000));
    }

    #[test]
    fn each_failure_waits_longer_up_to_a_limit() {
        for (patience, (first, longest)) in [(Patience::Unasked, UNASKED_S), (Patience::Refused, REFUSED_S)] {
            let mut plan = Plan::first(None, 0);
            let mut expected = first;
            for _ in 0..80 {
                plan.fail(patience, 0, 0);
                let wait = plan.wait_s(0);
                assert!((expected..=expected + expected / 4).contains(&wait), "{wait} for {expected}");
                expected = (expected * 2).min(longest);
            }
            assert_eq!(expected, longest);
        }
    }

    #[test]
    fn an_authority_that_says_wait_is_obeyed_within_reason() {
        let mut plan = Plan::first(None, 0);
        plan.fail(Patience::Refused, 7_200, 0);
        assert!((7_200..=9_000).contains(&plan.wait_s(0)));
        plan.fail(Patience::Refused, MAX_TOLD_WAIT_S + 1, 0);
        assert!((MAX_TOLD_WAIT_S..=MAX_TOLD_WAIT_S / 4 * 5).contains(&plan.wait_s(0)));
    }
}
