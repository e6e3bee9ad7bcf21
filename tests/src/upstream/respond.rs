//! Writes answers: whole ones with a Content-Length, and chunked ones piece by piece. It chooses no content.

use std::fmt::Write as _;
use std::io;

use super::connection::Wire;

/// An answer in the making.
#[derive(Debug)]
pub(crate) struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn text(self, body: &str) -> Self {
        self.body("text/plain; charset=utf-8", body.as_bytes().to_vec())
    }

    pub(crate) fn html(self, body: &str) -> Self {
        self.body("text/html; charset=utf-8", body.as_bytes().to_vec())
    }

    pub(crate) fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", serde_json::to_vec_pretty(body).unwrap_or_default())
    }

    pub(crate) fn body(mut self, kind: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("Content-Type", kind)
    }

    /// Sends it whole.
    pub(crate) async fn send(self, wire: &mut Wire) -> io::Result<()> {
        let bodyless = matches!(self.status, 100..=199 | 204 | 304);
        let mut bytes = self.head_bytes(|head| {
            if !bodyless {
                let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
            }
        });
        if !bodyless {
            bytes.extend_from_slice(&self.body);
        }
        wire.send(&bytes).await
    }

    /// Sends the head of a chunked answer; the pieces follow with [`chunk`] and [`last_chunk`].
    pub(crate) async fn start_chunked(self, wire: &mut Wire) -> io::Result<()> {
        let head = self.head_bytes(|head| head.push_str("Transfer-Encoding: chunked\r\n"));
        wire.send(&head).await
    }

    /// Sends the head alone, which says how to frame what follows.
    pub(crate) async fn start(self, wire: &mut Wire) -> io::Result<()> {
        let head = self.head_bytes(|_| {});
        wire.send(&head).await
    }

    fn head_bytes(&self, framing: impl FnOnce(&mut String)) -> Vec<u8> {
        let status = http::StatusCode::from_u16(self.status).ok();
        let reason = status.and_then(|s| s.canonical_reason()).unwrap_or("Unnamed");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        framing(&mut head);
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// One piece of a chunked answer.
pub(crate) async fn chunk(wire: &mut Wire, data: &[u8]) -> io::Result<()> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    wire.send(&bytes).await
}

/// The end of a chunked answer, with its trailers.
pub(crate) async fn last_chunk(wire: &mut Wire, trailers: &[(&str, String)]) -> io::Result<()> {
    let mut bytes = "0\r\n".to_owned();
    for (name, value) in trailers {
        let _ = write!(bytes, "{name}: {value}\r\n");
    }
    bytes.push_str("\r\n");
    wire.send(bytes.as_bytes()).await
}
