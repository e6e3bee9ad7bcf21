//! One gateway for all cases that need no configuration of their own, with somebody logged in; and how a case asks it and
//! finds what the upstream got.

use std::fmt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use portcullis_tests::browser::{Browser, Versions};
use portcullis_tests::harness::{ApplicationSettings, Settings, World, WorldConfig, ports};
use portcullis_tests::upstream::{Chunk, Direction};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard};

use super::frames::{Field, Frames, Outcome};
use super::scripted::{Scripted, Step, answer};
use super::wire::{Reply, Wire, find};

pub const ENGINEER: &str = "engineer@corp.example";
/// How long it is watched for what must not come where no answer tells that the request is over.
pub const WATCH: Duration = Duration::from_millis(500);
/// How many lines of the gateway's log a failed case shows.
const LAST_WORDS: usize = 4;

/// Outlives every test: the rig's simulators run on it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static RIG: OnceLock<Rig> = OnceLock::new();
static NEXT_MARK: AtomicU64 = AtomicU64::new(1);

/// A text that stands in one request and nowhere else.
#[derive(Clone)]
pub struct Mark(String);

impl Mark {
    pub fn new() -> Self {
        Self(format!("mark-{:06}-", NEXT_MARK.fetch_add(1, Ordering::Relaxed)))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub struct Rig {
    pub world: World,
    /// The engineer's browser.
    pub browser: Browser,
    /// The engineer's `Cookie` field on the wiki.
    pub cookie: String,
    /// What stands behind the application `odd`, one test at a time.
    odd: Mutex<Scripted>,
    pub http1: Browser,
    pub http2: Browser,
}

/// The application `odd`, whose upstream plays a script, for one test.
pub struct Odd {
    host: String,
    cookie: String,
    http1: Browser,
    pub upstream: MutexGuard<'static, Scripted>,
}

/// Applications by address of their visitors.
const BY_ADDRESS: &str = r#"
[[policy]]
name = "from-the-office"
action = "allow"
include = [{ ip = "10.0.0.0/8" }]

[[policy]]
name = "from-near"
action = "allow"
include = [{ ip = "127.0.0.0/8" }]
"#;

/// More applications beside the wiki, and patience that ends within a test.
fn settings(settings: &mut Settings) {
    let odd = format!("http://127.0.0.1:{}", ports::free());
    settings.applications.push(ApplicationSettings::new("odd", &odd, "anybody"));
    let upstream = settings.applications[0].upstream.clone();
    settings.applications.push(ApplicationSettings::new("office", &upstream, "from-the-office"));
    settings.applications.push(ApplicationSettings::new("near", &upstream, "from-near"));
    settings.policies.push_str(BY_ADDRESS);
    // One host with a part that the engineer may not enter, named after and before the whole; and one that is less strict.
    for (name, host, extra) in [
        ("site", "site.localhost", "paths = [\"/\"]"),
        ("site-admin", "site.localhost", "paths = [\"/admin\"]"),
        ("site-below", "site.localhost", "paths = [\"/teams/*/secret\"]"),
        ("lenient", "lenient.localhost", "tolerated_in_paths = [\"encoded_slash\", \"semicolon\"]"),
        ("any", "*.teams.localhost", ""),
    ] {
        let policy = if name.starts_with("site-") { "from-the-office" } else { "anybody" };
        let mut application = ApplicationSettings::new(name, &upstream, policy);
        host.clone_into(&mut application.host);
        extra.clone_into(&mut application.extra);
        settings.applications.push(application);
    }
    settings.extra = "[limits]\nupstream_response_timeout = \"4s\"\n".to_owned();
}

/// Runs a case against the shared rig.
pub fn run<F: AsyncFnOnce(&'static Rig)>(case: F) {
    let rig = RIG.get_or_init(|| {
        let rig = RUNTIME.block_on(Rig::start(WorldConfig { change: settings, ..WorldConfig::default() }));
        end_with_us(&rig);
        rig
    });
    let _words = LastWords(rig);
    RUNTIME.block_on(case(rig));
}

/// Runs a case that starts its own.
pub fn alone<F: AsyncFnOnce()>(case: F) {
    RUNTIME.block_on(case());
}

/// A static is never dropped, so somebody else ends its process and removes its folder: a shell that waits for the end of this
/// process, which closes the pipe between them.
fn end_with_us(rig: &Rig) {
    let mut keeper = Command::new("sh");
    keeper.args(["-c", "cat; kill -9 \"$1\"; rm -rf \"$2\"", "keeper"]);
    keeper.arg(rig.world.gateway.id().to_string()).arg(rig.world.gateway.folder());
    keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Our end of the pipe stays open for as long as the process lives.
    std::mem::forget(keeper.spawn().unwrap());
}

struct LastWords(&'static Rig);

impl Drop for LastWords {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.0.world.gateway.log().lines();
            let last = lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default();
            eprintln!("--- the gateway's last lines:\n{}\n---", last.join("\n"));
        }
    }
}

fn head(method: &str, target: &[u8], host: &str, cookie: &str, mark: &Mark) -> Vec<u8> {
    let mut head = format!("{method} ").into_bytes();
    head.extend_from_slice(target);
    let rest = format!(" HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-Mark: {mark}\r\n");
    head.extend_from_slice(rest.as_bytes());
    head
}

impl Odd {
    pub fn host(&self) -> &str {
        &self.host
    }

    pub async fn wire(&self) -> Wire {
        Wire::open(&self.http1, &format!("https://{}/", self.host)).await
    }

    pub fn head(&self, method: &str, target: &str, mark: &Mark) -> Vec<u8> {
        head(method, target.as_bytes(), &self.host, &self.cookie, mark)
    }
}

impl Rig {
    pub async fn start(config: WorldConfig) -> Self {
        let world = World::with(config).await;
        let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.trail());
        let cookie = browser.jar().header(&world.wiki("/").parse().unwrap()).unwrap();
        let odd = world.settings.applications.iter().find(|application| application.name == "odd");
        let port = odd.and_then(|odd| odd.upstream.rsplit(':').next()?.parse().ok()).unwrap_or(0);
        let odd = Mutex::new(Scripted::listen(port).await);
        let ca = world.gateway.ca_pem();
        let (http1, http2) =
            (Browser::speaking(&ca, Versions::Http1), Browser::speaking(&ca, Versions::Http2));
        Self { world, browser, cookie, odd, http1, http2 }
    }

    /// The wiki's authority.
    pub fn host(&self) -> String {
        format!("wiki.localhost:{}", self.world.settings.port)
    }

    pub async fn wire(&self) -> Wire {
        Wire::open(&self.http1, &self.world.wiki("/")).await
    }

    pub async fn frames(&self) -> Frames {
        Frames::open(&self.http2, &self.world.wiki("/")).await
    }

    /// A head of HTTP/1.1 without its end: the target as it is, the session, the mark.
    pub fn head(&self, method: &str, target: impl AsRef<[u8]>, mark: &Mark) -> Vec<u8> {
        head(method, target.as_ref(), &self.host(), &self.cookie, mark)
    }

    /// The engineer's `Cookie` field on another host.
    pub async fn cookie_for(&self, host: &str) -> String {
        let front = format!("https://{host}:{}/whoami", self.world.settings.port);
        let page = self.browser.navigate(&front).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.trail());
        self.browser.jar().header(&front.parse().unwrap()).unwrap()
    }

    /// The application with the scripted upstream, for this test alone until it is dropped.
    pub async fn odd(&'static self) -> Odd {
        let upstream = self.odd.lock().await;
        let front = format!("{}/", self.world.settings.application_url("odd"));
        upstream.play([Step::Answer(answer("welcome"))]);
        assert_eq!(self.browser.navigate(&front).await.unwrap().status, 200);
        let cookie = self.browser.jar().header(&front.parse().unwrap()).unwrap();
        let host = format!("odd.localhost:{}", self.world.settings.port);
        // Another script finds no connection with a rest of this one.
        upstream.play([]);
        Odd { host, cookie, http1: self.http1.another_profile(), upstream }
    }

    /// Asks for a target over a connection of its own, with the engineer's session.
    pub async fn get(&self, target: impl AsRef<[u8]>, mark: &Mark) -> Reply {
        let mut head = self.head("GET", &target, mark);
        head.extend_from_slice(b"\r\n");
        let shown = String::from_utf8_lossy(target.as_ref()).into_owned();
        self.raw(&head).await.unwrap_or_else(|| panic!("no answer to {shown}"))
    }

    /// Sends bytes over a connection of its own; the first answer.
    pub async fn raw(&self, bytes: &[u8]) -> Option<Reply> {
        let mut wire = self.wire().await;
        wire.send(bytes).await;
        wire.reply().await
    }

    /// The same request over HTTP/2.
    pub async fn get_http2(&self, target: impl AsRef<[u8]>, mark: &Mark) -> Outcome {
        self.ask_http2(target, mark, &[]).await
    }

    /// The same with more fields.
    pub async fn ask_http2(&self, target: impl AsRef<[u8]>, mark: &Mark, more: &[Field<'_>]) -> Outcome {
        let (host, mark) = (self.host(), mark.to_string());
        let mut fields = self.fields(&host, target.as_ref(), &mark);
        fields.extend_from_slice(more);
        self.frames().await.ask(&fields).await
    }

    /// The fields of a good request.
    pub fn fields<'a>(&'a self, host: &'a str, target: &'a [u8], mark: &'a str) -> Vec<Field<'a>> {
        vec![
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", host.as_bytes()),
            (b":path", target),
            (b"cookie", self.cookie.as_bytes()),
            (b"x-mark", mark.as_bytes()),
        ]
    }

    /// Asks for each target over both versions of HTTP: 400, and the upstream never hears of it.
    pub async fn refuses_targets<T: AsRef<[u8]>>(&self, targets: &[T]) {
        for target in targets {
            let shown = String::from_utf8_lossy(target.as_ref()).into_owned();
            let mark = Mark::new();
            let reply = self.get(target, &mark).await;
            assert_eq!(reply.status, 400, "{shown}: {}", reply.text());
            self.assert_nothing_of(&mark, &shown);
            let mark = Mark::new();
            // What is no URI at all ends in the protocol, before there is a request.
            let outcome = self.get_http2(target, &mark).await;
            assert!(outcome.is_refused(), "{shown} over HTTP/2: {outcome:?}");
            self.assert_nothing_of(&mark, &shown);
        }
    }

    /// Asks for each target over both versions of HTTP: the upstream gets the second form, and the policy judged its path.
    pub async fn forwards_targets(&self, targets: &[(&str, &str)]) {
        for (target, expected) in targets {
            for version in [Versions::Http1, Versions::Http2] {
                let mark = Mark::new();
                if version == Versions::Http1 {
                    let reply = self.get(target, &mark).await;
                    assert!(matches!(reply.status, 200 | 404), "{target}: {} {}", reply.status, reply.text());
                } else {
                    let outcome = self.get_http2(target, &mark).await;
                    assert!(matches!(outcome, Outcome::Answer(200 | 404, _)), "{target}: {outcome:?}");
                }
                let arrived = self.arrived(&mark);
                let line = arrived.lines().next().unwrap_or_default();
                assert_eq!(line, format!("GET {expected} HTTP/1.1"), "{target} over {version:?}");
                let path = expected.split('?').next().unwrap();
                assert_eq!(self.judged(&arrived).await["path"], path, "{target} over {version:?}");
            }
        }
    }

    /// The decision event of a request that arrived.
    pub async fn judged(&self, arrived: &str) -> Value {
        let id = arrived
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("x-request-id: ").map(str::to_owned));
        let id = id.expect("a request id");
        let log = self.world.gateway.log();
        let event = log.wait_for(super::wire::PATIENCE, |event| event["request"] == id.as_str()).await;
        event.expect("a decision event")
    }

    /// The raw bytes of the request with this mark as they reached the upstream; empty when none did.
    pub fn arrived(&self, mark: &Mark) -> String {
        let requests = self.requests();
        let found = requests.iter().find(|bytes| find(bytes, mark.0.as_bytes()).is_some());
        found.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }

    /// Every request that reached the upstream.
    pub fn all_arrived(&self) -> Vec<String> {
        self.requests().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// No byte of the request reached the upstream, on any connection.
    pub fn assert_nothing_of(&self, mark: &Mark, what: &str) {
        let arrived = self.arrived(mark);
        assert!(arrived.is_empty(), "{what} reached the upstream:\n{arrived}");
    }

    /// What each request consisted of: the received chunks of a connection, from one head to the next.
    fn requests(&self) -> Vec<Vec<u8>> {
        let chunks = self.world.upstream.recorder().all();
        let mut received: Vec<&Chunk> =
            chunks.iter().filter(|chunk| chunk.direction == Direction::Received).collect();
        received.sort_by_key(|chunk| chunk.connection);
        let same = |one: &&Chunk, other: &&Chunk| one.connection == other.connection && !is_head(other);
        let bytes = |chunk: &&Chunk| chunk.bytes.clone().unwrap_or_default();
        received.chunk_by(same).map(|chunks| chunks.iter().flat_map(bytes).collect()).collect()
    }
}

/// Whether a chunk begins with the head of its request.
fn is_head(chunk: &Chunk) -> bool {
    let line = format!(" {} HTTP/1.1\r\n", chunk.path);
    let bytes = chunk.bytes.as_deref().unwrap_or_default();
    find(bytes, line.as_bytes()).is_some_and(|at| at <= "OPTIONS".len())
}
