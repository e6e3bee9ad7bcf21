//! How many connections may be open, in all and from one address. Counting alone; closing is left to `listen`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Limits;
use crate::metrics::Connection;

/// Whose share a connection counts for: an IPv4 address, or the /64 network that an IPv6 host chooses its addresses from.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    const HOST_BITS: u32 = 64;
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> HOST_BITS << HOST_BITS).into(),
    }
}

/// Counts open client connections.
#[derive(Debug)]
pub(crate) struct Admission {
    /// What the process can bear, whatever is configured.
    borne: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that is counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    /// Whose share it counts for, once that is known.
    address: Option<IpAddr>,
    _counted: Connection,
}

impl Admission {
    /// `borne` is what the process can bear, when that is less than what is configured.
    pub(crate) fn new(borne: usize) -> Self {
        Self { borne, open: Mutex::default() }
    }

    /// Whether no connection is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).total == 0
    }

    /// Counts one more connection, unless that would be too many.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Option<Admitted> {
        self.admit_somebody(limits)?.counted_for(address, limits)
    }

    /// Counts one more connection of somebody whose address is not known yet.
    pub(crate) fn admit_somebody(self: &Arc<Self>, limits: &Limits) -> Option<Admitted> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= limits.connections.min(self.borne) {
            return None;
        }
        open.total += 1;
        Some(Admitted { admission: self.clone(), address: None, _counted: Connection::open() })
    }
}

impl Admitted {
    /// Counts the connection for an address too, unless that has its share.
    pub(crate) fn counted_for(mut self, address: IpAddr, limits: &Limits) -> Option<Self> {
        let address = network(address);
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.by_address.entry(address).or_default();
        if *count < limits.connections_per_address {
            *count += 1;
            self.address = Some(address);
        }
        drop(open);
        self.address.is_some().then_some(self)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        let Some(address) = self.address else { return };
        let left = open.by_address.get(&address).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            open.by_address.remove(&address);
        } else {
            open.by_address.insert(address, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Limited(Arc<Admission>, Limits);

    impl Limited {
        fn admit(&self, address: IpAddr) -> Option<Admitted> {
            self.0.admit(address, &self.1)
        }

        fn admit_later(&self, address: IpAddr) -> Option<Admitted> {
            self.0.admit_somebody(&self.1)?.counted_for(address, &self.1)
        }
    }

    fn admission(borne: usize, connections_per_address: usize) -> Limited {
        let limits = Limits { connections_per_address, ..Limits::default() };
        Limited(Arc::new(Admission::new(borne)), limits)
    }

    #[test]
    fn one_address_over_its_share_waits_for_its_own() {
        let admission = admission(10, 2);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let first = admission.admit(one).unwrap();
        let _second = admission.admit("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(admission.admit(one).is_none());
        assert!(admission.admit("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(admission.admit(one).is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let admission = admission(10, 1);
        let _held = admission.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(admission.admit("2001:db8::ffff:1".parse().unwrap()).is_none());
        assert!(admission.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
    }

    #[test]
    fn all_together_have_a_cap_too() {
        let admission = admission(2, 2);
        let held: Vec<_> = (1..=3).map(|last| admission.admit([192, 0, 2, last].into())).collect();
        assert!(held[1].is_some() && held[2].is_none());
        assert!(admission.admit_later([192, 0, 2, 9].into()).is_none());
        drop(held);
        assert!(admission.0.open.lock().unwrap().by_address.is_empty() && admission.0.is_idle());
    }

    #[test]
    fn who_is_told_later_counts_from_then_on() {
        let admission = admission(3, 1);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let first = admission.admit_later(one).unwrap();
        assert!(admission.admit_later(one).is_none());
        assert!(admission.admit_later("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(admission.0.is_idle());
    }
}
