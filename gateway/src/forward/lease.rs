//! A connection in use by one request under one passage. Where it comes from and goes back to is left to `pool`.

use std::sync::Arc;
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

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((connection, attached)) = self.held.take() {
            connection.activity.cutter().cut();
            drop(attached);
        }
    }
}
