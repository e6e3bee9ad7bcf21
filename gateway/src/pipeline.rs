//! The order of the stages. The only file that knows it: a request gets an id, is routed, is given a visitor, is authorised, is
//! forwarded; or ends early and is told why. One decision event for each request.

use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::access::{self, Asked};
use crate::authorize::{Client, Permit, authorize};
use crate::body::Body;
use crate::decision_log::{self, Outcome};
use crate::forward::{self, Context, ForwardError, Upstreams};
use crate::gateway::{Gateway, now};
use crate::identity_headers;
use crate::login;
use crate::metrics;
use crate::request_id::RequestId;
use crate::respond::{self, Audience, Rejection};
use crate::route::{Canonical, Destination, RouteError, Target};
use crate::scim;
use crate::session::{Visitor, application_visitor};

/// Takes one request through the stages. Always answers.
pub(crate) async fn handle(
    gateway: &Arc<Gateway>,
    client: &Client,
    upstreams: &Upstreams,
    request: Request<Incoming>,
) -> Response<Body> {
    let started = Instant::now();
    let id = RequestId::next();
    let id = id.as_str();
    let audience = Audience::of_request(&request);
    let (head, body) = request.into_parts();
    let routed = resolve(gateway, client, &head);
    let (canonical, destination) = match routed {
        Ok(routed) => routed,
        Err(error) => return unrouted(client, &head, error, audience, id, started),
    };
    let mut outcome = Outcome::new(id, client, &canonical, started);
    let request = Request::from_parts(head, body);
    let result = match &destination {
        Destination::AuthHost => on_auth_host(gateway, client, &canonical, request, id).await,
        Destination::Application(target) => {
            outcome.application = Some(target.clone());
            let stages = Stages { gateway, client, upstreams, canonical: &canonical, target, id };
            stages.run(request, &mut outcome).await
        }
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

/// A request that names no application, or none in a single way.
fn unrouted(
    client: &Client,
    head: &Parts,
    error: RouteError,
    audience: Audience,
    id: &str,
    started: Instant,
) -> Response<Body> {
    let response = respond::rejected(&Rejection::Route(error), audience, id);
    decision_log::write_unrouted(id, client, head, error, response.status(), started);
    response
}

/// The auth host carries login, keys and provisioning.
async fn on_auth_host(
    gateway: &Arc<Gateway>,
    client: &Client,
    canonical: &Canonical,
    request: Request<Incoming>,
    id: &str,
) -> Result<Response<Body>, Rejection> {
    if scim::is_scim(canonical) {
        let response = scim::respond(gateway, client, canonical, request, now()).await;
        metrics::provisioned(&canonical.method, response.status());
        return Ok(response);
    }
    let Some(endpoint) = access::endpoint(canonical) else { return Err(Rejection::NotFound) };
    let (head, _) = request.into_parts();
    let asked = Asked { head: &head, canonical, client, reference: id, now: now() };
    access::on_auth_host(gateway, &asked, endpoint).await
}

/// The stages of a request to an application.
struct Stages<'a> {
    gateway: &'a Arc<Gateway>,
    client: &'a Client,
    upstreams: &'a Upstreams,
    canonical: &'a Canonical,
    target: &'a Arc<Target>,
    id: &'a str,
}

impl<'a> Stages<'a> {
    async fn run(
        &self,
        request: Request<Incoming>,
        outcome: &mut Outcome<'a>,
    ) -> Result<Response<Body>, Rejection> {
        let now = now();
        if let Some(endpoint) = access::endpoint(self.canonical) {
            let (head, _) = request.into_parts();
            let (canonical, client, reference) = (self.canonical, self.client, self.id);
            let asked = Asked { head: &head, canonical, client, reference, now };
            return access::on_application_host(self.gateway, &asked, self.target, endpoint).await;
        }
        let live = &self.gateway.live;
        let permit = match application_visitor(live, request.headers(), &self.canonical.host, now) {
            Visitor::Nobody => return Err(Rejection::LoginRequired(self.challenge(&request, now))),
            Visitor::Ended(reason) => {
                return Err(Rejection::SessionEnded(reason, self.challenge(&request, now)));
            }
            Visitor::Known(visitor) => {
                outcome.session = Some(visitor.session.clone());
                authorize(&self.gateway.config.policies, self.client, &visitor, self.target, now)?
            }
        };
        outcome.allowed(&permit, &self.gateway.config.policies);
        Ok(self.forward(permit, request, now).await?)
    }

    fn challenge(&self, request: &Request<Incoming>, now: i64) -> Box<login::Challenge> {
        Box::new(login::challenge(self.gateway, self.canonical, request.headers(), now))
    }

    async fn forward(
        &self,
        permit: Permit,
        request: Request<Incoming>,
        now: i64,
    ) -> Result<Response<Body>, ForwardError> {
        let identity = identity_headers::of(&self.gateway.signer, &permit, now)?;
        let port = self.gateway.config.server.public_port;
        let way = self.client.ways.way(self.client.ip, &self.canonical.host, port);
        let way = way.ok_or(ForwardError::Way)?;
        let context = Context { request_id: self.id, way: &way, identity: &identity };
        forward::forward(permit, self.canonical, request, &context, self.upstreams).await
    }
}
