//! One SCIM request as Okta sends it: headers, TLS against a given CA, `*.localhost` on loopback, 60 seconds. In which order
//! requests are made is for `scim_push`.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::arrival::{LastArrival, Portions, TimedStream};

/// Okta closes the socket after this.
pub const SOCKET_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer that is read.
pub const MAX_ANSWER: usize = 16 << 20;

/// The two ways in which Okta's applications write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// App Integration Wizard: every write is GET and PUT.
    #[default]
    Wizard,
    /// Catalog application: PATCH.
    Catalog,
}

/// Where the SCIM sink is and how to speak to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScimTarget {
    /// The base address, such as `https://scim.localhost:8443/scim/v2/corp`.
    pub base_url: String,
    /// The bearer key.
    pub token: String,
    /// Whether the word `Bearer` stands before the key.
    #[serde(default = "yes")]
    pub bearer: bool,
    /// The CA certificates to trust, PEM; needed for https.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// The dialect.
    #[serde(default)]
    pub dialect: Dialect,
}

fn yes() -> bool {
    true
}

/// A target that cannot be used, or a request that got no answer.
#[derive(Debug, Error)]
pub enum ScimError {
    /// The base address is not an address.
    #[error("SCIM base address `{0}` is not a URL")]
    BadAddress(String),
    /// Okta refuses a base address with an underscore.
    #[error("SCIM base address `{0}` contains `_`")]
    Underscore(String),
    /// https without a CA to trust.
    #[error("an https target needs the PEM of its CA")]
    NoCa,
    /// The CA is not PEM.
    #[error("the CA is not a PEM certificate")]
    BadCa,
    /// The host is neither loopback nor `*.localhost`.
    #[error("host `{0}` is not on this machine")]
    NotLocal(String),
    /// TLS cannot be set up.
    #[error("TLS")]
    Tls(#[from] rustls::Error),
    /// The connection failed.
    #[error("connection")]
    Io(#[from] std::io::Error),
    /// HTTP failed.
    #[error("HTTP")]
    Hyper(#[from] hyper::Error),
    /// The request cannot be built.
    #[error("request")]
    Request(#[from] http::Error),
    /// The answer's body broke off or is longer than [`MAX_ANSWER`].
    #[error("body of the answer: {0}")]
    Body(String),
    /// No answer within [`SOCKET_TIMEOUT`].
    #[error("no answer within 60 seconds")]
    TimedOut,
}

impl ScimError {
    /// The whole chain, as an Okta administrator would be shown it.
    pub(super) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        text
    }
}

/// The sink's answer.
pub(super) struct ScimAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// When the kernel had all of it: a busy client must not excuse what comes after it.
    pub(super) arrived: Instant,
}

/// A target that was found usable.
pub(super) struct ScimClient {
    pub(super) target: ScimTarget,
    base: Url,
    tls: Option<TlsConnector>,
}

impl ScimClient {
    pub(super) fn new(target: ScimTarget) -> Result<Self, ScimError> {
        let base =
            Url::parse(&target.base_url).map_err(|_| ScimError::BadAddress(target.base_url.clone()))?;
        if target.base_url.contains('_') {
            return Err(ScimError::Underscore(target.base_url));
        }
        let local = match base.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv6(_)) | None => false,
        };
        if !local {
            return Err(ScimError::NotLocal(base.host_str().unwrap_or_default().to_owned()));
        }
        let tls = match base.scheme() {
            "https" => Some(connector(target.ca_pem.as_deref().ok_or(ScimError::NoCa)?)?),
            "http" => None,
            _ => return Err(ScimError::BadAddress(target.base_url)),
        };
        Ok(Self { target, base, tls })
    }

    /// Sends one request on a connection of its own, and reads the whole answer.
    pub(super) async fn call(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<ScimAnswer, ScimError> {
        let request = self.request(method, path, body)?;
        tokio::time::timeout(SOCKET_TIMEOUT, self.send(request)).await.map_err(|_| ScimError::TimedOut)?
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, ScimError> {
        let host = match self.base.port() {
            Some(port) => format!("{}:{port}", self.base.host_str().unwrap_or_default()),
            None => self.base.host_str().unwrap_or_default().to_owned(),
        };
        let key = &self.target.token;
        let authorization = if self.target.bearer { format!("Bearer {key}") } else { key.clone() };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base.path().trim_end_matches('/')))
            .header(HOST, host)
            .header(AUTHORIZATION, authorization)
            .header(USER_AGENT, "Okta SCIM Client 1.0.0")
            .header(ACCEPT, "application/scim+json")
            .header(ACCEPT_CHARSET, "utf-8")
            .header(ACCEPT_ENCODING, "gzip,deflate")
            .header(CONNECTION, "close");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/scim+json; charset=utf-8");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        Ok(request.body(Full::new(bytes))?)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<ScimAnswer, ScimError> {
        let address = match self.base.host() {
            Some(Host::Ipv4(address)) => address,
            // Every name under `localhost` is this machine, whatever the resolver thinks.
            _ => Ipv4Addr::LOCALHOST,
        };
        let port = self.base.port_or_known_default().unwrap_or_default();
        let socket = TcpStream::connect((address, port)).await?;
        socket.set_nodelay(true)?;
        let socket = TimedStream::new(socket, Portions::Any)?;
        let arrival = socket.last_arrival();
        match &self.tls {
            None => exchange(socket, request, &arrival).await,
            Some(connector) => {
                let host = self.base.host_str().unwrap_or_default().to_owned();
                let name = ServerName::try_from(host.clone()).map_err(|_| ScimError::NotLocal(host))?;
                exchange(connector.connect(name, socket).await?, request, &arrival).await
            }
        }
    }
}

async fn exchange<S>(
    socket: S,
    request: Request<Full<Bytes>>,
    arrival: &LastArrival,
) -> Result<ScimAnswer, ScimError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| ScimError::Body(error.to_string()))?
        .to_bytes();
    let arrived = arrival.at();
    driver.abort();
    Ok(ScimAnswer { status: parts.status, headers: parts.headers, body, arrived })
}

fn connector(ca_pem: &str) -> Result<TlsConnector, ScimError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(|_| ScimError::BadCa)?)?;
    }
    if roots.is_empty() {
        return Err(ScimError::BadCa);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
