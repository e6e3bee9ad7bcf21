//! Connections that break, on either side: half of a body is never taken for the whole, and what does not answer is told.

use std::time::Duration;

use http::Method;
use portcullis_tests::browser::{Browser, Outgoing, Stream, Versions};
use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::upstream::{Direction, Upstream, UpstreamConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{PATIENCE, assert_login_works, assert_page, until};

/// How long the upstream is watched for what must not come.
const WATCH: Duration = Duration::from_millis(1_500);

async fn begin_upload(world: &World, browser: &Browser, framing: &str, piece: &str) -> Stream {
    let url = world.wiki("/upload");
    let cookies = browser.jar().header(&url.parse().unwrap()).unwrap();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: wiki.localhost:{}\r\nCookie: {cookies}\r\n{framing}\r\n\r\n{piece}",
        world.settings.port
    );
    let mut stream = browser.raw_connection(&url).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let recorder = world.upstream.recorder();
    until("the first piece at the upstream", || {
        String::from_utf8_lossy(&recorder.raw_received_for("/upload")).contains("first piece")
    })
    .await;
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_never_whole_for_the_upstream() {
    let world = World::start().await;
    let browser = assert_login_works(&world).await;
    let ways = [
        ("Content-Length: 1000", "first piece", false),
        ("Transfer-Encoding: chunked", "b\r\nfirst piece\r\n", false),
        // A client that says properly that it leaves, though its body is not over.
        ("Content-Length: 1000", "first piece", true),
        ("Transfer-Encoding: chunked", "b\r\nfirst piece\r\n", true),
        ("Transfer-Encoding: chunked", "b\r\nfirst piece\r\n5\r\nha", true),
    ];
    for (framing, piece, politely) in ways {
        world.upstream.recorder().clear();
        let mut stream = begin_upload(&world, &browser, framing, piece).await;
        if politely {
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        tokio::time::sleep(WATCH).await;
        let recorder = world.upstream.recorder();
        let received = String::from_utf8_lossy(&recorder.raw_received_for("/upload")).into_owned();
        let (_, body) = received.split_once("\r\n\r\n").unwrap();
        assert!(
            !body.contains("0\r\n\r\n") && body.len() < 1000,
            "{framing}: the end of a body came: {body}"
        );
        let answered =
            recorder.all().iter().any(|c| c.direction == Direction::Sent && c.path.as_ref() == "/upload");
        assert!(!answered, "{framing}: the upstream took half of an upload for the whole");
    }
    // The same connection to the upstream, or another, is as good as before.
    let answer = browser.post(&world.wiki("/upload"), "text/plain", "all of it").await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["bytes"]), (200, &9.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_is_never_whole_for_the_client() {
    let mut world = World::start().await;
    let browser = assert_login_works(&world).await;
    let one = Browser::speaking(&world.gateway.ca_pem(), Versions::Http1);
    for cookie in browser.jar().all() {
        one.jar().plant(cookie);
    }
    for client in [&browser, &one] {
        let cut = client.fetch(&world.wiki("/early-close")).await;
        assert!(cut.is_err(), "an answer cut short looked whole: {cut:?}");
        assert_eq!(client.fetch(&world.wiki("/whoami")).await.unwrap().status, 200);
    }
    let mut downloads = Vec::new();
    for client in [&browser, &one] {
        for query in ["bytes=1000000000&pace_ms=20", "bytes=1000000000&pace_ms=20&chunked=1"] {
            let download = Outgoing::script(Method::GET, &world.wiki(&format!("/download?{query}"))).unwrap();
            let mut download = client.stream(&download).await.unwrap();
            assert!(download.piece().await.unwrap().is_some());
            downloads.push(download);
        }
    }
    let elsewhere = Upstream::start(UpstreamConfig::default()).await.unwrap();
    let address = world.upstream.address();
    drop(std::mem::replace(&mut world.upstream, elsewhere));
    for mut download in downloads {
        let end = tokio::time::timeout(PATIENCE, download.ended()).await.expect("the download ends");
        assert!(end.is_err(), "a download cut by its upstream looked whole");
    }
    assert_an_upstream_that_is_down_is_told(&world, &browser).await;
    // It comes back at the same address.
    let listen = UpstreamConfig { listen: address, ..UpstreamConfig::default() };
    world.upstream = Upstream::start(listen).await.unwrap();
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 200);
    assert_login_works(&world).await;
}

async fn assert_an_upstream_that_is_down_is_told(world: &World, browser: &Browser) {
    let page = browser.navigate(&world.wiki("/")).await.unwrap();
    assert_page(&page, 502, &["cannot be reached", "Try again", "upstream_unreachable", "Reference"]);
    let answer = browser.fetch(&world.wiki("/whoami")).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (502, &"upstream_unreachable".into()));
    let answer = browser.post(&world.wiki("/upload"), "text/plain", "lost").await.unwrap();
    assert_eq!(answer.status, 502);
    assert!(browser.websocket(&world.wiki("/ws/echo")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_keeps_silent_is_told() {
    let world = World::with(WorldConfig {
        change: |settings| settings.extra = "[limits]\nupstream_response_timeout = \"3s\"\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let browser = assert_login_works(&world).await;
    let page = browser.navigate(&world.wiki("/slow?ms=60000")).await.unwrap();
    assert_page(&page, 504, &["does not answer", "took too long", "Try again", "upstream_timeout"]);
    let answer = browser.fetch(&world.wiki("/slow?ms=60000")).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (504, &"upstream_timeout".into()));
    assert_eq!(browser.fetch(&world.wiki("/slow?ms=100")).await.unwrap().text(), "slow, but here\n");
    // What has begun to answer may take its time.
    let mut events = browser.event_stream(&world.wiki("/events?count=20")).await.unwrap();
    let mut count = 0;
    while let Ok(Some(_)) = events.next().await {
        count += 1;
    }
    assert_eq!(count, 20);
}

/// A request whose head never ends costs one timeout; T39 and its kin belong to the attack cases.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_cut_off() {
    let world = World::with(WorldConfig {
        change: |settings| settings.extra = "[limits]\nheader_timeout = \"3s\"\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let browser = world.browser();
    let mut stream = browser.raw_connection(&world.wiki("/")).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: wiki.localhost\r\nX-Slow: ").await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is still open");
    assert!(answer.is_empty() || matches!(Browser::raw_status(&answer), 400 | 408), "{answer:?}");
    assert_login_works(&world).await;
}
