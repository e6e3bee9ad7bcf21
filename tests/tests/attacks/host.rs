//! Group B: a request names one host in one way, whatever the handshake, the target and the fields say; and the handshake
//! itself gives nothing away.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;

use portcullis_tests::browser::Browser;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::frames::Outcome;
use super::rig::{Mark, Rig, run};
use super::wire::PATIENCE;

/// A request with these lines about its host, and the session.
async fn status_with(rig: &Rig, target: &str, host_lines: &str, mark: &Mark) -> u16 {
    let cookie = &rig.cookie;
    let request = format!("GET {target} HTTP/1.1\r\n{host_lines}Cookie: {cookie}\r\nX-Mark: {mark}\r\n\r\n");
    rig.raw(request.as_bytes()).await.map_or(400, |reply| reply.status)
}

/// The same over HTTP/2, with this authority.
async fn http2_with(rig: &Rig, authority: &[u8], mark: &Mark) -> Outcome {
    let (host, text) = (rig.host(), mark.to_string());
    let mut fields = rig.fields(&host, b"/echo", &text);
    fields[2].1 = authority;
    rig.frames().await.ask(&fields).await
}

/// What the upstream was told of the host.
fn told(arrived: &str) -> Vec<String> {
    let about = ["host:", "x-forwarded-host:"];
    let lines = arrived.lines().map(str::to_ascii_lowercase);
    lines.filter(|line| about.iter().any(|name| line.starts_with(name))).collect()
}

#[test]
fn t17_the_case_of_a_host_means_nothing() {
    run(async |rig| {
        let port = rig.world.settings.port;
        let canonical = rig.host();
        for host in
            [format!("WIKI.LOCALHOST:{port}"), format!("Wiki.localhost:{port}"), "wikI.LocalHost".to_owned()]
        {
            let mark = Mark::new();
            assert_eq!(status_with(rig, "/echo", &format!("Host: {host}\r\n"), &mark).await, 200, "{host}");
            let arrived = rig.arrived(&mark);
            assert_eq!(
                told(&arrived),
                [format!("host: {canonical}"), format!("x-forwarded-host: {canonical}")]
            );
            assert_eq!(rig.judged(&arrived).await["host"], "wiki.localhost");
            let mark = Mark::new();
            assert_eq!(http2_with(rig, host.as_bytes(), &mark).await.status(), 200, "{host}");
            assert_eq!(told(&rig.arrived(&mark)).len(), 2);
        }
    });
}

#[test]
fn t18_other_spellings_of_a_host_are_refused() {
    run(async |rig| {
        let port = rig.world.settings.port;
        for host in [
            format!("wiki.localhost.:{port}"),
            "wiki.localhost.".to_owned(),
            format!("wiki.localhost:0{port}"),
            "wiki.localhost:".to_owned(),
            "wiki.localhost:99999".to_owned(),
            format!("wiki.localhost:+{port}"),
            format!("wiki.localhost:{port}:{port}"),
            format!("user@wiki.localhost:{port}"),
            format!("canteen.localhost@wiki.localhost:{port}"),
            format!("[::1]:{port}"),
            "[::ffff:127.0.0.1]".to_owned(),
            "wiki..localhost".to_owned(),
            ".wiki.localhost".to_owned(),
            "wiki_.localhost".to_owned(),
            "wiki%2elocalhost".to_owned(),
            "wiki.localhost/".to_owned(),
            "wiki.localhost?x".to_owned(),
            "wiki.localhost,canteen.localhost".to_owned(),
            "wiki.localhost canteen.localhost".to_owned(),
            "wïki.localhost".to_owned(),
            String::new(),
        ] {
            let mark = Mark::new();
            assert_eq!(status_with(rig, "/echo", &format!("Host: {host}\r\n"), &mark).await, 400, "{host}");
            rig.assert_nothing_of(&mark, &host);
            let outcome = http2_with(rig, host.as_bytes(), &mark).await;
            assert!(outcome.is_refused(), "{host}: {outcome:?}");
            rig.assert_nothing_of(&mark, &host);
        }
    });
}

#[test]
fn t19_a_request_names_one_host() {
    run(async |rig| {
        let host = rig.host();
        let other = host.replace("wiki", "canteen");
        for lines in [
            format!("Host: {host}\r\nHost: {host}\r\n"),
            format!("Host: {host}\r\nHost: {other}\r\n"),
            format!("Host: {other}\r\nhost: {host}\r\n"),
            String::new(),
        ] {
            let mark = Mark::new();
            assert_eq!(status_with(rig, "/echo", &lines, &mark).await, 400, "{lines}");
            rig.assert_nothing_of(&mark, &lines);
        }
        // HTTP/1.0 may leave it out; here it may not.
        let mark = Mark::new();
        let old = format!("GET /echo HTTP/1.0\r\nCookie: {}\r\nX-Mark: {mark}\r\n\r\n", rig.cookie);
        assert_eq!(rig.raw(old.as_bytes()).await.map_or(400, |reply| reply.status), 400);
        rig.assert_nothing_of(&mark, "HTTP/1.0 without a host");
        for second in [other.as_str(), "unknown.localhost", "wiki.localhost:1", ""] {
            let mark = Mark::new();
            let outcome = rig.ask_http2("/echo", &mark, &[(b"host", second.as_bytes())]).await;
            assert!(outcome.is_refused(), "{second}: {outcome:?}");
            rig.assert_nothing_of(&mark, second);
        }
        // Twice the same is once, and an authority may be left to the field.
        let mark = Mark::new();
        assert_eq!(rig.ask_http2("/echo", &mark, &[(b"host", host.as_bytes())]).await.status(), 200);
        assert_eq!(told(&rig.arrived(&mark)).len(), 2, "{}", rig.arrived(&mark));
    });
}

#[test]
fn t20_a_host_that_is_not_served_over_this_connection_is_misdirected() {
    run(async |rig| {
        let mark = Mark::new();
        assert_eq!(status_with(rig, "/echo", "Host: unknown.localhost\r\n", &mark).await, 421);
        rig.assert_nothing_of(&mark, "a host that nobody configured");
        // A connection for one application carries requests for another, each judged by its own host: this session is of the wiki.
        let other = rig.host().replace("wiki", "canteen");
        let mark = Mark::new();
        assert_eq!(status_with(rig, "/echo", &format!("Host: {other}\r\n"), &mark).await, 401);
        rig.assert_nothing_of(&mark, "a session of another application");
    });
}

/// A client's side of TLS, one socket call after the other.
struct Tls {
    config: ClientConfig,
    port: u16,
    host: String,
}

impl Tls {
    fn of(rig: &Rig) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(rig.world.gateway.ca_pem().as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Self { config, port: rig.world.settings.port, host: rig.host() }
    }

    fn connect(&self) -> (TcpStream, ClientConnection) {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("wiki.localhost").unwrap();
        (socket, ClientConnection::new(Arc::new(self.config.clone()), name).unwrap())
    }

    /// Asks for a page as nobody over this connection; the status.
    fn ask(&self, socket: TcpStream, connection: ClientConnection) -> u16 {
        let mut stream = StreamOwned::new(connection, socket);
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.host);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // The gateway closes without waiting for our word.
        let _ = stream.read_to_end(&mut answer);
        Browser::raw_status(&answer)
    }
}

/// Handshake messages of a TLS 1.2 or 1.3 flight, one byte in each record (RFC 8446 section 5.1).
fn byte_by_byte(flight: &[u8]) -> Vec<u8> {
    let (mut split, mut rest) = (Vec::new(), flight);
    while let [kind, major, minor, high, low, more @ ..] = rest {
        let length = usize::from(*high) << 8 | usize::from(*low);
        for byte in &more[..length] {
            split.extend_from_slice(&[*kind, *major, *minor, 0, 1, *byte]);
        }
        rest = &more[length..];
    }
    split
}

#[test]
fn t21_a_hello_in_pieces_or_without_a_name_is_a_hello() {
    run(async |rig| {
        let mut tls = Tls::of(rig);
        let (mut socket, mut connection) = tls.connect();
        let mut flight = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut flight).unwrap();
        }
        let split = byte_by_byte(&flight);
        assert!(split.len() > 5 * flight.len());
        for piece in split.chunks(7) {
            socket.write_all(piece).unwrap();
        }
        assert_eq!(tls.ask(socket, connection), 401, "one byte in each record");
        tls.config.enable_sni = false;
        let (socket, connection) = tls.connect();
        assert_eq!(tls.ask(socket, connection), 401, "no name in the handshake");
        tls.config.enable_sni = true;
        // Only the name's case differs: who asks for `WIKI.localhost` and names `wiki.localhost` is not misdirected.
        let (socket, _) = tls.connect();
        let name = ServerName::try_from("WIKI.LOCALHOST").unwrap();
        let connection = ClientConnection::new(Arc::new(tls.config.clone()), name).unwrap();
        assert_eq!(tls.ask(socket, connection), 401, "upper case");
    });
}

/// Not offered, and nothing leads there.
#[test]
fn t22_http3_is_not_spoken() {
    run(async |rig| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", rig.world.settings.port)).unwrap();
        // The first byte of a QUIC packet with a long header, and an unknown version (RFC 9000 section 17.2).
        socket.send(&[&[0xc0, 0xfa, 0xce, 0xb0, 0x0c], &[8; 1_200][..]].concat()).unwrap();
        socket.set_read_timeout(Some(super::rig::WATCH)).unwrap();
        assert!(socket.recv(&mut [0; 1_500]).is_err(), "something answers on UDP");
        let reply = rig.get("/whoami", &Mark::new()).await;
        assert_eq!(reply.header("alt-svc"), "");
    });
}

#[test]
fn t23_no_request_travels_in_early_data() {
    run(async |rig| {
        let mut tls = Tls::of(rig);
        tls.config.enable_early_data = true;
        let tls = tls;
        let config = Arc::new(tls.config.clone());
        let mut resumed = 0;
        for _ in 0..3 {
            let socket = TcpStream::connect(("127.0.0.1", tls.port)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let name = ServerName::try_from("wiki.localhost").unwrap();
            let mut connection = ClientConnection::new(config.clone(), name).unwrap();
            assert!(connection.early_data().is_none(), "a ticket allows early data");
            let mut stream = StreamOwned::new(connection, socket);
            let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", tls.host);
            stream.write_all(request.as_bytes()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
            resumed += usize::from(stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed));
        }
        assert!(resumed > 0, "no ticket was used, so the test shows nothing");
    });
}

#[test]
fn t24_nothing_of_a_host_can_write_into_a_field_for_the_upstream() {
    run(async |rig| {
        for host in [
            "wiki.localhost;for=10.0.0.1",
            "wiki.localhost\";by=\"x",
            "wiki.localhost\"",
            "wiki.localhost\r\n X: y",
            "a\\b",
        ] {
            let mark = Mark::new();
            assert_eq!(status_with(rig, "/echo", &format!("Host: {host}\r\n"), &mark).await, 400, "{host}");
            rig.assert_nothing_of(&mark, host);
            assert!(http2_with(rig, host.as_bytes(), &mark).await.is_refused(), "{host}");
        }
        let mark = Mark::new();
        rig.get("/echo", &mark).await;
        let arrived = rig.arrived(&mark);
        let forwarded = format!("forwarded: for=127.0.0.1;host=\"{}\";proto=https", rig.host());
        assert!(arrived.to_ascii_lowercase().lines().any(|line| line == forwarded), "{arrived}");
    });
}

/// `*.teams.localhost`: one label in front, no more and no less.
#[test]
fn t17_a_wildcard_stands_for_one_label() {
    run(async |rig| {
        let port = rig.world.settings.port;
        for (name, status) in [
            ("a.teams.localhost", 401),
            ("A.Teams.LOCALHOST", 401),
            ("teams.localhost", 421),
            ("a.b.teams.localhost", 421),
            ("a-teams.localhost", 421),
            ("ateams.localhost", 421),
            ("*.teams.localhost", 400),
            (".teams.localhost", 400),
            ("a.teams.localhost.", 400),
        ] {
            let request = format!("GET / HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n");
            assert_eq!(rig.raw(request.as_bytes()).await.map_or(400, |reply| reply.status), status, "{name}");
        }
    });
}
