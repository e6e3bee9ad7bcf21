//! Who may connect, for whom wrong keys count, and what is said to a request that is none of the sink's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const OURS: &str = "/scim/v2/corp/Users";

/// A sidecar with a store of its own.
struct Running {
    address: SocketAddr,
    key: String,
    serving: JoinHandle<()>,
    folder: PathBuf,
}

/// Has no descriptor left at first.
struct FailsAtFirst {
    listener: TcpListener,
    failures_left: AtomicU32,
}

impl Listener for FailsAtFirst {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let fewer = |left: u32| left.checked_sub(1);
        match self.failures_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer) {
            Ok(_) => Err(io::Error::other("no file descriptor is free")),
            Err(_) => self.listener.accept().await,
        }
    }
}

impl Running {
    async fn with(of_sidecar: &str, limits: &str) -> Self {
        Self::failing(of_sidecar, limits, 0).await
    }

    /// As many times as said nothing can be accepted.
    async fn failing(of_sidecar: &str, limits: &str, failures: u32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("portcullis-sidecar-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let source = format!(
            "[server]\nlisten = [\"127.0.0.1:443\"]\ninner_listen = \"127.0.0.1:9443\"\nauth_host = \"auth.corp.example\"\n\
             [tls]\nself_signed = true\n[store]\nurl = \"sqlite:portcullis.db\"\n\
             [[identity_provider]]\nname = \"okta\"\ntype = \"okta\"\nissuer = \"https://corp.okta.com\"\nclient_id = \"p\"\n\
             [[directory]]\nname = \"corp\"\nidentity_provider = \"okta\"\n\
             [sidecar]\nlisten = \"127.0.0.1:0\"\n{of_sidecar}\n[limits]\n{limits}\n"
        );
        let config = Config::parse(&source, Path::new(&folder)).unwrap();
        let store = Store::open(&config.store_file).unwrap();
        declare_directories(&store, &config).await.unwrap();
        let (_, key) = store.create_scim_key("corp", "okta push", now()).await.unwrap();
        let settings = config.sidecar.clone().unwrap();
        let listener = TcpListener::bind(settings.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = FailsAtFirst { listener, failures_left: AtomicU32::new(failures) };
        let sidecar = Arc::new(Sidecar::new(store, &settings, config));
        let serving = tokio::spawn(async move { serve(sidecar, listener).await.unwrap() });
        Self { address, key: key.expose().clone(), serving, folder }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Whatever comes back to these bytes until the connection is closed.
    async fn raw(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        let mut answer = Vec::new();
        // A connection that is closed unread may be reset.
        let _ = stream.write_all(bytes.as_bytes()).await;
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn ask(&self, line: &str, fields: &str) -> (u16, String, Value) {
        let asked =
            format!("{line} HTTP/1.1\r\nHost: scim.corp.example\r\nConnection: close\r\n{fields}\r\n");
        let answer = self.raw(&asked).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Expects an error in the form of RFC 7644 section 3.12.
    async fn refused(&self, line: &str, fields: &str, status: u16) -> String {
        let (came, head, body) = self.ask(line, fields).await;
        assert_eq!((came, &body["status"]), (status, &json!(status.to_string())), "{line}: {head} {body}");
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{line}");
        assert!(head.contains("content-type: application/scim+json"), "{line}: {head}");
        assert!(!body["detail"].as_str().unwrap().is_empty(), "{line}");
        head
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn whoever_is_not_named_is_not_heard() {
    let sidecar = Running::with("", "").await;
    assert_eq!(sidecar.ask("GET /healthz", "").await.0, 200, "this machine is let in unless said otherwise");
    let elsewhere = Running::with("from = [\"192.0.2.0/24\"]", "").await;
    let asked = "GET /healthz HTTP/1.1\r\nHost: scim.corp.example\r\nConnection: close\r\n\r\n";
    assert_eq!(elsewhere.raw(asked).await, "");
    assert!(!elsewhere.serving.is_finished());
}

#[tokio::test]
async fn a_connection_that_cannot_be_accepted_makes_nobody_deaf() {
    let sidecar = Running::failing("", "", 3).await;
    for _ in 0..2 {
        assert_eq!(sidecar.ask("GET /healthz", "").await.0, 200);
    }
}

#[tokio::test]
async fn what_is_not_modified_has_no_length_of_its_own() {
    let sidecar = Running::with("", "").await;
    let key = format!("Authorization: Bearer {}\r\n", sidecar.key);
    let body = json!({"userName": "jane@corp.example", "active": true}).to_string();
    let of_body = format!("Content-Type: application/scim+json\r\nContent-Length: {}\r\n", body.len());
    let (status, _, jane) = sidecar.ask(&format!("POST {OURS}"), &format!("{key}{of_body}\r\n{body}")).await;
    assert_eq!(status, 201, "{jane}");
    let (id, version) = (jane["id"].as_str().unwrap(), jane["meta"]["version"].as_str().unwrap());
    let known = format!("{key}If-None-Match: {version}\r\n");
    for method in ["HEAD", "GET"] {
        let (status, head, _) = sidecar.ask(&format!("{method} {OURS}/{id}"), &known).await;
        assert!(status == 304 && !head.contains("content-length"), "{method}: {head}");
    }
    let length = |head: &str| head.split("content-length: ").nth(1)?.lines().next()?.parse::<usize>().ok();
    for (path, status) in [(id, 200), ("nobody", 404)] {
        let of_get = sidecar.ask(&format!("GET {OURS}/{path}"), &key).await;
        let of_head = sidecar.ask(&format!("HEAD {OURS}/{path}"), &key).await;
        assert_eq!((of_get.0, of_head.0), (status, status));
        assert!(length(&of_head.1) > Some(0) && length(&of_head.1) == length(&of_get.1), "{}", of_head.1);
    }
}

#[tokio::test]
async fn wrong_keys_count_for_whom_the_proxy_names() {
    let sidecar = Running::with("from = [\"127.0.0.1\", \"10.0.0.0/8\"]", "login_per_minute = 2").await;
    let line = format!("GET {OURS}");
    let from = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    for status in [401, 401, 429] {
        let head = sidecar.refused(&line, &from("203.0.113.7, 198.51.100.1, 10.1.1.1"), status).await;
        assert_eq!(head.contains("retry-after: 60"), status == 429, "{head}");
    }
    sidecar.refused(&line, "Forwarded: for=198.51.100.1\r\n", 429).await;
    sidecar.refused(&line, &from("198.51.100.2"), 401).await;
    // Who names nobody is used for its own sake.
    sidecar.refused(&line, "", 401).await;
    for unreadable in ["unknown", "198.51.100.1;", "198.51.100.300"] {
        sidecar.refused(&line, &from(unreadable), 400).await;
    }
    let chain = vec!["10.1.1.1"; 33].join(", ");
    sidecar.refused(&line, &from(&chain), 400).await;
    let valid = format!("{}Authorization: Bearer {}\r\n", from("198.51.100.1"), sidecar.key);
    assert_eq!(sidecar.ask(&line, &valid).await.0, 200, "a right key is never kept waiting for wrong ones");
}

#[tokio::test]
async fn what_ends_before_the_sink_is_told_in_its_form() {
    let sidecar = Running::with("public_url = \"https://scim.corp.example\"", "").await;
    for line in ["GET /", "GET /scim", "GET /scim/v2", "GET /login", "POST /cdn-cgi/access/verify"] {
        let head = sidecar.refused(line, "", 404).await;
        assert!(!head.contains("retry-after"), "{line}: {head}");
    }
    for path in ["%00", "%zz", "..%2f", "a%2Fb", "//"] {
        sidecar.refused(&format!("GET {OURS}/{path}"), "", 400).await;
    }
    sidecar.refused(&format!("BREW {OURS}"), "", 501).await;
    sidecar.refused(&format!("GET {OURS}"), "Host: scim.corp.example\r\n", 400).await;
    sidecar.refused("GET /scim/v2/nowhere/Users", "", 401).await;
    sidecar.refused(&format!("GET {OURS}"), "Authorization: non-token\r\n", 401).await;
    let key = format!("Authorization: Bearer {}\r\n", sidecar.key);
    sidecar.refused(&format!("DELETE {OURS}"), &key, 405).await;
    let body = format!("{key}Content-Type: application/scim+json\r\nContent-Length: 20000000\r\n");
    sidecar.refused(&format!("POST {OURS}"), &body, 413).await;
    let (status, head, body) = sidecar.ask("HEAD /scim/v2/corp/ResourceTypes/User", &key).await;
    assert_eq!((status, body), (200, Value::Null), "{head}");
    assert!(head.contains("content-length: ") && !head.contains("content-length: 0"), "{head}");
    let (status, _, body) = sidecar.ask("GET /scim/v2/corp/ResourceTypes/User", &key).await;
    assert_eq!(status, 200);
    assert_eq!(body["meta"]["location"], "https://scim.corp.example/scim/v2/corp/ResourceTypes/User");
}

#[tokio::test]
async fn one_connection_over_the_limit_waits() {
    async fn answered(stream: &mut TcpStream) -> bool {
        let mut space = [0; 512];
        stream.read(&mut space).await.is_ok_and(|read| space[..read].starts_with(b"HTTP/1.1 200"))
    }
    const ASKED: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: scim.corp.example\r\n\r\n";
    let sidecar = Running::with("", "").await;
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = sidecar.connect().await;
        stream.write_all(ASKED).await.unwrap();
        assert!(tokio::time::timeout(PATIENCE, answered(&mut stream)).await.unwrap());
        held.push(stream);
    }
    let mut over = sidecar.connect().await;
    over.write_all(ASKED).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(300), over.readable()).await;
    assert!(early.is_err(), "one more was answered");
    drop(held.pop());
    assert!(tokio::time::timeout(PATIENCE, answered(&mut over)).await.unwrap());
}
