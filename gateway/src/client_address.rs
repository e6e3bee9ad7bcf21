//! Whom we judge: the peer of the socket, or, when that is a trusted proxy, the client that it names. Nobody else's word about
//! addresses counts, and a trusted proxy that gives none, or two, ends the request: judging its own address instead would let
//! everybody in whom a rule about addresses lets in.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How many proxies a request may have come through, as the trusted ones tell.
pub(crate) const MAX_HOPS: usize = 32;

/// Why a trusted proxy's request has no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("the proxy in front does not tell the client's address")]
    Untold,
    #[error("the proxy in front tells the client's address in a form that is none")]
    Unreadable,
    #[error("`X-Forwarded-For` and `Forwarded` tell different clients")]
    Contradiction,
    #[error("the request came through more than {MAX_HOPS} proxies")]
    TooManyHops,
}

/// The client of a request that came from `peer`.
pub(crate) fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    trusts: impl Fn(IpAddr) -> bool,
) -> Result<IpAddr, AddressError> {
    if !trusts(peer) {
        return Ok(peer);
    }
    let plain = texts(headers, &FORWARDED_FOR)?;
    let plain = rightmost(plain.iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim), &trusts)?;
    let standard = texts(headers, &FORWARDED)?;
    // An open quotation, or an escaped end of one, would swallow what the next proxy has appended.
    if standard.iter().any(|line| line.contains('\\') || line.matches('"').count() % 2 != 0) {
        return Err(AddressError::Unreadable);
    }
    let elements: Vec<&str> = standard.iter().flat_map(|line| split_outside_quotes(line, ',')).collect();
    let standard = rightmost(elements.iter().rev().map(|element| node(element)), &trusts)?;
    match (plain, standard) {
        (Some(plain), Some(standard)) if plain != standard => Err(AddressError::Contradiction),
        (Some(client), _) | (None, Some(client)) => Ok(client),
        (None, None) => Err(AddressError::Untold),
    }
}

fn texts<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Vec<&'h str>, AddressError> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str());
    lines.collect::<Result<_, _>>().map_err(|_| AddressError::Unreadable)
}

/// The nearest address that is no trusted proxy; the farthest when all are. What stands beyond it was written by nobody we trust,
/// and is not even read.
fn rightmost<'t>(
    nearest_first: impl Iterator<Item = &'t str>,
    trusts: impl Fn(IpAddr) -> bool,
) -> Result<Option<IpAddr>, AddressError> {
    let mut farthest = None;
    for (hop, text) in nearest_first.enumerate() {
        if hop >= MAX_HOPS {
            return Err(AddressError::TooManyHops);
        }
        let address = parse(text).ok_or(AddressError::Unreadable)?;
        farthest = Some(address);
        if !trusts(address) {
            break;
        }
    }
    Ok(farthest)
}

/// An address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address = text.parse::<IpAddr>().ok().or_else(bracketed).or_else(with_port);
    address.map(|address| address.to_canonical())
}

/// The `for` of one element of `Forwarded` (RFC 7239 section 4). Nothing that is an address when there is none, or two.
fn node(element: &str) -> &str {
    let pairs = split_outside_quotes(element, ';').filter_map(|pair| pair.trim().split_once('='));
    let mut named = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for")).map(|(_, value)| value);
    match (named.next(), named.next()) {
        (Some(only), None) => only.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(only),
        _ => "",
    }
}

/// Addresses hold no escapes, so a backslash needs no meaning here: it makes the address none.
fn split_outside_quotes(text: &str, mark: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        quoted ^= character == '"';
        character == mark && !quoted
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::Networks;

    fn judged(peer: &str, fields: &[(&'static str, &str)]) -> Result<String, AddressError> {
        let trusted: Networks =
            ["10.0.0.0/8", "fd00::/8"].into_iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let client = client_address(peer.parse().unwrap(), &headers, |address| trusted.contains(address));
        client.map(|client| client.to_string())
    }

    const PLAIN: &str = "x-forwarded-for";
    const STANDARD: &str = "forwarded";

    #[test]
    fn t26_only_a_trusted_peer_is_believed() {
        for fields in [&[(PLAIN, "192.0.2.1")][..], &[(STANDARD, "for=192.0.2.1")], &[(PLAIN, "nonsense")]] {
            assert_eq!(judged("203.0.113.9", fields).as_deref(), Ok("203.0.113.9"));
        }
        assert_eq!(judged("10.0.0.1", &[(PLAIN, "192.0.2.1")]).as_deref(), Ok("192.0.2.1"));
        assert_eq!(judged("::ffff:10.0.0.1", &[(PLAIN, "192.0.2.1")]).as_deref(), Ok("192.0.2.1"));
        assert_eq!(judged("10.0.0.1", &[(STANDARD, "for=192.0.2.1;proto=http")]).as_deref(), Ok("192.0.2.1"));
    }

    #[test]
    fn t26_what_a_client_made_up_stands_left_of_what_counts() {
        let chain = |text: &str| judged("10.0.0.1", &[(PLAIN, text)]);
        assert_eq!(chain("1.1.1.1, 192.0.2.1").as_deref(), Ok("192.0.2.1"));
        assert_eq!(chain("nonsense, 192.0.2.1, 10.1.1.1").as_deref(), Ok("192.0.2.1"));
        assert_eq!(chain("10.9.9.9, 10.1.1.1").as_deref(), Ok("10.9.9.9"), "a client among the proxies");
        let lines = [(PLAIN, "1.1.1.1"), (PLAIN, "192.0.2.1")];
        assert_eq!(judged("10.0.0.1", &lines).as_deref(), Ok("192.0.2.1"));
        let elements = "for=1.1.1.1, for=\"[2001:db8::1]:4711\";host=\"a,b\", for=10.0.0.2";
        assert_eq!(judged("10.0.0.1", &[(STANDARD, elements)]).as_deref(), Ok("2001:db8::1"));
        assert_eq!(chain("192.0.2.1:4711").as_deref(), Ok("192.0.2.1"));
        assert_eq!(chain("::ffff:192.0.2.1").as_deref(), Ok("192.0.2.1"));
    }

    #[test]
    fn t53_a_proxy_that_names_no_client_is_not_judged_in_its_place() {
        assert_eq!(judged("10.0.0.1", &[]), Err(AddressError::Untold));
        for text in ["", "unknown", "192.0.2.1, unknown", "_hidden", "192.0.2.1;", "192.0.2.256", "[::1"] {
            assert_eq!(judged("10.0.0.1", &[(PLAIN, text)]), Err(AddressError::Unreadable), "{text}");
        }
        for text in
            ["for=unknown", "proto=https", "for=192.0.2.1;for=192.0.2.1", "for=\"192.0.2.1", "for=\"\\1\""]
        {
            assert_eq!(judged("10.0.0.1", &[(STANDARD, text)]), Err(AddressError::Unreadable), "{text}");
        }
        for made_up in ["for=1.1.1.1;x=\"", "for=1.1.1.1;x=\"\\\"\"", "for=1.1.1.1;x=\"\\\\\""] {
            for appended in ["for=192.0.2.1", "for=\"[2001:db8::1]\""] {
                let line = format!("{made_up}, {appended}");
                assert_eq!(judged("10.0.0.1", &[(STANDARD, &line)]), Err(AddressError::Unreadable), "{line}");
            }
        }
        let both = [(PLAIN, "192.0.2.1"), (STANDARD, "for=192.0.2.2")];
        assert_eq!(judged("10.0.0.1", &both), Err(AddressError::Contradiction));
        let agreed = [(PLAIN, "192.0.2.1"), (STANDARD, "for=192.0.2.1")];
        assert_eq!(judged("10.0.0.1", &agreed).as_deref(), Ok("192.0.2.1"));
    }

    #[test]
    fn a_chain_at_its_limit_and_one_longer() {
        let chain = |trusted: usize| format!("192.0.2.1{}", ", 10.0.0.2".repeat(trusted));
        assert_eq!(judged("10.0.0.1", &[(PLAIN, &chain(MAX_HOPS - 1))]).as_deref(), Ok("192.0.2.1"));
        assert_eq!(judged("10.0.0.1", &[(PLAIN, &chain(MAX_HOPS))]), Err(AddressError::TooManyHops));
    }
}
