//! What a server answered, and how the browser got there.

use std::ops::Deref;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use serde_json::Value;
use url::Url;

/// One answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The address that was asked.
    pub url: Url,
    /// Its status.
    pub status: StatusCode,
    /// The HTTP version spoken.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers, when there were any.
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// One header as text; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether it says no: 401, log in, or 403, you may not.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.status.as_u16(), 401 | 403)
    }

    /// Where a redirect leads, made absolute.
    #[must_use]
    pub fn location(&self) -> Option<Url> {
        if !matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        self.url.join(self.header("location")).ok()
    }
}

/// One step of a navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// How it was asked.
    pub method: Method,
    /// What was asked.
    pub url: Url,
    /// What came back.
    pub status: StatusCode,
}

/// Where a navigation ended, and every step to it.
#[derive(Debug, Clone)]
pub struct Page {
    /// The last answer.
    pub answer: Answer,
    /// All steps, the last included.
    pub chain: Vec<Hop>,
}

impl Deref for Page {
    type Target = Answer;

    fn deref(&self) -> &Answer {
        &self.answer
    }
}

impl Page {
    /// The steps in words, for messages of failed tests.
    #[must_use]
    pub fn trail(&self) -> String {
        let steps =
            self.chain.iter().map(|hop| format!("{} {} -> {}", hop.method, hop.url, hop.status.as_u16()));
        steps.collect::<Vec<_>>().join("\n")
    }
}
