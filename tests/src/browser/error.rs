//! What can go wrong between the browser and a server. A status code is never an error here.

use thiserror::Error;

/// A request that got no answer.
#[derive(Debug, Error)]
pub enum BrowserError {
    /// The address cannot be used.
    #[error("`{0}` is not an http or https address")]
    BadUrl(String),
    /// No TCP connection.
    #[error("cannot connect to {0}")]
    Connect(String, #[source] std::io::Error),
    /// No TLS session.
    #[error("no tls session with {0}")]
    Tls(String, #[source] std::io::Error),
    /// The exchange broke.
    #[error("the exchange with {0} broke")]
    Http(String, #[source] hyper::Error),
    /// The request could not be built.
    #[error("the request cannot be built")]
    Request(#[from] http::Error),
    /// Nobody answered in time.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// A redirect loop.
    #[error("too many redirects, the last to {0}")]
    Redirects(String),
    /// The page has no form to fill.
    #[error("{0} holds no form")]
    NoForm(String),
    /// The WebSocket handshake was answered with something else.
    #[error("the websocket was refused with {status}")]
    SocketRefused {
        /// The status instead of 101.
        status: u16,
        /// The headers that came with it.
        headers: Box<http::HeaderMap>,
    },
    /// The WebSocket broke before or while it opened.
    #[error("the websocket broke")]
    Socket(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    /// Raw bytes could not be exchanged.
    #[error("the raw exchange broke")]
    Raw(#[from] std::io::Error),
}
