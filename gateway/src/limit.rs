//! How often one address may try what costs us more than it costs them: logins, callbacks, wrong SCIM keys. Limits on
//! connections are left to `listen`, sizes to the stages that read.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::admission::network;

/// Addresses are gathered into this many buckets, so that a client with many addresses cannot fill the memory. Two addresses
/// of one bucket share its allowance.
const BUCKETS: u64 = 1 << 16;

/// A limit per client address.
#[derive(Debug)]
pub(crate) struct RateLimit {
    limiter: RateLimiter<u16, HashMapStateStore<u16>, DefaultClock>,
    /// Random in each process: nobody can choose whose bucket to share.
    hashing: RandomState,
}

impl RateLimit {
    pub(crate) fn per_minute(times: u32) -> Self {
        let times = NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
        Self { limiter: RateLimiter::hashmap(Quota::per_minute(times)), hashing: RandomState::new() }
    }

    /// Whether this address may try once more.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.limiter.check_key(&self.bucket(address)).is_ok()
    }

    fn bucket(&self, address: IpAddr) -> u16 {
        u16::try_from(self.hashing.hash_one(network(address)) % BUCKETS).unwrap_or_default()
    }
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
    fn addresses_of_one_ipv6_network_share_a_bucket() {
        let limit = RateLimit::per_minute(1);
        let bucket_of = |text: &str| limit.bucket(text.parse().unwrap());
        assert_eq!(bucket_of("2001:db8::1"), bucket_of("2001:db8::ffff"));
        let others =
            (1..20).filter(|net| bucket_of(&format!("2001:db8:0:{net}::1")) != bucket_of("2001:db8::1"));
        assert!(others.count() > 10);
    }
}
