//! Spends a permit: sends the request to the upstream and brings the answer back, every byte under the passage that was
//! allowed. Deciding is left to `authorize`, words for failures to `respond`.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

mod activity;
mod headers;
mod stream;
mod tunnel;
mod upstream;

pub(crate) use stream::UpstreamBody;
pub(crate) use upstream::{Bounds, Upstreams};

use crate::authorize::Permit;
use crate::body::Body;
use crate::config::Limits;
use crate::forwarded::Way;
use crate::identity_headers::{IdentityError, IdentityHeaders};
use crate::live::Dropped;
use crate::route::Canonical;
use activity::Activity;
use stream::RequestBody;
use upstream::{Lease, Pool};

/// Why a permitted request brought no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error("{0}")]
    Dropped(#[from] Dropped),
    #[error("the upstream `{0}` cannot be reached: {1}")]
    Unreachable(String, #[source] std::io::Error),
    #[error("too many connections to the upstream `{0}` are open")]
    Busy(String),
    #[error("the upstream `{0}` was not reached within {1:?}")]
    ConnectTimeout(String, Duration),
    #[error("the upstream `{0}` did not begin its answer within {1:?}")]
    ResponseTimeout(String, Duration),
    #[error("the upstream `{0}` broke off: {1}")]
    Broken(String, #[source] hyper::Error),
    #[error("the request cannot be written for the upstream")]
    Request(#[from] http::Error),
    #[error("the system refused a socket: {0}")]
    Socket(#[from] std::io::Error),
    #[error("the host cannot be written in a field")]
    Way,
    #[error("{0}")]
    Identity(#[from] IdentityError),
}

/// What is told to the upstream about a request beside the request itself.
pub(crate) struct Context<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) way: &'a Way,
    pub(crate) identity: &'a IdentityHeaders,
}

/// Sends a permitted request on and returns the upstream's answer.
pub(crate) async fn forward(
    permit: Permit,
    canonical: &Canonical,
    request: Request<Incoming>,
    context: &Context<'_>,
    upstreams: &Upstreams,
    limits: &Limits,
) -> Result<Response<Body>, ForwardError> {
    let pool = upstreams.pool(&permit.target.application.upstream);
    let http2 = request.version() == Version::HTTP_2;
    let (mut head, body) = request.into_parts();
    let upgrade = headers::wanted_upgrade(&head).then(|| head.extensions.remove::<OnUpgrade>()).flatten();
    let rules = &permit.target.application.headers;
    headers::for_upstream(&mut head.headers, rules, context, upgrade.is_some());
    let activity = Arc::new(Activity::new());
    let mut outgoing =
        Request::new(RequestBody::new(body, permit.target.clone(), limits.idle_timeout, activity.clone()));
    *outgoing.method_mut() = canonical.method.clone();
    *outgoing.uri_mut() = origin_form(canonical)?;
    *outgoing.headers_mut() = head.headers;
    let (mut response, lease) = send(&permit, outgoing, &pool, &activity, limits).await?;
    match (switched(&mut response), upgrade) {
        (Some(upstream_side), Some(client_side)) => {
            let sides = (client_side, upstream_side);
            Ok(tunnelled(permit, response, lease, sides, limits))
        }
        _ => {
            let (mut head, body) = response.into_parts();
            headers::for_client(&mut head.headers, &permit.target.application.response_headers);
            let body = UpstreamBody::new(body, lease, permit.passage, limits.idle_timeout);
            let body = if http2 { body.watched() } else { body };
            Ok(Response::from_parts(head, Body::upstream(body)))
        }
    }
}

/// The path that was judged, byte for byte, and the query.
fn origin_form(canonical: &Canonical) -> Result<Uri, http::Error> {
    let target = match &canonical.query {
        Some(query) => format!("{}?{query}", canonical.path),
        None => canonical.path.to_string(),
    };
    Uri::builder().path_and_query(target).build()
}

/// Sends the request over a kept or a new connection. Repeated only when a kept connection turned out to be closed before the
/// first byte was sent.
async fn send(
    permit: &Permit,
    mut request: Request<RequestBody>,
    pool: &Pool,
    activity: &Activity,
    limits: &Limits,
) -> Result<(Response<Incoming>, Lease), ForwardError> {
    loop {
        let (connection, kept) = pool.connection(limits.upstream_connect_timeout).await?;
        let attached = permit.passage.attach(connection.cutter())?;
        let mut lease = Lease::new(pool.clone(), connection, attached);
        let name = || pool.name().to_owned();
        let timeout = limits.upstream_response_timeout;
        // A long upload may take its time: the wait is bounded from the last byte that moved.
        let sent = tokio::select! {
            sent = lease.send(request) => sent,
            () = activity.still_for(timeout) => return Err(ForwardError::ResponseTimeout(name(), timeout)),
        };
        match sent {
            Ok(response) => return Ok((response, lease)),
            Err(mut failed) => match failed.take_message() {
                Some(unsent) if kept => request = unsent,
                _ => return Err(ForwardError::Broken(name(), failed.into_error())),
            },
        }
    }
}

/// The upstream's side of a connection that it has switched to another protocol.
fn switched(response: &mut Response<Incoming>) -> Option<OnUpgrade> {
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    switched.then(|| response.extensions_mut().remove::<OnUpgrade>()).flatten()
}

fn tunnelled(
    permit: Permit,
    response: Response<Incoming>,
    lease: Lease,
    (client_side, upstream_side): (OnUpgrade, OnUpgrade),
    limits: &Limits,
) -> Response<Body> {
    let (mut head, _) = response.into_parts();
    headers::for_client(&mut head.headers, &permit.target.application.response_headers);
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    tunnel::spawn(client_side, upstream_side, lease, permit, limits.idle_timeout);
    Response::from_parts(head, Body::empty())
}
