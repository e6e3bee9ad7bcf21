//! The request as an endpoint gets it: the judged target, without a prefix that is taken off, and the host as configured. Which
//! headers it has besides is left to `headers`.

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderName, HeaderValue, Request};

use super::ForwardError;
use crate::config::{Endpoint, Protocol, Upstream, UpstreamHost};
use crate::route::Canonical;

const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Path and query for the upstream: the bytes that were judged. `Location` and other addresses in answers are left as they are.
pub(super) fn target(
    canonical: &Canonical,
    raw: &Uri,
    upstream: &Upstream,
) -> Result<PathAndQuery, ForwardError> {
    let judged = canonical.path.as_str();
    let (path, query) = (without_prefix(judged, upstream)?, canonical.query.as_deref());
    // Nearly every request came in its normal form already, and then nothing is copied.
    let same = raw.path() == path && raw.query() == query;
    if let Some(as_it_came) = raw.path_and_query().filter(|_| same) {
        return Ok(as_it_came.clone());
    }
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::from_maybe_shared(text).map_err(|error| ForwardError::Request(error.into()))
}

/// A path outside the prefix is refused: what lies there would have two names, and be judged by one.
fn without_prefix<'p>(judged: &'p str, upstream: &Upstream) -> Result<&'p str, ForwardError> {
    let Some(prefix) = &upstream.strip_prefix else { return Ok(judged) };
    match judged.strip_prefix(prefix.as_str()) {
        Some("") => Ok("/"),
        Some(rest) if rest.starts_with('/') => Ok(rest),
        _ => Err(ForwardError::OutsidePrefix),
    }
}

/// Says what was taken off.
pub(super) fn tell_prefix<B>(request: &mut Request<B>, upstream: &Upstream) {
    let prefix = upstream.strip_prefix.as_deref().and_then(|prefix| HeaderValue::from_str(prefix).ok());
    if let Some(prefix) = prefix {
        request.headers_mut().insert(FORWARDED_PREFIX, prefix);
    }
}

/// Names target and host in the way of the endpoint's protocol. `host` is the one that the browser used.
pub(super) fn address<B>(
    request: &mut Request<B>,
    target: &PathAndQuery,
    host: &HeaderValue,
    endpoint: &Endpoint,
    upstream: &Upstream,
) -> Result<(), ForwardError> {
    let host = match &upstream.host {
        UpstreamHost::Keep => host,
        UpstreamHost::Rewrite => &endpoint.authority,
        UpstreamHost::Fixed(host) => host,
    };
    *request.uri_mut() = match endpoint.protocol {
        Protocol::Http1 => {
            request.headers_mut().insert(HOST, host.clone());
            Uri::from(target.clone())
        }
        Protocol::Http2 => {
            request.headers_mut().remove(HOST);
            let scheme = if endpoint.tls_name.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
            let authority = Authority::try_from(host.as_bytes()).map_err(http::Error::from)?;
            Uri::builder().scheme(scheme).authority(authority).path_and_query(target.clone()).build()?
        }
    };
    Ok(())
}
