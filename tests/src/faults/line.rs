//! Connections to a gateway, over TLS and by hand, each piece of whose answers has the time at which the kernel received it: one HTTP/1.1 request,
//! or HTTP/2. What is asked is left to `load`.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use h2::client::SendRequest;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::records::{Records, Watch};
use crate::arrival::{Portions, READ_SIZE, TimedStream};

/// Opens connections; all of them share what TLS remembers of earlier ones.
#[derive(Clone)]
pub(super) struct Lines {
    http1: TlsConnector,
    http2: TlsConnector,
}

impl Lines {
    pub(super) fn new(ca_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let http1 = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http2 = http1.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Self { http1: TlsConnector::from(Arc::new(http1)), http2: TlsConnector::from(Arc::new(http2)) }
    }

    /// A connection for HTTP/1.1 on which nothing was sent.
    pub(super) async fn open(&self, url: &Url) -> io::Result<Records> {
        connect(&self.http1, url, None).await
    }

    /// A connection for HTTP/2; `watch` sees all that comes in.
    pub(super) async fn multiplexed(&self, url: &Url, watch: Watch) -> io::Result<SendRequest<Bytes>> {
        let records = connect(&self.http2, url, Some(watch)).await?;
        let (sender, driver) = h2::client::handshake(records).await.map_err(io::Error::other)?;
        tokio::spawn(driver);
        Ok(sender)
    }

    /// Sends the head of a request, with these lines after the first two.
    pub(super) async fn ask(&self, method: &str, url: &Url, lines: &str) -> io::Result<Line> {
        let mut line = Line { records: self.open(url).await?, space: vec![0; READ_SIZE], status: None };
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let authority = authority(url);
        line.send(format!("{method} {target} HTTP/1.1\r\nHost: {authority}\r\n{lines}\r\n").as_bytes())
            .await?;
        Ok(line)
    }
}

pub(super) fn authority(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

async fn connect(tls: &TlsConnector, url: &Url, watch: Option<Watch>) -> io::Result<Records> {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, url.port_or_known_default().unwrap())).await?;
    socket.set_nodelay(true)?;
    let socket = TimedStream::new(socket, Portions::records())?;
    let arrival = socket.last_arrival();
    let name = ServerName::try_from(url.host_str().unwrap().to_owned()).unwrap();
    Ok(Records::new(tls.connect(name, socket).await?, arrival, watch))
}

/// A request under way.
pub(super) struct Line {
    records: Records,
    space: Vec<u8>,
    /// What was answered, if anything.
    pub(super) status: Option<u16>,
}

impl Line {
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.records.write_all(bytes).await?;
        self.records.flush().await
    }

    /// The next piece of the answer: its length, and when the kernel had it. Nothing at the end, whatever ended it.
    pub(super) async fn piece(&mut self) -> Option<(usize, Instant)> {
        let len = self.records.read(&mut self.space).await.ok().filter(|len| *len > 0)?;
        if self.status.is_none() {
            let head = String::from_utf8_lossy(&self.space[..len]).into_owned();
            self.status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).or(Some(0));
        }
        Some((len, self.records.at()))
    }
}
