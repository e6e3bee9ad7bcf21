//! An id for each request: short enough to read out, unlike any other.

use std::cell::Cell;
use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::seal::random;

/// The process's own beginning, so that ids of two runs or nodes differ.
static SEED: LazyLock<u64> = LazyLock::new(|| u64::from_ne_bytes(random().unwrap_or_default()));
static NEXT: AtomicU64 = AtomicU64::new(0);
/// Numbers that a thread takes at a time: threads that share a counter would wait for each other at every request.
const AT_A_TIME: u64 = 1 << 16;

thread_local! {
    static OWN: Cell<u64> = const { Cell::new(0) };
}

const DIGITS: usize = 16;

/// Sixteen hexadecimal digits. Unique in a process; not secret, and nothing depends on its being hard to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RequestId {
    number: u64,
    digits: [u8; DIGITS],
}

impl RequestId {
    /// The next one.
    pub(crate) fn next() -> Self {
        // A bijection of the counter (the finaliser of SplitMix64): no two requests share an id, and neighbours look unlike.
        let mut id = SEED.wrapping_add(next_number().wrapping_mul(0x9E37_79B9_7F4A_7C15));
        id = (id ^ (id >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        id = (id ^ (id >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        id ^= id >> 31;
        let number = id;
        let digits = std::array::from_fn(|_| {
            id = id.rotate_left(4);
            b"0123456789abcdef".get(usize::from(id.to_le_bytes()[0] & 0xF)).copied().unwrap_or_default()
        });
        Self { number, digits }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits).unwrap_or_default()
    }
}

impl RequestId {
    /// The id as a number: as good as random, and zero for one request in 2^64.
    #[cfg(feature = "otel")]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The number of a trace that begins with this request.
    pub(crate) fn trace_number(&self) -> u128 {
        (u128::from(*SEED | 1) << 64) | u128::from(self.number)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn next_number() -> u64 {
    let mut number = OWN.get();
    if number.is_multiple_of(AT_A_TIME) {
        number = NEXT.fetch_add(AT_A_TIME, Ordering::Relaxed);
    }
    OWN.set(number + 1);
    number
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_alike() {
        let count = 2 * AT_A_TIME + 1;
        let make = move || (0..count).map(|_| RequestId::next()).collect::<Vec<_>>();
        let threads = [std::thread::spawn(make), std::thread::spawn(make)];
        let ids: HashSet<RequestId> = threads.into_iter().flat_map(|it| it.join().unwrap()).collect();
        assert_eq!(ids.len() as u64, 2 * count);
        assert!(ids.iter().all(|id| id.as_str().len() == DIGITS));
    }
}
