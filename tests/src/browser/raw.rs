//! Exact bytes over TLS: for requests that no browser would ever send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::send::parse;
use super::{Browser, BrowserError, Stream};

/// An answer is taken to be over when nothing more has come for this long.
const QUIET: Duration = Duration::from_millis(800);
/// How long the first byte may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// No raw answer is longer.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

impl Browser {
    /// A connection to the server of `url` on which the test does as it likes, HTTP/1.1 by ALPN.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn raw_connection(&self, url: &str) -> Result<Stream, BrowserError> {
        self.connector.open_http1(&parse(url)?).await
    }

    /// The same with the versions of HTTP that this profile speaks.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn raw_stream(&self, url: &str) -> Result<Stream, BrowserError> {
        self.connector.open(&parse(url)?).await
    }

    /// As [`Browser::raw_connection`], with a receive buffer that holds next to nothing: what is not read stays with the server.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn narrow_connection(&self, url: &str) -> Result<Stream, BrowserError> {
        self.connector.open_narrow(&parse(url)?).await
    }

    /// Sends exactly these bytes and reads what comes, until the server closes or falls silent.
    ///
    /// # Errors
    /// When there is no connection, or no byte of an answer in time.
    pub async fn raw(&self, url: &str, bytes: &[u8]) -> Result<Vec<u8>, BrowserError> {
        let mut stream = self.raw_connection(url).await?;
        // A server may refuse in the middle of the request; its answer is still worth reading.
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        let mut space = vec![0u8; 64 * 1024];
        loop {
            let wait = if answer.is_empty() { PATIENCE } else { QUIET };
            match tokio::time::timeout(wait, stream.read(&mut space)).await {
                Ok(Ok(0) | Err(_)) => return Ok(answer),
                Err(_) if answer.is_empty() => return Err(BrowserError::Timeout(url.to_owned())),
                Err(_) => return Ok(answer),
                Ok(Ok(len)) => answer.extend_from_slice(&space[..len]),
            }
            if answer.len() > MAX_ANSWER {
                return Ok(answer);
            }
        }
    }

    /// The status line's code of a raw answer; 0 when there is none.
    #[must_use]
    pub fn raw_status(answer: &[u8]) -> u16 {
        let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
        String::from_utf8_lossy(line).split(' ').nth(1).and_then(|code| code.trim().parse().ok()).unwrap_or(0)
    }
}
