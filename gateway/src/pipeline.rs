//! The order of the stages. The only file that knows it: a request gets an id, is routed, is given a visitor, is authorised, is
//! forwarded; or ends early and is told why. One decision event for each request.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use http::header::COOKIE;
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::access::{self, Asked};
use crate::authorize::{Client, NoPermit, Permit, authorize};
use crate::body::Body;
use crate::decision_log::{self, Outcome};
use crate::forward::{self, Context, ForwardError};
use crate::gateway::{Current, Gateway, now};
use crate::identity_headers;
use crate::live::LiveSession;
use crate::login;
use crate::metrics;
use crate::request_id::RequestId;
use crate::respond::{self, Audience, Rejection};
use crate::route::{Canonical, Destination, RouteError, Target};
use crate::scim;
use crate::session::{Visitor, application_visitor};
use crate::trace_context;

/// Whom a request comes through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Via<'a> {
    pub(crate) client: &'a Client,
    /// The number of the worker that carries the connection.
    pub(crate) worker: usize,
}

/// Takes one request through the stages. Always answers.
pub(crate) async fn handle(current: &Current, via: Via<'_>, request: Request<Incoming>) -> Response<Body> {
    let started = Instant::now();
    let now = now();
    let id = RequestId::next();
    let audience = Audience::of_request(&request);
    let (mut head, body) = request.into_parts();
    let trace = trace_context::settle(&mut head.headers, &id);
    let id = id.as_str();
    let asked = decision_log::Asked { id, started, trace };
    let (gateway, judged) = judge(current, via.client, &head, now);
    let Judged { canonical, verdict } = match judged {
        Ok(judged) => judged,
        Err(error) => return unrouted(via.client, &head, error, audience, asked),
    };
    let mut outcome = Outcome::new(asked, via.client, &canonical);
    let stage = Stage { gateway: &gateway, via, canonical: &canonical, id, now };
    let result = match verdict {
        Verdict::AuthHost => stage.auth_host(Request::from_parts(head, body)).await,
        Verdict::ApplicationHost => stage.application_host(&head).await,
        Verdict::Application { target, session, permit } => {
            outcome.application = Some(target);
            outcome.session = session;
            match permit {
                Ok(permit) => {
                    outcome.allowed(&permit, &gateway.policies.set);
                    stage.forward(permit, Request::from_parts(head, body)).await.map_err(Rejection::from)
                }
                Err(rejection) => Err(rejection),
            }
        }
        Verdict::TooFast => Err(Rejection::TooFast),
    };
    let response = result.unwrap_or_else(|rejection| {
        let response = respond::rejected(&rejection, audience, id);
        outcome.rejection = Some(rejection);
        response
    });
    decision_log::write(&outcome, response.status());
    response
}

/// Finds where a request goes. What a client proved in its handshake counts for hosts of the same rules only.
fn resolve(gateway: &Gateway, client: &Client, head: &Parts) -> Result<(Canonical, Destination), RouteError> {
    if fields(&head.headers) > gateway.config.limits.header_count {
        return Err(RouteError::FieldCount);
    }
    let handshake = client.handshake.get();
    let (canonical, destination) =
        gateway.routes.resolve(head, handshake.and_then(|handshake| handshake.name.as_deref()))?;
    let policy = gateway.tls.policy(&canonical.host);
    if handshake.is_some_and(|handshake| handshake.policy == policy) {
        Ok((canonical, destination))
    } else {
        Err(RouteError::TlsPolicy)
    }
}

/// How many fields a head has. On HTTP/2 a cookie may come in as many pieces as its bytes allow (RFC 9113 section 8.2.3).
fn fields(headers: &HeaderMap) -> usize {
    let crumbs = headers.get_all(COOKIE).iter().count();
    headers.len() - crumbs.saturating_sub(1)
}

/// A request that names no application, or none in a single way.
fn unrouted(
    client: &Client,
    head: &Parts,
    error: RouteError,
    audience: Audience,
    asked: decision_log::Asked<'_>,
) -> Response<Body> {
    let response = respond::rejected(&Rejection::Route(error), audience, asked.id);
    decision_log::write_unrouted(asked, client, head, error, response.status());
    response
}

/// What a head means, and what it may do.
struct Judged {
    canonical: Canonical,
    verdict: Verdict,
}

enum Verdict {
    AuthHost,
    ApplicationHost,
    Application {
        target: Arc<Target>,
        session: Option<Arc<LiveSession>>,
        permit: Result<Permit, Rejection>,
    },
    /// The address asks more often than it may.
    TooFast,
}

/// Judges a head by one configuration, whole. When that is replaced meanwhile, and the session is judged by the next one already,
/// the request begins anew under the next.
fn judge(
    current: &Current,
    client: &Client,
    head: &Parts,
    now: i64,
) -> (Arc<Gateway>, Result<Judged, RouteError>) {
    loop {
        let gateway = current.get();
        let (canonical, destination) = match resolve(&gateway, client, head) {
            Ok(resolved) => resolved,
            Err(error) => return (gateway, Err(error)),
        };
        let verdict = if gateway.limits.of_address.allows(client.ip) {
            match destination {
                Destination::AuthHost => Verdict::AuthHost,
                Destination::ApplicationHost => Verdict::ApplicationHost,
                Destination::Application(target) => {
                    let mut session = None;
                    match permit(&gateway, client, head, &canonical, &target, &mut session, now) {
                        Some(permit) => Verdict::Application { target, session, permit },
                        None => continue,
                    }
                }
            }
        } else {
            Verdict::TooFast
        };
        return (gateway, Ok(Judged { canonical, verdict }));
    }
}

/// Who asks, and may they. Awaits nothing. None when the configuration was replaced meanwhile.
fn permit(
    gateway: &Gateway,
    client: &Client,
    head: &Parts,
    canonical: &Canonical,
    target: &Arc<Target>,
    session: &mut Option<Arc<LiveSession>>,
    now: i64,
) -> Option<Result<Permit, Rejection>> {
    let challenge = || Box::new(login::challenge(gateway, canonical, &head.headers, now));
    let longest = target.application.session_duration;
    match application_visitor(&gateway.process.live, &head.headers, &canonical.host, longest, now) {
        Visitor::Nobody => Some(Err(Rejection::LoginRequired(challenge()))),
        Visitor::Ended(reason) => Some(Err(Rejection::SessionEnded(reason, challenge()))),
        Visitor::Known(visitor) => {
            *session = Some(visitor.session.clone());
            if !gateway.limits.of_person.allows_somebody(visitor.session.pace_key) {
                return Some(Err(Rejection::TooFast));
            }
            match authorize(&gateway.policies, client, &visitor, target, now) {
                Ok(permit) => Some(Ok(permit)),
                Err(NoPermit::Denied(denial)) => Some(Err(denial.into())),
                Err(NoPermit::Superseded) => None,
            }
        }
    }
}

/// One request on its way through the rest of the stages.
struct Stage<'a> {
    gateway: &'a Arc<Gateway>,
    via: Via<'a>,
    canonical: &'a Canonical,
    id: &'a str,
    now: i64,
}

impl Stage<'_> {
    fn asked<'h>(&'h self, head: &'h Parts) -> Asked<'h> {
        let Self { canonical, via, id, now, .. } = *self;
        Asked { head, canonical, client: via.client, reference: id, now }
    }

    /// The auth host carries login, keys and provisioning.
    async fn auth_host(&self, request: Request<Incoming>) -> Result<Response<Body>, Rejection> {
        if scim::is_scim(self.canonical) {
            let (client, canonical) = (self.via.client, self.canonical);
            let response = scim::respond(self.gateway, client, canonical, request, self.now).await;
            metrics::provisioned(&canonical.method, response.status());
            return Ok(response);
        }
        let Some(endpoint) = access::endpoint(self.canonical) else { return Err(Rejection::NotFound) };
        let (head, _) = request.into_parts();
        access::on_auth_host(self.gateway, &self.asked(&head), endpoint).await
    }

    async fn application_host(&self, head: &Parts) -> Result<Response<Body>, Rejection> {
        let Some(endpoint) = access::endpoint(self.canonical) else { return Err(Rejection::NotFound) };
        access::on_application_host(self.gateway, &self.asked(head), endpoint).await
    }

    async fn forward(
        &self,
        permit: Permit,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ForwardError> {
        let gateway = self.gateway;
        let identity = identity_headers::of(&gateway.process.signer, &permit, self.now)?;
        let port = gateway.config.server.public_port;
        let way = self.via.client.ways.way(self.via.client.ip, &self.canonical.host, port);
        let way = way.ok_or(ForwardError::Way)?;
        let context = Context { request_id: self.id, way: &way, identity: &identity };
        let upstreams = gateway.upstreams.get(self.via.worker).ok_or(ForwardError::Way)?;
        forward::forward(permit, self.canonical, request, &context, upstreams).await
    }
}
