//! What upstreams are told about the way that a request came: from whom, to which host. Written once for a connection and host,
//! since a connection carries many requests. Who the client is, is decided by `authorize`; putting the fields in by `forward`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;

use crate::host::Host;

/// How many pairs of address and host one connection keeps fields for; the oldest goes first.
const MAX_KEPT: usize = 8;

/// The fields of one client and host.
#[derive(Debug)]
pub(crate) struct Way {
    client: IpAddr,
    host: Host,
    port: u16,
    /// `host[:port]` as browsers name it: `Host` and `X-Forwarded-Host`.
    pub(crate) authority: HeaderValue,
    /// `X-Forwarded-For`
    pub(crate) address: HeaderValue,
    /// `X-Forwarded-Port`
    pub(crate) port_text: HeaderValue,
    /// `Forwarded`
    pub(crate) forwarded: HeaderValue,
}

impl Way {
    /// None only if a host could be no field value, which its one form rules out.
    fn new(client: IpAddr, host: &Host, port: u16) -> Option<Self> {
        let authority = match port {
            443 => host.to_string(),
            port => format!("{host}:{port}"),
        };
        Some(Self {
            client,
            host: host.clone(),
            port,
            forwarded: HeaderValue::try_from(forwarded(client, &authority)).ok()?,
            address: HeaderValue::try_from(client.to_string()).ok()?,
            port_text: HeaderValue::from(port),
            authority: HeaderValue::try_from(authority).ok()?,
        })
    }
}

/// RFC 7239 section 4: an IPv6 address is bracketed, and whatever holds a colon is quoted.
fn forwarded(client: IpAddr, authority: &str) -> String {
    match client {
        IpAddr::V4(address) => format!("for={address};host=\"{authority}\";proto=https"),
        IpAddr::V6(address) => format!("for=\"[{address}]\";host=\"{authority}\";proto=https"),
    }
}

/// The ways that the requests of one connection came.
#[derive(Debug, Default)]
pub(crate) struct Ways(Mutex<Vec<Arc<Way>>>);

impl Ways {
    /// The fields for a request of `client` to `host`, which browsers reach at `port`.
    pub(crate) fn way(&self, client: IpAddr, host: &Host, port: u16) -> Option<Arc<Way>> {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ways.iter().find(|way| way.host == *host && way.client == client && way.port == port);
        if let Some(way) = known {
            return Some(way.clone());
        }
        let way = Arc::new(Way::new(client, host, port)?);
        if ways.len() >= MAX_KEPT {
            ways.remove(0);
        }
        ways.push(way.clone());
        Some(way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(client: &str, port: u16) -> Way {
        Way::new(client.parse().unwrap(), &"wiki.corp.example".parse().unwrap(), port).unwrap()
    }

    #[test]
    fn t24_forwarded_is_quoted() {
        let four = way("127.0.0.1", 8443);
        assert_eq!(four.forwarded, "for=127.0.0.1;host=\"wiki.corp.example:8443\";proto=https");
        assert!(four.address == "127.0.0.1" && four.port_text == "8443");
        let six = way("::1", 443);
        assert_eq!(six.forwarded, "for=\"[::1]\";host=\"wiki.corp.example\";proto=https");
        assert!(six.address == "::1" && six.authority == "wiki.corp.example");
    }

    #[test]
    fn ways_are_kept_and_bounded() {
        let ways = Ways::default();
        let host = |number: usize| format!("h{number}.corp.example").parse::<Host>().unwrap();
        let client = "192.0.2.1".parse().unwrap();
        let first = ways.way(client, &host(0), 443).unwrap();
        assert!(Arc::ptr_eq(&first, &ways.way(client, &host(0), 443).unwrap()));
        for number in 1..=MAX_KEPT {
            assert_eq!(ways.way(client, &host(number), 443).unwrap().host, host(number));
        }
        assert_eq!(ways.0.lock().unwrap().len(), MAX_KEPT);
        assert!(!Arc::ptr_eq(&first, &ways.way(client, &host(0), 443).unwrap()));
    }
}
