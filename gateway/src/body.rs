//! The body of every response: ours, or an upstream's under its passage. What passes through is counted for nobody and kept
//! nowhere.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::forward::UpstreamBody;
use crate::in_use::InUse;

/// A response body, and the mark that its request is under way.
#[derive(Debug)]
pub(crate) struct Body {
    content: Content,
    _in_use: Option<InUse>,
}

#[derive(Debug)]
enum Content {
    /// Bytes of our own.
    Own(Option<Bytes>),
    /// Bytes of an upstream, under the passage that was allowed.
    Upstream(Box<UpstreamBody>),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self { content: Content::Own(None), _in_use: None }
    }

    pub(crate) fn upstream(body: UpstreamBody) -> Self {
        Self { content: Content::Upstream(Box::new(body)), _in_use: None }
    }

    /// The same, holding the mark until the last byte is handed over.
    pub(crate) fn during(self, in_use: InUse) -> Self {
        Self { _in_use: Some(in_use), ..self }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        let own = Some(bytes.into()).filter(|bytes| !bytes.is_empty());
        Self { content: Content::Own(own), _in_use: None }
    }
}

/// The body broke off: the client must see that it is not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the upstream broke off its answer")]
    Upstream(#[source] hyper::Error),
    #[error("the client broke off its request")]
    Client(#[source] hyper::Error),
    #[error("the body stood still for too long")]
    Idle,
    #[error("the body is longer than it may be")]
    TooLarge,
}

impl From<Infallible> for BodyError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().content {
            Content::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Upstream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(bytes) => bytes.is_none(),
            Content::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Upstream(body) => body.size_hint(),
        }
    }
}
