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
