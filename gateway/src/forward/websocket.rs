//! How a WebSocket is asked for and agreed to, over both versions of HTTP towards the client. The upstream is always asked over
//! HTTP/1.1; carrying the bytes afterwards is left to `tunnel`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, response};
use hyper::upgrade::OnUpgrade;

use super::headers::wanted_upgrade;
use crate::in_use::{InUse, Requests};

/// Appended to the key before it is hashed (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// Whether a client asks for a WebSocket, in either way.
pub(crate) fn is_websocket(head: &Parts) -> bool {
    wanted_upgrade(head) || is_extended_connect(head)
}

/// What this is extended by has been looked at by `route`.
fn is_extended_connect(head: &Parts) -> bool {
    head.version == Version::HTTP_2 && head.method == Method::CONNECT
}

/// A WebSocket that a client asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The client's connection, or stream, once it is agreed.
    pub(super) client_side: OnUpgrade,
    over: Over,
}

#[derive(Debug)]
enum Over {
    /// The client made the key, and checks the answer to it.
    Http1,
    /// There is no key between the client and us (RFC 8441 section 5), so this one is ours, and so is the check. Once it is
    /// agreed, the connection is in use for as long as the socket is.
    Http2 { key: String, requests: Option<Requests> },
}

impl Asked {
    /// What the client asks for, if it is a WebSocket. One over HTTP/2 has been told from every other `CONNECT` by `route`.
    pub(super) fn of(head: &mut Parts) -> Option<Self> {
        if wanted_upgrade(head) {
            return Some(Self { client_side: head.extensions.remove()?, over: Over::Http1 });
        }
        if !is_extended_connect(head) {
            return None;
        }
        let mut key = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key).ok()?;
        let requests = head.extensions.remove::<Requests>();
        let over = Over::Http2 { key: STANDARD.encode(key), requests };
        Some(Self { client_side: head.extensions.remove()?, over })
    }

    /// Puts in what HTTP/1.1 has and HTTP/2 has not.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        if let Over::Http2 { key, .. } = &self.over
            && let Ok(key) = HeaderValue::from_str(key)
        {
            headers.insert(SEC_WEBSOCKET_KEY, key);
        }
    }

    /// Whether the upstream's answer is one to our question. Where the client checks for itself, it is not done for it.
    pub(super) fn is_agreed(&self, headers: &HeaderMap) -> bool {
        let Over::Http2 { key, .. } = &self.over else { return true };
        let told = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        told == Some(accept_key(key).as_bytes())
    }

    /// Whether an answer that agrees to no WebSocket would be taken for one that does: a 2xx to `CONNECT` opens the tunnel.
    pub(super) fn would_mistake(&self, status: StatusCode) -> bool {
        matches!(self.over, Over::Http2 { .. }) && status.is_success()
    }

    /// Says that it is agreed, in the client's version of HTTP.
    pub(super) fn agree(&self, head: &mut response::Parts) {
        if let Over::Http2 { .. } = self.over {
            head.status = StatusCode::OK;
            head.version = Version::HTTP_2;
            head.headers.remove(SEC_WEBSOCKET_ACCEPT);
            head.headers.remove(CONTENT_LENGTH);
        } else {
            head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
    }

    /// The client's side once it is agreed, and the mark that its connection is in use.
    pub(super) fn into_parts(self) -> (OnUpgrade, Option<InUse>) {
        match self.over {
            Over::Http1 => (self.client_side, None),
            Over::Http2 { requests, .. } => (self.client_side, requests.as_ref().map(Requests::outlast)),
        }
    }
}

/// RFC 6455 section 4.2.2, step 5, item 4.
fn accept_key(key: &str) -> String {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_the_key_of_rfc_6455() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
