//! Bodies on their way through, both ways, frame by frame, with a bound on their length and on how long they may stand still.
//! Trailers pass.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::activity::{Activity, Stop, Unwritten};
use super::headers::strip_trailers;
use super::lease::Lease;
use crate::body::BodyError;
use crate::config::Application;
use crate::live::Passage;

/// The client's body on its way to the upstream. When the client breaks off, so does it: a part is never sent as a whole.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// None where there is no body.
    incoming: Option<Incoming>,
    /// Says which trailers would tell an identity.
    application: Arc<Application>,
    /// How many bytes may still follow.
    left: u64,
    /// How many of them must come each second, on average.
    minimum_rate: u64,
    /// On the connection that it is sent over.
    unwritten: Option<Unwritten>,
}

/// A piece of a client's body, followed until it was written.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Bytes,
    _unwritten: Option<Unwritten>,
}

/// What is copied out of it is in the buffer that the next flush empties.
impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, application: &Arc<Application>, minimum_rate: u64) -> Self {
        let left = application.upstream.max_request_body.unwrap_or(u64::MAX);
        let application = application.clone();
        Self { incoming: Some(incoming), application, left, minimum_rate, unwritten: None }
    }

    pub(super) fn none(application: &Arc<Application>) -> Self {
        let application = application.clone();
        Self { incoming: None, application, left: 0, minimum_rate: 0, unwritten: None }
    }

    /// Whether it says itself that it is longer than it may be.
    pub(super) fn is_too_large(&self) -> bool {
        self.incoming.as_ref().is_some_and(|incoming| incoming.size_hint().lower() > self.left)
    }

    /// It is sent over this connection now.
    pub(super) fn goes_over(&mut self, activity: &Arc<Activity>) {
        if !self.is_end_stream() {
            self.unwritten = Some(activity.upload_begins(self.minimum_rate));
        }
    }

    fn note(&mut self, polled: &Poll<Option<Result<Frame<Bytes>, hyper::Error>>>) -> Result<(), BodyError> {
        let Some(activity) = self.unwritten.as_ref().map(Unwritten::activity) else { return Ok(()) };
        match polled {
            Poll::Pending => activity.wait_for_client(),
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
                activity.note_from_client(length);
                let Some(left) = self.left.checked_sub(length) else {
                    activity.blame(Stop::TooLarge);
                    return Err(BodyError::TooLarge);
                };
                self.left = left;
            }
            Poll::Ready(Some(Err(_))) => activity.blame(Stop::ClientGone),
            Poll::Ready(None) => activity.note_from_client(0),
        }
        Ok(())
    }
}

impl http_body::Body for RequestBody {
    type Data = Piece;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BodyError>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let mut polled = Pin::new(incoming).poll_frame(cx);
        if let Err(refused) = this.note(&polled) {
            return Poll::Ready(Some(Err(refused)));
        }
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            strip_trailers(trailers, &this.application.headers);
        }
        let unwritten = &this.unwritten;
        let followed = |bytes| Piece { bytes, _unwritten: unwritten.clone() };
        polled.map(|frame| {
            frame.map(|frame| frame.map(|frame| frame.map_data(followed)).map_err(BodyError::Client))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}

/// Who sees to it that a client takes what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// The client's socket: an HTTP/1.1 client that takes nothing is cut there.
    Socket,
    /// The body: an HTTP/2 client opens the window of each stream as it likes, and a body without window is not asked at all.
    Stream,
}

/// An upstream's body on its way to the client, under the passage that was allowed.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    lease: Option<Lease>,
    /// Keeps the passage known for as long as a byte of it may be on its way.
    _passage: Arc<Passage>,
    idle_limit: Duration,
    pace: Pace,
    /// Whether the client's side waits for a frame.
    asking: bool,
}

impl UpstreamBody {
    pub(super) fn new(
        incoming: Incoming,
        lease: Lease,
        passage: Arc<Passage>,
        idle_limit: Duration,
        pace: Pace,
    ) -> Self {
        match pace {
            Pace::Socket => lease.activity().pause(),
            Pace::Stream => lease.activity().watch(idle_limit),
        }
        let lease = Some(lease);
        let mut body = Self { incoming, lease, _passage: passage, idle_limit, pace, asking: false };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.finish(self.idle_limit);
        }
    }

    /// The clock runs while the upstream is waited for, and, where nobody else sees to it, while the client is.
    fn note(&mut self, moved: bool) {
        let Some(lease) = &self.lease else { return };
        match (moved, self.pace) {
            (true, Pace::Socket) => lease.activity().pause(),
            (true, Pace::Stream) => lease.activity().note(),
            (false, _) if !self.asking => lease.activity().watch(self.idle_limit),
            (false, _) => {}
        }
        self.asking = !moved;
    }

    fn broken(&self, error: hyper::Error) -> BodyError {
        match self.lease.as_ref().and_then(|lease| lease.activity().stopped()) {
            Some(_) => BodyError::Idle,
            None => BodyError::Upstream(error),
        }
    }
}

impl http_body::Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.note(true);
                if this.incoming.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(this.broken(error)))),
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Pending => {
                this.note(false);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
