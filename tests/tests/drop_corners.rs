//! The Drop where bytes hide: in the queue of a socket that is closed already, of a process that was killed, of a connection
//! that was signed out before, of an upstream connection that somebody else uses next; and with people that no link reaches.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_tests::browser::Browser;
use portcullis_tests::harness::{ApplicationSettings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const ENGINEER: &str = "engineer@corp.example";
const DEVELOPER: &str = "developer@corp.example";
/// Fits into the gateway's send queue, and not into the client's receive buffer.
const ANSWER_BYTES: usize = 1_500_000;
/// Fits into the gateway's send queue whole, so that the request counts as sent.
const UPLOAD_BYTES: usize = 1_000_000;
/// What may have been in the client's own kernel, and in its TLS, before the 2xx.
const ALREADY_DELIVERED: usize = 150_000;
/// How long an answer may take from the upstream into the gateway's queue.
const FILLING: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks for a large answer and does not read it.
async fn ask_and_wait(
    world: &World,
    browser: &Browser,
    connection: &str,
) -> portcullis_tests::browser::Stream {
    let wiki = world.wiki("");
    let cookie = browser.jar().header(&wiki.parse().unwrap()).unwrap();
    let host = wiki.trim_start_matches("https://");
    let mut stream = browser.narrow_connection(&wiki).await.unwrap();
    let request = format!(
        "GET /download?bytes={ANSWER_BYTES} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: {connection}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    tokio::time::sleep(FILLING).await;
    stream
}

/// Everything that still comes.
async fn read_on(stream: &mut portcullis_tests::browser::Stream) -> usize {
    let (mut total, mut space) = (0, vec![0; 65_536]);
    let reading = async {
        while let Ok(read @ 1..) = stream.read(&mut space).await {
            total += read;
        }
    };
    // A connection that is neither cut nor closed ends the wait, not the count.
    let _ = tokio::time::timeout(PATIENCE, reading).await;
    total
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_whose_person_stays_gets_everything() {
    let world = World::start().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let mut stream = ask_and_wait(&world, &browser, "close").await;
    assert!(read_on(&mut stream).await > ANSWER_BYTES, "a closed connection is delivered to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_already_is_cut() {
    let world = World::start().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let mut stream = ask_and_wait(&world, &browser, "close").await;
    world.deactivate(ENGINEER).await;
    let late = read_on(&mut stream).await;
    assert!(late < ALREADY_DELIVERED, "{late} bytes came after the 2xx");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_no_queue_behind() {
    let mut world = World::start().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let mut stream = ask_and_wait(&world, &browser, "keep-alive").await;
    world.gateway.kill_hard();
    world.gateway.start_again().await.unwrap_or_else(|error| panic!("{error}"));
    world.deactivate(ENGINEER).await;
    let late = read_on(&mut stream).await;
    assert!(late < ALREADY_DELIVERED, "{late} bytes came after the 2xx");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_first_keeps_nothing_open() {
    let world = World::start().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let mut stream = ask_and_wait(&world, &browser, "keep-alive").await;
    browser.navigate(&world.wiki("/cdn-cgi/access/logout")).await.unwrap();
    world.deactivate(ENGINEER).await;
    let late = read_on(&mut stream).await;
    assert!(late < ALREADY_DELIVERED, "{late} bytes came after the 2xx");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_is_cut_off() {
    let world = World::with(WorldConfig {
        change: |settings| settings.extra = "[limits]\nidle_timeout = \"2s\"\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let mut stream = ask_and_wait(&world, &browser, "close").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let late = read_on(&mut stream).await;
    assert!(late < ALREADY_DELIVERED, "{late} bytes were still kept for somebody who does not read");
}

/// An upstream that answers before it has read, and reads on only when it is told to.
#[derive(Debug, Default)]
struct Hasty {
    reads: AtomicBool,
    received: AtomicUsize,
}

static HASTY_PORT: OnceLock<u16> = OnceLock::new();

impl Hasty {
    async fn start() -> Arc<Self> {
        let hasty = Arc::new(Self::default());
        // A small receive buffer: what is not read stays in the gateway's queue, where it can still be stopped.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        HASTY_PORT.set(listener.local_addr().unwrap().port()).unwrap();
        let serving = hasty.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        hasty
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            if head.starts_with(b"POST") {
                break;
            }
        }
        while !self.reads.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut space = vec![0; 65_536];
        while let Ok(read @ 1..) = stream.read(&mut space).await {
            self.received.fetch_add(read, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_an_upload_does_not_flow_under_the_next_person() {
    let hasty = Hasty::start().await;
    let world = World::with(WorldConfig {
        change: |settings| {
            let upstream = format!("http://127.0.0.1:{}", HASTY_PORT.get().unwrap());
            settings.applications.push(ApplicationSettings::new("depot", &upstream, "anybody"));
            // One worker, so that both people share the connections of one pool.
            settings.server_extra = "workers = 1".to_owned();
        },
        ..WorldConfig::default()
    })
    .await;
    let depot = world.settings.application_url("depot");
    let (first, second) = (world.browser(), world.browser().another_profile());
    first.log_in(&format!("{depot}/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    second.log_in(&format!("{depot}/"), DEVELOPER, DEMO_PASSWORD).await.unwrap();

    let cookie = first.jar().header(&depot.parse().unwrap()).unwrap();
    let mut upload = first.raw_connection(&depot).await.unwrap();
    let host = depot.trim_start_matches("https://");
    let head = format!(
        "POST /in HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n"
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&vec![b'x'; UPLOAD_BYTES]).await.unwrap();
    upload.flush().await.unwrap();
    let mut answer = vec![0; 12];
    upload.read_exact(&mut answer).await.unwrap();
    tokio::time::sleep(FILLING).await;
    // The next person comes along; whatever connection they are given, it must not carry the first one's tail.
    let other = second.fetch(&format!("{depot}/other")).await.unwrap();
    assert_eq!(other.status, 200);
    world.deactivate(ENGINEER).await;
    // What the kernel of the upstream had taken in before the 2xx is read now; the rest must be gone.
    hasty.reads.store(true, Ordering::SeqCst);
    tokio::time::sleep(FILLING).await;
    let received = hasty.received.load(Ordering::SeqCst);
    assert!(
        received < ALREADY_DELIVERED,
        "{received} bytes of the body were read after its person was dropped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_gets_one_host_line() {
    let world = World::start().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let wiki = world.wiki("");
    let cookie = browser.jar().header(&wiki.parse().unwrap()).unwrap();
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: WIKI.localhost:1\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    let answer = browser.raw(&wiki, request.as_bytes()).await.unwrap();
    assert_eq!(Browser::raw_status(&answer), 200);
    let raw = world.upstream.recorder().raw_received_for("/echo");
    let raw = String::from_utf8_lossy(&raw).to_ascii_lowercase();
    let hosts: Vec<&str> = raw.lines().filter(|line| line.starts_with("host:")).collect();
    assert_eq!(hosts, [format!("host: {}", wiki.trim_start_matches("https://"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_renamed_or_deleted_gives_nothing_back() {
    let world = World::start().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    world.okta.remove_member("Engineering", ENGINEER).await.unwrap();
    assert_eq!(browser.fetch(&world.wiki("/")).await.unwrap().status, 403);
    world.okta.rename_group("Engineering", "engineering").await.unwrap();
    assert_eq!(browser.fetch(&world.wiki("/")).await.unwrap().status, 403, "renamed in case alone");
    world.okta.unlink_group("engineering").await.unwrap();
    assert_eq!(browser.fetch(&world.wiki("/")).await.unwrap().status, 403, "deleted");
}
