//! How many requests may be sent again: a share of those that come, so that retries never multiply a failure.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one retry costs; each request brings as much as the configured percentage.
const PRICE: u64 = 100;
/// Retries that are saved up at most, and there from the start.
const SAVED: u64 = 10;

/// The retries of one application, over all workers.
#[derive(Debug)]
pub(super) struct Budget {
    percent: u64,
    saved: AtomicU64,
}

impl Budget {
    pub(super) fn new(percent: u32) -> Self {
        let saved = if percent == 0 { 0 } else { SAVED * PRICE };
        Self { percent: percent.into(), saved: AtomicU64::new(saved) }
    }

    /// A request came.
    pub(super) fn earn(&self) {
        // Lost updates between two workers only make the budget a little smaller.
        let saved = self.saved.load(Ordering::Relaxed);
        if saved < SAVED * PRICE {
            self.saved.store((saved + self.percent).min(SAVED * PRICE), Ordering::Relaxed);
        }
    }

    /// Whether one more request may be sent again.
    pub(super) fn spend(&self) -> bool {
        let spend = |saved: u64| saved.checked_sub(PRICE);
        self.saved.fetch_update(Ordering::AcqRel, Ordering::Relaxed, spend).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_a_share() {
        let budget = Budget::new(20);
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 10);
        for _ in 0..100 {
            budget.earn();
            budget.spend();
        }
        let again = (0..100).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert_eq!(again.count(), 20);
        let none = Budget::new(0);
        none.earn();
        assert!(!none.spend());
    }
}
