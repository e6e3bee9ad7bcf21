//! The port on this machine that the browser answers to (RFC 8252 section 7.3). It takes one answer, with the right state, and
//! nothing else that finds its way there.

use std::io;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::query::Query;

/// The longest head of a request that is read.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long a browser may take to send it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

const DONE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-security-policy: default-src 'none'\r\n\
    cache-control: no-store\r\nreferrer-policy: no-referrer\r\nconnection: close\r\n\r\n\
    <!doctype html><html lang=\"en\"><title>Back to the terminal</title><h1>Back to the terminal</h1>\
    <p>It has got the answer. This page can be closed.</p></html>\n";
const NOTHING: &str = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Why no code came.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("cannot listen on this machine")]
    Listen(#[from] io::Error),
    #[error("the answer in the browser was no")]
    Denied,
}

/// A port that waits for a browser.
#[derive(Debug)]
pub(super) struct Listening {
    listener: TcpListener,
    port: u16,
}

impl Listening {
    pub(super) async fn begin() -> Result<Self, AnswerError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The code of the first request that bears the state. One connection at a time: a browser opens others in vain.
    pub(super) async fn answer(self, state: &str) -> Result<String, AnswerError> {
        loop {
            let (mut stream, _) = self.listener.accept().await?;
            let read = tokio::time::timeout(HEAD_TIMEOUT, target(&mut stream)).await;
            let answer = read.ok().flatten().and_then(|query| answered(&query, state));
            let told = if answer.is_some() { DONE } else { NOTHING };
            let _ = tokio::time::timeout(HEAD_TIMEOUT, stream.write_all(told.as_bytes())).await;
            let _ = tokio::time::timeout(HEAD_TIMEOUT, stream.shutdown()).await;
            match answer {
                Some(Some(code)) => return Ok(code),
                Some(None) => return Err(AnswerError::Denied),
                None => {}
            }
        }
    }
}

/// The query of a request for the front page.
async fn target(stream: &mut TcpStream) -> Option<Query> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > MAX_HEAD_BYTES || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.split(' ');
    let (Some("GET"), Some(target)) = (words.next(), words.next()) else { return None };
    let url = Url::parse("http://127.0.0.1/").ok()?.join(target).ok()?;
    (url.path() == "/").then(|| Query::parse(url.query()))
}

/// A code, or a no; nothing when the state is another's.
fn answered(query: &Query, state: &str) -> Option<Option<String>> {
    verify_slices_are_equal(query.only("state")?.as_bytes(), state.as_bytes()).ok()?;
    Some(query.only("code").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut told = String::new();
        let _ = stream.read_to_string(&mut told).await;
        told
    }

    #[tokio::test]
    async fn only_the_right_state_is_an_answer() {
        let listening = Listening::begin().await.unwrap();
        let port = listening.port();
        let waiting = tokio::spawn(async move { listening.answer("right").await });
        for wrong in [
            "GET /favicon.ico HTTP/1.1\r\n\r\n",
            "GET /?state=wrong&code=stolen HTTP/1.1\r\n\r\n",
            "GET /?code=stolen HTTP/1.1\r\n\r\n",
            "POST /?state=right&code=stolen HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(ask(port, wrong).await.starts_with("HTTP/1.1 404"), "{wrong}");
        }
        let told = ask(port, "GET /?state=right&code=mine HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(told.contains("Back to the terminal"), "{told}");
        assert_eq!(waiting.await.unwrap().unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_head_over_the_limit_is_not_read() {
        let listening = Listening::begin().await.unwrap();
        let port = listening.port();
        let waiting = tokio::spawn(async move { listening.answer("right").await });
        let long =
            format!("GET /?state=right&code=mine HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(2 * MAX_HEAD_BYTES));
        assert!(!ask(port, &long).await.contains("200 OK"));
        ask(port, "GET /?state=right&error=access_denied HTTP/1.1\r\n\r\n").await;
        assert!(matches!(waiting.await.unwrap(), Err(AnswerError::Denied)));
    }
}
