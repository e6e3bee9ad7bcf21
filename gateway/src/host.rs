//! A host name in its one normal form: lower-case ASCII labels without a trailing dot. Ports and how a request names its host
//! are left to `route`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest host name, in bytes (RFC 1035 section 2.3.4).
pub(crate) const MAX_HOST_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// A normalised DNS name, or an IPv4 address in its written form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Arc<str>);

/// Why a text is no host name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HostError {
    /// Empty, or longer than [`MAX_HOST_BYTES`].
    #[error("a host name has 1 to {MAX_HOST_BYTES} characters")]
    Length,
    /// A label is empty, too long, begins or ends with a hyphen, or has another character.
    #[error(
        "a host name consists of labels of letters, digits and inner hyphens, separated by dots, without a trailing dot or port"
    )]
    Label,
}

impl Host {
    /// The name as it is compared and written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `corp.example` of `wiki.corp.example`; none when there is one label alone.
    pub(crate) fn without_first_label(&self) -> Option<&str> {
        self.0.split_once('.').map(|(_, rest)| rest)
    }
}

/// The hosts of an application: one, or all that have one more label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `wiki.corp.example`
    Exact(Host),
    /// `*.apps.corp.example`: one label in front of the rest, no more and no less.
    AnyLabel(Host),
}

impl HostPattern {
    /// Whether it covers a host.
    pub fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::AnyLabel(rest) => host.without_first_label() == Some(rest.as_str()),
        }
    }

    /// Whether it covers every host that another pattern covers.
    pub(crate) fn covers_all_of(&self, other: &Self) -> bool {
        match other {
            Self::Exact(host) => self.covers(host),
            Self::AnyLabel(_) => self == other,
        }
    }

    /// Whether some host is covered by both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.covers_all_of(other) || other.covers_all_of(self)
    }
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        match text.strip_prefix("*.") {
            Some(rest) => rest.parse().map(Self::AnyLabel),
            None => text.parse().map(Self::Exact),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::AnyLabel(rest) => write!(f, "*.{rest}"),
        }
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.is_empty() || text.len() > MAX_HOST_BYTES {
            return Err(HostError::Length);
        }
        let valid = |label: &str| {
            !label.is_empty()
                && label.len() <= MAX_LABEL_BYTES
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !text.split('.').all(valid) {
            return Err(HostError::Label);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl Borrow<str> for Host {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        let pattern: HostPattern = "*.Apps.corp.example".parse().unwrap();
        for (host, covered) in [
            ("wiki.apps.corp.example", true),
            ("apps.corp.example", false),
            ("a.wiki.apps.corp.example", false),
            ("wikiapps.corp.example", false),
        ] {
            assert_eq!(pattern.covers(&host.parse().unwrap()), covered, "{host}");
        }
        assert_eq!(pattern.to_string(), "*.apps.corp.example");
        for wrong in ["*", "*.", "a.*.example", "**.example", "w*.example"] {
            assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_folded_and_checked() {
        assert_eq!("Wiki.Corp.Example".parse::<Host>().unwrap().as_str(), "wiki.corp.example");
        for wrong in
            ["", "a..b", "wiki.", ".wiki", "a_b", "-a", "a-", "wiki:443", "a@b", "a b", "wïki", "[::1]"]
        {
            assert!(wrong.parse::<Host>().is_err(), "{wrong}");
        }
        assert_eq!("a".repeat(64).parse::<Host>(), Err(HostError::Label));
        let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        assert!(longest.parse::<Host>().is_ok());
        assert_eq!(format!("{longest}d").parse::<Host>(), Err(HostError::Length));
    }
}
