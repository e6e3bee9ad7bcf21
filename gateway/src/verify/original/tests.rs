use http::{HeaderValue, Method, Request};

use super::*;
use crate::route::PathError;

fn outer(method: &Method, target: &str) -> Canonical {
    Canonical::told(method.as_str(), "wiki.corp.example", target).unwrap()
}

fn head(fields: &[(&'static str, &str)]) -> Parts {
    let mut head = Request::new(()).into_parts().0;
    for (name, value) in fields {
        head.headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    head
}

/// `METHOD host path?query`, and who asks.
fn told(fields: &[(&'static str, &str)]) -> Result<(String, Asker), OriginalError> {
    told_at(None, fields)
}

fn told_at(beyond: Option<&str>, fields: &[(&'static str, &str)]) -> Result<(String, Asker), OriginalError> {
    let outer = outer(&Method::GET, "/cdn-cgi/access/verify?q=1");
    let Original { canonical, asker } = original(&head(fields), &outer, beyond)?;
    let query = canonical.query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok((format!("{} {} {}{query}", canonical.method, canonical.host, canonical.path), asker))
}

const FORWARDED: [(&str, &str); 4] = [
    ("x-forwarded-method", "POST"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "Wiki.corp.example:8443"),
    ("x-forwarded-uri", "/a/b?c=d"),
];
const ORIGINAL: [(&str, &str); 2] =
    [("x-original-method", "POST"), ("x-original-url", "https://Wiki.corp.example:8443/a/b?c=d")];

fn with(
    base: &[(&'static str, &'static str)],
    more: (&'static str, &'static str),
) -> Vec<(&'static str, &'static str)> {
    base.iter().copied().chain([more]).collect()
}

fn instead(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let forwarded = FORWARDED.iter().chain(&ORIGINAL);
    let sibling: Vec<_> = if name.starts_with("x-f") { FORWARDED.to_vec() } else { ORIGINAL.to_vec() };
    assert!(forwarded.map(|(known, _)| known).any(|known| *known == name));
    sibling.into_iter().map(|(known, old)| (known, if known == name { value } else { old })).collect()
}

#[test]
fn each_proxys_way_of_telling_is_understood() {
    let same = "POST wiki.corp.example /a/b?c=d".to_owned();
    assert_eq!(told(&FORWARDED), Ok((same.clone(), Asker::Relays)));
    assert_eq!(told(&ORIGINAL), Ok((same.clone(), Asker::ReadsStatus)));
    let all: Vec<_> = FORWARDED.into_iter().chain(ORIGINAL).collect();
    assert_eq!(told(&all), Ok((same, Asker::ReadsStatus)), "told twice, alike");
    let envoy = told_at(Some("/a/b"), &[("x-forwarded-proto", "https")]);
    assert_eq!(envoy, Ok(("GET wiki.corp.example /a/b?q=1".to_owned(), Asker::Relays)));
    assert!(told(&instead("x-forwarded-proto", "wss")).is_ok());
}

#[test]
fn t26_what_is_told_in_two_ways_that_differ_is_refused() {
    for (field, what) in [
        (("x-original-url", "https://wiki.corp.example:8443/admin"), "host"),
        (("x-original-url", "https://Wiki.corp.example:8443/admin"), "path"),
        (("x-original-url", "http://Wiki.corp.example:8443/a/b?c=d"), "scheme"),
        (("x-original-method", "GET"), "method"),
        (("x-original-uri", "/a/b"), "path"),
    ] {
        assert_eq!(told(&with(&FORWARDED, field)), Err(OriginalError::Differs(what)), "{field:?}");
    }
    for (name, value) in FORWARDED.into_iter().chain(ORIGINAL) {
        let base = if name.starts_with("x-f") { FORWARDED.to_vec() } else { ORIGINAL.to_vec() };
        let twice = told(&with(&base, (name, value)));
        assert_eq!(twice, Err(OriginalError::Unreadable(name)), "the same field twice, even alike");
    }
    let envoy = |name, value| told_at(Some("/a/b"), &[(name, value)]).unwrap_err();
    assert_eq!(envoy("x-forwarded-uri", "/admin"), OriginalError::Differs("path"));
    assert_eq!(envoy("x-forwarded-host", "other.corp.example"), OriginalError::Differs("host"));
    assert_eq!(envoy("x-forwarded-method", "POST"), OriginalError::Differs("method"));
}

#[test]
fn what_is_not_told_is_not_guessed() {
    for (left_out, what) in
        [("x-forwarded-method", "method"), ("x-forwarded-host", "host"), ("x-forwarded-uri", "path")]
    {
        let rest: Vec<_> = FORWARDED.into_iter().filter(|(name, _)| *name != left_out).collect();
        assert_eq!(told(&rest), Err(OriginalError::Untold(what)));
    }
    assert_eq!(told(&[]), Err(OriginalError::Untold("method")));
    assert_eq!(told(&[("x-original-method", "GET")]), Err(OriginalError::Untold("host")));
}

#[test]
fn t11_what_has_no_single_meaning_is_refused_as_if_it_came_directly() {
    let path = |target| told(&instead("x-forwarded-uri", target)).unwrap_err();
    for (target, error) in [
        ("/public/../admin", PathError::DotSegment),
        ("/public/%2e%2e/admin", PathError::DotSegment),
        ("/%zz", PathError::BadEscape),
        ("/%", PathError::BadEscape),
        ("/%c0%af", PathError::NotUtf8),
        ("/%00", PathError::EncodedControl),
        ("/a#/../b", PathError::RawByte),
        ("/a b", PathError::RawByte),
    ] {
        assert_eq!(path(target), OriginalError::Route(RouteError::Path(error)), "{target}");
    }
    for target in ["", "a", "https://wiki.corp.example/a", "/a?b#c", "/a?b c", "*"] {
        assert_eq!(path(target), OriginalError::Route(RouteError::TargetForm), "{target}");
    }
    for host in ["", "a@wiki.corp.example", "wiki.corp.example, other", "wiki.corp.example.", "[::1]"] {
        let error = told(&instead("x-forwarded-host", host)).unwrap_err();
        assert_eq!(error, OriginalError::Route(RouteError::HostForm), "{host}");
    }
    for method in ["get", "CONNECT", "", "GET, POST"] {
        let error = told(&instead("x-forwarded-method", method)).unwrap_err();
        assert_eq!(error, OriginalError::Route(RouteError::Method), "{method}");
    }
    for scheme in ["http", "ws", "https,http", ""] {
        assert_eq!(told(&instead("x-forwarded-proto", scheme)), Err(OriginalError::Insecure), "{scheme}");
    }
    for url in ["/a/b", "https:/wiki.corp.example/a", "https://wiki.corp.example", ""] {
        let error = told(&instead("x-original-url", url)).unwrap_err();
        assert_eq!(error, OriginalError::Unreadable(ORIGINAL_URL), "{url}");
    }
    assert_eq!(told(&instead("x-forwarded-uri", "/\u{e9}")), Err(OriginalError::Unreadable(TARGET)));
}
