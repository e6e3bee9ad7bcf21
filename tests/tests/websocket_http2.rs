//! WebSockets over HTTP/2 (RFC 8441): decided like the GET that they are over HTTP/1.1, carried both ways, cut with their person.
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

use std::time::Duration;

use frames::{DATA, END_STREAM, Field, Frames, HEADERS, Outcome, PING, RST_STREAM, head_frames};
use portcullis_tests::browser::{Browser, Versions};
use portcullis_tests::harness::{Settings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;

const ENGINEER: &str = "engineer@corp.example";
const HOST: &str = "wiki.localhost";
/// Whose pages may use the wiki.
const PAGE: &str = "https://app.corp.example";
/// A text of two letters from a client, masked with zeros, and the same from a server (RFC 6455 section 5.2).
const ASKED: &[u8] = b"\x81\x82\0\0\0\0hi";
const ECHOED: &[u8] = b"\x81\x02hi";

/// A world, a connection to it, and the cookie of an engineer on the wiki.
async fn open() -> (World, Frames, String) {
    let change = |settings: &mut Settings| {
        settings.applications[0].extra =
            format!("cors = {{ origins = [\"{PAGE}\"], methods = [\"PUT\"] }}\n");
    };
    let world = World::with(WorldConfig { change, ..WorldConfig::default() }).await;
    let browser = Browser::speaking(&world.gateway.ca_pem(), Versions::Http2);
    browser.log_in(&world.wiki("/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    let cookies = browser.jar().all();
    let ours = cookies.iter().find(|it| it.host == HOST && it.name == "__Host-portcullis").unwrap();
    let cookie = format!("{}={}", ours.name, ours.value);
    let frames = Frames::open(&browser, &world.wiki("/")).await;
    (world, frames, cookie)
}

fn asking<'a>(path: &'a str, protocol: Option<&'a str>, cookie: &'a str) -> Vec<Field<'a>> {
    let mut fields: Vec<Field<'a>> = vec![(b":method", b"CONNECT")];
    fields.extend(protocol.map(|protocol| (&b":protocol"[..], protocol.as_bytes())));
    fields.extend([
        (&b":scheme"[..], &b"https"[..]),
        (b":authority", HOST.as_bytes()),
        (b":path", path.as_bytes()),
        (b"sec-websocket-version", b"13"),
    ]);
    if !cookie.is_empty() {
        fields.push((b"cookie", cookie.as_bytes()));
    }
    fields
}

/// The next frame of a stream.
async fn next_of(frames: &mut Frames, stream: u32) -> Option<frames::Frame> {
    loop {
        let frame = frames.next_frame().await?;
        if frame.stream == stream {
            return Some(frame);
        }
    }
}

/// Opens an echo; its stream.
async fn echo(frames: &mut Frames, cookie: &str) -> u32 {
    let stream = frames.head(&asking("/ws/echo", Some("websocket"), cookie), 0).await;
    let answer = next_of(frames, stream).await.unwrap();
    assert_eq!((answer.kind, answer.flags & END_STREAM), (HEADERS, 0), "{answer:?}");
    assert_eq!(frames::status_of(&answer.payload), 200);
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_both_ways_and_the_upstream_is_asked_over_http1() {
    let (world, mut frames, cookie) = open().await;
    let stream = echo(&mut frames, &cookie).await;
    for _ in 0..3 {
        frames.send(DATA, 0, stream, ASKED).await;
        assert_eq!(next_of(&mut frames, stream).await.unwrap().payload, ECHOED);
    }
    let arrived = world.upstream.recorder().raw_received_for("/ws/echo");
    let arrived = String::from_utf8_lossy(&arrived).to_lowercase();
    assert!(arrived.starts_with("get /ws/echo http/1.1\r\n"), "{arrived}");
    for field in ["connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-key: "] {
        assert!(arrived.contains(field), "{arrived}");
    }
    assert!(!arrived.contains("__host-portcullis") && !arrived.contains("protocol"), "{arrived}");
    // Others use the connection meanwhile, and one side's end is the other's.
    let mut page = asking("/whoami", None, &cookie);
    page[0].1 = b"GET";
    assert_eq!(frames.ask(&page).await.status(), 200);
    frames.send(DATA, 0, stream, b"\x88\x80\0\0\0\0").await;
    loop {
        let frame = next_of(&mut frames, stream).await.unwrap();
        if frame.kind != DATA || frame.flags & END_STREAM != 0 {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_decided_like_a_get_and_nothing_else_is_connected() {
    let (world, mut frames, cookie) = open().await;
    world.upstream.recorder().clear();
    assert_eq!(frames.ask(&asking("/ws/echo", Some("websocket"), "")).await.status(), 401);
    for (protocol, path) in [
        (Some("connect-udp"), "/ws/echo"),
        (Some("WebSocket"), "/ws/echo"),
        (Some("websocket"), "/a/../ws/echo"),
    ] {
        let outcome = frames.ask(&asking(path, protocol, &cookie)).await;
        assert!(outcome.is_refused(), "{protocol:?} {path}: {outcome:?}");
    }
    let plain: Vec<Field<'_>> = vec![(b":method", b"CONNECT"), (b":authority", b"wiki.localhost:443")];
    let outcome = frames.ask(&plain).await;
    assert!(outcome.is_refused(), "{outcome:?}");
    assert!(world.upstream.recorder().all().is_empty(), "nothing was asked of the upstream");
}

/// T41: a 2xx is what opens a tunnel here, so an upstream that agrees to nothing must not seem to.
#[tokio::test(flavor = "multi_thread")]
async fn t41_an_upstream_that_does_not_switch_opens_no_tunnel() {
    let (_world, mut frames, cookie) = open().await;
    for (path, status) in [("/status/200", 502), ("/status/204", 502), ("/status/404", 404)] {
        let stream = frames.head(&asking(path, Some("websocket"), &cookie), 0).await;
        assert_eq!(frames.outcome(stream).await.status(), status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_opens_a_socket_only_when_it_is_listed() {
    let (world, mut frames, cookie) = open().await;
    world.upstream.recorder().clear();
    let mut asked = asking("/ws/echo", Some("websocket"), &cookie);
    asked.push((b"origin", b"https://evil.corp.example"));
    assert_eq!(frames.ask(&asked).await.status(), 403);
    assert!(world.upstream.recorder().all().is_empty(), "nothing was asked of the upstream");
    let own = world.settings.application_url("wiki");
    for origin in [PAGE, &own] {
        asked.pop();
        asked.push((b"origin", origin.as_bytes()));
        let stream = frames.head(&asked, 0).await;
        let answer = next_of(&mut frames, stream).await.unwrap();
        assert_eq!(frames::status_of(&answer.payload), 200, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_ours_is_a_socket() {
    let (world, mut frames, cookie) = open().await;
    let auth_host = world.settings.auth_host.clone();
    for (host, path) in [
        (HOST, "/cdn-cgi/access/certs"),
        (&auth_host, "/cdn-cgi/access/certs"),
        (&auth_host, "/scim/v2/Users"),
        (&auth_host, "/"),
    ] {
        let mut asked = asking(path, Some("websocket"), &cookie);
        asked[3].1 = host.as_bytes();
        assert_eq!(frames.ask(&asked).await.status(), 501, "{host}{path}");
    }
}

/// T45: what is asked for and taken back is broken off, also when it would have been a socket.
#[tokio::test(flavor = "multi_thread")]
async fn t45_sockets_that_are_asked_for_and_reset_end_the_connection() {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let (_world, mut frames, cookie) = open().await;
    let mut heard = true;
    for round in 0..100_u8 {
        let streams: Vec<u32> = (0..5).map(|_| frames.next_stream()).collect();
        let asked = asking("/slow?ms=60000", Some("websocket"), &cookie);
        let heads = streams.iter().flat_map(|stream| head_frames(*stream, &asked, 0));
        frames.raw(&heads.collect::<Vec<u8>>()).await;
        // Long enough for each to be asked of the upstream; however long it takes, none is answered.
        frames.send(PING, 0, 0, &[round; 8]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let resets = streams.iter().flat_map(|stream| frames::frame(RST_STREAM, 0, *stream, &CANCEL));
        heard = frames.raw(&resets.collect::<Vec<u8>>()).await;
        if !heard {
            break;
        }
    }
    let stream = frames.head(&asking("/whoami", None, &cookie), END_STREAM).await;
    assert!(!heard || matches!(frames.outcome(stream).await, Outcome::Connection(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_cut_with_its_person() {
    let (world, mut frames, cookie) = open().await;
    let stream = echo(&mut frames, &cookie).await;
    let acknowledged = world.deactivate(ENGINEER).await;
    frames.send(DATA, 0, stream, ASKED).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!matches!(frames.outcome(stream).await, Outcome::Answer(..)));
    assert_eq!(world.upstream.recorder().bytes_after(ENGINEER, acknowledged), 0);
}
