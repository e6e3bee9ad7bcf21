//! How many connections may be open, in all and from one address. Counting alone; closing is left to `listen`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Limits;

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
    connections: usize,
    per_address: usize,
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
    address: IpAddr,
}

impl Admission {
    /// `connections` is what the process can bear, when that is less than what is configured.
    pub(crate) fn new(limits: &Limits, connections: usize) -> Self {
        Self {
            connections: limits.connections.min(connections),
            per_address: limits.connections_per_address,
            open: Mutex::default(),
        }
    }

    /// Whether no connection is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).total == 0
    }

    /// Counts one more connection, unless that would be too many.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admitted> {
        let address = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.by_address.get(&address).copied().unwrap_or_default();
        if open.total >= self.connections || of_address >= self.per_address {
            return None;
        }
        open.total += 1;
        open.by_address.insert(address, of_address + 1);
        Some(Admitted { admission: self.clone(), address })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        let left = open.by_address.get(&self.address).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            open.by_address.remove(&self.address);
        } else {
            open.by_address.insert(self.address, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, connections_per_address: usize) -> Arc<Admission> {
        Arc::new(Admission::new(&Limits { connections_per_address, ..Limits::default() }, connections))
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
        drop(held);
        assert!(admission.open.lock().unwrap().by_address.is_empty());
    }
}
