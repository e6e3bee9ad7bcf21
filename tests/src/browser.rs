//! A client that behaves as a browser does: cookies by the rules, redirects one by one, forms, WebSockets and event
//! streams over TLS, HTTP/1.1 or HTTP/2 by ALPN. It draws nothing and runs no script; every name is this machine.

mod answer;
mod connect;
mod error;
mod events;
mod form;
pub mod jar;
mod navigate;
mod raw;
mod send;
mod upload;
mod websocket;

use std::net::IpAddr;
use std::sync::Arc;

pub use answer::{Answer, Hop, Page};
pub use connect::{Stream, Versions};
pub use error::BrowserError;
pub use events::{Event, EventStream};
pub use form::Form;
pub use jar::{Cookie, CookieRefusal, Jar, MAX_COOKIE, SameSite};
pub use send::{Initiator, Outgoing};
pub use upload::Upload;
pub use websocket::{ABNORMAL, Closing, NO_STATUS, Socket};

/// One browser profile: a cookie jar, a trusted CA and a few open connections. Clones share all of them, as tabs do.
#[derive(Debug, Clone)]
pub struct Browser {
    jar: Arc<Jar>,
    connector: Arc<connect::Connector>,
    pool: Arc<send::Pool>,
    /// Whether a page is asked for once more when its kept connection ends without a word.
    asks_again: bool,
}

impl Browser {
    /// A fresh profile that trusts the certificates in `ca_pem` and nothing else.
    ///
    /// # Panics
    /// When `ca_pem` holds no certificate.
    #[must_use]
    pub fn new(ca_pem: &str) -> Self {
        Self::speaking(ca_pem, Versions::Both)
    }

    /// The same with a choice of HTTP versions.
    ///
    /// # Panics
    /// When `ca_pem` holds no certificate.
    #[must_use]
    pub fn speaking(ca_pem: &str, versions: Versions) -> Self {
        let connector = Arc::new(connect::Connector::new(ca_pem, versions));
        Self { jar: Arc::default(), connector, pool: Arc::default(), asks_again: true }
    }

    /// Another person's browser: same trust, empty jar, connections of its own.
    #[must_use]
    pub fn another_profile(&self) -> Self {
        Self {
            jar: Arc::default(),
            connector: Arc::clone(&self.connector),
            pool: Arc::default(),
            asks_again: self.asks_again,
        }
    }

    /// The same profile, which never sends again what a server may have heard: what is lost is seen as lost.
    #[must_use]
    pub fn asking_once(mut self) -> Self {
        self.asks_again = false;
        self
    }

    /// The same profile on another of this machine's addresses, with connections of its own.
    #[must_use]
    pub fn at_address(mut self, source: IpAddr) -> Self {
        self.connector = Arc::new(self.connector.at_address(source));
        self.pool = Arc::default();
        self
    }

    /// The cookies.
    #[must_use]
    pub fn jar(&self) -> &Jar {
        &self.jar
    }
}
