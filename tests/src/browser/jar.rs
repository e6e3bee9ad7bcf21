//! Cookies by the rules of RFC 6265bis: host-only or domain, prefixes, Secure, SameSite, expiry. A cookie that breaks
//! a rule is refused with the rule's name, where a real browser would say nothing.

mod cookie;

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use url::Url;

pub use cookie::{Cookie, CookieRefusal, MAX_COOKIE, SameSite};

/// Who asks, as far as SameSite wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crossing {
    /// Same site, or typed by the person.
    None,
    /// From another site, moving the whole page with a safe method.
    Navigation,
    /// From another site, otherwise.
    Subrequest,
}

/// The cookies of one profile.
#[derive(Debug, Default)]
pub struct Jar {
    cookies: Mutex<Vec<Cookie>>,
    ever: Mutex<Vec<Cookie>>,
}

impl Jar {
    /// Takes a `Set-Cookie` line from an answer of `url`.
    ///
    /// # Errors
    /// The rule that the line breaks; nothing is stored then.
    pub fn set(&self, url: &Url, line: &str) -> Result<(), CookieRefusal> {
        let cookie = Cookie::parse(url, line)?;
        self.ever.lock().unwrap_or_else(PoisonError::into_inner).push(cookie.clone());
        self.with(|cookies| {
            cookies.retain(|old| !old.is_replaced_by(&cookie));
            if !cookie.is_expired(SystemTime::now()) {
                cookies.push(cookie);
            }
        });
        Ok(())
    }

    /// Puts a cookie there as it is, as an attacker or a careful test does.
    pub fn plant(&self, cookie: Cookie) {
        self.with(|cookies| {
            cookies.retain(|old| !old.is_replaced_by(&cookie));
            cookies.push(cookie);
        });
    }

    /// The `Cookie` line for a request of the person's own to `url`.
    #[must_use]
    pub fn header(&self, url: &Url) -> Option<String> {
        self.header_for(url, Crossing::None)
    }

    pub(crate) fn header_for(&self, url: &Url, crossing: Crossing) -> Option<String> {
        let now = SystemTime::now();
        let mut sent = self.with(|cookies| {
            cookies.retain(|cookie| !cookie.is_expired(now));
            let fitting = cookies.iter().filter(|cookie| cookie.goes_to(url) && cookie.crosses(crossing));
            fitting.cloned().collect::<Vec<_>>()
        });
        // RFC 6265bis section 5.8.3: longer paths first; the sort is stable, so that older ones stay before newer.
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<_> = sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// All cookies.
    #[must_use]
    pub fn all(&self) -> Vec<Cookie> {
        self.with(|cookies| cookies.clone())
    }

    /// Every cookie that was ever set, also those that are gone.
    #[must_use]
    pub fn ever(&self) -> Vec<Cookie> {
        self.ever.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The cookies that would go to this host.
    #[must_use]
    pub fn of_host(&self, host: &str) -> Vec<Cookie> {
        self.with(|cookies| cookies.iter().filter(|cookie| cookie.matches_host(host)).cloned().collect())
    }

    /// Changes the values of a host's cookies in place, to forge or truncate them.
    pub fn tamper(&self, host: &str, change: impl Fn(&str) -> String) {
        self.with(|cookies| {
            for cookie in cookies.iter_mut().filter(|cookie| cookie.matches_host(host)) {
                cookie.value = change(&cookie.value);
            }
        });
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.with(Vec::clear);
    }

    fn with<R>(&self, f: impl FnOnce(&mut Vec<Cookie>) -> R) -> R {
        f(&mut self.cookies.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
