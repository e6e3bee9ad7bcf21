//! Pebble, the certificate authority that ACME clients are tried against: real orders, real questions in the handshake, and a
//! few misbehaviours on demand. It believes a name server of its own, by which every name leads to this machine.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::proxy::find;
use crate::handshake::{Handshake, read_all};
use crate::harness::{Folder, ports};

const START_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// What binds an account to one that an operator has there: the key's id, and the key in base64url.
pub const EXTERNAL_KEY: (&str, &str) =
    ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");

/// How it behaves.
#[derive(Debug, Clone)]
pub struct PebbleSettings {
    /// The port at which it asks whether a host is ours.
    pub tls_port: u16,
    /// How long its certificates are good, in seconds.
    pub validity_s: u64,
    /// How many good nonces in a hundred it refuses.
    pub nonces_refused: u8,
    /// Whether an account needs [`EXTERNAL_KEY`].
    pub external_account: bool,
    /// Where every name leads at first.
    pub names_lead_to: Ipv4Addr,
}

/// An authority on ports that it keeps, running or not; killed by its ids when dropped.
#[derive(Debug)]
pub struct Pebble {
    settings: PebbleSettings,
    port: u16,
    management: u16,
    names: u16,
    names_management: u16,
    ca_pem: String,
    running: Vec<Child>,
    folder: Folder,
}

impl Pebble {
    /// Prepares one that does not run yet.
    ///
    /// # Panics
    /// When its files cannot be written.
    #[must_use]
    pub fn prepare(settings: PebbleSettings) -> Self {
        let folder = Folder::temporary();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (port, management) = (ports::free(), ports::free());
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file can be written");
        };
        write("server.pem", &made.cert.pem());
        write("server.key", &made.signing_key.serialize_pem());
        let (key_id, key) = EXTERNAL_KEY;
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": "server.pem",
            "privateKey": "server.key",
            "httpPort": ports::free(),
            "tlsPort": settings.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": settings.external_account,
            "externalAccountMACKeys": { key_id: key },
            "certificateValidityPeriod": settings.validity_s,
        }});
        write("pebble.json", &config.to_string());
        let (names, names_management) = (ports::free(), ports::free());
        let (ca_pem, running) = (made.cert.pem(), Vec::new());
        Self { settings, port, management, names, names_management, ca_pem, running, folder }
    }

    /// Starts it. It knows nobody: accounts and its own root are made anew.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn run(&mut self) {
        let mut names = Command::new(find("pebble-challtestsrv"));
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        names.args(["-defaultIPv4", &self.settings.names_lead_to.to_string()]);
        names.args(["-dns01", &format!("127.0.0.1:{}", self.names)]);
        names.args(["-management", &format!("127.0.0.1:{}", self.names_management)]);
        self.spawn(names);
        let mut pebble = Command::new(find("pebble"));
        pebble.args(["-config", "pebble.json", "-dnsserver", &format!("127.0.0.1:{}", self.names)]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        pebble.env("PEBBLE_WFE_NONCEREJECT", self.settings.nonces_refused.to_string());
        self.spawn(pebble);
        for port in [self.names_management, self.management, self.port] {
            self.listening(port).await;
        }
    }

    fn spawn(&mut self, mut command: Command) {
        let said = std::fs::OpenOptions::new().create(true).append(true).open(self.said_file());
        let said = said.expect("a file for what it says");
        let errors = said.try_clone().expect("a second handle");
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(said).stderr(errors);
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}"));
        self.running.push(child);
    }

    async fn listening(&mut self, port: u16) {
        let until = Instant::now() + START_PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            for child in &mut self.running {
                let left = child.try_wait().expect("it can be asked");
                assert!(left.is_none(), "{left:?}");
            }
            assert!(Instant::now() < until, "nothing listens on port {port}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends it; it can be run again.
    pub fn stop(&mut self) {
        for mut child in self.running.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Lets every name lead elsewhere.
    ///
    /// # Panics
    /// When its name server does not answer.
    pub async fn let_names_lead_to(&self, address: Ipv4Addr) {
        let body = serde_json::json!({ "ip": address.to_string() }).to_string();
        let request = format!(
            "POST /set-default-ipv4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.names_management)).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        assert!(answer.contains(" 200 "), "{answer}");
    }

    /// Where it says what it offers.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// Who vouches for that address.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// The root of what it issues.
    ///
    /// # Panics
    /// When it does not tell.
    #[must_use]
    pub fn root_pem(&self) -> String {
        let mut stream =
            Handshake::new(&self.ca_pem, self.management, "localhost").connect().expect("it listens");
        let request = "GET /roots/0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it listens");
        let answer = read_all(&mut stream).expect("it answers");
        let begin = answer.find("-----BEGIN").unwrap_or_else(|| panic!("no certificate: {answer}"));
        answer[begin..].to_owned()
    }

    /// How many orders it was asked for, over all its runs.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.said().matches("POST /order-plz").count()
    }

    /// What it said of its work.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.said_file()).unwrap_or_default()
    }

    fn said_file(&self) -> PathBuf {
        self.folder.path().join("said.txt")
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what the authority said:\n{}\n---", self.said());
        }
        self.stop();
    }
}
