//! nginx or Caddy in front of an application, configured by the very file that `deploy/` gives to operators: only addresses and
//! paths are others.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::harness::binary::repository;
use crate::harness::{Folder, World};

const START_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Which program stands in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `deploy/nginx.conf`
    Nginx,
    /// `deploy/Caddyfile`
    Caddy,
}

/// A running proxy; killed by its id when dropped.
#[derive(Debug)]
pub struct Proxy {
    /// The certificate to trust.
    pub ca_pem: String,
    child: Child,
    folder: Folder,
}

impl Proxy {
    /// Starts it on the public port of a world, in front of the wiki and of the auth host.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(program: Program, world: &World) -> Self {
        let folder = Folder::temporary();
        let names = ["wiki.localhost", "auth.localhost"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        std::fs::write(folder.path().join("corp.pem"), &pem).expect("the certificate can be written");
        std::fs::write(folder.path().join("corp.key"), key).expect("the key can be written");
        let mut command = match program {
            Program::Nginx => nginx(world, folder.path()),
            Program::Caddy => caddy(world, folder.path()),
        };
        let errors = std::fs::File::create(folder.path().join("said.txt")).expect("a file for what it says");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}"));
        let mut proxy = Self { ca_pem: pem, child, folder };
        proxy.listening(world.settings.public()).await;
        proxy
    }

    async fn listening(&mut self, port: u16) {
        let until = Instant::now() + START_PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let left = self.child.try_wait().expect("it can be asked");
            assert!(left.is_none() && Instant::now() < until, "{left:?}: {}", self.said());
            tokio::time::sleep(POLL).await;
        }
    }

    /// What it complained about.
    #[must_use]
    pub fn said(&self) -> String {
        let said = |name| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}{}", said("said.txt"), said("error.log"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what the proxy said:\n{}\n---", self.said());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of `deploy/` with the addresses of this world.
fn with_addresses(file: &str, world: &World, folder: &Path, changes: &[(&str, String)]) -> String {
    let text = std::fs::read_to_string(repository().join("deploy").join(file)).expect("the file is there");
    let application = world.upstream.url().replace("http://", "");
    let common = [
        ("127.0.0.1:8443", format!("127.0.0.1:{}", world.settings.port)),
        ("127.0.0.1:8081", application),
        ("/etc/portcullis/ca.pem", world.gateway.ca_file().display().to_string()),
        ("put-the-forward-auth-secret-here", world.settings.client_secret.clone().unwrap_or_default()),
        ("corp.example.pem", "corp.pem".to_owned()),
        ("corp.example.key", "corp.key".to_owned()),
        ("/etc/nginx/", format!("{}/", folder.display())),
        ("/etc/caddy/", format!("{}/", folder.display())),
    ];
    common.iter().chain(changes).fold(text, |text, (from, to)| text.replace(from, to))
}

fn nginx(world: &World, folder: &Path) -> Command {
    let port = world.settings.public();
    let site = with_addresses(
        "nginx.conf",
        world,
        folder,
        &[
            ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
            ("corp.example", "localhost".to_owned()),
        ],
    );
    let path = folder.display();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {path}/{kind};\n"))
        .concat();
    // One process in the foreground, so that it can be stopped by its id.
    let whole = format!(
        "daemon off;\nmaster_process off;\npid {path}/nginx.pid;\nerror_log {path}/error.log;\n\
         events {{}}\nhttp {{\n    access_log off;\n{paths}{site}}}\n"
    );
    let file = write(folder, "nginx-whole.conf", &whole);
    let mut command = Command::new(find("nginx"));
    command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(folder).arg("-c").arg(file);
    command
}

fn caddy(world: &World, folder: &Path) -> Command {
    let port = world.settings.public();
    let site = with_addresses(
        "Caddyfile",
        world,
        folder,
        &[
            ("\nauth.corp.example {", format!("\nhttps://auth.localhost:{port} {{")),
            ("\nwiki.corp.example {", format!("\nhttps://wiki.localhost:{port} {{")),
            ("corp.example", "localhost".to_owned()),
        ],
    );
    let file = write(folder, "Caddyfile", &format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}"));
    let mut command = Command::new(find("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    command
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the configuration can be written");
    path
}

/// Debian keeps servers where the path of an ordinary user does not lead.
pub(super) fn find(program: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"].map(Path::new);
    let found = folders.iter().map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("`{program}` is not installed; `cargo xtask test` installs it"))
}
