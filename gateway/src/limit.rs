//! How often one address, or one person, may ask. Limits on connections are left to `admission`, sizes to the stages that read.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::DefaultClock;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::admission::network;

/// Whoever asks is gathered into this many buckets, so that a client with many addresses cannot fill the memory. Two of one
/// bucket share its allowance.
const BUCKETS: u16 = u16::MAX;

/// A limit for each address or person.
#[derive(Debug)]
pub(crate) struct RateLimit {
    limiter: RateLimiter<u16, Buckets, DefaultClock>,
    /// Random in each process: nobody can choose whose bucket to share.
    hashing: RandomState,
}

/// One state for each bucket, changed without a lock: every worker asks here for every request.
#[derive(Debug)]
struct Buckets(Box<[InMemoryState]>);

impl StateStore for Buckets {
    type Key = u16;

    fn measure_and_replace<T, F, E>(&self, key: &u16, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        match self.0.get(usize::from(*key)) {
            Some(state) => state.measure_and_replace(&NotKeyed::NonKey, f),
            // Unreachable, since keys are remainders: a bucket of its own for each question would limit nothing.
            None => InMemoryState::default().measure_and_replace(&NotKeyed::NonKey, f),
        }
    }
}

impl RateLimit {
    pub(crate) fn per_minute(times: u32) -> Self {
        Self::with(Quota::per_minute(at_least_one(times)))
    }

    pub(crate) fn per_second(times: u32) -> Self {
        Self::with(Quota::per_second(at_least_one(times)))
    }

    fn with(quota: Quota) -> Self {
        let states = (0..BUCKETS).map(|_| InMemoryState::default()).collect();
        let limiter = RateLimiter::new(quota, Buckets(states), DefaultClock::default());
        Self { limiter, hashing: RandomState::new() }
    }

    /// Whether this address may ask once more.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.limiter.check_key(&self.bucket(network(address))).is_ok()
    }

    /// Whether whoever has this number may ask once more.
    pub(crate) fn allows_somebody(&self, number: u64) -> bool {
        self.limiter.check_key(&self.bucket(number)).is_ok()
    }

    fn bucket(&self, whose: impl Hash) -> u16 {
        u16::try_from(self.hashing.hash_one(whose) % u64::from(BUCKETS)).unwrap_or_default()
    }
}

fn at_least_one(times: u32) -> NonZeroU32 {
    NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_over_its_limit_waits_and_others_do_not() {
        let limit = RateLimit::per_minute(3);
        let one = "192.0.2.1".parse().unwrap();
        assert!((0..3).all(|_| limit.allows(one)));
        assert!(!limit.allows(one));
        assert!(limit.allows("192.0.2.2".parse().unwrap()));
        assert!(!limit.allows("::ffff:192.0.2.1".parse().unwrap()), "the same address in IPv6 clothes");
    }

    #[test]
    fn somebody_over_their_limit_waits_and_others_do_not() {
        let limit = RateLimit::per_minute(2);
        assert!((0..2).all(|_| limit.allows_somebody(1)));
        assert!(!limit.allows_somebody(1));
        assert!(limit.allows_somebody(2));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket() {
        let limit = RateLimit::per_minute(1);
        let bucket_of = |text: &str| limit.bucket(network(text.parse().unwrap()));
        assert_eq!(bucket_of("2001:db8::1"), bucket_of("2001:db8::ffff"));
        let others =
            (1..20).filter(|net| bucket_of(&format!("2001:db8:0:{net}::1")) != bucket_of("2001:db8::1"));
        assert!(others.count() > 10);
    }
}
