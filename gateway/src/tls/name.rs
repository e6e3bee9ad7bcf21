//! A name as certificates and the tables about them spell it: one host, or every host one label below a domain. Which table or
//! certificate wins when several fit is left to those who ask.

use std::fmt;
use std::str::FromStr;

use crate::host::{Host, HostError};

/// `wiki.corp.example`, or `*.corp.example`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// One host.
    Host(Host),
    /// Every host one label below this one, and not the host itself (RFC 6125 section 6.4.3).
    OneBelow(Host),
}

impl Name {
    /// Whether the name stands for this host.
    pub(crate) fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::OneBelow(domain) => parent(host) == Some(domain.as_str()),
        }
    }
}

/// The host without its first label.
pub(super) fn parent(host: &Host) -> Option<&str> {
    host.as_str().split_once('.').map(|(_, domain)| domain)
}

impl FromStr for Name {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        match text.strip_prefix("*.") {
            Some(domain) => domain.parse().map(Self::OneBelow),
            None => text.parse().map(Self::Host),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::OneBelow(domain) => write!(f, "*.{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let name: Name = "*.Corp.example".parse().unwrap();
        for (host, covered) in [
            ("wiki.corp.example", true),
            ("WIKI.CORP.EXAMPLE", true),
            ("corp.example", false),
            ("a.wiki.corp.example", false),
            ("wiki.evil-corp.example", false),
        ] {
            assert_eq!(name.covers(&host.parse().unwrap()), covered, "{host}");
        }
        for wrong in ["*", "*.", "w*.corp.example", "*.*.example", "a.*.example"] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong}");
        }
    }
}
