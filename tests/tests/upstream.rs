//! The upstream's own promises: every byte is recorded, with its person and the kernel's time of arrival.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::time::{Duration, Instant};

use portcullis_tests::browser::{Browser, Outgoing};
use portcullis_tests::upstream::{Direction, Upstream, UpstreamConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ANNE: &str = "anne@corp.example";
const BERT: &str = "bert@corp.example";

async fn upstream() -> Upstream {
    Upstream::start(UpstreamConfig::default()).await.unwrap()
}

/// A browser that needs no CA, since the upstream speaks plain HTTP.
fn browser() -> Browser {
    let key = rcgen::generate_simple_self_signed(vec!["unused.localhost".to_owned()]).unwrap();
    Browser::new(&key.cert.pem())
}

fn get(person: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: wiki\r\nCf-Access-Authenticated-User-Email: {person}\r\n\r\n")
}

/// Reads until `end` has come.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut space = [0u8; 4096];
    while !text.contains(end) {
        let len =
            tokio::time::timeout(Duration::from_secs(20), stream.read(&mut space)).await.unwrap().unwrap();
        assert!(len > 0, "closed after {text}");
        text.push_str(&String::from_utf8_lossy(&space[..len]));
    }
    text
}

#[tokio::test]
async fn one_connection_of_two_people_is_told_apart() {
    let upstream = upstream().await;
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    let (anne, bert) = (get(ANNE, "/status/200"), get("Bert@Corp.Example", "/status/204"));
    stream.write_all(anne.as_bytes()).await.unwrap();
    read_until(&mut stream, "status 200").await;
    stream.write_all(bert.as_bytes()).await.unwrap();
    read_until(&mut stream, "204 No Content").await;

    let received = |person: &str| -> usize {
        let chunks = upstream.recorder().of(person);
        chunks.iter().filter(|c| c.direction == Direction::Received).map(|c| c.len).sum()
    };
    assert_eq!(received(ANNE), anne.len());
    assert_eq!(received(BERT), bert.len());
    assert_eq!(upstream.recorder().raw_received(1), [anne.as_bytes(), bert.as_bytes()].concat());
    assert!(upstream.recorder().unattributed().is_empty());
}

#[tokio::test]
async fn a_body_in_the_middle_belongs_to_its_person() {
    let upstream = upstream().await;
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: wiki\r\nTransfer-Encoding: chunked\r\n\
         Cf-Access-Authenticated-User-Email: {ANNE}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"5\r\nhello\r\n").await.unwrap();
    wait_for(|| {
        upstream.recorder().bytes_after(ANNE, Instant::now() - Duration::from_mins(1))
            == head.len() as u64 + 10
    })
    .await;
    let between = Instant::now();
    assert_eq!(upstream.recorder().bytes_after(ANNE, between), 0);
    stream.write_all(b"6\r\n world\r\n0\r\nX-End: 1\r\n\r\n").await.unwrap();
    let answer = read_until(&mut stream, "X-End").await;
    assert!(answer.contains("\"bytes\": 11"), "{answer}");
    // Of the second write every byte counts, chunk frames and trailers too.
    assert_eq!(upstream.recorder().bytes_after(ANNE, between), 26);
    assert_eq!(upstream.recorder().bytes_after(BERT, between), 0);
}

/// Waits for something that other tasks bring about.
async fn wait_for(mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < until, "did not come about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The reader is kept busy on purpose: the time must be that of the arrival all the same.
#[tokio::test(flavor = "current_thread")]
async fn the_time_is_the_kernels_and_not_the_readers() {
    let upstream = upstream().await;
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    stream.write_all(get(ANNE, "/status/200").as_bytes()).await.unwrap();
    let mut drained = [0u8; 4096];
    assert!(stream.read(&mut drained).await.unwrap() > 0);

    stream.write_all(get(ANNE, "/status/201").as_bytes()).await.unwrap();
    let sent = Instant::now();
    // Nothing else of this runtime runs now, the upstream least of all.
    std::thread::sleep(Duration::from_millis(300));
    let resumed = Instant::now();
    read_until(&mut stream, "status 201").await;

    let last =
        upstream.recorder().of(ANNE).into_iter().rfind(|c| c.direction == Direction::Received).unwrap();
    assert!(last.at < resumed, "counted as read, not as arrived");
    assert!(last.at <= sent + Duration::from_millis(250));
    assert_eq!(upstream.recorder().bytes_after(ANNE, resumed), 0);
}

#[tokio::test]
async fn a_tunnel_belongs_to_who_opened_it() {
    let upstream = upstream().await;
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    let open = format!(
        "GET /ws/echo HTTP/1.1\r\nHost: wiki\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Cf-Access-Authenticated-User-Email: {ANNE}\r\n\r\n"
    );
    stream.write_all(open.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let opened = Instant::now();
    // Text "hi", masked with zeroes.
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    read_until(&mut stream, "hi").await;
    assert_eq!(upstream.recorder().bytes_after(ANNE, opened), 8);
}

#[tokio::test]
async fn half_a_head_is_recorded_as_nobodys() {
    let upstream = upstream().await;
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nCf-Acc").await.unwrap();
    drop(stream);
    wait_for(|| upstream.recorder().unattributed().iter().map(|c| c.len).sum::<usize>() == 22).await;
}

#[tokio::test]
async fn a_head_just_over_the_limit_is_refused() {
    let upstream = upstream().await;
    for extra in [format!("X: {}\r\n", "x".repeat(256 * 1024)), "X: 1\r\n".repeat(513)] {
        let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
        // The refusal may come before all of it is written.
        let _ = stream.write_all(format!("GET / HTTP/1.1\r\nHost: a\r\n{extra}").as_bytes()).await;
        read_until(&mut stream, "431").await;
    }
}

#[tokio::test]
async fn pages_echo_and_bodies_both_ways() {
    let (upstream, browser) = (upstream().await, browser());
    let at = |path: &str| format!("{}{path}", upstream.url());
    let page = Outgoing::navigation(&at("/"))
        .unwrap()
        .header("Cf-Access-Authenticated-User-Email", "a<b@corp.example");
    let page = browser.send(&page).await.unwrap();
    assert!(page.text().contains("<strong id=\"email\">a&lt;b@corp.example</strong>"), "{}", page.text());

    let echo = browser.post(&at("/echo?a=%2F"), "text/plain", "abc").await.unwrap().json();
    assert_eq!(echo["target"], "/echo?a=%2F");
    assert_eq!(echo["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert!(echo["headers"].as_array().unwrap().iter().any(|line| line == "sec-fetch-mode: cors"));

    for path in ["/download?bytes=100001", "/download?bytes=100001&chunked=1"] {
        assert_eq!(browser.fetch(&at(path)).await.unwrap().body.len(), 100_001);
    }
    let trailers = browser.fetch(&at("/trailers")).await.unwrap().trailers.unwrap();
    assert_eq!(trailers["x-sum"], "21");
    assert_eq!(browser.fetch(&at("/status/418")).await.unwrap().status, 418);
    assert!(browser.fetch(&at("/early-close")).await.is_err());

    let upload = browser.upload(&at("/upload")).unwrap();
    assert!(upload.send("one").await);
    assert!(upload.send("two!").await);
    assert_eq!(upload.finish().await.unwrap().json()["bytes"], 7);
}

#[tokio::test]
async fn events_and_sockets_go_on_until_they_are_cut() {
    let (upstream, browser) = (upstream().await, browser());
    let mut events = browser.event_stream(&format!("{}/events", upstream.url())).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().data, "tick 1");
    assert_eq!(events.next().await.unwrap().unwrap().data, "tick 2");
    let mut clock = browser.websocket(&format!("{}/ws/clock", upstream.url())).await.unwrap();
    assert_eq!(clock.next().await.unwrap(), "tick 1");
    assert_eq!(clock.next().await.unwrap(), "tick 2");
    drop(upstream);
    assert_eq!(clock.closed().await.code, portcullis_tests::browser::ABNORMAL);
    assert!(events.ended().await.is_err());
}
