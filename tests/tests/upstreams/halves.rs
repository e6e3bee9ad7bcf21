//! One direction of a connection that goes on when the other has ended: tunnels, and what follows a body.

use portcullis_tests::browser::{Browser, Stream, Versions};
use portcullis_tests::harness::{World, ports};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::rig::{PATIENCE, application, at, visitor, world};

const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const ASKED: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

const TRAILED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Result\r\n\r\n\
                         2\r\nok\r\n0\r\nResult: fine\r\n\r\n";

/// An upstream that agrees to one WebSocket and does with it as it is told.
async fn upstream<F>(port: u16, act: impl FnOnce(TcpStream) -> F + Send + 'static) -> JoinHandle<String>
where
    F: Future<Output = String> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await;
            if head.contains("websocket") {
                stream.write_all(SWITCH).await.unwrap();
                return act(stream).await;
            }
            if head.starts_with("POST") {
                let body = read_head(&mut stream).await;
                stream.write_all(TRAILED).await.unwrap();
                return (head + &body).to_ascii_lowercase();
            }
            // The first page of whoever comes.
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
        }
    })
}

async fn socket(world: &World, browser: &Browser, path: &str) -> Stream {
    let address = at(world, "half", path);
    let cookie = browser.jar().header(&address.parse().unwrap()).unwrap();
    let origin = world.settings.application_url("half");
    let host = origin.trim_start_matches("https://");
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n{ASKED}\r\n");
    let mut stream = browser.raw_connection(&address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_said_its_last_still_hears_the_upstream() {
    let port = ports::free();
    let world = world(vec![application("half", &format!("http://127.0.0.1:{port}"), "")], "").await;
    let _upstream = upstream(port, async |mut stream| {
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        stream.write_all(format!("{said}, heard to the end").as_bytes()).await.unwrap();
        said
    })
    .await;
    let browser = visitor(&world, Versions::Http1, &["half"]).await;
    let mut stream = socket(&world, &browser, "/socket").await;
    stream.write_all(b"something").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, "something, heard to the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_has_said_its_last_still_hears_the_client() {
    let port = ports::free();
    let world = world(vec![application("half", &format!("http://127.0.0.1:{port}"), "")], "").await;
    let upstream = upstream(port, async |mut stream| {
        stream.write_all(b"that is all").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    })
    .await;
    let browser = visitor(&world, Versions::Http1, &["half"]).await;
    let mut stream = socket(&world, &browser, "/socket").await;
    let mut heard = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, "that is all");
    stream.write_all(b"one more thing").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(PATIENCE, upstream).await.unwrap().unwrap(), "one more thing");
}

#[tokio::test(flavor = "multi_thread")]
async fn announced_trailers_follow_a_body_over_http1_both_ways() {
    let port = ports::free();
    let world = world(vec![application("half", &format!("http://127.0.0.1:{port}"), "")], "").await;
    let upstream = upstream(port, async |_| String::new()).await;
    let browser = visitor(&world, Versions::Http1, &["half"]).await;
    let address = at(&world, "half", "/trailed");
    let cookie = browser.jar().header(&address.parse().unwrap()).unwrap();
    let host = format!("half.localhost:{}", world.settings.port);
    let head = format!(
        "POST /trailed HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: TE\r\nTE: trailers\r\n\
         Trailer: Checksum, X-Portcullis-Email\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let body = "4\r\nbody\r\n0\r\nChecksum: abc\r\nX-Portcullis-Email: forged@corp.example\r\n\r\n";
    let mut stream = browser.raw_connection(&address).await.unwrap();
    stream.write_all((head + body).as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let arrived = timeout(PATIENCE, upstream).await.unwrap().unwrap();
    assert!(arrived.contains("\r\ntrailer: checksum\r\n"), "{arrived}");
    assert!(arrived.ends_with("0\r\nchecksum: abc\r\n\r\n"), "{arrived}");
    assert!(!arrived.contains("forged"), "{arrived}");
    let answer = read_head(&mut stream).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("\r\ntrailer: result\r\n"), "{answer}");
    let rest = read_head(&mut stream).await.to_ascii_lowercase();
    assert!(rest.ends_with("0\r\nresult: fine\r\n\r\n"), "{rest}");
}
