//! The order of the stages. The only file that knows it: a request gets an id, is routed, is given a visitor, is authorised, is
//! forwarded; or ends early and is told why. One decision event for each request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

mod judge;

use crate::access::{self, Asked};
use crate::authorize::{Client, Permit, Proof, Verified};
use crate::body::Body;
use crate::config::Cors;
use crate::cors::Readable;
use crate::credential;
use crate::decision_log::{self, Outcome};
use crate::forward::{self, Context, ForwardError, Told};
use crate::gate;
use crate::gateway::{Current, Gateway, now};
use crate::identity_headers;
use crate::metrics;
use crate::request_id::RequestId;
use crate::respond::{self, Audience, Reader, Rejection};
use crate::route::{Canonical, RouteError};
use crate::scim;
use crate::trace_context;
use crate::verify;
use judge::{Judged, Unjudged, Verdict, judge};

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
    // Before anything of memory is looked at.
    let lapses = gate::lapses();
    let id = RequestId::next();
    let audience = Audience::of_request(&request);
    let (mut head, body) = request.into_parts();
    // Judged first: what we put in does not count against the client.
    let (gateway, client_ip, judged) = judge(current, via.client, (&head, &body), now).await;
    let trace = trace_context::settle(&mut head.headers, &id);
    let id = id.as_str();
    let asked = decision_log::Asked { id, started, trace };
    let for_sink = scim::is_meant(&head, &gateway.config.server.auth_host);
    let audience = if for_sink { Audience::ProvisioningClient } else { audience };
    let Judged { canonical, verdict } = match judged {
        Ok(judged) => judged,
        Err(Unjudged::Route(error)) => {
            return unrouted(&gateway, (via.client, client_ip), &head, error, audience, asked);
        }
        Err(Unjudged::TooFast) => {
            decision_log::count_too_fast((via.client, client_ip), started, now);
            let reader = Reader { audience, reference: id, look: &gateway.look, application: None };
            return respond::rejected(&Rejection::TooFast, &reader);
        }
    };
    let audience = if shows_service(&head, &verdict) { Audience::Program } else { audience };
    let mut outcome = Outcome::new(asked, (via.client, client_ip), &canonical, &gateway.policies.set);
    let stage = Stage { gateway: &gateway, via, client_ip, canonical: &canonical, id, now, lapses };
    let (mut asker, mut readable) = (None, Readable::AsItIs);
    let result = match verdict {
        Verdict::AuthHost => stage.auth_host(Request::from_parts(head, body)).await,
        Verdict::ApplicationHost => stage.application_host(Request::from_parts(head, body)).await,
        Verdict::Application { target, session, permit, reports } => {
            readable = Readable::by(&target.application.cors, &head.headers);
            outcome.application = Some(target);
            outcome.session = session;
            outcome.reported(&reports);
            match permit.and_then(|permit| recorded(&gateway, started, permit)) {
                Ok(permit) => {
                    outcome.allowed(&permit);
                    stage.forward(permit, Request::from_parts(head, body)).await.map_err(Rejection::from)
                }
                Err(rejection) => Err(rejection),
            }
        }
        Verdict::Preflight { target, origin } => {
            outcome.application = Some(target.clone());
            match (&target.application.cors, origin) {
                (Cors::Answer(rules), Some(origin)) => Ok(respond::preflight(rules, &origin)),
                _ => Err(Rejection::OriginUnlisted),
            }
        }
        Verdict::Asked { by, target, session, proof, reports } => {
            asker = by;
            outcome.application.clone_from(&target);
            outcome.session = session;
            outcome.reported(&reports);
            proof.and_then(|proof| recorded(&gateway, started, proof)).and_then(|proof| {
                outcome.proven(&proof);
                via.client.tells(lapses);
                let target = target.ok_or(Rejection::NotFound)?;
                let allowed = verify::allowed(&gateway, (&proof, &target), &head.headers, now);
                Ok(allowed.map_err(ForwardError::from)?)
            })
        }
    };
    let response = result.unwrap_or_else(|rejection| {
        let application = outcome.application.as_ref().map(|target| target.application.as_ref());
        let reader = Reader { audience, reference: id, look: &gateway.look, application };
        let response = respond::rejected(&rejection, &reader);
        outcome.rejection = Some(rejection);
        response
    });
    let mut response = if let Some(asker) = asker { respond::for_asker(response, asker) } else { response };
    if let (Readable::ByListed(origin), Some(target)) = (&readable, &outcome.application) {
        target.application.cors.mark(origin.as_ref(), response.headers_mut());
    }
    decision_log::write(outcome, response.status());
    response
}

/// Gives a proof back, unless decisions must be recorded and are not.
fn recorded<P>(gateway: &Gateway, started: Instant, proof: P) -> Result<P, Rejection> {
    let record = gateway.process.record.as_ref();
    if record.is_none_or(|state| state.lets_pass(started)) { Ok(proof) } else { Err(Rejection::Unrecorded) }
}

/// Whether a service asks: it is told as a program, whatever else it sends, and is never led to a login.
fn shows_service(head: &Parts, verdict: &Verdict) -> bool {
    let field = match verdict {
        Verdict::Application { target, .. } | Verdict::Asked { target: Some(target), .. } => {
            target.application.headers.service_token.as_ref()
        }
        _ => None,
    };
    credential::shows_service(&head.headers, field)
}

/// A request that names no application, or none in a single way.
fn unrouted(
    gateway: &Gateway,
    client: (&Client, IpAddr),
    head: &Parts,
    error: RouteError,
    audience: Audience,
    asked: decision_log::Asked<'_>,
) -> Response<Body> {
    let reader = Reader { audience, reference: asked.id, look: &gateway.look, application: None };
    let response = respond::rejected(&Rejection::Route(error), &reader);
    decision_log::write_unrouted(asked, client, head, error, response.status());
    response
}

/// One request on its way through the rest of the stages.
struct Stage<'a> {
    gateway: &'a Arc<Gateway>,
    via: Via<'a>,
    client_ip: IpAddr,
    canonical: &'a Canonical,
    id: &'a str,
    now: i64,
    /// How often the lease had begun anew before the request was judged.
    lapses: u64,
}

impl Stage<'_> {
    fn asked<'h>(&'h self, head: &'h Parts) -> Asked<'h> {
        let Self { client_ip, canonical, id, now, .. } = *self;
        let presented = self.via.client.handshake.get().and_then(|it| it.presented.as_deref());
        Asked { head, canonical, client_ip, presented, reference: id, now }
    }

    /// What we tell of anybody ourselves, and take from them, is by memory; without a lease that may be of yesterday. What is published is
    /// about nobody.
    fn tell(&self, endpoint: &str) -> Result<(), Rejection> {
        if access::is_published(endpoint) {
            return Ok(());
        }
        if !gate::is_open() {
            return Err(Rejection::Unleased);
        }
        self.via.client.tells(self.lapses);
        Ok(())
    }

    /// The auth host carries login, keys and provisioning.
    async fn auth_host(&self, request: Request<Incoming>) -> Result<Response<Body>, Rejection> {
        if scim::is_scim(self.canonical) {
            let canonical = self.canonical;
            let response =
                scim::respond(scim::Door::of(self.gateway), self.client_ip, canonical, request, self.now)
                    .await;
            metrics::provisioned(&canonical.method, response.status());
            return Ok(response);
        }
        let Some(endpoint) = access::endpoint(self.canonical) else { return Err(Rejection::NotFound) };
        self.tell(endpoint)?;
        let (head, body) = request.into_parts();
        access::on_auth_host(self.gateway, &self.asked(&head), endpoint, body).await
    }

    async fn application_host(&self, request: Request<Incoming>) -> Result<Response<Body>, Rejection> {
        let Some(endpoint) = access::endpoint(self.canonical) else { return Err(Rejection::NotFound) };
        self.tell(endpoint)?;
        let (head, body) = request.into_parts();
        access::on_application_host(self.gateway, &self.asked(&head), body, endpoint).await
    }

    async fn forward(
        &self,
        permit: Permit,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ForwardError> {
        let gateway = self.gateway;
        let identity = permit.proof.verified().map(|verified| {
            let Verified { session, standing, target, .. } = verified;
            identity_headers::of(&gateway.process.signer, session, standing, target, self.now)
        });
        let identity = identity.transpose()?;
        let told = match (&identity, &permit.proof) {
            (Some(identity), _) => Told::Somebody(identity),
            (None, Proof::Preflight) => Told::Preflight,
            (None, _) => Told::Nobody,
        };
        let port = gateway.config.server.public_port;
        let way = self.via.client.ways.way(self.client_ip, &self.canonical.host, port);
        let way = way.ok_or(ForwardError::Way)?;
        let context = Context { request_id: self.id, way: &way, told };
        let upstreams = gateway.upstreams.get(self.via.worker).ok_or(ForwardError::Way)?;
        forward::forward(permit, self.canonical, request, &context, upstreams).await
    }
}
