use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server that answers each request (its head and body as text) with raw bytes and closes.
pub(crate) struct Server {
    pub(crate) origin: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn new(answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (counted, own) = (Arc::clone(&requests), origin.clone());
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (counted, own, answer) = (Arc::clone(&counted), own.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    counted.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(answer(&own, &request).as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { origin, requests }
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        request.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let length = |head: &str| {
            head.lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0)
        };
        match request.split_once("\r\n\r\n") {
            Some((head, body)) if body.len() >= length(head) => return request,
            _ if count == 0 => return request,
            _ => {}
        }
    }
}

/// A whole answer with JSON in it.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn get(url: &str) -> Request<Vec<u8>> {
    Request::get(url).body(Vec::new()).unwrap()
}

fn client() -> WebClient {
    WebClient::new(Duration::from_secs(20)).unwrap()
}

#[tokio::test]
async fn an_answer_comes_whole_and_the_request_names_us() {
    let server = Server::new(|_, request| answer(404, "", request)).await;
    let got = client().send(get(&server.origin)).await.unwrap();
    assert_eq!(got.status(), 404);
    let request = String::from_utf8(got.into_body()).unwrap();
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
    assert!(
        request.contains(concat!("user-agent: portcullis/", env!("CARGO_PKG_VERSION"), "\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn t49_a_gigabyte_is_refused_by_its_announcement() {
    let server = Server::new(|_, _| "HTTP/1.1 200 X\r\ncontent-length: 1073741824\r\n\r\n".to_owned()).await;
    let error = client().send(get(&server.origin)).await.unwrap_err();
    assert!(matches!(error, WebClientError::TooLarge), "{error:?}");
}

#[tokio::test]
async fn t49_a_body_without_announcement_is_read_to_the_limit() {
    let body = |bytes: usize| {
        move |_: &str, _: &str| format!("HTTP/1.1 200 X\r\nconnection: close\r\n\r\n{}", "a".repeat(bytes))
    };
    let at = Server::new(body(MAX_ANSWER_BYTES)).await;
    assert_eq!(client().send(get(&at.origin)).await.unwrap().body().len(), MAX_ANSWER_BYTES);
    let over = Server::new(body(MAX_ANSWER_BYTES + 1)).await;
    let error = client().send(get(&over.origin)).await.unwrap_err();
    assert!(matches!(error, WebClientError::TooLarge), "{error:?}");
}

#[tokio::test]
async fn t49_a_dripping_body_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let client = WebClient::new(Duration::from_millis(500)).unwrap();
    let error = client.send(get(&url)).await.unwrap_err();
    assert!(matches!(error, WebClientError::Slow), "{error:?}");
}

#[tokio::test]
async fn t49_a_redirect_is_an_answer_and_nothing_is_followed() {
    let server = Server::new(|own, _| answer(302, &format!("location: {own}/next\r\n"), "")).await;
    assert_eq!(client().send(get(&server.origin)).await.unwrap().status(), 302);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn t73_a_compressed_answer_is_refused() {
    let server = Server::new(|_, _| answer(200, "content-encoding: gzip\r\n", "bomb")).await;
    let error = client().send(get(&server.origin)).await.unwrap_err();
    assert!(matches!(error, WebClientError::Broken(_)), "{error:?}");
}

#[tokio::test]
async fn a_cut_answer_and_a_closed_port_are_told_apart() {
    let server = Server::new(|_, _| "HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhalf".to_owned()).await;
    let error = client().send(get(&server.origin)).await.unwrap_err();
    assert!(matches!(error, WebClientError::Broken(_)), "{error:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client().send(get(&url)).await.unwrap_err();
    assert!(matches!(error, WebClientError::Unreachable(_)), "{error:?}");
}

#[test]
fn t49_addresses_that_no_provider_lives_at() {
    let may = |address: &str, secure| may_connect(address.parse().unwrap(), secure);
    assert!(may("192.0.2.1:443", true) && may("10.0.0.1:443", true) && may("[2001:db8::1]:443", true));
    assert!(may("127.0.0.1:80", false) && may("[::1]:80", false));
    assert!(!may("192.0.2.1:80", false) && !may("[2001:db8::1]:80", false));
    for address in ["169.254.169.254:443", "[fe80::1]:443", "[::ffff:169.254.169.254]:443", "0.0.0.0:443"] {
        assert!(!may(address, true), "{address}");
    }
}
