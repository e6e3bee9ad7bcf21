//! Bodies on their way through, both ways, frame by frame, with a bound on how long they may stand still. Trailers pass.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use super::activity::Activity;
use super::headers::strip_trailers;
use super::upstream::Lease;
use crate::body::BodyError;
use crate::live::Passage;
use crate::route::Target;

/// Runs while a body stands still; begins anew with every frame.
#[derive(Debug)]
struct IdleTimer {
    limit: Duration,
    running: Option<Pin<Box<Sleep>>>,
}

impl IdleTimer {
    fn new(limit: Duration) -> Self {
        Self { limit, running: None }
    }

    fn progress(&mut self) {
        if let Some(timer) = &mut self.running {
            timer.as_mut().reset(Instant::now() + self.limit);
        }
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.running.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx)
    }

    /// The next frame, or an error when none comes in time. What breaks off is told as `broken` says.
    fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
        broken: fn(hyper::Error) -> BodyError,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) {
            self.progress();
            return Poll::Ready(frame.map(|frame| frame.map_err(broken)));
        }
        ready!(self.poll_expired(cx));
        Poll::Ready(Some(Err(BodyError::Idle)))
    }
}

/// The client's body on its way to the upstream. When the client breaks off, so does it: a part is never sent as a whole.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    /// Says which trailers would tell an identity.
    target: Arc<Target>,
    idle: IdleTimer,
    activity: Arc<Activity>,
}

impl RequestBody {
    pub(super) fn new(
        incoming: Incoming,
        target: Arc<Target>,
        idle_limit: Duration,
        activity: Arc<Activity>,
    ) -> Self {
        Self { incoming, target, idle: IdleTimer::new(idle_limit), activity }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let mut polled = this.idle.poll_frame(&mut this.incoming, cx, BodyError::Client);
        if let Poll::Ready(frame) = &mut polled {
            this.activity.note();
            if let Some(trailers) = frame.as_mut().and_then(|frame| frame.as_mut().ok()?.trailers_mut()) {
                strip_trailers(trailers, &this.target.application.headers);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// An upstream's body on its way to the client, under the passage that was allowed.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    lease: Arc<Mutex<Option<Lease>>>,
    /// Keeps the passage known for as long as a byte of it may be on its way.
    _passage: Arc<Passage>,
    idle: IdleTimer,
    /// When the client's side last asked for more.
    asked: Arc<Activity>,
    watch: Option<Watch>,
}

/// A task that ends with the body it watches.
#[derive(Debug)]
struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl UpstreamBody {
    pub(super) fn new(incoming: Incoming, lease: Lease, passage: Arc<Passage>, idle_limit: Duration) -> Self {
        let mut body = Self {
            incoming,
            lease: Arc::new(Mutex::new(Some(lease))),
            _passage: passage,
            idle: IdleTimer::new(idle_limit),
            asked: Arc::new(Activity::new()),
            watch: None,
        };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// Lets go of the upstream when nobody asks for more for too long. On HTTP/2 a client opens the window of each stream as
    /// it likes, and a body without window is not asked at all, so that its own timer does not run.
    pub(super) fn watched(mut self) -> Self {
        let (asked, lease, limit) = (self.asked.clone(), self.lease.clone(), self.idle.limit);
        if held(&lease).is_some() {
            let watching = tokio::spawn(async move {
                asked.still_for(limit).await;
                held(&lease).take();
            });
            self.watch = Some(Watch(watching.abort_handle()));
        }
        self
    }

    fn finish(&mut self) {
        self.watch = None;
        let lease = held(&self.lease).take();
        if let Some(lease) = lease {
            lease.finish(self.idle.limit);
        }
    }
}

fn held(lease: &Mutex<Option<Lease>>) -> MutexGuard<'_, Option<Lease>> {
    lease.lock().unwrap_or_else(PoisonError::into_inner)
}

impl http_body::Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.asked.note();
        let polled = this.idle.poll_frame(&mut this.incoming, cx, BodyError::Upstream);
        let ended = match &polled {
            Poll::Ready(Some(Ok(_))) => this.incoming.is_end_stream(),
            Poll::Ready(None) => true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if ended {
            this.finish();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
