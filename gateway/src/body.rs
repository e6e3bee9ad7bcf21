//! The body of every response: ours, or an upstream's under its passage. What passes through is counted for nobody and kept
//! nowhere.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::forward::UpstreamBody;

/// A response body.
#[derive(Debug)]
pub(crate) enum Body {
    /// Bytes of our own.
    Own(Option<Bytes>),
    /// Bytes of an upstream, under the passage that was allowed.
    Upstream(Box<UpstreamBody>),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Own(None)
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Own(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
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
        match self.get_mut() {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upstream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Upstream(body) => body.size_hint(),
        }
    }
}
