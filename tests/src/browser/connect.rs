//! Opens sockets: every name is this machine, TLS trusts one CA. It speaks no HTTP.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::BrowserError;

/// Which HTTP versions are offered in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// HTTP/2 first, then HTTP/1.1.
    Both,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
}

/// A receive buffer that holds next to nothing.
const NARROW_BYTES: u32 = 4 * 1024;

async fn connect(
    to: SocketAddr,
    source: Option<IpAddr>,
    receive_bytes: Option<u32>,
) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    // Before the connection is made: the window is agreed on in the handshake.
    if let Some(bytes) = receive_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.connect(to).await
}

pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    source: Option<IpAddr>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(ca_pem: &str, versions: Versions) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate.expect("the CA file is PEM")).expect("the CA is a certificate");
        }
        assert!(!roots.is_empty(), "the CA file holds no certificate");
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the provider knows TLS 1.2 and 1.3")
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = match versions {
            Versions::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Versions::Http1 => vec![b"http/1.1".to_vec()],
            Versions::Http2 => vec![b"h2".to_vec()],
        };
        let mut http1 = config.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { config: Arc::new(config), http1: Arc::new(http1), source: None }
    }

    pub(crate) fn at_address(&self, source: IpAddr) -> Self {
        Self { config: Arc::clone(&self.config), http1: Arc::clone(&self.http1), source: Some(source) }
    }

    /// A connection to the server of `url`, with TLS when the scheme asks for it.
    pub(crate) async fn open(&self, url: &Url) -> Result<Stream, BrowserError> {
        self.open_with(&self.config, url).await
    }

    /// The same, speaking HTTP/1.1 only: WebSockets and raw bytes want that.
    pub(crate) async fn open_http1(&self, url: &Url) -> Result<Stream, BrowserError> {
        self.open_with(&self.http1, url).await
    }

    /// The same with a small receive buffer: most of an answer that is not read stays on the server's side.
    pub(crate) async fn open_narrow(&self, url: &Url) -> Result<Stream, BrowserError> {
        self.open_through(&self.http1, url, Some(NARROW_BYTES)).await
    }

    async fn open_with(&self, config: &Arc<ClientConfig>, url: &Url) -> Result<Stream, BrowserError> {
        self.open_through(config, url, None).await
    }

    async fn open_through(
        &self,
        config: &Arc<ClientConfig>,
        url: &Url,
        receive_bytes: Option<u32>,
    ) -> Result<Stream, BrowserError> {
        let bad = || BrowserError::BadUrl(url.to_string());
        let (ip, name) = match url.host().ok_or_else(bad)? {
            // The tests have no name server: whatever the name, this machine answers.
            Host::Domain(name) => {
                (IpAddr::V4(Ipv4Addr::LOCALHOST), ServerName::try_from(name.to_owned()).map_err(|_| bad())?)
            }
            Host::Ipv4(ip) => (ip.into(), ServerName::from(IpAddr::V4(ip))),
            Host::Ipv6(ip) => (ip.into(), ServerName::from(IpAddr::V6(ip))),
        };
        let port = url.port_or_known_default().ok_or_else(bad)?;
        let tcp = connect(SocketAddr::new(ip, port), self.source, receive_bytes).await;
        let tcp = tcp.map_err(|e| BrowserError::Connect(url.to_string(), e))?;
        let _ = tcp.set_nodelay(true);
        if !matches!(url.scheme(), "https" | "wss") {
            return Ok(Stream::Plain(tcp));
        }
        let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await;
        Ok(Stream::Tls(Box::new(tls.map_err(|e| BrowserError::Tls(url.to_string(), e))?)))
    }
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub enum Stream {
    /// Without.
    Plain(TcpStream),
    /// With.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn speaks_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
