//! How long and how much: each limit, just over it.

use std::time::{Duration, Instant};

use portcullis_tests::browser::{Browser, Outgoing, Versions};
use portcullis_tests::harness::ports;

use super::rig::{Act, OK, Told, application, at, get, visitor, world};

const HURRIED: &str = "[application.upstream]\nresponse_timeout = \"1s\"\nidle_timeout = \"2s\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_stands_still_is_given_up() {
    let port = ports::free();
    let url = format!("http://127.0.0.1:{port}");
    let applications = vec![
        application("hurried", &url, HURRIED),
        application("bounded", &url, "[application.upstream]\ntotal_timeout = \"2s\"\n"),
    ];
    let world = world(applications, "").await;
    let _upstream = Told::listen(port, |head| match head.split(' ').nth(1).unwrap() {
        "/silent" => Act::Stall(""),
        "/half" => Act::Stall("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        "/drip" => {
            Act::Drip("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", ".", Duration::from_millis(200))
        }
        "/go-on" => {
            Act::Drip("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", Duration::from_millis(100))
        }
        _ => OK,
    })
    .await;
    for versions in [Versions::Http1, Versions::Http2] {
        let browser = visitor(&world, versions, &["hurried", "bounded"]).await;
        for path in ["/silent", "/go-on"] {
            let begun = Instant::now();
            assert_eq!(get(&browser, &world, "hurried", path).await.status, 504, "{path} over {versions:?}");
            assert!(begun.elapsed() >= Duration::from_secs(1));
        }
        for (name, path) in [("hurried", "/half"), ("bounded", "/drip")] {
            let begun = Instant::now();
            let answer = browser.fetch(&at(&world, name, path)).await;
            assert!(answer.is_err(), "{path} over {versions:?} was ended as if it were whole");
            assert!(begun.elapsed() >= Duration::from_secs(2));
        }
        // What moves is not still.
        let mut slow =
            browser.stream(&Outgoing::navigation(&at(&world, "hurried", "/drip")).unwrap()).await.unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            assert!(slow.piece().await.unwrap().is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_in_its_body_is_told_so() {
    let port = ports::free();
    let world = world(vec![application("hurried", &format!("http://127.0.0.1:{port}"), HURRIED)], "").await;
    let _upstream =
        Told::listen(port, |head| if head.starts_with("POST") { Act::Stall("") } else { OK }).await;
    for versions in [Versions::Http1, Versions::Http2] {
        let browser = visitor(&world, versions, &["hurried"]).await;
        let upload = browser.upload(&at(&world, "hurried", "/upload")).unwrap();
        assert!(upload.send("a beginning").await);
        while !upload.is_over() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(upload.finish().await.unwrap().status, 408, "{versions:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_its_limit_is_refused_before_and_while_it_comes() {
    let how = "[application.upstream]\nmax_request_body = 1000\n";
    let port = ports::free();
    let world = world(vec![application("small", &format!("http://127.0.0.1:{port}"), how)], "").await;
    // What is chunked is never answered: none of it that is over the limit ever is whole.
    let _upstream =
        Told::listen(port, |head| if head.contains("chunked") { Act::Stall("") } else { OK }).await;
    let browser = visitor(&world, Versions::Http1, &["small"]).await;
    let address = at(&world, "small", "/upload");
    assert_eq!(browser.post(&address, "text/plain", "x".repeat(1000)).await.unwrap().status, 200);
    for versions in [Versions::Http1, Versions::Http2] {
        let browser = visitor(&world, versions, &["small"]).await;
        let over = browser.post(&address, "text/plain", "x".repeat(1001)).await.unwrap();
        assert_eq!(over.status, 413, "{versions:?}");
        let upload = browser.upload(&address).unwrap();
        for _ in 0..11 {
            upload.send("x".repeat(100)).await;
        }
        while !upload.is_over() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(upload.finish().await.unwrap().status, 413, "{versions:?}, in pieces");
    }
    // Who asks first is told before the first byte.
    let host = format!("small.localhost:{}", world.settings.port);
    let cookie = browser.jar().header(&address.parse().unwrap()).unwrap();
    let asked = format!(
        "POST /upload HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n"
    );
    let answer = browser.raw(&address, asked.as_bytes()).await.unwrap();
    assert_eq!(Browser::raw_status(&answer), 413, "{}", String::from_utf8_lossy(&answer));
}

/// An HTTP/2 client opens the window of each stream as it likes: one that never does holds no upstream connection for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_lets_go_of_its_upstream() {
    let world = world(Vec::new(), "[limits]\nidle_timeout = \"1s\"\n").await;
    let browser = visitor(&world, Versions::Http2, &[]).await;
    let wanted = Outgoing::navigation(&world.wiki("/download?bytes=50000000")).unwrap();
    let mut unread = browser.stream(&wanted).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ended = loop {
        match unread.piece().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(ended.is_err(), "it was carried on to its end");
}
