//! The HTTP client towards identity providers, certificate authorities and collectors: bounded in time and bytes, and it follows
//! nothing. What is asked, and what an answer means, is left to whoever asks.
//!
//! A server that answers with a gigabyte, drips bytes, redirects, compresses or points at a link-local address costs one
//! deadline and [`MAX_ANSWER_BYTES`], no more.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, USER_AGENT};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

/// Most bytes of one answer's body.
pub(crate) const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Most bytes of one answer's head.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// An idle connection is given up before the usual servers close theirs.
const IDLE: Duration = Duration::from_secs(4);

/// Why there is no answer, or no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebClientError {
    #[error("no connection could be made")]
    Unreachable(#[source] BoxError),
    #[error("no whole answer within the deadline")]
    Slow,
    #[error("the answer is larger than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
    #[error("the exchange broke off")]
    Broken(#[source] BoxError),
    #[error("the client's TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

type BoxError = Box<dyn Error + Send + Sync>;

/// Connections are shared by all who ask through one client, kept apart by origin.
#[derive(Debug)]
pub(crate) struct WebClient {
    client: Client<Connector, Full<Bytes>>,
    timeout: Duration,
}

impl WebClient {
    /// Believes the roots of the system, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    pub(crate) fn new(timeout: Duration) -> Result<Self, WebClientError> {
        Self::trusting(system_roots(), timeout)
    }

    /// `timeout` covers a whole exchange, from the look-up of the name to the last byte.
    pub(crate) fn trusting(roots: RootCertStore, timeout: Duration) -> Result<Self, WebClientError> {
        let mut tls =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .build(Connector { tls: TlsConnector::from(Arc::new(tls)) });
        Ok(Self { client, timeout })
    }

    /// One request, one whole answer of any status; a redirect is an answer like any other.
    pub(crate) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, WebClientError> {
        let exchange = Box::pin(self.exchange(request));
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or(Err(WebClientError::Slow))
    }

    async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, WebClientError> {
        let mut request = request.map(|body| Full::new(Bytes::from(body)));
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"))));
        let answer = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                WebClientError::Unreachable(error.into())
            } else {
                WebClientError::Broken(error.into())
            }
        })?;
        let (head, body) = answer.into_parts();
        refuse_by_head(&head.headers)?;
        Ok(Response::from_parts(head, collect(body).await?))
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a root certificate of the system cannot be read");
    }
    let (_, refused) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(refused, "the system has no root certificates: nothing can be reached by https");
    }
    roots
}

fn refuse_by_head(headers: &http::HeaderMap) -> Result<(), WebClientError> {
    // Whoever compresses although only `identity` was accepted may be sending a bomb; nothing here unpacks.
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(WebClientError::Broken("the answer is compressed".into()));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_ANSWER_BYTES as u64) {
        return Err(WebClientError::TooLarge);
    }
    Ok(())
}

async fn collect(body: Incoming) -> Result<Vec<u8>, WebClientError> {
    match Limited::new(body, MAX_ANSWER_BYTES).collect().await {
        Ok(whole) => Ok(whole.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(WebClientError::TooLarge),
        Err(error) => Err(WebClientError::Broken(error)),
    }
}

/// Opens the connection: TCP, and TLS unless the address is a loopback one.
#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let tls = self.tls.clone();
        Box::pin(async move { connect(&target, &tls).await.map(TokioIo::new) })
    }
}

async fn connect(target: &Uri, tls: &TlsConnector) -> io::Result<Box<dyn Stream>> {
    let host = target.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let secure = target.scheme_str() == Some("https");
    let port = target.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = connect_tcp(host, port, secure).await?;
    if !secure {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(tls.connect(name, stream).await?))
}

async fn connect_tcp(host: &str, port: u16, secure: bool) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address that may be connected to");
    for address in addresses(host, port).await? {
        if !may_connect(address, secure) {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Names below `localhost` are this machine's, whatever a resolver would say (RFC 6761 section 6.3).
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// Link-local addresses are those of cloud metadata services, which no provider lives at; plain http is for this machine.
fn may_connect(address: SocketAddr, secure: bool) -> bool {
    let ip = address.ip().to_canonical();
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !link_local && !ip.is_unspecified() && !ip.is_multicast() && (secure || ip.is_loopback())
}

#[cfg(test)]
pub(crate) mod tests;
