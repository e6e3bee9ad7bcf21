//! The address of a page on a host of ours, as an administrator or another site writes it: taken apart by the rules of a request,
//! so that it leads where it is judged to lead. Which pages may be led to is left to `login` and `config`.

use std::str::FromStr;

use crate::config::Config;
use crate::host::Host;
use crate::route::{Canonical, RouteError};

/// The longest address that is looked at, in bytes.
pub(crate) const MAX_ADDRESS_BYTES: usize = 2_048;
const HTTPS: &str = "https://";

/// An https address in its one reading.
#[derive(Debug)]
pub(crate) struct PageAddress {
    pub(crate) canonical: Canonical,
    port: u16,
}

/// Why a text is no such address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum PageAddressError {
    #[error("must begin with `https://`")]
    NotHttps,
    #[error("is longer than {MAX_ADDRESS_BYTES} bytes")]
    TooLong,
    #[error("has no single meaning: {0}")]
    Ambiguous(#[from] RouteError),
}

impl FromStr for PageAddress {
    type Err = PageAddressError;

    /// What a browser would mend (a missing slash, backslashes, white space, user names) is refused; a fragment never reaches a
    /// server, and is cut off.
    fn from_str(text: &str) -> Result<Self, PageAddressError> {
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(PageAddressError::TooLong);
        }
        let rest = match text.split_at_checked(HTTPS.len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(HTTPS) => rest,
            _ => return Err(PageAddressError::NotHttps),
        };
        let rest = rest.split_once('#').map_or(rest, |(page, _)| page);
        let (authority, page) = match rest.find(['/', '?']).and_then(|at| rest.split_at_checked(at)) {
            Some((authority, page)) if page.starts_with('?') => (authority, format!("/{page}")),
            Some((authority, page)) => (authority, page.to_owned()),
            None => (rest, "/".to_owned()),
        };
        let canonical = Canonical::told("GET", authority, &page)?;
        let port = authority.split_once(':').map_or(Ok(443), |(_, port)| port.parse());
        Ok(Self { canonical, port: port.map_err(|_| RouteError::HostForm)? })
    }
}

impl PageAddress {
    /// The host that it names, if it is one that browsers reach us under.
    pub(crate) fn host(&self, public_port: u16) -> Option<&Host> {
        (self.port == public_port).then_some(&self.canonical.host)
    }

    /// The address as we write it: of what was judged, and of nothing else.
    pub(crate) fn written(&self, config: &Config) -> String {
        let Canonical { host, path, query, .. } = &self.canonical;
        let mark = if query.is_some() { "?" } else { "" };
        format!("{}{path}{mark}{}", config.origin(host), query.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String, Option<String>, u16), PageAddressError> {
        let address: PageAddress = text.parse()?;
        let Canonical { host, path, query, .. } = address.canonical;
        Ok((host.to_string(), path.to_string(), query, address.port))
    }

    #[test]
    fn an_address_is_taken_apart_in_one_way() {
        let whole = |host: &str, path: &str, query: Option<&str>, port| {
            Ok((host.to_owned(), path.to_owned(), query.map(str::to_owned), port))
        };
        assert_eq!(read("https://wiki.corp.example"), whole("wiki.corp.example", "/", None, 443));
        assert_eq!(
            read("HTTPS://Wiki.corp.example:8443/a?b=c#d"),
            whole("wiki.corp.example", "/a", Some("b=c"), 8443)
        );
        assert_eq!(
            read("https://wiki.corp.example?x=https://evil.example/"),
            whole("wiki.corp.example", "/", Some("x=https://evil.example/"), 443)
        );
        for wrong in [
            "",
            "/",
            "//wiki",
            "http://wiki/",
            "https:/wiki",
            "https:wiki",
            "https:\\\\wiki/",
            "javascript:alert(1)",
            " https://wiki/",
        ] {
            assert_eq!(read(wrong), Err(PageAddressError::NotHttps), "{wrong}");
        }
        for wrong in [
            "https://",
            "https:///wiki",
            "https://a@wiki/",
            "https://wiki:8443@evil.example/",
            "https://wiki\\@evil.example/",
            "https://wiki\\.evil.example",
            "https://wiki./",
            "https://wiki:0443/",
            "https://wiki:/",
            "https://wiki /",
            "https://wiki/../x",
            "https://wiki/%2e%2e/x",
            "https://wiki/a b",
            "https://wiki/\\evil",
            "https://wiki/\n",
            "https://wiki/?a b",
            "https://[::1]/",
            "https://wïki/",
        ] {
            assert!(matches!(read(wrong), Err(PageAddressError::Ambiguous(_))), "{wrong}");
        }
    }

    #[test]
    fn the_longest_address_and_one_byte_more() {
        let longest = format!("https://wiki/{}", "a".repeat(MAX_ADDRESS_BYTES - "https://wiki/".len()));
        assert!(read(&longest).is_ok());
        assert_eq!(read(&format!("{longest}a")), Err(PageAddressError::TooLong));
    }
}
