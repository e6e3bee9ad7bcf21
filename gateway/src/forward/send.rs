//! Sends a permitted request to an endpoint, and to another one where that is safe: when it was never begun, or asks for nothing
//! that could happen twice, and the budget allows it. An answer that began is never taken back.

use std::error::Error;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response};
use hyper::body::{Body as _, Incoming};

use super::ForwardError;
use super::activity::Stop;
use super::clock::{in_ms, now_ms};
use super::lease::Lease;
use super::outgoing;
use super::pool::{Group, Pools};
use super::stream::RequestBody;
use crate::authorize::Verified;
use crate::config::{Protocol, Upstream};
use crate::gate;
use crate::live::{Dropped, Passage};

/// One request on its way out.
pub(super) struct Sending<'a> {
    pub(super) pools: &'a Arc<Pools>,
    pub(super) group: &'a Group,
    pub(super) upstream: &'a Upstream,
    pub(super) passage: &'a Arc<Passage>,
    /// Whom the request tells of; none for a preflight.
    pub(super) verified: Option<&'a Verified>,
    pub(super) target: &'a PathAndQuery,
    /// The host that the browser used.
    pub(super) host: &'a HeaderValue,
}

/// How an attempt failed.
enum Failed {
    /// Nothing of it was sent: here it is.
    Unsent(Request<RequestBody>, ForwardError),
    /// Perhaps something was done; here it is when it may be done again.
    Begun(Option<Request<RequestBody>>, ForwardError),
}

impl Sending<'_> {
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), ForwardError> {
        let ends_ms = self.upstream.total_timeout.map(|total| now_ms().saturating_add(in_ms(total)));
        let balance = &self.group.balance;
        if balance.has_choice() {
            balance.budget.earn();
        }
        let (mut avoid, mut retries) = (None, self.upstream.retries);
        loop {
            let endpoint = balance.choose(avoid, &self.group.draw);
            let (again, error, counts) = match self.attempt(request, endpoint, ends_ms).await {
                Ok(answered) => {
                    balance.note_answer(endpoint, answered.0.status());
                    return Ok(answered);
                }
                // A kept connection that had closed says nothing about the endpoint: the same is asked anew.
                Err((Failed::Unsent(unsent, _), true)) if self.is_still_true() => {
                    request = unsent;
                    continue;
                }
                Err((Failed::Unsent(unsent, error), kept)) => (Some(unsent), error, !kept),
                Err((Failed::Begun(again, error), _)) => {
                    let counts = error.is_of_upstream();
                    (again, error, counts)
                }
            };
            if counts {
                balance.note_failure(endpoint);
            }
            let may = balance.has_choice() && counts && retries > 0;
            let late = ends_ms.is_some_and(|ends_ms| now_ms() >= ends_ms);
            match again.filter(|_| may && !late && self.is_still_true() && balance.budget.spend()) {
                Some(repeated) => request = repeated,
                None => return Err(error),
            }
            (avoid, retries) = (Some(endpoint), retries - 1);
        }
    }

    /// Whether what the request tells of a person is what is true of them: a group that was left meanwhile is not told again.
    fn is_still_true(&self) -> bool {
        self.verified.is_none_or(|verified| Arc::ptr_eq(&verified.session.standing(), &verified.standing))
    }

    /// One attempt; beside a failure stands whether the connection had served before.
    async fn attempt(
        &self,
        mut request: Request<RequestBody>,
        endpoint: usize,
        ends_ms: Option<u64>,
    ) -> Result<(Response<Incoming>, Lease), (Failed, bool)> {
        let leased = self.pools.lease(self.upstream.number, endpoint, self.passage).await;
        let mut lease = match leased {
            Ok(lease) => lease,
            Err(error) if error.is_of_upstream() => return Err((Failed::Unsent(request, error), false)),
            Err(error) => return Err((Failed::Begun(None, error), false)),
        };
        let Some(configured) = self.upstream.endpoints.get(endpoint) else {
            return Err((Failed::Begun(None, ForwardError::NoUpstream), false));
        };
        let addressed = outgoing::address(&mut request, self.target, self.host, configured, self.upstream);
        if let Err(error) = addressed {
            return Err((Failed::Begun(None, error), false));
        }
        let copy = self.copy(&request, configured.protocol);
        let activity = lease.activity().clone();
        activity.watch(self.upstream.response_timeout);
        activity.end_at(ends_ms);
        // Connecting may have taken longer than the lease. What comes after this look is held back by the socket itself.
        if !gate::is_open() {
            return Err((Failed::Begun(None, ForwardError::Unleased), false));
        }
        let mut failed = match lease.send(request).await {
            Ok(response) => return Ok((response, lease)),
            Err(failed) => failed,
        };
        let (kept, unsent) = (lease.kept, failed.take_message());
        let error = failed.into_error();
        let refused = was_refused(&error);
        let error = self.blamed(activity.stopped(), &configured.url, error);
        let error = if self.passage.is_dropped() { ForwardError::Dropped(Dropped) } else { error };
        let own = !error.is_of_upstream();
        Err(match (unsent, copy) {
            (Some(unsent), _) if !own => (Failed::Unsent(unsent, error), kept),
            (None, Some(copy)) if refused => (Failed::Unsent(copy, error), false),
            (None, Some(copy)) if may_repeat(copy.method(), &error) => {
                (Failed::Begun(Some(copy), error), false)
            }
            _ => (Failed::Begun(None, error), false),
        })
    }

    /// The same request once more, when it might have to be sent again and has no body. Made only where it can be of use.
    fn copy(&self, request: &Request<RequestBody>, protocol: Protocol) -> Option<Request<RequestBody>> {
        let elsewhere = self.group.balance.has_choice() && self.upstream.retries > 0;
        if !elsewhere || !request.body().is_end_stream() {
            return None;
        }
        // Over HTTP/2 an endpoint can say that it did not begin, so that anything may be repeated.
        if protocol == Protocol::Http1 && !is_idempotent(request.method()) {
            return None;
        }
        let mut copy = Request::new(RequestBody::none(self.group.balance.application()));
        *copy.method_mut() = request.method().clone();
        *copy.headers_mut() = request.headers().clone();
        Some(copy)
    }

    /// The failure in our words, when it was we who cut the connection.
    fn blamed(&self, stop: Option<Stop>, endpoint: &str, error: hyper::Error) -> ForwardError {
        let endpoint = endpoint.to_owned();
        match stop {
            Some(Stop::Still) => ForwardError::ResponseTimeout(endpoint, self.upstream.response_timeout),
            Some(Stop::TooLong) => ForwardError::TotalTimeout(endpoint),
            Some(Stop::ClientStill) => ForwardError::ClientStill,
            Some(Stop::TooLarge) => ForwardError::BodyTooLarge,
            Some(Stop::ClientGone) => ForwardError::ClientGone,
            None => ForwardError::Broken(endpoint, error),
        }
    }
}

/// Methods that may be done twice (RFC 9110 section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE].contains(method)
}

/// Whether a request that may have been begun may be sent again: not after a wait, which would then be waited twice.
fn may_repeat(method: &Method, error: &ForwardError) -> bool {
    matches!(error, ForwardError::Broken(..)) && is_idempotent(method)
}

/// Whether an HTTP/2 endpoint said that it did not begin (RFC 9113 sections 6.8 and 8.7).
fn was_refused(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.is_remote() && cause.reason() == Some(h2::Reason::REFUSED_STREAM))
}
