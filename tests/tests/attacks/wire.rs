//! HTTP/1.1 as bytes over TLS: what is written is what the test wrote, and answers are read one at a time, so that a second
//! answer that nobody asked for is seen.

use std::time::Duration;

use portcullis_tests::browser::{Browser, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first field of a name; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or_default()
    }

    /// Every field of a name.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}

/// A connection.
pub struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
}

impl Wire {
    pub async fn open(browser: &Browser, url: &str) -> Self {
        Self { stream: browser.raw_connection(url).await.unwrap(), buffer: Vec::new() }
    }

    /// Sends exactly these bytes. A peer may refuse in the middle; its answer is still worth reading.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// The next answer, interim ones too; none when the connection ends without one.
    pub async fn reply(&mut self) -> Option<Reply> {
        self.reply_to("GET").await
    }

    /// The same for a request of this method, since an answer to `HEAD` has no body.
    pub async fn reply_to(&mut self, method: &str) -> Option<Reply> {
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                break String::from_utf8_lossy(&head).into_owned();
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "half a head: {}", String::from_utf8_lossy(&self.buffer));
                return None;
            }
        };
        let status = head.split(' ').nth(1).and_then(|code| code.trim().parse().ok()).unwrap_or(0);
        let mut reply = Reply { status, head, body: Vec::new() };
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Some(reply);
        }
        if reply.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
            while let Some(piece) = self.chunk().await {
                reply.body.extend(piece);
            }
        } else if let Ok(len) = reply.header("content-length").parse::<usize>() {
            reply.body = self.take(len).await.unwrap_or_default();
        } else {
            while self.fill().await {}
            reply.body = std::mem::take(&mut self.buffer);
        }
        Some(reply)
    }

    /// Bytes as they come, for what is no HTTP any more; empty at the end.
    pub async fn bytes(&mut self) -> Vec<u8> {
        if self.buffer.is_empty() {
            self.fill().await;
        }
        std::mem::take(&mut self.buffer)
    }

    /// Whether the peer ends the connection without another byte.
    pub async fn is_over(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill().await
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self, time: Duration) -> bool {
        let mut space = vec![0; 1_024];
        match timeout(time, self.stream.read(&mut space)).await {
            Ok(Ok(len)) => {
                self.buffer.extend_from_slice(&space[..len]);
                false
            }
            Ok(Err(_)) => false,
            Err(_) => self.buffer.is_empty(),
        }
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            match find(&self.buffer, b"\r\n") {
                Some(end) => break end,
                None if self.fill().await => {}
                None => return None,
            }
        };
        let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).expect("a chunk's size");
        let mut piece = self.take(size + 2).await?;
        piece.truncate(size);
        (size > 0).then_some(piece)
    }

    async fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < len {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.buffer.drain(..len).collect())
    }

    /// Waits for bytes; false at the end.
    async fn fill(&mut self) -> bool {
        let mut space = vec![0; 65_536];
        let read = timeout(PATIENCE, self.stream.read(&mut space)).await;
        match read.expect("the peer neither answers nor closes") {
            Ok(0) | Err(_) => false,
            Ok(len) => {
                self.buffer.extend_from_slice(&space[..len]);
                true
            }
        }
    }
}

/// Where `wanted` begins.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
