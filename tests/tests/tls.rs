//! The handshake on the real program: certificates of ours by name, certificates of clients by host, and what a connection that
//! was made for one host may ask of another.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_tests::harness::{Gateway, Launch, Settings, World, WorldConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The authority of the clients, in a file.
fn clients() -> &'static (CertifiedIssuer<'static, KeyPair>, PathBuf) {
    static CLIENTS: OnceLock<(CertifiedIssuer<'static, KeyPair>, PathBuf)> = OnceLock::new();
    CLIENTS.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "devices of the company");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = std::env::temp_dir().join(format!("portcullis-devices-{}.pem", std::process::id()));
        std::fs::write(&file, authority.pem()).unwrap();
        (authority, file)
    })
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn device() -> Pair {
    let mut params = CertificateParams::new(vec!["device-7.corp.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "device 7");
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &clients().0).unwrap();
    (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// A client that does as it is told.
struct Asking<'a> {
    world: &'a World,
    /// The name in the handshake.
    name: &'a str,
    names_itself: bool,
    own: Option<Pair>,
    /// Each byte of the first message in a record of its own.
    in_crumbs: bool,
}

impl<'a> Asking<'a> {
    fn of(world: &'a World, name: &'a str) -> Self {
        Self { world, name, names_itself: true, own: None, in_crumbs: false }
    }

    fn with(mut self, own: Pair) -> Self {
        self.own = Some(own);
        self
    }

    /// The head of the answer to a request for this host.
    fn get(self, host: &str) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.world.gateway.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.own {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = self.names_itself;
        let name = self.name.to_owned().try_into().unwrap();
        let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.world.settings.port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let mut socket = Crumbling { socket, whole: !self.in_crumbs };
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        // The gateway closes without a farewell; what counts is what it said before.
        match stream.read_to_end(&mut answer) {
            Err(error) if answer.is_empty() => Err(error),
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    }
}

struct Crumbling {
    socket: TcpStream,
    whole: bool,
}

impl Read for Crumbling {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.read(into)
    }
}

impl Write for Crumbling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.whole {
            return self.socket.write(bytes);
        }
        self.whole = true;
        const RECORD_HEAD: usize = 5;
        let (head, message) = bytes.split_at(RECORD_HEAD);
        assert_eq!(head[0], 22, "a handshake begins with a handshake message");
        for byte in message {
            self.socket.write_all(&[22, 3, 1, 0, 1, *byte])?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

async fn guarded_canteen() -> World {
    World::with(WorldConfig {
        change: |settings| {
            settings.extra = format!(
                "[[client_certificate]]\nhosts = [\"canteen.localhost\"]\nca_file = {:?}\n",
                clients().1
            );
        },
        provisioned: false,
        ..WorldConfig::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn t20_t21_a_host_is_reached_over_a_handshake_of_its_own_rules() {
    let world = guarded_canteen().await;
    let (open, guarded) = ("wiki.localhost", "canteen.localhost");
    let asked = |name, host| Asking::of(&world, name).get(host).unwrap();
    assert_eq!(status(&asked(open, open)), 401);
    let misdirected = asked(open, guarded);
    assert_eq!(status(&misdirected), 421, "{misdirected}");
    assert!(misdirected.contains("connection: close"), "{misdirected}");
    let nameless = Asking { names_itself: false, ..Asking::of(&world, guarded) };
    assert_eq!(status(&nameless.get(guarded).unwrap()), 421, "who asks for no name has proved nothing");
    assert!(Asking::of(&world, guarded).get(guarded).is_err(), "no certificate, no answer");
    assert!(Asking::of(&world, "CANTEEN.LocalHost").get(guarded).is_err());
    let shown = |name, host| Asking::of(&world, name).with(device()).get(host).unwrap();
    assert_eq!(status(&shown(guarded, guarded)), 401);
    assert_eq!(status(&shown("CANTEEN.LocalHost", guarded)), 401);
    assert_eq!(status(&shown(guarded, open)), 421);
    assert_eq!(status(&shown(open, guarded)), 421, "a certificate that nobody asked for proves nothing");
    let noted = |event: &serde_json::Value| event["certificate_subject"] == "device 7";
    let noted = world.gateway.log().wait_for(PATIENCE, noted).await.unwrap();
    assert_eq!(noted["certificate"].as_str().unwrap().len(), 64, "{noted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_a_first_message_in_crumbs_is_put_together() {
    let world = guarded_canteen().await;
    let in_crumbs = |name| Asking { in_crumbs: true, ..Asking::of(&world, name) };
    assert_eq!(status(&in_crumbs("wiki.localhost").get("wiki.localhost").unwrap()), 401);
    let guarded = "canteen.localhost";
    assert!(in_crumbs(guarded).get(guarded).is_err(), "crumbs are no way around the certificate");
    assert_eq!(status(&in_crumbs(guarded).with(device()).get(guarded).unwrap()), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn t54_a_gateway_without_its_authorities_does_not_start() {
    let mut settings = Settings::new("http://127.0.0.1:1", "http://127.0.0.1:1");
    settings.extra =
        "[[client_certificate]]\nhosts = [\"canteen.localhost\"]\nca_file = \"/nonexistent/ca.pem\"\n"
            .to_owned();
    let failure = Gateway::start(Launch::of(&settings)).await.unwrap_err();
    assert_eq!(failure.code, Some(1));
    assert!(failure.output.contains("`client_certificate.ca_file`"), "{}", failure.output);
}
