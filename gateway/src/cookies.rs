//! Our cookies in a request and in a response. What they mean is left to `session` and `login`.

use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// Every cookie of ours begins so. The `__Host-` prefix makes browsers refuse one that a sibling host or plain http set
/// (RFC 6265bis section 4.1.3.2).
pub(crate) const OUR_PREFIX: &str = "__Host-portcullis";

/// The session on the host that it was set for.
pub(crate) const SESSION: &str = "__Host-portcullis";

/// The token of somebody at a terminal, as their programs keep it: programs that know cookies show it to its host alone.
pub(crate) const TERMINAL: &str = "__Host-portcullis-terminal";

/// The second cookie of an application's host, where its session needs one.
pub(crate) const BINDING: &str = "__Host-portcullis-binding";

/// Begins the name of a login attempt's cookie on the auth host.
pub(crate) const ATTEMPT_PREFIX: &str = "__Host-portcullis-login-";

/// Begins the name of the cookie that binds a hand-over to the browser which asked for it, on the application's host.
pub(crate) const RETURN_PREFIX: &str = "__Host-portcullis-return-";

/// What a login that a provider's dashboard has begun is to know, on the auth host.
pub(crate) const WISH: &str = "__Host-portcullis-wish";

/// How many login cookies one browser may hold on a host; the ones beyond are cleared when another login begins.
pub(crate) const MAX_LOGINS_AT_ONCE: usize = 40;

/// The value of the only cookie of that name. Two of one name have no meaning: one of them was not set by us.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = pairs(headers).filter(|(known, _)| *known == name);
    let first = found.next()?.1;
    if found.next().is_some() { None } else { Some(first) }
}

/// Names of our cookies that begin with `prefix`.
pub(crate) fn names<'h>(headers: &'h HeaderMap, prefix: &str) -> Vec<&'h str> {
    pairs(headers).map(|(name, _)| name).filter(|name| name.starts_with(prefix)).collect()
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    // Pair by pair: what another application put into one of them says nothing about ours.
    let pairs = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| std::str::from_utf8(pair.trim_ascii()).ok()?.split_once('='))
}

/// A cookie for this host alone, gone after `max_age_s`. It comes along when another site leads here.
pub(crate) fn set(name: String, value: String, max_age_s: i64) -> Option<HeaderValue> {
    set_for_site(name, value, max_age_s, SameSite::Lax)
}

/// The same, coming along as said.
pub(crate) fn set_for_site(
    name: String,
    value: String,
    max_age_s: i64,
    same_site: SameSite,
) -> Option<HeaderValue> {
    let cookie = Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(same_site)
        .max_age(Duration::seconds(max_age_s))
        .build();
    HeaderValue::try_from(cookie.to_string()).ok()
}

/// Makes the browser forget a cookie.
pub(crate) fn clear(name: &str) -> Option<HeaderValue> {
    set(name.to_owned(), String::new(), 0)
}

/// Adds cookies to the head of a response.
pub(crate) fn append(headers: &mut HeaderMap, cookies: impl IntoIterator<Item = HeaderValue>) {
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
}

/// Takes our cookies out of a request and joins what is left into one field, as HTTP/1.1 wants it (RFC 9113 section 8.2.3).
pub(crate) fn strip_ours(headers: &mut HeaderMap) {
    if !headers.contains_key(COOKIE) {
        return;
    }
    let mut kept: Vec<u8> = Vec::new();
    for field in headers.get_all(COOKIE) {
        let foreign = field.as_bytes().split(|byte| *byte == b';').filter(|pair| !is_ours(pair));
        for pair in foreign.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()) {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    headers.remove(COOKIE);
    if let (false, Ok(value)) = (kept.is_empty(), HeaderValue::from_bytes(&kept)) {
        headers.insert(COOKIE, value);
    }
}

fn is_ours(pair: &[u8]) -> bool {
    let name = pair.trim_ascii_start();
    name.get(..OUR_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(OUR_PREFIX.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_str(field).unwrap());
        }
        headers
    }

    #[test]
    fn t76_a_name_that_comes_twice_has_no_value() {
        assert_eq!(only(&headers(&["a=1; __Host-portcullis=x"]), SESSION), Some("x"));
        assert_eq!(only(&headers(&["__Host-portcullis=x; __Host-portcullis=y"]), SESSION), None);
        assert_eq!(only(&headers(&["__Host-portcullis=x", "__Host-portcullis=x"]), SESSION), None);
        assert_eq!(only(&headers(&["__Host-Portcullis=x"]), SESSION), None);
    }

    /// What is cut off around a pair is the same for reading as for taking out, or a session would be read and passed on.
    #[test]
    fn t35_a_space_of_another_alphabet_is_part_of_a_name() {
        let mut request = HeaderMap::new();
        request.append(COOKIE, HeaderValue::from_bytes("a=1; \u{85}__Host-portcullis=x".as_bytes()).unwrap());
        assert_eq!(only(&request, SESSION), None);
    }

    #[test]
    fn a_foreign_cookie_that_is_no_text_hides_nothing() {
        let mut request = HeaderMap::new();
        request.append(COOKIE, HeaderValue::from_bytes(b"n=\xff; __Host-portcullis=x").unwrap());
        assert_eq!(only(&request, SESSION), Some("x"));
    }

    #[test]
    fn t35_our_cookies_go_and_others_stay() {
        let mut request = headers(&[
            "a=1; __Host-portcullis=x; b=2;",
            "__HOST-PORTCULLIS-login-1=y",
            "c=__Host-portcullis=3",
        ]);
        strip_ours(&mut request);
        let left: Vec<_> = request.get_all(COOKIE).iter().collect();
        assert_eq!(left, ["a=1; b=2; c=__Host-portcullis=3"]);
        let mut only_ours = headers(&["__Host-portcullis=x"]);
        strip_ours(&mut only_ours);
        assert!(!only_ours.contains_key(COOKIE));
    }

    #[test]
    fn a_cookie_obeys_the_host_prefix() {
        let cookie = set(SESSION.to_owned(), "value".to_owned(), 60).unwrap();
        assert_eq!(cookie, "__Host-portcullis=value; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60");
    }
}
