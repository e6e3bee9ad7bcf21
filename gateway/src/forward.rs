//! Spends a permit: sends the request to the upstream and brings the answer back, every byte under the passage that was
//! allowed. Deciding is left to `authorize`, words for failures to `respond`.

use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

mod activity;
mod addresses;
mod balance;
mod budget;
mod clock;
mod endpoint;
mod fleet;
mod headers;
mod health;
mod held;
mod lease;
mod outgoing;
mod pool;
#[cfg(any(test, feature = "fuzzing"))]
mod rehearsal;
mod send;
mod share;
mod stream;
mod sweeper;
mod tunnel;
mod websocket;
mod wire;

pub(crate) use fleet::{EndpointState, Fleet};
pub(crate) use pool::{Bounds, Upstreams};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use rehearsal::rehearse;
pub(crate) use stream::UpstreamBody;
pub(crate) use websocket::is_websocket;

use crate::authorize::Permit;
use crate::body::Body;
use crate::forwarded::Way;
use crate::identity_headers::{IdentityError, IdentityHeaders};
use crate::live::Dropped;
use crate::route::Canonical;
use lease::Lease;
use pool::Pools;
use send::Sending;
use share::Share;
use stream::{Pace, RequestBody};
use websocket::Asked;

/// Why a permitted request brought no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error("{0}")]
    Dropped(#[from] Dropped),
    #[error("the upstream `{0}` cannot be reached: {1}")]
    Unreachable(String, #[source] std::io::Error),
    #[error("the lease of this process ended before the request was sent on")]
    Unleased,
    #[error("the person has too many exchanges with the application under way")]
    TooManyAtOnce,
    #[error("too many connections to the upstream `{0}` are open")]
    Busy(String),
    #[error("the upstream `{0}` was not reached within {1:?}")]
    ConnectTimeout(String, Duration),
    #[error("the upstream `{0}` did not begin its answer within {1:?}")]
    ResponseTimeout(String, Duration),
    #[error("the exchange with the upstream `{0}` took too long as a whole")]
    TotalTimeout(String),
    #[error("the upstream `{0}` broke off: {1}")]
    Broken(String, #[source] hyper::Error),
    #[error("the upstream switched to another protocol without being asked")]
    UnaskedSwitch,
    #[error("the upstream did not agree to a WebSocket")]
    NoSwitch,
    #[error("the path lies outside the prefix that the upstream is told nothing of")]
    OutsidePrefix,
    #[error("the request body is longer than the application takes")]
    BodyTooLarge,
    #[error("the client sent nothing more of its request body, or next to nothing")]
    ClientStill,
    #[error("the client broke off its request body")]
    ClientGone,
    #[error("the application has no upstream")]
    NoUpstream,
    #[error("the request cannot be written for the upstream")]
    Request(#[from] http::Error),
    #[error("the host cannot be written in a field")]
    Way,
    #[error("{0}")]
    Identity(#[from] IdentityError),
}

impl ForwardError {
    /// Whether the endpoint is at fault, so that another one might do better.
    fn is_of_upstream(&self) -> bool {
        match self {
            Self::Unreachable(..)
            | Self::ConnectTimeout(..)
            | Self::ResponseTimeout(..)
            | Self::TotalTimeout(..)
            | Self::Broken(..) => true,
            Self::Dropped(_)
            | Self::Unleased
            | Self::TooManyAtOnce
            | Self::Busy(_)
            | Self::UnaskedSwitch
            | Self::NoSwitch
            | Self::OutsidePrefix
            | Self::BodyTooLarge
            | Self::ClientStill
            | Self::ClientGone
            | Self::NoUpstream
            | Self::Request(_)
            | Self::Way
            | Self::Identity(_) => false,
        }
    }
}

/// What is told to the upstream about a request beside the request itself.
pub(crate) struct Context<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) way: &'a Way,
    pub(crate) told: Told<'a>,
}

/// What an upstream is told of whoever asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told<'a> {
    /// Who it is.
    Somebody(&'a IdentityHeaders),
    /// Nothing, since nobody was asked.
    Nobody,
    /// Nothing at all but the preflight.
    Preflight,
}

/// Sends a permitted request on and returns the upstream's answer.
pub(crate) async fn forward(
    permit: Permit,
    canonical: &Canonical,
    request: Request<Incoming>,
    context: &Context<'_>,
    upstreams: &Upstreams,
) -> Result<Response<Body>, ForwardError> {
    let application = permit.target.application.clone();
    let upstream = &application.upstream;
    // Other proxies may carry it alone.
    let group = upstreams.0.groups.get(upstream.number).filter(|_| !upstream.endpoints.is_empty());
    let group = group.ok_or(ForwardError::NoUpstream)?;
    let http2 = request.version() == Version::HTTP_2;
    let (mut head, body) = request.into_parts();
    let target = outgoing::target(canonical, &head.uri, upstream)?;
    let asked = Asked::of(&mut head);
    let may_drip = headers::is_grpc(&head) && upstream.speaks_http2();
    headers::for_upstream(&mut head.headers, &application.headers, context, asked.is_some());
    if let Some(asked) = &asked {
        asked.tell(&mut head.headers);
    }
    let minimum_rate = if may_drip { 0 } else { upstreams.0.bounds.minimum_rate };
    let mut outgoing = Request::new(RequestBody::new(body, &application, minimum_rate));
    // Before the first byte is asked for: a client that waits for `100 Continue` never gets it.
    if outgoing.body().is_too_large() {
        return Err(ForwardError::BodyTooLarge);
    }
    *outgoing.method_mut() = canonical.method.clone();
    *outgoing.headers_mut() = head.headers;
    outgoing::tell_prefix(&mut outgoing, upstream);
    let (pools, passage, host) = (&upstreams.0, &permit.passage, &context.way.authority);
    let verified = permit.proof.verified();
    let share = share_of(pools, &permit).ok_or(ForwardError::TooManyAtOnce)?;
    let sending = Sending { pools, group, upstream, passage, verified, target: &target, host };
    let (mut response, mut lease) = sending.send(outgoing).await?;
    lease.count(share);
    lease.activity().answered();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upstream_side = response.extensions_mut().remove::<OnUpgrade>();
        let asked = asked.filter(|asked| asked.is_agreed(response.headers()));
        let (Some(asked), Some(upstream_side)) = (asked, upstream_side) else {
            return Err(ForwardError::UnaskedSwitch);
        };
        return Ok(tunnelled(permit, response, lease, (asked, upstream_side), upstream.idle_timeout));
    }
    if asked.is_some_and(|asked| asked.would_mistake(response.status())) {
        return Err(ForwardError::NoSwitch);
    }
    let (mut head, body) = response.into_parts();
    headers::for_client(&mut head.headers, &application.response_headers);
    let pace = if http2 { Pace::Stream } else { Pace::Socket };
    let body = UpstreamBody::new(body, lease, permit.passage, upstream.idle_timeout, pace);
    Ok(Response::from_parts(head, Body::upstream(body)))
}

/// What is nobody's is counted by the address that it came from.
fn share_of(pools: &Pools, permit: &Permit) -> Option<Share> {
    let (name, most) = (&permit.target.application.name, pools.bounds.of_person);
    match permit.proof.verified() {
        Some(verified) => pools.shares.take(verified.session.pace_key, name, most),
        None => pools.shares.take(permit.passage.client_ip(), name, most),
    }
}

fn tunnelled(
    permit: Permit,
    response: Response<Incoming>,
    lease: Lease,
    (asked, upstream_side): (Asked, OnUpgrade),
    idle_limit: Duration,
) -> Response<Body> {
    let (mut head, _) = response.into_parts();
    headers::for_client(&mut head.headers, &permit.target.application.response_headers);
    asked.agree(&mut head);
    tunnel::spawn(asked, upstream_side, lease, permit, idle_limit);
    Response::from_parts(head, Body::empty())
}
