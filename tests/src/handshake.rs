//! A client that does in the handshake as it is told: which name it asks for, what it shows, what it sends before. It reads
//! answers as they come and follows nothing; for everything after the handshake there is `browser`.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate chain and its key.
pub type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// How to shake hands.
#[derive(Debug)]
pub struct Handshake {
    /// The name to ask for, and to find in the certificate.
    pub name: String,
    /// Whether it is asked for.
    pub names_itself: bool,
    /// The address to come from.
    pub from: Ipv4Addr,
    /// The port of 127.0.0.1 to go to.
    pub port: u16,
    /// Bytes to send before the handshake.
    pub before: Vec<u8>,
    /// What to show when asked.
    pub own: Option<Pair>,
    /// Each byte of the first message in a record of its own.
    pub in_crumbs: bool,
    /// Which protocols to offer.
    pub protocols: Vec<Vec<u8>>,
    /// The authorities to trust.
    pub ca_pem: String,
}

/// A connection with its handshake still to be done by the first write or read.
pub type Connection = StreamOwned<ClientConnection, Crumbling>;

impl Handshake {
    /// An ordinary one.
    #[must_use]
    pub fn new(ca_pem: &str, port: u16, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            names_itself: true,
            from: Ipv4Addr::LOCALHOST,
            port,
            before: Vec::new(),
            own: None,
            in_crumbs: false,
            protocols: Vec::new(),
            ca_pem: ca_pem.to_owned(),
        }
    }

    /// Connects, and sends what goes before.
    ///
    /// # Errors
    /// When there is no connection.
    ///
    /// # Panics
    /// When what is configured makes no sense.
    pub fn connect(self) -> io::Result<Connection> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.ca_pem.as_bytes()) {
            roots.add(certificate.expect("the authority is PEM")).expect("the authority is a certificate");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let mut config = match self.own {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("the key fits"),
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = self.names_itself;
        config.alpn_protocols = self.protocols;
        let name = self.name.try_into().expect("a host name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        let mut socket = connect_from(self.from, self.port)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        socket.write_all(&self.before)?;
        Ok(StreamOwned::new(session, Crumbling { socket, whole: !self.in_crumbs }))
    }

    /// The answer to a request for this host, which closes the connection.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn get(self, host: &str) -> io::Result<String> {
        let mut stream = self.connect()?;
        write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        read_all(&mut stream)
    }
}

/// What comes until the other side closes. How it closes does not matter, if it said something before.
///
/// # Errors
/// When nothing came.
pub fn read_all(stream: &mut impl Read) -> io::Result<String> {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// The status of an answer; 0 when it has none.
#[must_use]
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// A connection to 127.0.0.1 from a chosen address of this machine.
fn connect_from(from: Ipv4Addr, port: u16) -> io::Result<std::net::TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddrV4::new(from, 0).into())?;
    socket.connect(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())?;
    Ok(socket.into())
}

/// A socket whose first record may be sent in records of one byte each.
#[derive(Debug)]
pub struct Crumbling {
    /// The socket below TLS.
    pub socket: std::net::TcpStream,
    whole: bool,
}

impl Read for Crumbling {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.read(into)
    }
}

impl Write for Crumbling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const RECORD_HEAD: usize = 5;
        const HANDSHAKE: u8 = 22;
        if self.whole {
            return self.socket.write(bytes);
        }
        self.whole = true;
        let (head, message) = bytes.split_at(RECORD_HEAD);
        assert_eq!(head[0], HANDSHAKE, "the first record is a handshake message");
        for byte in message {
            self.socket.write_all(&[HANDSHAKE, 3, 1, 0, 1, *byte])?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
