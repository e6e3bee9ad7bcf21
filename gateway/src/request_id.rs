//! An id for each request: short enough to read out, unlike any other.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::seal::random;

/// The process's own beginning, so that ids of two runs or nodes differ.
static SEED: LazyLock<u64> = LazyLock::new(|| u64::from_ne_bytes(random().unwrap_or_default()));
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Sixteen hexadecimal digits. Unique in a process; not secret, and nothing depends on its being hard to guess.
pub(crate) fn request_id() -> String {
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    // A bijection of the counter (the finaliser of SplitMix64): no two requests share an id, and neighbours look unlike.
    let mut id = SEED.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    id = (id ^ (id >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    id = (id ^ (id >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    format!("{:016x}", id ^ (id >> 31))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_alike() {
        let ids: HashSet<String> = (0..10_000).map(|_| request_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 16));
    }
}
