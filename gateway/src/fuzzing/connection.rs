//! The first bytes of a connection, TLS aside, through the readers of both versions of HTTP, the canonical request and the head
//! for the upstream, and out through the writer: what comes out is one request that means what was judged.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::{WORLD, wire};
use crate::listen;
use crate::route::{Canonical, Destination};

/// What a stream holds of what the other side has not read.
const PIPE_BYTES: usize = 64 * 1024;
/// No input that fits into a fuzzer's hands takes longer, on any machine.
const PATIENCE: Duration = Duration::from_secs(20);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What was judged, and what an upstream got for it.
type Forwarded = Arc<Mutex<Vec<(Canonical, Vec<u8>)>>>;

/// Reads bytes as a client's. The first says which version of HTTP was agreed on in the handshake.
pub fn connection(bytes: &[u8]) {
    let Some((version, bytes)) = bytes.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let forwarded = Forwarded::default();
    let served = async {
        if version % 2 == 0 {
            http1(bytes, &forwarded).await;
        } else {
            http2(bytes, &forwarded).await;
        }
    };
    let in_time = runtime.block_on(async { tokio::time::timeout(PATIENCE, served).await });
    assert!(in_time.is_ok(), "the connection did not end with its last byte");
    for (canonical, bytes) in forwarded.lock().unwrap().iter() {
        assert_same(canonical, bytes);
    }
}

async fn http1(bytes: &[u8], forwarded: &Forwarded) {
    let (client, server) = duplex(PIPE_BYTES);
    let service = service_fn(|request| answer(request, forwarded.clone()));
    let builder = listen::http1_builder(&WORLD.limits);
    let serving = builder.serve_connection(TokioIo::new(server), service);
    // How a connection ends is the peer's affair.
    let _ = tokio::join!(serving, play(client, &[], bytes));
}

async fn http2(bytes: &[u8], forwarded: &Forwarded) {
    let (client, server) = duplex(PIPE_BYTES);
    let forwarded = forwarded.clone();
    let service = service_fn(move |request| answer(request, forwarded.clone()));
    let builder = listen::http2_builder(&WORLD.limits);
    let serving = builder.serve_connection(TokioIo::new(server), service);
    let _ = tokio::join!(serving, play(client, PREFACE, bytes));
}

/// A client that says what it has to say, then listens to the end.
async fn play(client: DuplexStream, preface: &[u8], bytes: &[u8]) {
    let (mut reading, mut writing) = tokio::io::split(client);
    let saying = async {
        // The server may have had enough.
        let _ = writing.write_all(preface).await;
        let _ = writing.write_all(bytes).await;
        let _ = writing.shutdown().await;
    };
    let mut answers = Vec::new();
    let _ = tokio::join!(saying, reading.read_to_end(&mut answers));
}

/// The stages that every request to an application passes, without those that need a session.
async fn answer(
    request: Request<Incoming>,
    forwarded: Forwarded,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    let (head, body) = request.into_parts();
    let Ok((canonical, Destination::Application(_))) = super::routes().resolve(&head, None) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let outgoing = super::for_upstream(&canonical, Request::from_parts(head, body));
    let bytes = written(outgoing).await;
    forwarded.lock().unwrap().push((canonical, bytes));
    Ok(response)
}

/// The bytes that an upstream gets, which answers once it has a head.
async fn written(request: Request<Incoming>) -> Vec<u8> {
    let (ours, mut theirs) = duplex(PIPE_BYTES);
    let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.expect("a fresh connection");
    let sending = async move {
        // A body that breaks off breaks the request off.
        if let Ok(response) = sender.send_request(request).await {
            let _ = response.into_body().collect().await;
        }
    };
    let receiving = async {
        let (mut bytes, mut space) = (Vec::new(), vec![0; 16 * 1024]);
        let mut answered = false;
        while let Ok(len @ 1..) = theirs.read(&mut space).await {
            bytes.extend_from_slice(&space[..len]);
            if !answered && bytes.windows(4).any(|four| four == b"\r\n\r\n") {
                answered = true;
                let _ = theirs.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
            }
        }
        bytes
    };
    let (_, (), bytes) = tokio::join!(connection, sending, receiving);
    bytes
}

fn assert_same(canonical: &Canonical, bytes: &[u8]) {
    if bytes.is_empty() {
        // The body broke off before the first byte was written.
        return;
    }
    let arrived = wire::request(bytes);
    assert_eq!(arrived.method, canonical.method.as_str());
    let (path, query) = arrived
        .target
        .split_once('?')
        .map_or((arrived.target.as_str(), None), |(path, query)| (path, Some(query)));
    assert_eq!(path, canonical.path.as_str(), "another path was sent than was judged");
    assert_eq!(query, canonical.query.as_deref(), "another query was sent");
    super::assert_one_reading(path);
}
