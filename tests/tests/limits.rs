//! What a client may do to a connection before anybody knows who it is: each limit is kept, and what is just within it goes on.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "test code; the rig is made for more than this"
)]

#[path = "attacks/frames.rs"]
mod frames;
#[path = "attacks/wire.rs"]
mod wire;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use frames::{DATA, END_STREAM, Field, Frames, HEADERS, Outcome, RST_STREAM, head_frames};
use portcullis_tests::browser::{Browser, Versions};
use portcullis_tests::handshake::{Connection, Handshake, read_all, status};
use portcullis_tests::harness::{Gateway, Launch, Settings, World, WorldConfig};
use portcullis_tests::okta::{Company, OktaConfig, OktaSim};

const HOST: &str = "wiki.localhost";
/// The limits of this file's world.
const HEADER_BYTES: usize = 8_192;
const HEADER_COUNT: usize = 24;
const STREAMS: usize = 4;
const HANDSHAKE: Duration = Duration::from_secs(2);
const HEADER: Duration = Duration::from_secs(3);
/// No connection that is to be closed stays open for so long.
const PATIENCE: Duration = Duration::from_secs(15);

async fn narrow_world() -> World {
    World::with(WorldConfig {
        change: |settings| {
            settings.extra = format!(
                "[limits]\nhandshake_timeout = \"{}s\"\nheader_timeout = \"{}s\"\nheader_bytes = {HEADER_BYTES}\n\
                 header_count = {HEADER_COUNT}\nhttp2_streams = {STREAMS}\nidle_timeout = \"3s\"\n",
                HANDSHAKE.as_secs(),
                HEADER.as_secs()
            );
        },
        provisioned: false,
        ..WorldConfig::default()
    })
    .await
}

fn handshake(world: &World) -> Handshake {
    Handshake::new(&world.gateway.ca_pem(), world.settings.port, HOST)
}

async fn http2(world: &World) -> Frames {
    let browser = Browser::speaking(&world.gateway.ca_pem(), Versions::Http2);
    Frames::open(&browser, &world.wiki("/")).await
}

fn request<'a>(more: &[Field<'a>]) -> Vec<Field<'a>> {
    let mut fields: Vec<Field<'a>> = vec![
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", HOST.as_bytes()),
        (b":path", b"/"),
    ];
    fields.extend_from_slice(more);
    fields
}

/// How long the other side keeps the connection when nothing more is sent.
fn kept(mut from: impl Read) -> Duration {
    let (begun, mut space) = (Instant::now(), [0; 1_024]);
    while begun.elapsed() < PATIENCE {
        match from.read(&mut space) {
            Ok(0) => return begun.elapsed(),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => break,
            Err(_) => return begun.elapsed(),
        }
    }
    panic!("the connection is still open after {PATIENCE:?}");
}

/// Asks once over a connection that stays open, and reads no further than the head; the status.
fn asked(connection: &mut Connection) -> u16 {
    connection.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    let (mut answer, mut space) = (Vec::new(), [0; 4_096]);
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = connection.read(&mut space).unwrap_or_default();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&space[..read]);
    }
    status(&String::from_utf8_lossy(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_takes_one_descriptor() {
    const CONNECTIONS: usize = 40;
    let world = World::with(WorldConfig { provisioned: false, ..WorldConfig::default() }).await;
    let open = || descriptors(&world).len();
    assert_eq!(asked(&mut handshake(&world).connect().unwrap()), 401);
    let before = open();
    let mut held: Vec<_> = (0..CONNECTIONS).map(|_| handshake(&world).connect().unwrap()).collect();
    assert!(held.iter_mut().all(|connection| asked(connection) == 401));
    let accepted = accepted(&world);
    let of_clients = descriptors(&world).iter().filter(|descriptor| accepted.contains(*descriptor)).count();
    assert_eq!(of_clients, CONNECTIONS);
    // Nothing else is opened for each of them, either.
    assert!(open() < before + CONNECTIONS + 10, "{before} before, {} now", open());
}

/// What each open descriptor of the gateway is, as proc(5) tells it.
fn descriptors(world: &World) -> Vec<String> {
    let listed = std::fs::read_dir(format!("/proc/{}/fd", world.gateway.id())).unwrap();
    let told =
        |entry: std::fs::DirEntry| std::fs::read_link(entry.path()).ok()?.into_os_string().into_string().ok();
    listed.flatten().filter_map(told).collect()
}

/// The sockets of connections that clients have open at the gateway, in the same words.
fn accepted(world: &World) -> HashSet<String> {
    const ESTABLISHED: &str = "01";
    let here = format!("0100007F:{:04X}", world.settings.port);
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", world.gateway.id())).unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1] == here && row[3] == ESTABLISHED)
        .map(|row| format!("socket:[{}]", row[9]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_takes_no_more_connections_than_its_descriptors_bear() {
    // Two of three that are left of these, when 256 are set aside, are for clients.
    const SCRIPT: &str = "#!/bin/sh\nulimit -n 316\nexec ";
    const BORNE: usize = 40;
    let okta = OktaSim::start(OktaConfig::new(Company::demo())).await.unwrap();
    let settings = Settings::new(&okta.issuer(), "http://127.0.0.1:9");
    let mut launch = Launch::of(&settings);
    let script = launch.folder.path().join("bounded.sh");
    std::fs::write(&script, format!("{SCRIPT}'{}' \"$@\"\n", launch.program.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    launch.program = script;
    let gateway = Gateway::start(launch).await.unwrap_or_else(|error| panic!("{error}"));
    let connect = || Handshake::new(&gateway.ca_pem(), settings.port, HOST).connect().unwrap();
    let mut held: Vec<_> = (0..BORNE).map(|_| connect()).collect();
    assert!(held.iter_mut().all(|connection| asked(connection) == 401));
    assert!(connect().write_all(b"GET / HTTP/1.1\r\n\r\n").is_err(), "one more is closed unread");
    held.pop();
    let begun = Instant::now();
    while connect().write_all(b"GET / HTTP/1.1\r\n\r\n").is_err() {
        assert!(begun.elapsed() < PATIENCE, "there is room again");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_ends_in_time() {
    let world = narrow_world().await;
    for before in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let connection = Handshake { before: before.to_vec(), ..handshake(&world) }.connect().unwrap();
        let kept = kept(connection.sock);
        assert!(kept >= HANDSHAKE - Duration::from_secs(1), "{before:?}: {kept:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_ends_in_time_however_steadily_it_drips() {
    let world = narrow_world().await;
    let mut connection = handshake(&world).connect().unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nHost: wiki.localhost\r\nX-Slow: ").unwrap();
    let begun = Instant::now();
    while connection.write_all(b"x").and_then(|()| connection.flush()).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "a head is waited for without end");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(begun.elapsed() >= HEADER - Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_on_both_versions() {
    let world = narrow_world().await;
    let mut connection = handshake(&world).connect().unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nHost: wiki.localhost\r\n\r\n").unwrap();
    let idle = kept(&mut connection);
    assert!(idle >= HEADER - Duration::from_secs(1), "{idle:?}");
    // Without the preface, after it, and with a head that never ends.
    let unfinished = [PREFACE, &frames::frame(HEADERS, 0, 1, &frames::field_block(&request(&[])))].concat();
    for said in [&b""[..], PREFACE, &unfinished] {
        let mut connection =
            Handshake { protocols: vec![b"h2".to_vec()], ..handshake(&world) }.connect().unwrap();
        connection.write_all(said).unwrap();
        connection.conn.complete_io(&mut connection.sock).ok();
        let idle = kept(connection);
        assert!(idle >= HEADER - Duration::from_secs(1), "{:?}: {idle:?}", String::from_utf8_lossy(said));
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test(flavor = "multi_thread")]
async fn a_head_over_its_bytes_or_fields_is_refused() {
    let world = narrow_world().await;
    let ask = |more: &str| {
        let mut connection = handshake(&world).connect().unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{more}\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        status(&read_all(&mut connection).unwrap())
    };
    let fields = |count: usize| (0..count).map(|index| format!("X-{index}: 1\r\n")).collect::<String>();
    assert_eq!(ask(&fields(HEADER_COUNT - 2)), 401);
    assert_eq!(ask(&fields(HEADER_COUNT - 1)), 431);
    let long = |bytes: usize| format!("X-Long: {}\r\n", "x".repeat(bytes));
    assert_eq!(ask(&long(HEADER_BYTES - 200)), 401);
    assert_eq!(ask(&long(HEADER_BYTES)), 431);

    let value = "x".repeat(HEADER_BYTES - 400);
    let over = "x".repeat(HEADER_BYTES);
    assert_eq!(http2(&world).await.ask(&request(&[(b"x-long", value.as_bytes())])).await.status(), 401);
    let refused = http2(&world).await.ask(&request(&[(b"x-long", over.as_bytes())])).await;
    assert!(refused.status() == 431 || refused.is_refused(), "{refused:?}");
    let field: Field<'_> = (b"x-short", b"1");
    assert_eq!(http2(&world).await.ask(&request(&[field; HEADER_COUNT])).await.status(), 401);
    assert_eq!(http2(&world).await.ask(&request(&[field; HEADER_COUNT + 1])).await.status(), 431);
    // A context that is taken out, because it is none, was sent all the same; and one that we put in was not.
    let mut traced = vec![field; HEADER_COUNT];
    traced.push((b"traceparent", b"broken"));
    assert_eq!(http2(&world).await.ask(&request(&traced)).await.status(), 431);
    // Browsers send each cookie as a field of its own (RFC 9113 section 8.2.3): together they are one.
    let crumb: Field<'_> = (b"cookie", b"a=1");
    assert_eq!(http2(&world).await.ask(&request(&[crumb; HEADER_COUNT * 2])).await.status(), 401);
    let flood = http2(&world).await.ask(&request(&[crumb; HEADER_BYTES / 40])).await;
    assert!(flood.status() == 431 || flood.is_refused(), "crumbs count by their bytes: {flood:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_over_the_limit_is_refused() {
    let world = narrow_world().await;
    let mut connection = http2(&world).await;
    let streams: Vec<u32> = (0..=STREAMS).map(|_| connection.next_stream()).collect();
    // In one piece, so that none is answered before the last is seen.
    let heads = streams.iter().flat_map(|stream| head_frames(*stream, &request(&[]), END_STREAM));
    connection.raw(&heads.collect::<Vec<u8>>()).await;
    const REFUSED_STREAM: u32 = 7;
    assert_eq!(connection.outcome(streams[STREAMS]).await, Outcome::Reset(REFUSED_STREAM));
    let last = connection.ask(&request(&[])).await;
    assert_eq!(last.status(), 401, "the others were answered, and the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn rapid_resets_end_the_connection() {
    let world = narrow_world().await;
    let mut connection = http2(&world).await;
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let mut flood = Vec::new();
    for _ in 0..1_000 {
        let stream = connection.next_stream();
        flood.extend(head_frames(stream, &request(&[]), END_STREAM));
        flood.extend(frames::frame(RST_STREAM, 0, stream, &CANCEL));
    }
    connection.raw(&flood).await;
    let stream = connection.head(&request(&[]), END_STREAM).await;
    assert!(matches!(connection.outcome(stream).await, Outcome::Connection(_)));
    assert_eq!(http2(&world).await.ask(&request(&[])).await.status(), 401, "others are served");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_frames_without_end_end_the_connection() {
    let world = narrow_world().await;
    let mut connection = http2(&world).await;
    let stream = connection.head(&request(&[]), 0).await;
    let empty = frames::frame(DATA, 0, stream, b"").repeat(1_000);
    let begun = Instant::now();
    while connection.raw(&empty).await {
        assert!(begun.elapsed() < PATIENCE, "empty frames are taken without end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn provisioning_requests_have_a_most_and_their_bodies_come_in_time() {
    const AT_ONCE: usize = 128;
    let world = World::start().await;
    let address = format!("{}/Users", world.scim_url());
    let authority = address.split('/').nth(2).unwrap().to_owned();
    let key = format!("Bearer {}", world.scim_key);
    let fields = |method: &'static [u8]| -> [Field<'_>; 6] {
        [
            (b":method", method),
            (b":scheme", b"https"),
            (b":authority", authority.as_bytes()),
            (b":path", b"/scim/v2/corp/Users"),
            (b"authorization", key.as_bytes()),
            (b"content-type", b"application/scim+json"),
        ]
    };
    let browser = Browser::speaking(&world.gateway.ca_pem(), Versions::Http2);
    let mut other = Frames::open(&browser, &address).await;
    let (mut dripping, mut beyond) =
        (Frames::open(&browser, &address).await, Frames::open(&browser, &address).await);
    let first = dripping.head(&fields(b"POST"), 0).await;
    // More than there is room for, so that whoever asks beside them cannot take the place of one.
    for _ in 1..AT_ONCE {
        dripping.head(&fields(b"POST"), 0).await;
        beyond.head(&fields(b"POST"), 0).await;
    }
    let begun = Instant::now();
    while other.ask(&fields(b"GET")).await.status() != 429 {
        assert!(begun.elapsed() < PATIENCE, "one more is never refused");
    }
    assert_eq!(dripping.outcome(first).await.status(), 408);
    while other.ask(&fields(b"GET")).await.status() != 200 {
        assert!(begun.elapsed() < PATIENCE * 2, "there is no room again");
    }
}
