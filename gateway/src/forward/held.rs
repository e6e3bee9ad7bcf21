//! A connection together with the passage whose bytes it carries, and the one rule for letting go of the two: the socket is cut
//! first, unless nothing of the passage can follow on it. Where connections wait is left to `pool`, an exchange to `lease`.

use std::sync::Arc;

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use hyper::{Request, Response};

use super::activity::Activity;
use super::pool::Connection;
use super::stream::RequestBody;
use super::wire::Sender;
use crate::live::{Attached, Dropped, Passage};

/// A connection under a passage. It never is without one, so that there always is somebody who can cut it.
#[derive(Debug)]
pub(super) struct Held {
    // Let go of in this order, after `drop` has cut what must be cut.
    connection: Connection,
    attached: Attached,
    /// The passage that used the connection before, until what it sent must have arrived.
    tail: Option<Attached>,
    /// Whether the answer to the last request is whole.
    answered: bool,
    had_body: bool,
}

impl Held {
    /// A new connection, tied to the passage before a byte is on it.
    pub(super) fn new(connection: Connection, passage: &Arc<Passage>) -> Result<Self, Dropped> {
        let attached = passage.attach(connection.activity.cutter())?;
        Ok(Self { connection, attached, tail: None, answered: false, had_body: false })
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.connection.activity
    }

    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        (self.answered, self.had_body) = (false, !request.body().is_end_stream());
        request.body_mut().goes_over(&self.connection.activity);
        let answer = self.connection.sender.send(request).await;
        if answer.is_ok() {
            // What a connection carries arrives in order: who answers this request has received all that went before it.
            self.tail = None;
        }
        answer
    }

    /// The answer is whole; the request may not be.
    pub(super) fn answered(&mut self) {
        self.answered = true;
        self.activity().rest();
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.connection.sender, Sender::Http2(_))
    }

    /// Whether another exchange could begin on it.
    pub(super) fn is_ready(&self) -> bool {
        self.connection.sender.is_ready()
    }

    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        self.connection.sender.ready().await
    }

    /// Whether nothing of the last exchange can follow.
    pub(super) fn is_silent(&self) -> bool {
        // Over HTTP/2 a head is whole before it is answered, and what may be on its way after it is the protocol's own.
        let head_alone = self.is_http2() && !self.had_body;
        self.answered && (head_alone || self.activity().is_delivered())
    }

    /// The connection for an exchange of this passage; none when anything of the last one could follow under it.
    pub(super) fn pass_on(mut self, passage: &Arc<Passage>) -> Result<Option<Self>, Dropped> {
        let of_same = self.attached.is_of(passage);
        // Over HTTP/1.1 one that is ready has taken the last request whole. What the kernel may still hold of it is within reach of the
        // passage that it belongs to, so that nobody needs to ask the kernel; of a body that may be much, and long in coming.
        let in_reach = self.answered && !self.is_http2() && (of_same || !self.had_body);
        if !self.is_ready() || !(in_reach || self.is_silent()) {
            return Ok(None);
        }
        // Still tied to the same passage, it need not be tied anew. Otherwise it hangs on both until the first has nothing on its way.
        if !of_same {
            let attached = passage.attach(self.activity().cutter())?;
            let before = std::mem::replace(&mut self.attached, attached);
            self.tail = in_reach.then(|| before.into_tail());
        }
        Ok(Some(self).filter(|held| !held.activity().cutter().is_cut()))
    }
}

impl Drop for Held {
    /// A plain close lets the task that serves the connection write what it still has. Over HTTP/2 that task outlives whoever
    /// asked, so that nobody could cut it any more.
    fn drop(&mut self) {
        if self.is_http2() || !self.is_silent() {
            self.activity().cutter().cut();
        }
    }
}
