//! `upstreams` and `[application.upstream]`: where an application's requests go, and how they get there. Reaching it is left to
//! `forward`, what a certificate is for to `upstream_tls`.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use url::Url;

use super::document::{Section, Value};
use super::server::Limits;
use super::upstream_health::{Health, Outlier, read_health, read_outlier};
use super::upstream_tls;

/// Endpoints of one application.
const MAX_ENDPOINTS: usize = 64;
const WEIGHTS: RangeInclusive<u64> = 1..=1_000;

/// The servers behind an application.
#[derive(Debug)]
pub struct Upstream {
    /// The application's place in the file, by which each worker finds its connections.
    pub number: usize,
    /// The servers, in the order of the file.
    pub endpoints: Vec<Endpoint>,
    /// What TLS towards them needs, when one of them speaks it.
    pub tls: Option<Arc<ClientConfig>>,
    /// Which host they are told.
    pub host: UpstreamHost,
    /// What is taken off the beginning of each path; without a slash at its end.
    pub strip_prefix: Option<String>,
    /// Time to reach an endpoint.
    pub connect_timeout: Duration,
    /// Time until an answer begins, from the last byte that moved.
    pub response_timeout: Duration,
    /// How long a body or a tunnel may stand still.
    pub idle_timeout: Duration,
    /// How long a whole exchange may last; tunnels are not meant.
    pub total_timeout: Option<Duration>,
    /// The longest request body, in bytes.
    pub max_request_body: Option<u64>,
    /// How often a request that failed may be sent to another endpoint.
    pub retries: u32,
    /// How many requests in a hundred may be sent again.
    pub retry_budget_percent: u32,
    /// How long an endpoint that came back is given less than its share.
    pub slow_start: Option<Duration>,
    /// How endpoints are asked whether they are well.
    pub health: Option<Health>,
    /// When an endpoint that fails is left alone.
    pub outlier: Outlier,
}

/// One server.
#[derive(Debug)]
pub struct Endpoint {
    /// As it stands in the file: its name in logs.
    pub url: String,
    /// Where its socket is.
    pub address: Address,
    /// Host and port, as a `Host` field would name them.
    pub authority: HeaderValue,
    /// The name that its certificate must hold, when it speaks TLS.
    pub tls_name: Option<ServerName<'static>>,
    /// What is spoken on its connections.
    pub protocol: Protocol,
    /// Its share, against the weights of the others.
    pub weight: u32,
}

/// Where a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host, by name or address, and a port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// What is spoken with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, from the first byte on or agreed on in the TLS handshake: what gRPC needs.
    Http2,
}

/// Which host an endpoint is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The one that the browser used.
    Keep,
    /// The endpoint's own.
    Rewrite,
    /// Always this one.
    Fixed(HeaderValue),
}

/// Reads both keys of an application. `number` is its place in the file.
/// Whether an application must have an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    /// It is reached through us.
    Always,
    /// Other proxies may carry it alone.
    Never,
}

pub(super) fn read(
    section: &mut Section<'_, '_>,
    limits: &Limits,
    folder: &Path,
    number: usize,
    needed: Needed,
) -> Option<Upstream> {
    let list = match needed {
        Needed::Always => section.required("upstreams", "a list such as [\"http://127.0.0.1:8081\"]"),
        Needed::Never => match section.optional("upstreams") {
            None => return Some(defaults(limits, number)),
            some => some,
        },
    };
    let how = section.optional("upstream").map(|value| value.section());
    let mut upstream = defaults(limits, number);
    let mut protocol = None;
    let mut tls = upstream_tls::Files::default();
    let understood = match how {
        None => true,
        Some(None) => false,
        Some(Some(mut how)) => {
            protocol = read_protocol(&mut how);
            tls = upstream_tls::Files::read(&mut how, folder);
            read_way(&mut how, &mut upstream);
            how.finish();
            true
        }
    };
    let list = list?;
    let items = list.list();
    if items.is_empty() || items.len() > MAX_ENDPOINTS {
        list.fault(format!("needs from 1 to {MAX_ENDPOINTS} upstreams"));
        return None;
    }
    let read: Vec<Option<Endpoint>> =
        items.iter().map(|item| read_endpoint(item, protocol, tls.server_name.as_ref())).collect();
    upstream.endpoints = read.into_iter().collect::<Option<Vec<Endpoint>>>()?;
    let over_tls = upstream.endpoints.iter().find(|endpoint| endpoint.tls_name.is_some());
    upstream.tls = match over_tls {
        Some(endpoint) => Some(tls.client_config(&list, endpoint.protocol)?),
        None => tls.must_be_absent()?,
    };
    understood.then_some(upstream)
}

impl Upstream {
    /// Whether all that it consists of speak HTTP/2.
    pub(crate) fn speaks_http2(&self) -> bool {
        self.endpoints.iter().all(|endpoint| endpoint.protocol == Protocol::Http2)
    }
}

#[cfg(test)]
impl Upstream {
    /// One without a server.
    pub(crate) fn nowhere() -> Self {
        defaults(&Limits::default(), 0)
    }
}

fn defaults(limits: &Limits, number: usize) -> Upstream {
    Upstream {
        number,
        endpoints: Vec::new(),
        tls: None,
        host: UpstreamHost::Keep,
        strip_prefix: None,
        connect_timeout: limits.upstream_connect_timeout,
        response_timeout: limits.upstream_response_timeout,
        idle_timeout: limits.idle_timeout,
        total_timeout: limits.upstream_total_timeout,
        max_request_body: limits.max_request_body,
        retries: limits.upstream_retries,
        retry_budget_percent: limits.upstream_retry_budget,
        slow_start: None,
        health: None,
        outlier: Outlier::default(),
    }
}

fn read_way(how: &mut Section<'_, '_>, upstream: &mut Upstream) {
    if let Some(host) = how.optional("host").and_then(|value| read_host(&value)) {
        upstream.host = host;
    }
    upstream.strip_prefix = how.optional("strip_prefix").and_then(|value| read_prefix(&value));
    for (key, target) in [
        ("connect_timeout", &mut upstream.connect_timeout),
        ("response_timeout", &mut upstream.response_timeout),
        ("idle_timeout", &mut upstream.idle_timeout),
    ] {
        if let Some(duration) = how.optional(key).and_then(|value| value.duration()) {
            *target = duration;
        }
    }
    for (key, target) in
        [("total_timeout", &mut upstream.total_timeout), ("slow_start", &mut upstream.slow_start)]
    {
        if let Some(duration) = how.optional(key).and_then(|value| value.duration()) {
            *target = Some(duration);
        }
    }
    if let Some(bytes) = how.optional("max_request_body").and_then(|value| value.number(0..=u64::MAX)) {
        upstream.max_request_body = Some(bytes);
    }
    for (key, range, target) in [
        ("retries", 0..=10, &mut upstream.retries),
        ("retry_budget", 0..=100, &mut upstream.retry_budget_percent),
    ] {
        let number = how.optional(key).and_then(|value| value.number(range));
        if let Some(number) = number.and_then(|number| u32::try_from(number).ok()) {
            *target = number;
        }
    }
    upstream.health = how.optional("health").and_then(|value| read_health(&value));
    if let Some(outlier) = how.optional("outlier").and_then(|value| read_outlier(&value)) {
        upstream.outlier = outlier;
    }
}

fn read_protocol(how: &mut Section<'_, '_>) -> Option<Protocol> {
    let value = how.optional("protocol")?;
    match value.string()? {
        "http1" => Some(Protocol::Http1),
        "http2" => Some(Protocol::Http2),
        _ => {
            value.fault("must be \"http1\" or \"http2\"");
            None
        }
    }
}

fn read_host(value: &Value<'_, '_>) -> Option<UpstreamHost> {
    match value.string()? {
        "keep" => Some(UpstreamHost::Keep),
        "rewrite" => Some(UpstreamHost::Rewrite),
        text => {
            let authority = text.parse::<http::uri::Authority>().ok();
            let plain = authority.filter(|authority| !authority.as_str().contains('@'));
            if plain.is_none() {
                value.fault(format!("`{text}` must be \"keep\", \"rewrite\" or a host"));
            }
            Some(UpstreamHost::Fixed(HeaderValue::from_str(plain?.as_str()).ok()?))
        }
    }
}

/// A prefix is one or more whole segments, in the same normal form as the paths that it is taken off.
fn read_prefix(value: &Value<'_, '_>) -> Option<String> {
    let text = value.string()?;
    let normal = crate::route::NormalPath::parse(text).ok().filter(|normal| normal.as_str() == text);
    let prefix = normal.filter(|_| text.len() > 1 && !text.ends_with('/'));
    if prefix.is_none() {
        value.fault(format!("`{text}` must be a path such as \"/wiki\", without a slash at its end"));
    }
    prefix.map(|_| text.to_owned())
}

fn read_endpoint(
    value: &Value<'_, '_>,
    protocol: Option<Protocol>,
    pinned: Option<&ServerName<'static>>,
) -> Option<Endpoint> {
    let Some(mut section) = value.table() else { return parse_endpoint(value, 1, protocol, pinned) };
    let weight = section.optional("weight").and_then(|value| value.number(WEIGHTS)).unwrap_or(1);
    let url = section.required("url", "such as \"https://10.0.0.2:8443\"");
    section.finish();
    parse_endpoint(&url?, u32::try_from(weight).unwrap_or(1), protocol, pinned)
}

fn parse_endpoint(
    value: &Value<'_, '_>,
    weight: u32,
    wanted: Option<Protocol>,
    pinned: Option<&ServerName<'static>>,
) -> Option<Endpoint> {
    let text = value.string()?;
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') {
            value.fault(format!("`{text}` must be unix: and an absolute path, such as unix:/run/wiki.sock"));
            return None;
        }
        let protocol = wanted.unwrap_or(Protocol::Http1);
        let (address, authority) = (Address::Unix(path.into()), HeaderValue::from_static("localhost"));
        return Some(Endpoint { url: text.to_owned(), address, authority, tls_name: None, protocol, weight });
    }
    let parsed = parse_url(text);
    if parsed.is_none() {
        value.fault(format!(
            "`{text}` must be http://, https:// or h2c:// and host[:port] without path, query or user; or unix:/path"
        ));
    }
    let (scheme, host, port, authority) = parsed?;
    let protocol = match (scheme, wanted) {
        (Scheme::Http, Some(Protocol::Http2)) => {
            value.fault(format!("`{text}` speaks HTTP/1.1; write h2c:// for HTTP/2 without TLS"));
            return None;
        }
        (Scheme::H2c, Some(Protocol::Http1)) => {
            value.fault(format!("`{text}` speaks HTTP/2; write http:// for HTTP/1.1"));
            return None;
        }
        (Scheme::Http, _) => Protocol::Http1,
        (Scheme::H2c, _) => Protocol::Http2,
        (Scheme::Https, wanted) => wanted.unwrap_or(Protocol::Http1),
    };
    let own_name = || ServerName::try_from(host.clone()).ok();
    let tls_name = (scheme == Scheme::Https).then(|| pinned.cloned().or_else(own_name)).flatten();
    if scheme == Scheme::Https && tls_name.is_none() {
        value.fault(format!("`{text}`: no certificate can hold that name; give `server_name`"));
    }
    let address = Address::Tcp(host, port);
    Some(Endpoint { url: text.to_owned(), address, authority, tls_name, protocol, weight })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
    H2c,
}

/// Scheme, host to connect to, port, and both as a `Host` field names them.
fn parse_url(text: &str) -> Option<(Scheme, String, u16, HeaderValue)> {
    let (scheme, rest) = text.split_once("://")?;
    let (scheme, default) = match scheme {
        "http" => (Scheme::Http, 80),
        "h2c" => (Scheme::H2c, 80),
        "https" => (Scheme::Https, 443),
        _ => return None,
    };
    // Read as http, whose rules for hosts are those of a browser.
    let url = Url::parse(&format!("http://{rest}")).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    // The parser leaves out the port of its own scheme, which may be written all the same.
    let written = rest.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let port: u16 = url.port().or(written.filter(|port| *port == 80)).unwrap_or(default);
    let named = url.host_str()?;
    let authority = if port == default { named.to_owned() } else { format!("{named}:{port}") };
    let host = named.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((scheme, host, port, HeaderValue::try_from(authority).ok()?))
}

/// Status codes in a list.
pub(super) fn read_statuses(value: &Value<'_, '_>) -> Option<Vec<StatusCode>> {
    let one = |item: &Value<'_, '_>| {
        let number = item.number(100..=599)?;
        StatusCode::from_u16(u16::try_from(number).ok()?).ok()
    };
    let statuses: Vec<StatusCode> = value.one_or_list().iter().filter_map(one).collect();
    (!statuses.is_empty()).then_some(statuses)
}
