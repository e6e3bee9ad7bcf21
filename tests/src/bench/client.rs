//! The load that no ready-made program makes: handshakes, resumptions, uploads, WebSocket messages, connections that stay. One
//! thread, HTTP/1.1 over TLS 1.3 with the same suite and group as all others.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::contestant::Address;

const PIECE: usize = 256 * 1024;
const MESSAGE: usize = 64;

/// What went wrong, in words for the table.
pub(super) type Outcome<T> = Result<T, String>;

/// An open connection.
pub(super) type Stream = TlsStream<TcpStream>;

/// Whether a connection may continue an earlier one's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sessions {
    /// Each handshake is whole.
    Fresh,
    /// Tickets are taken and used.
    Resumed,
}

/// Somebody who asks one contestant.
#[derive(Clone)]
pub(super) struct Client {
    connector: TlsConnector,
    address: Address,
}

impl Client {
    pub(super) fn new(address: &Address, certificate: &str, sessions: Sessions) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(certificate.as_bytes()) {
            roots.add(certificate.expect("PEM")).expect("a certificate");
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider knows TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if sessions == Sessions::Fresh {
            config.resumption = Resumption::disabled();
        }
        Self { connector: TlsConnector::from(Arc::new(config)), address: address.clone() }
    }

    pub(super) async fn connect(&self) -> Outcome<Stream> {
        let tcp = TcpStream::connect(("127.0.0.1", self.address.port)).await.map_err(told("connect"))?;
        tcp.set_nodelay(true).map_err(told("connect"))?;
        let name = ServerName::try_from(self.address.host.clone()).expect("a name");
        self.connector.connect(name, tcp).await.map_err(told("handshake"))
    }

    fn head(&self, method: &str, path: &str, more: &str) -> String {
        let Address { host, port, cookie } = &self.address;
        format!("{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n{more}\r\n")
    }

    /// Asks for a path and reads the answer to its end; the length of its body.
    pub(super) async fn get(&self, stream: &mut Stream, path: &str) -> Outcome<u64> {
        stream.write_all(self.head("GET", path, "").as_bytes()).await.map_err(told("request"))?;
        stream.flush().await.map_err(told("request"))?;
        read_answer(stream).await
    }

    /// Sends a body of that length and reads the answer.
    pub(super) async fn upload(&self, stream: &mut Stream, len: u64) -> Outcome<()> {
        let head = self.head("POST", "/sink", &format!("Content-Length: {len}\r\n"));
        stream.write_all(head.as_bytes()).await.map_err(told("request"))?;
        let piece = vec![b'x'; PIECE];
        let mut left = usize::try_from(len).expect("an address space of 64 bits");
        while left > 0 {
            let now = left.min(piece.len());
            stream.write_all(&piece[..now]).await.map_err(told("body"))?;
            left -= now;
        }
        stream.flush().await.map_err(told("body"))?;
        read_answer(stream).await.map(drop)
    }

    /// A WebSocket, over which so many messages go to and fro, one after the other.
    pub(super) async fn converse(&self, messages: u64) -> Outcome<()> {
        let mut stream = self.connect().await?;
        let more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let host = format!("Origin: https://{}:{}\r\n", self.address.host, self.address.port);
        let head = self.head("GET", "/socket", &format!("{more}{host}"));
        stream.write_all(head.as_bytes()).await.map_err(told("upgrade"))?;
        stream.flush().await.map_err(told("upgrade"))?;
        let (status, _, early) = read_head(&mut stream).await?;
        if status != 101 || !early.is_empty() {
            return Err(format!("upgrade: status {status}"));
        }
        // Masked with zeros, since a browser masks and nobody here minds with what.
        let mut message = vec![0x82, 0x80 | MESSAGE as u8, 0, 0, 0, 0];
        message.extend([b'x'; MESSAGE]);
        let mut answer = [0; MESSAGE + 2];
        for _ in 0..messages {
            stream.write_all(&message).await.map_err(told("message"))?;
            stream.flush().await.map_err(told("message"))?;
            stream.read_exact(&mut answer).await.map_err(told("message"))?;
        }
        Ok(())
    }
}

/// Whether the connection continued an earlier session.
pub(super) fn is_resumed(stream: &Stream) -> bool {
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

fn told(what: &'static str) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}

/// Status, length of the body, and what of the body came with the head.
async fn read_head(stream: &mut Stream) -> Outcome<(u16, Option<u64>, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(8 * 1024);
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut response = httparse::Response::new(&mut headers);
        if let Ok(httparse::Status::Complete(len)) = response.parse(&bytes) {
            let length = response.headers.iter().find(|it| it.name.eq_ignore_ascii_case("content-length"));
            let length = length.and_then(|it| std::str::from_utf8(it.value).ok()?.parse().ok());
            return Ok((response.code.unwrap_or_default(), length, bytes.split_off(len)));
        }
        if stream.read_buf(&mut bytes).await.map_err(told("answer"))? == 0 {
            return Err("the answer broke off".to_owned());
        }
    }
}

async fn read_answer(stream: &mut Stream) -> Outcome<u64> {
    let (status, len, early) = read_head(stream).await?;
    if status != 200 {
        return Err(format!("status {status}"));
    }
    let len = len.ok_or("the answer names no length")?;
    let mut left = len - early.len() as u64;
    let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
    while left > 0 {
        let read = stream.read(&mut piece).await.map_err(told("answer"))?;
        if read == 0 {
            return Err("the answer broke off".to_owned());
        }
        left -= read as u64;
    }
    Ok(len)
}
