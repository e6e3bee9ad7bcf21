//! `[server]`, `[store]` and `[limits]`: what concerns the process as a whole.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use portcullis_store::Secret;

use super::document::{Section, Value};
use super::networks::{Networks, read_networks};
use super::policy::networks;
use super::provider::read_secret;
use crate::host::Host;

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where the public TLS listeners are.
    pub listen: Vec<SocketAddr>,
    /// Where health is answered; never the public listener.
    pub inner_listen: SocketAddr,
    /// The host that carries login for all applications.
    pub auth_host: Host,
    /// The port that browsers use, when it differs from the listener's.
    pub public_port: u16,
    /// Networks of the balancers that speak the PROXY protocol, and must; from nobody else it is read.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Proxies in front of us, whose word about the client's address counts.
    pub trusted_proxies: Networks,
    /// Proxies that may ask whether a request of theirs may pass.
    pub forward_auth_from: Networks,
    /// What they prove with that it is they who ask, and not a client whose request they pass on.
    pub forward_auth_secret: Option<Secret<String>>,
    /// Data-plane threads, each with its own listener and upstream connections.
    pub workers: usize,
}

impl Server {
    /// Whether a peer is a proxy of ours, whose word about the client's address counts.
    pub(crate) fn is_proxy(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.contains(peer) || self.forward_auth_from.contains(peer)
    }
}

/// `[limits]`: everything that a peer controls has a bound.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open client connections, over all listeners.
    pub connections: usize,
    /// Open client connections from one address.
    pub connections_per_address: usize,
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Time for a request head; also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// Size of a request head, in bytes.
    pub header_bytes: usize,
    /// Number of header fields in a request.
    pub header_count: usize,
    /// Streams at once on one HTTP/2 connection.
    pub http2_streams: u32,
    /// Open connections to one upstream, over all workers.
    pub upstream_connections: usize,
    /// Exchanges of one person with one application at once; none is a tenth of `upstream_connections`, from 16 to 256.
    pub upstream_connections_per_person: Option<usize>,
    /// Time to reach an upstream.
    pub upstream_connect_timeout: Duration,
    /// Time until an upstream begins its answer.
    pub upstream_response_timeout: Duration,
    /// How long a whole exchange with an upstream may last.
    pub upstream_total_timeout: Option<Duration>,
    /// How often a request that failed may be sent to another endpoint.
    pub upstream_retries: u32,
    /// How many requests in a hundred may be sent again.
    pub upstream_retry_budget: u32,
    /// The longest request body, in bytes.
    pub max_request_body: Option<u64>,
    /// How long a body or a tunnel may stand still, either way, and how long a peer may read nothing.
    pub idle_timeout: Duration,
    /// What a client must send of a request body while it is waited for, and take of an answer while it holds it up: bytes a
    /// second, on average. 0 is anything.
    pub minimum_rate: u64,
    /// Time for one call to an identity provider.
    pub provider_timeout: Duration,
    /// Login pages, callbacks and refused SCIM keys per minute and address.
    pub login_per_minute: u32,
    /// Requests per second and address; a burst of as many.
    pub requests_per_address: u32,
    /// Requests to applications per second and person; a burst of as many.
    pub requests_per_person: u32,
    /// How long open requests may finish after a stop was asked for.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 2_000,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            header_bytes: 64 * 1024,
            header_count: 100,
            http2_streams: 128,
            upstream_connections: 4_096,
            upstream_connections_per_person: None,
            upstream_connect_timeout: Duration::from_secs(5),
            upstream_response_timeout: Duration::from_secs(60),
            upstream_total_timeout: None,
            upstream_retries: 1,
            upstream_retry_budget: 20,
            max_request_body: None,
            idle_timeout: Duration::from_secs(120),
            minimum_rate: 100,
            provider_timeout: Duration::from_secs(10),
            login_per_minute: 600,
            requests_per_address: 5_000,
            requests_per_person: 1_000,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

const MAX_WORKERS: u64 = 256;
/// Shorter ones can be guessed.
const MIN_SECRET_BYTES: usize = 16;

pub(super) fn read_server(root: &mut Section<'_, '_>, folder: &Path) -> Option<Server> {
    let mut section = root.required("server", "it says where to listen")?.section()?;
    let listen = section.required("listen", "a list such as [\"127.0.0.1:8443\"]").map(|value| {
        let addresses: Vec<SocketAddr> = value.list().iter().filter_map(Value::parsed).collect();
        if addresses.is_empty() {
            value.fault("needs at least one address");
        }
        addresses
    });
    let auth_host = section.required("auth_host", "the host that carries login for all applications");
    let auth_host = auth_host.and_then(|value| value.parsed::<Host>());
    let inner_listen = section
        .required("inner_listen", "the address for health, such as \"127.0.0.1:9443\"")
        .and_then(|value| {
            let address: SocketAddr = value.parsed()?;
            if listen.as_ref().is_some_and(|public| address.port() != 0 && public.contains(&address)) {
                value.fault("must differ from every `server.listen`: health is never on the public listener");
            }
            Some(address)
        });
    let public_port = section.optional("public_port").and_then(|value| value.number(1..=65_535));
    let trusted_proxies = section.optional("trusted_proxies").map(|value| read_networks(&value));
    let forward_auth_from = section.optional("forward_auth_from").map(|value| read_networks(&value));
    let forward_auth_secret = read_asking_secret(&mut section, folder, forward_auth_from.is_some());
    let workers = section.optional("workers").and_then(|value| value.number(1..=MAX_WORKERS));
    let proxy_protocol_from = section.optional("proxy_protocol_from").map(|value| read_proxies(&value));
    section.finish();
    let listen = listen?;
    let first_port = listen.first()?.port();
    Some(Server {
        inner_listen: inner_listen?,
        auth_host: auth_host?,
        public_port: public_port.and_then(|port| u16::try_from(port).ok()).unwrap_or(first_port),
        trusted_proxies: trusted_proxies.unwrap_or_default(),
        forward_auth_from: forward_auth_from.unwrap_or_default(),
        forward_auth_secret,
        workers: workers.and_then(|count| usize::try_from(count).ok()).unwrap_or_else(cores),
        proxy_protocol_from: proxy_protocol_from.unwrap_or_default(),
        listen,
    })
}

/// The peer alone does not say who asks: a proxy passes on what clients send, also to this address.
fn read_asking_secret(section: &mut Section<'_, '_>, folder: &Path, wanted: bool) -> Option<Secret<String>> {
    let value = section.optional("forward_auth_secret");
    if value.is_none() && wanted {
        section.fault("`forward_auth_from` needs `forward_auth_secret`: what the proxies prove with that it is they who ask");
    }
    let secret = value.as_ref().and_then(|value| read_secret(value, folder))?;
    if secret.expose().len() < MIN_SECRET_BYTES {
        section.fault(format!("`forward_auth_secret` needs {MIN_SECRET_BYTES} characters at least"));
    }
    Some(secret)
}

/// Whoever may tell an address may tell any, so nobody can mean everybody.
fn read_proxies(value: &Value<'_, '_>) -> Vec<IpNet> {
    let networks = networks(value).unwrap_or_default();
    if networks.iter().any(|network| network.prefix_len() == 0) {
        value.fault("would let everybody choose the address that they are judged by: name the balancers");
    }
    networks
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How long open streams stand still when the store does not answer.
const DEFAULT_FREEZE: Duration = Duration::from_secs(10);

pub(super) fn read_store(root: &mut Section<'_, '_>, folder: &Path) -> Option<(PathBuf, PathBuf, Duration)> {
    let mut section = root.required("store", "give `url`, such as \"sqlite:portcullis.db\"")?.section()?;
    let file = section.required("url", "such as \"sqlite:portcullis.db\"").and_then(|value| {
        let path = value.string()?.strip_prefix("sqlite:").filter(|path| !path.is_empty());
        if path.is_none() {
            value.fault("must be \"sqlite:\" and a file, such as \"sqlite:portcullis.db\"");
        }
        path.map(|path| folder.join(path))
    });
    let key_file = section.optional("key_file").and_then(|value| value.string());
    let mut freeze = DEFAULT_FREEZE;
    set_duration(&mut section, "freeze", &mut freeze);
    section.finish();
    let file = file?;
    let beside = || {
        let mut name = file.clone().into_os_string();
        name.push(".key");
        PathBuf::from(name)
    };
    let key_file = key_file.map_or_else(beside, |path| folder.join(path));
    Some((file, key_file, freeze))
}

pub(super) fn read_limits(root: &mut Section<'_, '_>) -> Option<Limits> {
    let mut limits = Limits::default();
    let Some(value) = root.optional("limits") else { return Some(limits) };
    let mut section = value.section()?;
    set_number(&mut section, "connections", 1..=1_000_000, &mut limits.connections);
    set_number(&mut section, "connections_per_address", 1..=1_000_000, &mut limits.connections_per_address);
    set_number(&mut section, "upstream_connections", 1..=1_000_000, &mut limits.upstream_connections);
    let of_person = section.optional("upstream_connections_per_person");
    let of_person = of_person.and_then(|value| value.number(1..=1_000_000));
    limits.upstream_connections_per_person = of_person.and_then(|number| usize::try_from(number).ok());
    set_number(&mut section, "header_bytes", 8_192..=1_048_576, &mut limits.header_bytes);
    set_number(&mut section, "header_count", 16..=1_000, &mut limits.header_count);
    set_number(&mut section, "http2_streams", 1..=1_000, &mut limits.http2_streams);
    set_number(&mut section, "login_per_minute", 1..=1_000_000, &mut limits.login_per_minute);
    set_number(&mut section, "requests_per_address", 1..=100_000_000, &mut limits.requests_per_address);
    set_number(&mut section, "requests_per_person", 1..=100_000_000, &mut limits.requests_per_person);
    set_number(&mut section, "minimum_rate", 0..=1_000_000, &mut limits.minimum_rate);
    set_duration(&mut section, "handshake_timeout", &mut limits.handshake_timeout);
    set_duration(&mut section, "header_timeout", &mut limits.header_timeout);
    set_duration(&mut section, "upstream_connect_timeout", &mut limits.upstream_connect_timeout);
    set_duration(&mut section, "upstream_response_timeout", &mut limits.upstream_response_timeout);
    let total = section.optional("upstream_total_timeout").and_then(|value| value.duration());
    limits.upstream_total_timeout = total;
    limits.max_request_body =
        section.optional("max_request_body").and_then(|value| value.number(0..=u64::MAX));
    set_number(&mut section, "upstream_retries", 0..=10, &mut limits.upstream_retries);
    set_number(&mut section, "upstream_retry_budget", 0..=100, &mut limits.upstream_retry_budget);
    set_duration(&mut section, "idle_timeout", &mut limits.idle_timeout);
    set_duration(&mut section, "provider_timeout", &mut limits.provider_timeout);
    set_duration(&mut section, "drain_timeout", &mut limits.drain_timeout);
    section.finish();
    Some(limits)
}

fn set_number<T: TryFrom<u64>>(
    section: &mut Section<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    target: &mut T,
) {
    let read = section.optional(key).and_then(|value| value.number(range));
    if let Some(number) = read.and_then(|number| T::try_from(number).ok()) {
        *target = number;
    }
}

fn set_duration(section: &mut Section<'_, '_>, key: &'static str, target: &mut Duration) {
    if let Some(duration) = section.optional(key).and_then(|value| value.duration()) {
        *target = duration;
    }
}
