//! One canonical request: method, host and path in their one meaning; or the end of the request. Which application they name is
//! found by `table`, what may be done there is left to `authorize`.

use std::sync::Arc;

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Version};
use hyper::ext::Protocol;
use portcullis_policy::ApplicationId;

mod path;
mod pattern;
mod table;

pub(crate) use path::NormalPath;
pub(crate) use path::PathError;
pub(crate) use pattern::PathPattern;
pub(crate) use table::Routes;

use crate::client_address::AddressError;
use crate::config::Application;
use crate::host::Host;
use crate::metrics;

/// Our own paths on every host.
pub(crate) const RESERVED_PREFIX: &str = "/cdn-cgi/access/";

/// What every later stage works with: nobody looks at the raw target again.
#[derive(Debug)]
pub(crate) struct Canonical {
    pub(crate) method: Method,
    pub(crate) host: Host,
    pub(crate) path: NormalPath,
    /// Without the `?`; an empty query is none.
    pub(crate) query: Option<String>,
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    /// Our own endpoints, on the auth host.
    AuthHost,
    /// Our own endpoints, on the host of an application.
    ApplicationHost,
    /// An application.
    Application(Arc<Target>),
}

/// An application and its number in the policies.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) application: Arc<Application>,
    pub(crate) id: ApplicationId,
    /// What is counted of it.
    pub(crate) figures: Arc<metrics::Application>,
}

/// Why a request has no single meaning, or none here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("{0}")]
    Path(#[from] PathError),
    #[error("the request names no host, or more than one")]
    HostCount,
    #[error("{0}")]
    Address(#[from] AddressError),
    #[error("the host is not a name with an optional port")]
    HostForm,
    #[error("the request target and the `Host` field name different hosts")]
    HostsDiffer,
    #[error("the request target must be a path")]
    TargetForm,
    #[error("the method is not served here")]
    Method,
    #[error("the transfer encoding is not exactly `chunked`")]
    TransferEncoding,
    #[error("no application lives on this host")]
    UnknownHost,
    #[error("the TLS name is another than the host, and no application lives there")]
    Misdirected,
    #[error("the request has too many header fields")]
    FieldCount,
    #[error("the connection was opened under other rules about client certificates than the host's")]
    TlsPolicy,
    #[error("no application of this host covers the path")]
    UnknownPath,
    #[error("the path could be read as one of another application of this host")]
    TwoApplications,
}

impl Canonical {
    /// A request that another proxy tells of, under the rules of one that comes directly.
    pub(crate) fn told(method: &str, authority: &str, target: &str) -> Result<Self, RouteError> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| RouteError::Method)?;
        let method = registered(&method)?;
        let (host, _) = parse_authority(authority)?;
        if !target.starts_with('/') {
            return Err(RouteError::TargetForm);
        }
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path = NormalPath::parse(path)?;
        // The parser of direct requests would cut a fragment off, and refuses what is no byte of a query.
        if target.contains('#') || PathAndQuery::try_from(target).is_err() {
            return Err(RouteError::TargetForm);
        }
        Ok(Self { method, host, path, query: query.filter(|query| !query.is_empty()).map(str::to_owned) })
    }
}

impl Canonical {
    /// What a request means, wherever it goes.
    pub(crate) fn of(head: &Parts) -> Result<Self, RouteError> {
        canonicalise(head)
    }
}

fn canonicalise(head: &Parts) -> Result<Canonical, RouteError> {
    let method = allowed_method(head)?;
    check_framing(head)?;
    let host = only_host(head)?;
    // `OPTIONS *` and the authority form of CONNECT end here (RFC 9112 section 3.2).
    let path = head.uri.path();
    if !path.starts_with('/') {
        return Err(RouteError::TargetForm);
    }
    let path = NormalPath::parse(path)?;
    let query = head.uri.query().filter(|query| !query.is_empty()).map(str::to_owned);
    Ok(Canonical { method, host, path, query })
}

/// A WebSocket over HTTP/2 comes as a CONNECT (RFC 8441 section 4), and is the GET that it is over HTTP/1.1.
fn allowed_method(head: &Parts) -> Result<Method, RouteError> {
    if head.method == Method::CONNECT && head.version == Version::HTTP_2 {
        let protocol = head.extensions.get::<Protocol>().map(Protocol::as_str);
        return if protocol == Some("websocket") { Ok(Method::GET) } else { Err(RouteError::Method) };
    }
    registered(&head.method)
}

/// The registered methods with a meaning for an application; `get` is not `GET` (RFC 9110 section 9.1).
fn registered(method: &Method) -> Result<Method, RouteError> {
    const ALLOWED: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    if ALLOWED.contains(method) { Ok(method.clone()) } else { Err(RouteError::Method) }
}

/// hyper settles Content-Length against Transfer-Encoding by itself; what it passes on unread beside `chunked` does not pass here.
fn check_framing(head: &Parts) -> Result<(), RouteError> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(RouteError::TransferEncoding),
    }
}

/// The one host that the request names (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
fn only_host(head: &Parts) -> Result<Host, RouteError> {
    let field = host_field(&head.headers)?;
    let target = head.uri.authority().map(|authority| parse_authority(authority.as_str())).transpose()?;
    match (target, field) {
        (Some(target), Some(field)) if target != field => Err(RouteError::HostsDiffer),
        (Some(target), Some(_)) => Ok(target.0),
        (Some(target), None) if head.version >= Version::HTTP_2 => Ok(target.0),
        (None, Some(field)) => Ok(field.0),
        _ => Err(RouteError::HostCount),
    }
}

fn host_field(headers: &HeaderMap) -> Result<Option<(Host, Option<u16>)>, RouteError> {
    let mut fields = headers.get_all(HOST).iter();
    let Some(first) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(RouteError::HostCount);
    }
    let text = first.to_str().map_err(|_| RouteError::HostForm)?;
    parse_authority(text).map(Some)
}

/// A name and an optional port in plain decimal; no user, no trailing dot, no leading zero.
fn parse_authority(text: &str) -> Result<(Host, Option<u16>), RouteError> {
    let (name, port) = match text.split_once(':') {
        Some((name, digits)) => (name, Some(parse_port(digits).ok_or(RouteError::HostForm)?)),
        None => (text, None),
    };
    let host = name.parse().map_err(|_| RouteError::HostForm)?;
    Ok((host, port))
}

fn parse_port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn canonical(request: http::request::Builder) -> Result<Canonical, RouteError> {
        canonicalise(&request.body(()).unwrap().into_parts().0)
    }

    fn with_host(host: &str) -> Result<Canonical, RouteError> {
        canonical(Request::get("/a?b=c").header("host", host))
    }

    #[test]
    fn t17_t18_one_form_of_the_host() {
        assert_eq!(with_host("WIKI.corp.example:8443").unwrap().host.as_str(), "wiki.corp.example");
        for wrong in
            ["wiki.", "wiki:0443", "wiki:", "wiki:99999", "a@wiki", "wiki:+1", "[::1]", "a;b", "", "wiki/x"]
        {
            assert_eq!(with_host(wrong).unwrap_err(), RouteError::HostForm, "{wrong}");
        }
    }

    #[test]
    fn t12_t19_all_names_of_the_host_must_agree() {
        let two = Request::get("/").header("host", "a").header("host", "a");
        assert_eq!(canonical(two).unwrap_err(), RouteError::HostCount);
        assert_eq!(canonical(Request::get("/")).unwrap_err(), RouteError::HostCount);
        let absolute = Request::get("http://other/admin").header("host", "open");
        assert_eq!(canonical(absolute).unwrap_err(), RouteError::HostsDiffer);
        let http2 = Request::get("https://a/").version(Version::HTTP_2);
        assert_eq!(canonical(http2).unwrap().host.as_str(), "a");
        let differs = Request::get("https://a/").version(Version::HTTP_2).header("host", "b");
        assert_eq!(canonical(differs).unwrap_err(), RouteError::HostsDiffer);
    }

    #[test]
    fn t13_t52_only_known_methods_and_paths() {
        for method in ["get", "CONNECT", "TRACE", "PROPFIND", "FOO"] {
            let request = Request::builder().method(method).uri("/").header("host", "a");
            assert_eq!(canonical(request).unwrap_err(), RouteError::Method, "{method}");
        }
        let star = Request::builder().method("OPTIONS").uri("*").header("host", "a");
        assert_eq!(canonical(star).unwrap_err(), RouteError::TargetForm);
    }

    #[test]
    fn t39_the_transfer_encoding_is_exactly_chunked() {
        let with = |values: &[&str]| {
            let request = Request::post("/").header("host", "a");
            canonical(
                values.iter().fold(request, |request, value| request.header("transfer-encoding", *value)),
            )
        };
        assert!(with(&["chunked"]).is_ok() && with(&["Chunked"]).is_ok());
        for wrong in [&["gzip, chunked"][..], &["chunked", "chunked"], &["chunked, identity"], &["chunked\t"]]
        {
            assert_eq!(with(wrong).unwrap_err(), RouteError::TransferEncoding, "{wrong:?}");
        }
    }

    #[test]
    fn t08_the_query_is_no_part_of_the_path() {
        let request = canonical(Request::get("/admin?x=/public").header("host", "a")).unwrap();
        assert_eq!((request.path.as_str(), request.query.as_deref()), ("/admin", Some("x=/public")));
    }
}
