//! A connection in use by one request under one passage. Where it comes from and goes back to is left to `pool`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use hyper::{Request, Response};

use super::activity::Activity;
use super::endpoint::InFlight;
use super::pool::{Connection, Pools};
use super::stream::RequestBody;
use super::wire::Sender;
use crate::live::Attached;

/// Interim answers (103 and the like) to one request. They are read and dropped, so one without end would keep a whole thread busy.
const MAX_INTERIM_ANSWERS: u32 = 64;

/// A connection in use under a passage. Dropped before the exchange is whole, it takes the connection with it.
#[derive(Debug)]
pub(super) struct Lease {
    pools: Arc<Pools>,
    /// The numbers of the application and of the endpoint.
    place: (usize, usize),
    held: Option<(Connection, Attached)>,
    activity: Arc<Activity>,
    _in_flight: Option<InFlight>,
    had_body: bool,
    /// Whether the connection had served before.
    pub(super) kept: bool,
}

impl Lease {
    pub(super) fn new(
        pools: Arc<Pools>,
        place: (usize, usize),
        connection: Connection,
        attached: Attached,
        in_flight: Option<InFlight>,
        kept: bool,
    ) -> Self {
        let activity = connection.activity.clone();
        let held = Some((connection, attached));
        Self { pools, place, held, activity, _in_flight: in_flight, had_body: false, kept }
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        self.had_body = !request.body().is_end_stream();
        request.body_mut().goes_over(&self.activity);
        bound_interim_answers(&mut request, &self.activity);
        match &mut self.held {
            Some((connection, _)) => connection.sender.send(request).await,
            // Unreachable by construction, and if it were not, waiting for ever forwards nothing.
            None => std::future::pending().await,
        }
    }

    /// The answer is whole. The connection stays under the passage until the request is whole too, which an early answer may
    /// precede; then it may serve others.
    pub(super) fn finish(mut self, patience: Duration) {
        let Some((mut connection, attached)) = self.held.take() else { return };
        let (pools, place, had_body) = (self.pools.clone(), self.place, self.had_body);
        let uploading = connection.activity.is_uploading();
        if connection.sender.is_ready() && !uploading {
            pools.keep(place, connection, had_body, attached);
            return;
        }
        if uploading && matches!(connection.sender, Sender::Http2(_)) {
            // A stream that was answered early and goes on cannot be told apart from the next one's.
            connection.activity.cutter().cut();
            return;
        }
        // The sweeper cuts a tail that does not move.
        connection.activity.watch(patience);
        tokio::spawn(async move {
            match connection.sender.ready().await {
                Ok(()) => pools.keep(place, connection, had_body, attached),
                Err(_) => connection.activity.cutter().cut(),
            }
        });
    }

    /// The connection became a tunnel: it lives as long as what is returned here, and serves nobody else.
    pub(super) fn into_tunnel(mut self) -> Option<(Connection, Attached)> {
        self.held.take()
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

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((connection, attached)) = self.held.take() {
            connection.activity.cutter().cut();
            drop(attached);
        }
    }
}
