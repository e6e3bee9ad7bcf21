//! A connection in use by one request under one passage. Where it comes from and goes back to is left to `pool`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::{Request, Response};

use super::activity::Activity;
use super::endpoint::InFlight;
use super::held::Held;
use super::pool::Pools;
use super::share::Share;
use super::stream::RequestBody;

/// Interim answers (103 and the like) to one request. They are read and dropped, so one without end would keep a whole thread busy.
const MAX_INTERIM_ANSWERS: u32 = 64;

/// A connection in use under a passage. Dropped before the exchange is whole, it takes the connection with it.
#[derive(Debug)]
pub(super) struct Lease {
    pools: Arc<Pools>,
    /// The numbers of the application and of the endpoint.
    place: (usize, usize),
    held: Option<Held>,
    activity: Arc<Activity>,
    in_flight: Option<InFlight>,
    /// Counted until nothing of the exchange is on its way.
    share: Option<Share>,
    /// Whether the connection had served before.
    pub(super) kept: bool,
}

/// What a tunnel holds for as long as it lasts.
#[derive(Debug)]
pub(super) struct Tunnelled {
    _held: Held,
    _in_flight: Option<InFlight>,
    _share: Option<Share>,
}

impl Lease {
    pub(super) fn new(
        pools: Arc<Pools>,
        place: (usize, usize),
        held: Held,
        in_flight: Option<InFlight>,
        kept: bool,
    ) -> Self {
        let activity = held.activity().clone();
        Self { pools, place, held: Some(held), activity, in_flight, share: None, kept }
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Who asks, counted for as long as the exchange lasts.
    pub(super) fn count(&mut self, share: Share) {
        self.share = Some(share);
    }

    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        bound_interim_answers(&mut request, &self.activity);
        match &mut self.held {
            Some(held) => held.send(request).await,
            // Unreachable by construction, and if it were not, waiting for ever forwards nothing.
            None => std::future::pending().await,
        }
    }

    /// The answer is whole. The connection stays under the passage until the request is whole too, which an early answer may
    /// precede; then it may serve others.
    pub(super) fn finish(mut self, patience: Duration) {
        let Some(mut held) = self.held.take() else { return };
        let (pools, place) = (self.pools.clone(), self.place);
        held.answered();
        if !self.activity.is_uploading() && held.is_ready() {
            pools.keep(place, held);
            return;
        }
        if held.is_http2() {
            // A stream that was answered early and goes on cannot be told apart from the next one's: it is cut.
            return;
        }
        // The sweeper cuts a tail that does not move.
        self.activity.watch(patience);
        let share = self.share.take();
        tokio::spawn(async move {
            if held.ready().await.is_ok() {
                pools.keep(place, held);
            }
            drop(share);
        });
    }

    /// The connection became a tunnel: it lives as long as what is returned here, and serves nobody else.
    pub(super) fn into_tunnel(mut self) -> Option<Tunnelled> {
        let held = self.held.take()?;
        Some(Tunnelled { _held: held, _in_flight: self.in_flight.take(), _share: self.share.take() })
    }
}

/// Cuts the connection of an upstream that goes on sending them.
fn bound_interim_answers(request: &mut Request<RequestBody>, activity: &Arc<Activity>) {
    let (activity, count) = (activity.clone(), AtomicU32::new(0));
    hyper::ext::on_informational(request, move |_| {
        if count.fetch_add(1, Ordering::Relaxed) >= MAX_INTERIM_ANSWERS {
            activity.cutter().cut();
        }
    });
}
