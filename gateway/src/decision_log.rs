//! One event for each request: who, what, from where, which policy and rule, why. Never a query string, a header or a body:
//! secrets travel there.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use http::request::Parts;
use portcullis_policy::{Decision, PolicySet};

use crate::assertion::short_id;
use crate::authorize::{Client, Denial, Permit};
use crate::live::LiveSession;
use crate::respond::Rejection;
use crate::route::{Canonical, RouteError, Target};

/// What became of a request.
pub(crate) struct Outcome<'a> {
    id: &'a str,
    client: &'a Client,
    canonical: &'a Canonical,
    started: Instant,
    pub(crate) application: Option<Arc<Target>>,
    pub(crate) session: Option<Arc<LiveSession>>,
    pub(crate) rejection: Option<Rejection>,
    decision: Option<Decision>,
    policy: Option<String>,
}

impl<'a> Outcome<'a> {
    pub(crate) fn new(id: &'a str, client: &'a Client, canonical: &'a Canonical, started: Instant) -> Self {
        Self {
            id,
            client,
            canonical,
            started,
            application: None,
            session: None,
            rejection: None,
            decision: None,
            policy: None,
        }
    }

    /// Notes the decision that a request is forwarded under.
    pub(crate) fn allowed(&mut self, permit: &Permit, policies: &PolicySet) {
        self.decision = Some(permit.decision);
        self.policy = permit.decision.policy.and_then(|id| policies.policy_name(id)).map(str::to_owned);
    }

    fn verdict(&self) -> &'static str {
        match (&self.rejection, &self.application, &self.decision) {
            (Some(Rejection::LoginRequired(_)), _, _) => "login_required",
            (Some(Rejection::Forward(_)), _, _) => "failed",
            (Some(_), _, _) => "deny",
            (None, Some(_), Some(_)) => "allow",
            (None, _, _) => "own",
        }
    }
}

/// Writes the event of a request that was routed.
pub(crate) fn write(outcome: &Outcome<'_>, status: StatusCode) {
    let decision = outcome.decision.or(match &outcome.rejection {
        Some(Rejection::Denied(Denial::Policy(decision))) => Some(*decision),
        _ => None,
    });
    let record = outcome.session.as_ref().map(|session| &session.record);
    let presented = outcome.client.handshake.get().and_then(|handshake| handshake.presented.as_ref());
    tracing::info!(
        target: "portcullis::decision",
        request = outcome.id,
        verdict = outcome.verdict(),
        status = status.as_u16(),
        application = outcome.application.as_ref().map(|target| target.application.name.as_str()),
        host = outcome.canonical.host.as_str(),
        method = outcome.canonical.method.as_str(),
        path = outcome.canonical.path.as_str(),
        client = %outcome.client.ip,
        certificate = presented.map(|presented| presented.fingerprint.as_str()),
        certificate_subject = presented.and_then(|presented| presented.subject.as_deref()),
        email = record.and_then(|record| record.email.as_deref()),
        subject = record.map(|record| record.subject.as_str()),
        provider = record.map(|record| record.provider.as_str()),
        session = outcome.session.as_ref().map(|session| short_id(session)),
        policy = outcome.policy.as_deref(),
        rule = decision.and_then(|decision| decision.rule).map(tracing::field::display),
        reason = decision.map(|decision| decision.reason.as_str()),
        cause = outcome.rejection.as_ref().map(tracing::field::display),
        micros = u64::try_from(outcome.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
}

/// Writes the event of a request that was not: its parts have no single meaning, so they are not repeated.
pub(crate) fn write_unrouted(
    id: &str,
    client: IpAddr,
    head: &Parts,
    error: RouteError,
    status: StatusCode,
    started: Instant,
) {
    tracing::info!(
        target: "portcullis::decision",
        request = id,
        verdict = "deny",
        status = status.as_u16(),
        method = head.method.as_str(),
        client = %client,
        cause = %error,
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
}
