//! The figures of one application, in shares that workers do not share: counting a request takes no lock and no look-up, and no cache
//! line goes from core to core for it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::SHARES;
use crate::decision_log::Verdict;

/// Upper ends of the buckets of a duration, in microseconds. Longer ones have a bucket of their own.
pub(super) const BOUNDS_MICROS: [u64; 15] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];
const BUCKETS: usize = BOUNDS_MICROS.len() + 1;
const CLASSES: usize = 5;

/// One application's figures.
#[derive(Debug, Default)]
pub(crate) struct Application {
    shares: [Share; SHARES],
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Share {
    answers: [[AtomicU64; CLASSES]; Verdict::ALL.len()],
    answered: Durations,
    upstream: Durations,
}

/// A histogram.
#[derive(Debug, Default)]
struct Durations {
    buckets: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

/// A histogram as it is read: not summed up, from the shortest on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Distribution {
    pub(super) buckets: [u64; BUCKETS],
    pub(super) sum_micros: u64,
}

/// One request that was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    pub(crate) status: u16,
    /// Until the head of the answer.
    pub(crate) micros: u64,
    /// The same from the permit on, for a request that was forwarded.
    pub(crate) upstream_micros: Option<u64>,
}

impl Durations {
    fn note(&self, micros: u64) {
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn add_to(&self, sum: &mut Distribution) {
        for (sum, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        sum.sum_micros += self.sum_micros.load(Ordering::Relaxed);
    }
}

impl Application {
    fn share(&self, worker: usize) -> Option<&Share> {
        self.shares.get(worker % SHARES)
    }

    /// Counts an answer that a worker gave.
    pub(crate) fn count(&self, worker: usize, answer: &Answer) {
        let Some(share) = self.share(worker) else { return };
        let class = usize::from(answer.status / 100).clamp(1, CLASSES) - 1;
        let of_verdict = share.answers.get(answer.verdict as usize);
        if let Some(counter) = of_verdict.and_then(|classes| classes.get(class)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        share.answered.note(answer.micros);
        if let Some(micros) = answer.upstream_micros {
            share.upstream.note(micros);
        }
    }

    /// How many answers there were of each verdict and first digit of the status.
    pub(super) fn answers(&self) -> impl Iterator<Item = (Verdict, usize, u64)> {
        Verdict::ALL.into_iter().flat_map(move |verdict| {
            (0..CLASSES).map(move |class| {
                let counters =
                    self.shares.iter().filter_map(|share| share.answers.get(verdict as usize)?.get(class));
                (verdict, class + 1, counters.map(|counter| counter.load(Ordering::Relaxed)).sum())
            })
        })
    }

    /// How long answers took until their head.
    pub(super) fn answered(&self) -> Distribution {
        let mut sum = Distribution::default();
        self.shares.iter().for_each(|share| share.answered.add_to(&mut sum));
        sum
    }

    /// How much of that the upstream took.
    pub(super) fn upstream(&self) -> Distribution {
        let mut sum = Distribution::default();
        self.shares.iter().for_each(|share| share.upstream.add_to(&mut sum));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, micros: u64) -> Answer {
        Answer { verdict: Verdict::Deny, status, micros, upstream_micros: None }
    }

    #[test]
    fn answers_of_all_workers_are_one_sum() {
        let application = Application::default();
        for worker in 0..=SHARES {
            application.count(worker, &answer(403, 10));
        }
        let counted: Vec<_> = application.answers().filter(|(_, _, count)| *count > 0).collect();
        assert_eq!(counted, [(Verdict::Deny, 4, SHARES as u64 + 1)]);
    }

    #[test]
    fn a_duration_is_in_the_bucket_whose_end_it_does_not_pass() {
        let application = Application::default();
        for micros in [0, 250, 251, 10_000_000, 10_000_001, u64::from(u32::MAX)] {
            application.count(0, &answer(200, micros));
        }
        let buckets = application.answered().buckets;
        let mut expected = [0; BUCKETS];
        (expected[0], expected[1], expected[BUCKETS - 2], expected[BUCKETS - 1]) = (2, 1, 1, 2);
        assert_eq!(buckets, expected);
        assert_eq!(application.upstream(), Distribution::default());
    }

    #[test]
    fn a_status_of_no_class_is_counted_all_the_same() {
        let application = Application::default();
        for status in [0, 99, 999] {
            application.count(0, &answer(status, 1));
        }
        assert_eq!(application.answers().map(|(_, _, count)| count).sum::<u64>(), 3);
    }
}
