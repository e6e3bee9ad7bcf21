//! E-mail addresses and domains in one normal form: the only place that decides what an address is.
//!
//! Whether an address was verified is left to whoever reads the claims.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// Longest part before the `@`, in bytes (RFC 5321, 4.5.3.1.1).
pub(crate) const MAX_LOCAL_BYTES: usize = 64;
/// Longest domain, in bytes (RFC 1035, 2.3.4, without the root's dot).
pub(crate) const MAX_DOMAIN_BYTES: usize = 253;
/// Longest label of a domain, in bytes (RFC 1035, 2.3.4).
pub(crate) const MAX_LABEL_BYTES: usize = 63;

/// A mailbox in normal form: one `@`, ASCII, lower case.
///
/// Two spellings of one mailbox are equal, and nothing else is. A quoted local part, a comment, a trailing dot or a
/// character outside ASCII is refused, because two programs could read such an address in two ways.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(Box<str>);

/// The domain of mailboxes in normal form: ASCII (punycode where needed), lower case, without a trailing dot.
///
/// It means itself alone: neither its subdomains nor a longer name that ends in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailDomain(Box<str>);

/// Why a text is no e-mail address or domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmailError {
    /// No `@`.
    NoAt,
    /// More than one `@`.
    SeveralAts,
    /// Nothing before the `@`.
    EmptyLocalPart,
    /// More than 64 bytes before the `@`.
    LongLocalPart,
    /// A quote, space, control or other character that the local part may not hold, or a misplaced dot.
    BadLocalPart,
    /// Nothing after the `@`.
    EmptyDomain,
    /// More than 253 bytes of domain.
    LongDomain,
    /// The domain ends in a dot.
    TrailingDot,
    /// A label of the domain is empty, too long, or holds something else than letters, digits and inner hyphens.
    BadDomain,
    /// A character outside ASCII: two that look alike would be two people.
    NotAscii,
}

impl EmailAddress {
    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        // A parsed address has its `@`; without one, the empty text equals no domain.
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        if !text.is_ascii() {
            return Err(EmailError::NotAscii);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::NoAt)?;
        if domain.contains('@') {
            return Err(EmailError::SeveralAts);
        }
        check_local_part(local)?;
        check_domain(domain)?;
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl EmailDomain {
    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailDomain {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        if !text.is_ascii() {
            return Err(EmailError::NotAscii);
        }
        check_domain(text)?;
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for EmailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EmailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAt => "an e-mail address needs an `@`",
            Self::SeveralAts => "an e-mail address has one `@` only",
            Self::EmptyLocalPart => "nothing stands before the `@`",
            Self::LongLocalPart => "the part before the `@` is longer than 64 bytes",
            Self::BadLocalPart => {
                "the part before the `@` holds a character or a dot that may not stand there"
            }
            Self::EmptyDomain => "the domain is empty",
            Self::LongDomain => "the domain is longer than 253 bytes",
            Self::TrailingDot => "the domain ends in a dot",
            Self::BadDomain => {
                "a label of the domain is empty, too long or holds a character that may not stand there"
            }
            Self::NotAscii => "only ASCII is accepted (write an international domain in its `xn--` form)",
        })
    }
}

impl Error for EmailError {}

/// RFC 5322, 3.2.3: a dot-atom; the quoted form is refused.
fn check_local_part(local: &str) -> Result<(), EmailError> {
    if local.is_empty() {
        return Err(EmailError::EmptyLocalPart);
    }
    if local.len() > MAX_LOCAL_BYTES {
        return Err(EmailError::LongLocalPart);
    }
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atom_byte);
    if local.split('.').all(atom) { Ok(()) } else { Err(EmailError::BadLocalPart) }
}

fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn check_domain(domain: &str) -> Result<(), EmailError> {
    if domain.is_empty() {
        return Err(EmailError::EmptyDomain);
    }
    if domain.len() > MAX_DOMAIN_BYTES {
        return Err(EmailError::LongDomain);
    }
    if domain.ends_with('.') {
        return Err(EmailError::TrailingDot);
    }
    if domain.split('.').all(is_label) { Ok(()) } else { Err(EmailError::BadDomain) }
}

/// RFC 1123, 2.1: letters, digits, and hyphens that are neither first nor last.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= MAX_LABEL_BYTES
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests;
