//! How often one address may try what costs us more than it costs them: logins, callbacks, wrong SCIM keys. Limits on
//! connections are left to `listen`, sizes to the stages that read.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Addresses are gathered into this many buckets, so that a client with many addresses cannot fill the memory. Two addresses
/// of one bucket share its allowance.
const BUCKETS: u64 = 1 << 16;

/// A limit per client address.
#[derive(Debug)]
pub(crate) struct RateLimit(RateLimiter<u16, HashMapStateStore<u16>, DefaultClock>);

impl RateLimit {
    pub(crate) fn per_minute(times: u32) -> Self {
        let times = NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
        Self(RateLimiter::hashmap(Quota::per_minute(times)))
    }

    /// Whether this address may try once more.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.0.check_key(&bucket(address)).is_ok()
    }
}

/// One bucket for an IPv4 address, or for the /64 network that an IPv6 host chooses its addresses from.
fn bucket(address: IpAddr) -> u16 {
    let network = match address.to_canonical() {
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => u64::try_from(u128::from(address) >> 64).unwrap_or_default(),
    };
    // Fibonacci hashing: neighbours land far apart.
    let spread = network.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(16);
    u16::try_from(spread % BUCKETS).unwrap_or_default()
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
        let bucket_of = |text: &str| bucket(text.parse().unwrap());
        assert_eq!(bucket_of("2001:db8::1"), bucket_of("2001:db8::ffff"));
        assert_ne!(bucket_of("2001:db8::1"), bucket_of("2001:db8:0:1::1"));
    }
}
