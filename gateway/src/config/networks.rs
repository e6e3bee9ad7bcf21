//! Lists of networks whose peers are believed more than others. Nobody is by default, and nobody can be everybody.

use std::net::IpAddr;

use ipnet::IpNet;

use super::document::Value;

/// The widest networks that can be meant for proxies of one's own: 10.0.0.0/8 and fc00::/7.
const SHORTEST_PREFIX_V4: u8 = 8;
const SHORTEST_PREFIX_V6: u8 = 7;

/// Networks; empty means nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether an address lies in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

/// A list such as `["10.0.0.0/8", "192.0.2.1"]`.
pub(super) fn read_networks(value: &Value<'_, '_>) -> Networks {
    value.list().iter().filter_map(read_network).collect()
}

fn read_network(value: &Value<'_, '_>) -> Option<IpNet> {
    let text = value.string()?;
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let Ok(network) = address.or_else(|_| text.parse::<IpNet>()) else {
        value.fault(format!("`{text}` is no network: write \"10.0.0.0/8\" or one address"));
        return None;
    };
    let shortest = match network {
        IpNet::V4(_) => SHORTEST_PREFIX_V4,
        IpNet::V6(_) => SHORTEST_PREFIX_V6,
    };
    if network.prefix_len() < shortest {
        value.fault(format!(
            "`{text}` is almost everybody; name the networks of your own proxies, /{shortest} at most"
        ));
        return None;
    }
    Some(network)
}
