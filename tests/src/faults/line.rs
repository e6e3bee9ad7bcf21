//! One HTTP/1.1 request by hand over TLS, each piece of whose answer has the time at which the kernel received it. What is asked is left to
//! `load`.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Url;

use crate::arrival::{LastArrival, Portions, READ_SIZE, TimedStream};

/// Opens connections; all of them share what TLS remembers of earlier ones.
#[derive(Clone)]
pub(super) struct Lines(TlsConnector);

impl Lines {
    pub(super) fn new(ca_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// Sends the head of a request, with these lines after the first two.
    pub(super) async fn ask(&self, method: &str, url: &Url, lines: &str) -> io::Result<Line> {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, url.port_or_known_default().unwrap())).await?;
        socket.set_nodelay(true)?;
        let socket = TimedStream::new(socket, Portions::records())?;
        let arrival = socket.last_arrival();
        let host = url.host_str().unwrap();
        let stream = self.0.connect(ServerName::try_from(host.to_owned()).unwrap(), socket).await?;
        let mut line = Line { stream, arrival, space: vec![0; READ_SIZE], status: None };
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        line.send(format!("{method} {target} HTTP/1.1\r\nHost: {authority}\r\n{lines}\r\n").as_bytes())
            .await?;
        Ok(line)
    }
}

/// A request under way.
pub(super) struct Line {
    stream: TlsStream<TimedStream>,
    arrival: LastArrival,
    space: Vec<u8>,
    /// What was answered, if anything.
    pub(super) status: Option<u16>,
}

impl Line {
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next piece of the answer: its length, and when the kernel had it. Nothing at the end, whatever ended it.
    pub(super) async fn piece(&mut self) -> Option<(usize, Instant)> {
        let len = self.stream.read(&mut self.space).await.ok().filter(|len| *len > 0)?;
        if self.status.is_none() {
            let head = String::from_utf8_lossy(&self.space[..len]).into_owned();
            self.status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).or(Some(0));
        }
        Some((len, self.arrival.at()))
    }
}
