//! How many exchanges with one application one person may have under way, so that nobody takes all connections to it. Connections of
//! an application as a whole are left to `pool`, and how often somebody may ask to `limit`.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Persons and applications are gathered into this many buckets, so that many of them cannot fill the memory. Two of one bucket
/// share its allowance.
const BUCKETS: usize = 65_536;

/// The exchanges under way of everybody, over all workers and all configurations.
#[derive(Debug)]
pub(super) struct Shares {
    under_way: Box<[AtomicU32]>,
    /// Random in each process: nobody can choose whose bucket to share.
    hashing: RandomState,
}

/// One exchange under way.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    bucket: usize,
}

impl Default for Shares {
    fn default() -> Self {
        Self { under_way: (0..BUCKETS).map(|_| AtomicU32::new(0)).collect(), hashing: RandomState::new() }
    }
}

impl Shares {
    /// One more exchange of somebody with an application; none when `most` are under way.
    pub(super) fn take(self: &Arc<Self>, who: impl Hash, application: &str, most: usize) -> Option<Share> {
        let hash = self.hashing.hash_one((who, application));
        let bucket = usize::try_from(hash % BUCKETS as u64).ok()?;
        let before = self.under_way.get(bucket)?.fetch_add(1, Ordering::Relaxed);
        let share = Share { shares: self.clone(), bucket };
        (usize::try_from(before).is_ok_and(|before| before < most)).then_some(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(under_way) = self.shares.under_way.get(self.bucket) {
            under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exchange_over_the_share_of_a_person_is_refused() {
        let shares = Arc::new(Shares::default());
        let mut taken: Vec<_> = (0..3).map(|_| shares.take(1, "wiki", 3).unwrap()).collect();
        assert!(shares.take(1, "wiki", 3).is_none());
        assert!(shares.take(1, "grpc", 3).is_some(), "another application");
        assert!(shares.take(2, "wiki", 3).is_some(), "another person");
        taken.pop();
        assert!(shares.take(1, "wiki", 3).is_some(), "what is over does not count");
    }
}
