//! One cookie: how its line is read, which lines are refused, where it is sent. It is stored by the jar.

use std::time::{Duration, SystemTime};

use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::{Host, Url};

use super::Crossing;

/// RFC 6265bis section 5.6: longer lines are ignored by browsers.
pub const MAX_COOKIE: usize = 4096;

/// Where a cookie goes when another site asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Nowhere.
    Strict,
    /// With navigations by a safe method; what an absent attribute means.
    Lax,
    /// Everywhere.
    None,
}

/// A stored cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The host that set it, or the domain that it named.
    pub host: String,
    /// Whether it goes to `host` alone.
    pub host_only: bool,
    /// The path it is bound to.
    pub path: String,
    /// Whether it needs TLS.
    pub secure: bool,
    /// Whether scripts cannot see it.
    pub http_only: bool,
    /// Its SameSite attribute.
    pub same_site: SameSite,
    /// When it ends; `None` with the browser.
    pub expires: Option<SystemTime>,
}

/// The rule that a `Set-Cookie` line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CookieRefusal {
    /// Neither name nor value.
    #[error("the cookie has no name")]
    Nameless,
    /// Name and value are longer than [`MAX_COOKIE`].
    #[error("the cookie is longer than {MAX_COOKIE} bytes")]
    TooLong,
    /// `Secure` over plain http to another machine.
    #[error("a secure cookie came over plain http")]
    SecureOverPlain,
    /// A domain that the host is not in.
    #[error("the cookie names a foreign domain")]
    ForeignDomain,
    /// A domain of one label, which everybody shares.
    #[error("the cookie names a public suffix")]
    PublicSuffix,
    /// `__Secure-` without `Secure`.
    #[error("a `__Secure-` cookie lacks Secure")]
    SecurePrefix,
    /// `__Host-` without `Secure`, with a `Domain`, or with a path that is not `/`.
    #[error("a `__Host-` cookie lacks Secure or Path=/, or has a Domain")]
    HostPrefix,
    /// `SameSite=None` without `Secure`.
    #[error("a SameSite=None cookie lacks Secure")]
    NoneWithoutSecure,
}

impl Cookie {
    /// Reads a line that came from `url` and checks the rules.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn parse(url: &Url, line: &str) -> Result<Self, CookieRefusal> {
        let mut parts = line.split(';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            host: url.host_str().unwrap_or_default().to_ascii_lowercase(),
            host_only: true,
            path: default_path(url),
            secure: false,
            http_only: false,
            same_site: SameSite::Lax,
            expires: None,
        };
        let (mut domain, mut max_age) = (None, None);
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "domain" if !value.is_empty() => {
                    domain = Some(value.trim_start_matches('.').to_ascii_lowercase());
                }
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "secure" => cookie.secure = true,
                "httponly" => cookie.http_only = true,
                "samesite" => cookie.same_site = same_site(value),
                "expires" => cookie.expires = http_date(value).or(cookie.expires),
                "max-age" => max_age = value.parse::<i64>().ok(),
                _ => {}
            }
        }
        // Max-Age wins over Expires, whatever their order.
        if let Some(seconds) = max_age {
            cookie.expires = Some(after(seconds));
        }
        let has_domain = domain.is_some();
        if let Some(domain) = domain {
            cookie.set_domain(url, domain)?;
        }
        cookie.check(url, has_domain).map(|()| cookie)
    }

    fn set_domain(&mut self, url: &Url, domain: String) -> Result<(), CookieRefusal> {
        if domain == self.host {
            // A domain of the host's own name still opens the cookie to names below it.
            self.host_only = matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)));
            return if domain.contains('.') { Ok(()) } else { Err(CookieRefusal::PublicSuffix) };
        }
        if !self.host.ends_with(&format!(".{domain}")) {
            return Err(CookieRefusal::ForeignDomain);
        }
        if !domain.contains('.') {
            return Err(CookieRefusal::PublicSuffix);
        }
        self.host = domain;
        self.host_only = false;
        Ok(())
    }

    fn check(&self, url: &Url, has_domain: bool) -> Result<(), CookieRefusal> {
        if self.name.is_empty() && self.value.is_empty() {
            return Err(CookieRefusal::Nameless);
        }
        if self.name.len() + self.value.len() > MAX_COOKIE {
            return Err(CookieRefusal::TooLong);
        }
        if self.secure && !is_trustworthy(url) {
            return Err(CookieRefusal::SecureOverPlain);
        }
        let name = self.name.to_ascii_lowercase();
        if name.starts_with("__secure-") && !self.secure {
            return Err(CookieRefusal::SecurePrefix);
        }
        if name.starts_with("__host-") && (!self.secure || has_domain || self.path != "/") {
            return Err(CookieRefusal::HostPrefix);
        }
        if self.same_site == SameSite::None && !self.secure {
            return Err(CookieRefusal::NoneWithoutSecure);
        }
        Ok(())
    }

    pub(super) fn is_replaced_by(&self, new: &Self) -> bool {
        self.name == new.name
            && self.host == new.host
            && self.host_only == new.host_only
            && self.path == new.path
    }

    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    pub(super) fn matches_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        host == self.host || (!self.host_only && host.ends_with(&format!(".{}", self.host)))
    }

    /// Ports do not matter to cookies: RFC 6265bis section 8.5.
    pub(super) fn goes_to(&self, url: &Url) -> bool {
        let asked = url.path();
        let path_fits = asked == self.path
            || asked
                .strip_prefix(&self.path)
                .is_some_and(|rest| self.path.ends_with('/') || rest.starts_with('/'));
        self.matches_host(url.host_str().unwrap_or_default())
            && path_fits
            && (!self.secure || is_trustworthy(url))
    }

    pub(super) fn crosses(&self, crossing: Crossing) -> bool {
        match crossing {
            Crossing::None => true,
            Crossing::Navigation => self.same_site != SameSite::Strict,
            Crossing::Subrequest => self.same_site == SameSite::None,
        }
    }
}

/// RFC 6265bis section 5.1.4.
fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        Some(0) | None => "/".to_owned(),
        Some(end) => url.path()[..end].to_owned(),
    }
}

fn same_site(value: &str) -> SameSite {
    match value.to_ascii_lowercase().as_str() {
        "strict" => SameSite::Strict,
        "none" => SameSite::None,
        _ => SameSite::Lax,
    }
}

fn http_date(value: &str) -> Option<SystemTime> {
    // Rfc2822 wants an offset in digits or as `GMT`, which is what every server sends.
    OffsetDateTime::parse(value, &Rfc2822).ok().map(SystemTime::from)
}

fn after(seconds: i64) -> SystemTime {
    let now = SystemTime::now();
    match u64::try_from(seconds) {
        Ok(0) | Err(_) => SystemTime::UNIX_EPOCH,
        // RFC 6265bis section 5.5: 400 days are the most.
        Ok(seconds) => now + Duration::from_secs(seconds.min(400 * 24 * 3600)),
    }
}

/// TLS, or this very machine, which browsers trust as much.
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
}
