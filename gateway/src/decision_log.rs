//! One event for each request: who, what, from where, which policy and rule, why. Never a query string, a header or a body:
//! secrets travel there. Keeping events until they are written is left to `journal`, their form to `scribe`.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use http::StatusCode;
use http::request::Parts;
use portcullis_policy::{Decision, PolicySet, Report};
use portcullis_store::Store;

mod journal;
mod scribe;

// The record, in files.
mod anchor;
mod chain;
mod check;
mod folder;
mod portion;
mod read;
mod recorder;
mod search;
mod state;
#[cfg(test)]
mod testing;

pub(crate) use anchor::{keep_known, known};
pub(crate) use chain::ChainKey;
pub(crate) use check::{Findings, check};
pub use read::{Decisions, Record, decisions};
pub use recorder::RecordError;
pub(crate) use recorder::{GAP, Recorder};
pub(crate) use search::{Follow, Query, Search};
pub(crate) use state::RecordState;

#[cfg(feature = "otel")]
pub(crate) use journal::Event;
pub(crate) use journal::{Batch, Journal};
#[cfg(all(test, feature = "otel"))]
pub(crate) use journal::{Facts as EventFacts, Texts as EventTexts};
pub(crate) use scribe::Scribe;

use crate::authorize::{Client, Denial, Permit, Proof};
use crate::config::Config;
use crate::gateway::Gateway;
use crate::live::LiveSession;
use crate::log;
use crate::metrics::{self, Answer};
use crate::respond::Rejection;
use crate::route::{Canonical, RouteError, Target};
use crate::seal::Sealer;
use crate::trace_context::Trace;
use journal::{Facts, Texts};

/// Has decisions recorded, where that is configured.
pub(crate) fn begin_to_record(
    config: &Config,
    store: &Store,
    sealer: &Sealer,
) -> Result<Option<Arc<RecordState>>, RecordError> {
    let Some(settings) = &config.log.decisions else { return Ok(None) };
    let known = known(store, sealer, &settings.folder).unwrap_or_else(|cause| {
        tracing::error!(target: "portcullis::log", %cause, "it is not known where the recorded decisions ended");
        None
    });
    let (recorder, state) = Recorder::begin(settings, ChainKey::new(sealer.decisions_key()), known)?;
    log::record(recorder);
    Ok(Some(state))
}

/// Ends recording, and tells the store where.
pub(crate) async fn end_record(gateway: &Gateway) {
    let Some(settings) = &gateway.config.log.decisions else { return };
    log::end_record();
    if let Err(cause) = anchor::tell_last(&gateway.process, &settings.folder).await {
        tracing::warn!(target: "portcullis::log", %cause, "the store does not know where the recorded decisions end");
    }
}

/// What became of a request, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was forwarded.
    Allow,
    /// It was not to be.
    Deny,
    /// Nobody is logged in.
    LoginRequired,
    /// It was to be, and could not.
    Failed,
    /// It was nobody's, and forwarded to an application that answers preflights itself.
    Preflight,
    /// It was for us.
    Own,
}

impl Verdict {
    pub(crate) const ALL: [Self; 6] =
        [Self::Allow, Self::Deny, Self::LoginRequired, Self::Failed, Self::Preflight, Self::Own];

    /// The word in log and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::LoginRequired => "login_required",
            Self::Failed => "failed",
            Self::Preflight => "preflight",
            Self::Own => "own",
        }
    }
}

/// What is known of a request from its first moment on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) id: &'a str,
    pub(crate) started: Instant,
    pub(crate) trace: Option<Trace>,
}

/// What became of a request, and all that led to it. One that is let go unwritten was broken off, and is written as such: whoever
/// was let in is recorded, also when they left before the answer, or were cut off.
pub(crate) struct Outcome<'a> {
    written: bool,
    asked: Asked<'a>,
    client: &'a Client,
    client_ip: IpAddr,
    canonical: &'a Canonical,
    policies: &'a PolicySet,
    pub(crate) application: Option<Arc<Target>>,
    pub(crate) session: Option<Arc<LiveSession>>,
    pub(crate) rejection: Option<Rejection>,
    /// Went on to the application.
    passed: bool,
    decision: Option<Decision>,
    allowed_at: Option<Instant>,
    /// What report-only policies would have decided.
    reports: String,
}

impl<'a> Outcome<'a> {
    pub(crate) fn new(
        asked: Asked<'a>,
        (client, client_ip): (&'a Client, IpAddr),
        canonical: &'a Canonical,
        policies: &'a PolicySet,
    ) -> Self {
        Self {
            written: false,
            asked,
            client,
            client_ip,
            canonical,
            policies,
            application: None,
            session: None,
            rejection: None,
            passed: false,
            decision: None,
            allowed_at: None,
            reports: String::new(),
        }
    }

    /// Notes the decision that a request is forwarded under.
    pub(crate) fn allowed(&mut self, permit: &Permit) {
        self.passed = true;
        self.allowed_at = Some(Instant::now());
        self.proven(&permit.proof);
    }

    /// Notes the decision that another proxy may carry a request under.
    pub(crate) fn proven(&mut self, proof: &Proof) {
        match proof {
            Proof::Somebody(verified) => self.decision = Some(verified.decision),
            // Whoever it was: the request was nobody's.
            Proof::Nobody(decision) => {
                self.decision = Some(*decision);
                self.session = None;
            }
            Proof::Preflight => {}
        }
    }

    /// Notes and counts what report-only policies would have decided: `policy: verdict (reason)`, with a mark where that is another
    /// verdict than the one that holds.
    pub(crate) fn reported(&mut self, reports: &[Report]) {
        for report in reports {
            let Some(policy) = self.policies.policy_name(report.policy) else { continue };
            let (effect, mark) = if report.differs { ("changes", " !") } else { ("same", "") };
            metrics::reported(policy, effect);
            let divide = if self.reports.is_empty() { "" } else { ", " };
            let Decision { verdict, reason, .. } = report.decision;
            // Writing to a string cannot fail.
            let _ = write!(self.reports, "{divide}{policy}: {verdict} ({reason}){mark}");
        }
    }

    fn verdict(&self) -> Verdict {
        match (&self.rejection, &self.application, &self.decision) {
            (Some(Rejection::LoginRequired(_)), _, _) => Verdict::LoginRequired,
            (Some(Rejection::Forward(_)), _, _) => Verdict::Failed,
            (Some(_), _, _) => Verdict::Deny,
            (None, Some(_), Some(_)) => Verdict::Allow,
            (None, Some(_), None) if self.passed => Verdict::Preflight,
            (None, _, _) => Verdict::Own,
        }
    }
}

/// Not registered; what servers write for a request whose client left before the answer.
const CLIENT_LEFT: u16 = 499;

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        if !self.written {
            record(self, CLIENT_LEFT, Some(&"the client left, or was cut off, before the answer"));
        }
    }
}

/// Records the event of a request that was routed.
pub(crate) fn write(mut outcome: Outcome<'_>, status: StatusCode) {
    outcome.written = true;
    let cause = outcome.rejection.as_ref().map(|rejection| rejection as &dyn Display);
    record(&outcome, status.as_u16(), cause);
}

fn record(outcome: &Outcome<'_>, status: u16, cause: Option<&dyn Display>) {
    let decision = outcome.decision.or(match &outcome.rejection {
        Some(Rejection::Denied(Denial::Policy(decision) | Denial::Service(decision))) => Some(*decision),
        Some(Rejection::StepUp(summons)) => Some(summons.decision),
        Some(Rejection::Errand(errand)) => Some(errand.decision),
        _ => None,
    });
    let policy = decision.and_then(|decision| outcome.policies.policy_name(decision.policy?));
    let session = outcome.session.as_ref();
    // Of the moment that is told about: a renewal may have replaced it since the decision.
    let standing = session.map(|session| session.standing());
    let profile = standing.as_ref().map(|standing| &standing.profile);
    let purpose = outcome.application.as_ref().zip(standing.as_ref());
    let purpose = purpose.and_then(|(target, standing)| standing.held.purpose(&target.application.name));
    let presented = outcome.client.handshake.get().and_then(|handshake| handshake.presented.as_ref());
    let texts = Texts {
        request: outcome.asked.id,
        application: outcome.application.as_ref().map_or("", |target| &target.application.name),
        host: outcome.canonical.host.as_str(),
        method: outcome.canonical.method.as_str(),
        path: outcome.canonical.path.as_str(),
        certificate: presented.map_or("", |presented| &presented.fingerprint),
        certificate_subject: presented.and_then(|presented| presented.subject.as_deref()).unwrap_or_default(),
        email: profile.and_then(|profile| profile.email.as_deref()).unwrap_or_default(),
        subject: session.map_or("", |session| &session.subject),
        provider: session.map_or("", |session| &session.provider),
        service: session.and_then(|session| session.service.as_ref()).map_or("", |service| &service.token),
        policy: policy.unwrap_or_default(),
        purpose: shortened(purpose.unwrap_or_default()),
        reports: &outcome.reports,
        cause: "",
    };
    let answered = Instant::now();
    let answer = Answer {
        verdict: outcome.verdict(),
        status,
        micros: micros(outcome.asked.started, answered),
        upstream_micros: outcome.allowed_at.map(|at| micros(at, answered)),
    };
    let person = session.filter(|session| session.service.is_none());
    let figures = outcome.application.as_ref().map_or(metrics::elsewhere(), |target| &target.figures);
    figures.count(outcome.client.journal.worker(), &answer);
    let facts = Facts {
        answered,
        answer,
        trace: outcome.asked.trace,
        client: outcome.client_ip,
        session: person.map(|session| session.id),
        login_at: person.and(profile).map(|profile| profile.authenticated_at),
        revision: Some(outcome.policies.revision()),
        action: decision.and_then(|decision| outcome.policies.action(decision.policy?)),
        rule: decision.and_then(|decision| decision.rule),
        reason: decision.map(|decision| decision.reason),
    };
    outcome.client.journal.record(facts, &texts, cause);
}

/// Most characters of a purpose that stand in each event; the whole of it stands in the event of its giving.
const PURPOSE_CHARS: usize = 80;

fn shortened(purpose: &str) -> &str {
    let end = purpose.char_indices().nth(PURPOSE_CHARS).map_or(purpose.len(), |(end, _)| end);
    purpose.get(..end).unwrap_or_default()
}

/// Counts a request of an address that asks more often than it may. An event for each would let a flood crowd out the events of
/// others; a line in a second is enough to find the address.
pub(crate) fn count_too_fast((client, client_ip): (&Client, IpAddr), started: Instant, now: i64) {
    static SAID_AT: AtomicI64 = AtomicI64::new(0);
    let answered = Instant::now();
    let status = StatusCode::TOO_MANY_REQUESTS.as_u16();
    let micros = micros(started, answered);
    let answer = Answer { verdict: Verdict::Deny, status, micros, upstream_micros: None };
    metrics::elsewhere().count(client.journal.worker(), &answer);
    if SAID_AT.swap(now, Ordering::Relaxed) != now {
        tracing::warn!(target: "portcullis::limit", client = %client_ip, "an address asks more often than it may");
    }
}

/// Records the event of a request that was not: its parts have no single meaning, so they are not repeated.
pub(crate) fn write_unrouted(
    asked: Asked<'_>,
    (client, client_ip): (&Client, IpAddr),
    head: &Parts,
    error: RouteError,
    status: StatusCode,
) {
    let texts = Texts { request: asked.id, method: head.method.as_str(), ..Texts::default() };
    let answered = Instant::now();
    let micros = micros(asked.started, answered);
    let answer = Answer { verdict: Verdict::Deny, status: status.as_u16(), micros, upstream_micros: None };
    metrics::elsewhere().count(client.journal.worker(), &answer);
    let facts = Facts {
        answered,
        answer,
        trace: asked.trace,
        client: client_ip,
        session: None,
        login_at: None,
        revision: None,
        action: None,
        rule: None,
        reason: None,
    };
    client.journal.record(facts, &texts, Some(&error));
}

fn micros(started: Instant, answered: Instant) -> u64 {
    u64::try_from(answered.saturating_duration_since(started).as_micros()).unwrap_or(u64::MAX)
}
