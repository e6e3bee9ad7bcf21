//! How much of an application, of a connection and of the gateway one client may take at once: each limit, just over it.

use std::time::{Duration, Instant};

use portcullis_tests::browser::{Browser, Outgoing, Versions};
use portcullis_tests::harness::{ApplicationSettings, ports};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::rig::{Act, OK, PATIENCE, Told, application, at, get, visitor, world, world_of_one_worker};

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_more_than_an_application_bears_is_refused() {
    const LIMITS: &str = "[limits]\nupstream_connections = 2\n";
    let port = ports::free();
    let narrow = application("narrow", &format!("http://127.0.0.1:{port}"), "");
    let world = world_of_one_worker(vec![narrow], LIMITS).await;
    let _upstream = Told::listen(port, |head| match head.contains("/held") {
        true => Act::Stall("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun"),
        false => OK,
    })
    .await;
    let browser = visitor(&world, Versions::Http1, &["narrow"]).await;
    let wanted = Outgoing::navigation(&at(&world, "narrow", "/held")).unwrap();
    let (first, _second) = (browser.stream(&wanted).await.unwrap(), browser.stream(&wanted).await.unwrap());
    assert_eq!(get(&browser, &world, "narrow", "/more").await.status, 503);
    assert_eq!(browser.fetch(&world.wiki("/")).await.unwrap().status, 200, "other applications go on");
    drop(first);
    let begun = Instant::now();
    while get(&browser, &world, "narrow", "/more").await.status != 200 {
        assert!(begun.elapsed() < PATIENCE, "a connection that is over is still counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends a head over a connection that stays open, and reads the answer as far as its announced length.
async fn ask(connection: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), head: &str) -> (u16, String) {
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.flush().await.unwrap();
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let length = lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            if body.len() >= length.unwrap().1.parse::<usize>().unwrap() {
                return (Browser::raw_status(&answer), text);
            }
        }
        assert!(connection.read_buf(&mut answer).await.unwrap() > 0, "the answer broke off: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_and_application_more_than_a_connection_bears_is_told_to_open_another() {
    const PASSAGES: usize = 64;
    let port = ports::free();
    let _upstream = Told::listen(port, |_| OK).await;
    let numbered = |number: usize| ApplicationSettings {
        host: "many.localhost".to_owned(),
        ..application(
            &format!("many-{number}"),
            &format!("http://127.0.0.1:{port}"),
            &format!("paths = [\"/{number}\"]"),
        )
    };
    let world = world((0..=PASSAGES).map(numbered).collect(), "").await;
    let browser = visitor(&world, Versions::Http1, &["many-0"]).await;
    let address = at(&world, "many-0", "/0");
    let page = browser.navigate(&address).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let cookie = browser.jar().header(&address.parse().unwrap()).unwrap();
    let head = |number: usize| {
        let host = format!("many.localhost:{}", world.settings.port);
        format!("GET /{number} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n")
    };
    let mut connection = browser.raw_connection(&address).await.unwrap();
    for number in 0..PASSAGES {
        assert_eq!(ask(&mut connection, &head(number)).await.0, 200, "application {number}");
    }
    let (status, text) = ask(&mut connection, &head(PASSAGES)).await;
    assert_eq!(status, 421, "{text}");
    let mut another = browser.raw_connection(&address).await.unwrap();
    assert_eq!(ask(&mut another, &head(PASSAGES)).await.0, 200);
}
