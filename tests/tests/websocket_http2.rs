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

use frames::{DATA, END_STREAM, Field, Frames, HEADERS, Outcome};
use portcullis_tests::browser::{Browser, Versions};
use portcullis_tests::harness::World;
use portcullis_tests::okta::company::DEMO_PASSWORD;

const ENGINEER: &str = "engineer@corp.example";
const HOST: &str = "wiki.localhost";
/// A text of two letters from a client, masked with zeros, and the same from a server (RFC 6455 section 5.2).
const ASKED: &[u8] = b"\x81\x82\0\0\0\0hi";
const ECHOED: &[u8] = b"\x81\x02hi";

/// A world, a connection to it, and the cookie of an engineer on the wiki.
async fn open() -> (World, Frames, String) {
    let world = World::start().await;
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
async fn a_socket_is_cut_with_its_person() {
    let (world, mut frames, cookie) = open().await;
    let stream = echo(&mut frames, &cookie).await;
    let acknowledged = world.deactivate(ENGINEER).await;
    frames.send(DATA, 0, stream, ASKED).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!matches!(frames.outcome(stream).await, Outcome::Answer(..)));
    assert_eq!(world.upstream.recorder().bytes_after(ENGINEER, acknowledged), 0);
}
