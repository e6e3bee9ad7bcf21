//! Addresses whose answer takes a while: events, downloads, slow answers, trailers, an answer cut short.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::body::Body;
use super::connection::Wire;
use super::head::Head;
use super::respond::{Response, chunk, last_chunk};

const EVENT_EVERY: Duration = Duration::from_millis(100);
const PIECE: usize = 16 * 1024;
static FILL: [u8; PIECE] = [b'p'; PIECE];
/// No download is longer than this.
const MAX_DOWNLOAD: u64 = 1 << 40;

/// Server-sent events until the peer leaves, or `count` of them, with `every_ms` between two.
pub(crate) async fn events(wire: &mut Wire, head: &Head) -> io::Result<()> {
    let count = head.query_number("count").unwrap_or(u64::MAX);
    let every = head.query_number("every_ms").map_or(EVENT_EVERY, Duration::from_millis);
    let response = Response::new(200).header("Content-Type", "text/event-stream");
    response.header("Cache-Control", "no-store").start_chunked(wire).await?;
    for number in 1..=count {
        chunk(wire, format!("id: {number}\ndata: tick {number}\n\n").as_bytes()).await?;
        pause(wire, every).await?;
    }
    last_chunk(wire, &[]).await
}

/// `bytes` bytes, in pieces with `pace_ms` between them; with `chunked` framed as chunks.
pub(crate) async fn download(wire: &mut Wire, head: &Head, body: &mut Body) -> io::Result<()> {
    body.drain(wire).await?;
    let total = head.query_number("bytes").unwrap_or(0).min(MAX_DOWNLOAD);
    let pace = Duration::from_millis(head.query_number("pace_ms").unwrap_or(0));
    let chunked = head.query("chunked").is_some();
    let response = Response::new(200).header("Content-Type", "application/octet-stream");
    if chunked {
        response.start_chunked(wire).await?;
    } else {
        response.header("Content-Length", &total.to_string()).start(wire).await?;
    }

    let mut left = total;
    while left > 0 {
        let now = &FILL[..PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        if chunked {
            chunk(wire, now).await?;
        } else {
            wire.send(now).await?;
        }
        left -= now.len() as u64;
        if !pace.is_zero() {
            pause(wire, pace).await?;
        }
    }
    if chunked { last_chunk(wire, &[]).await } else { Ok(()) }
}

/// An answer after `ms` milliseconds, as a long poll gives it.
pub(crate) async fn slow(wire: &mut Wire, head: &Head) -> io::Result<()> {
    pause(wire, Duration::from_millis(head.query_number("ms").unwrap_or(1000))).await?;
    Response::new(200).text("slow, but here\n").send(wire).await
}

/// A chunked answer with trailers, announced as HTTP asks for.
pub(crate) async fn trailers(wire: &mut Wire, body: &mut Body) -> io::Result<()> {
    body.drain(wire).await?;
    let response = Response::new(200).header("Content-Type", "text/plain").header("Trailer", "X-Sum, X-Last");
    response.start_chunked(wire).await?;
    chunk(wire, b"body before trailers\n").await?;
    last_chunk(wire, &[("X-Sum", "21".to_owned()), ("X-Last", "yes".to_owned())]).await
}

/// Announces more than it sends, and leaves.
pub(crate) async fn early_close(wire: &mut Wire) -> io::Result<()> {
    let response = Response::new(200).header("Content-Type", "text/plain");
    response.header("Content-Length", "1000").start(wire).await?;
    wire.send(b"cut short\n").await
}

/// Waits, and ends with an error when the peer leaves meanwhile. Bytes that come in the meantime are kept.
async fn pause(wire: &mut Wire, duration: Duration) -> io::Result<()> {
    let wait = sleep(duration);
    tokio::pin!(wait);
    loop {
        tokio::select! {
            () = &mut wait => return Ok(()),
            read = wire.fill() => match read? {
                0 => return Err(io::ErrorKind::ConnectionAborted.into()),
                _ => continue,
            },
        }
    }
}
