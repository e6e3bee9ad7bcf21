//! Answers that go on: server-sent events, and downloads piece by piece.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use url::Url;

use super::send::{Connection, Outgoing};
use super::{Browser, BrowserError};

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its id, empty when it has none.
    pub id: String,
    /// Its data lines, joined.
    pub data: String,
}

/// An answer that is still coming.
pub struct EventStream {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    url: Url,
    body: Incoming,
    buffer: BytesMut,
    /// Keeps the connection from being closed early.
    _connection: Connection,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Browser {
    /// Opens an event stream, as `EventSource` does.
    ///
    /// # Errors
    /// When no answer begins.
    pub async fn event_stream(&self, url: &str) -> Result<EventStream, BrowserError> {
        self.stream(&Outgoing::script(Method::GET, url)?.header("Accept", "text/event-stream")).await
    }

    /// Sends a request and gives the answer while it comes.
    ///
    /// # Errors
    /// When no answer begins.
    pub async fn stream(&self, outgoing: &Outgoing) -> Result<EventStream, BrowserError> {
        let body = Full::new(outgoing.body.clone()).boxed();
        let (response, connection) = self.open(outgoing, body).await?;
        let (head, body) = response.into_parts();
        Ok(EventStream {
            status: head.status,
            headers: head.headers,
            url: outgoing.url.clone(),
            body,
            buffer: BytesMut::new(),
            _connection: connection,
        })
    }
}

impl EventStream {
    /// The next piece of the body; `None` at its proper end.
    ///
    /// # Errors
    /// When the stream is cut.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, BrowserError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|e| BrowserError::Http(self.url.to_string(), e))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The next event; `None` at the proper end of the stream.
    ///
    /// # Errors
    /// When the stream is cut.
    pub async fn next(&mut self) -> Result<Option<Event>, BrowserError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let block = self.buffer.split_to(end);
                self.buffer.advance(2);
                return Ok(Some(Event::parse(&String::from_utf8_lossy(&block))));
            }
            match self.piece().await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None => return Ok(None),
            }
        }
    }

    /// Reads on until the stream ends or is cut; whether the end was a proper one.
    pub async fn ended(&mut self) -> Result<(), BrowserError> {
        while self.piece().await?.is_some() {}
        Ok(())
    }
}

impl Event {
    fn parse(block: &str) -> Self {
        let mut event = Self::default();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => value.clone_into(&mut event.id),
                "data" if event.data.is_empty() => value.clone_into(&mut event.data),
                "data" => event.data = format!("{}\n{value}", event.data),
                _ => {}
            }
        }
        event
    }
}
