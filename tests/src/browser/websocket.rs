//! WebSockets as a page's script opens them: with the jar's cookies and the page's origin, and the close code that
//! the script would see.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Request;
use http::header::{CONNECTION, COOKIE, HOST, ORIGIN, UPGRADE};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::connect::Stream;
use super::send::{authority, parse};
use super::{Browser, BrowserError};

/// What a script sees when a connection broke without a close frame: RFC 6455 section 7.1.5.
pub const ABNORMAL: u16 = 1006;
/// What a script sees when the close frame held no code.
pub const NO_STATUS: u16 = 1005;

/// How long the handshake may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The code that a script would see.
    pub code: u16,
    /// The words beside it.
    pub reason: String,
}

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<Stream>,
    closing: Option<Closing>,
}

impl Browser {
    /// Opens a WebSocket to an `https` or `wss` address from a page of the same origin.
    ///
    /// # Errors
    /// [`BrowserError::SocketRefused`] when the answer is not 101.
    pub async fn websocket(&self, url: &str) -> Result<Socket, BrowserError> {
        let url = parse(url)?;
        let secure = matches!(url.scheme(), "https" | "wss");
        let (page, socket) = if secure { ("https", "wss") } else { ("http", "ws") };
        let authority = authority(&url);
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = Request::get(format!("{socket}://{authority}{target}"))
            .header(HOST, &authority)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", generate_key())
            .header("Sec-Fetch-Mode", "websocket")
            .header("Sec-Fetch-Dest", "empty")
            .header("Sec-Fetch-Site", "same-origin")
            .header(ORIGIN, format!("{page}://{authority}"));
        // The jar thinks in pages: `wss` is as good as `https` to it.
        let cookies = self.jar.header(&parse(&format!("{page}://{authority}{target}"))?);
        if let Some(cookies) = cookies {
            request = request.header(COOKIE, cookies);
        }
        let stream = self.connector.open_http1(&url).await?;
        let opening = tokio_tungstenite::client_async(request.body(())?, stream);
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        match opened.map_err(|_| BrowserError::Timeout(url.to_string()))? {
            Ok((stream, _)) => Ok(Socket { stream, closing: None }),
            Err(Error::Http(response)) => Err(BrowserError::SocketRefused {
                status: response.status().as_u16(),
                headers: Box::new(response.headers().clone()),
            }),
            Err(error) => Err(BrowserError::Socket(Box::new(error))),
        }
    }
}

impl Socket {
    /// The next text or binary message, as text; `None` when the socket is closed.
    pub async fn next(&mut self) -> Option<String> {
        while self.closing.is_none() {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Binary(bytes))) => {
                    return Some(String::from_utf8_lossy(&bytes).into_owned());
                }
                Some(Ok(Message::Close(frame))) => {
                    self.closing =
                        Some(frame.map_or(Closing { code: NO_STATUS, reason: String::new() }, |f| Closing {
                            code: f.code.into(),
                            reason: f.reason.to_string(),
                        }));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => self.closing = Some(Closing { code: ABNORMAL, reason: String::new() }),
            }
        }
        None
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// When the socket is gone.
    pub async fn send(&mut self, text: &str) -> Result<(), BrowserError> {
        self.stream.send(Message::text(text)).await.map_err(|e| BrowserError::Socket(Box::new(e)))
    }

    /// Reads on until the socket closes; how it did.
    pub async fn closed(&mut self) -> Closing {
        while self.next().await.is_some() {}
        self.closing.clone().unwrap_or(Closing { code: ABNORMAL, reason: String::new() })
    }

    /// Closes it from this side.
    pub async fn close(mut self) {
        // The peer may be gone already, which is closed as well.
        let _ = self.stream.close(None).await;
    }
}
