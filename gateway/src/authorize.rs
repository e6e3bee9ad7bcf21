//! May this request pass: joins session, directory and policy, and hands out the permit. The only maker of permits. Spending
//! one is left to `forward`.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering as Order};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::request::Parts;
use http_body::Body;
use portcullis_policy::{Decision, EvaluationId, PolicyId, Question, Reason, Report, RequestClass};
use portcullis_store::{EndReason, SessionId};

use crate::admission::Admitted;
use crate::circumstances::{Shown, Situation};
use crate::config::Cors;
use crate::cors::is_preflight;
use crate::credential::{Credential, CredentialError};
use crate::decision_log::Journal;
use crate::forwarded::Ways;
use crate::gate;
use crate::in_use::Requests;
use crate::live::{Life, LiveSession, NewPassage, Passage, Policies, Standing};
use crate::route::Target;
use crate::socket::{Cutter, Kept};
use crate::tls::Handshake;

/// How many sessions and applications may use one client connection.
const MAX_PASSAGES_PER_CONNECTION: usize = 64;
/// More than the pings, and less than any answer, that are sent to a peer while its patience runs out, in bytes.
const PINGS_BYTES: u64 = 4 * 1024;

/// One client connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// The peer of its socket: whom we judge, unless it is a proxy that names another.
    pub(crate) peer: IpAddr,
    /// What the handshake told, once there was one.
    pub(crate) handshake: OnceLock<Handshake>,
    /// The requests that it carries.
    pub(crate) requests: Requests,
    /// What upstreams are told about the way that its requests came.
    pub(crate) ways: Ways,
    /// Where its events wait to be written.
    pub(crate) journal: Arc<Journal>,
    cutter: Arc<Cutter>,
    /// Counted for as long as a byte of the connection is on its way.
    _admitted: Admitted,
    passages: Mutex<Vec<Arc<Passage>>>,
    /// Under which count of leases it was told something of somebody by us; zero if nothing was.
    told: AtomicU64,
}

/// Proof that the policy allowed one request. Forwarding takes it by value.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) proof: Proof,
    pub(crate) target: Arc<Target>,
    pub(crate) passage: Arc<Passage>,
}

/// As whose a request may pass.
#[derive(Debug)]
pub(crate) enum Proof {
    /// Somebody's, by the decision about them.
    Somebody(Verified),
    /// Nobody's, by a bypass, whoever it was that asked: it carries nothing of anybody.
    Nobody(Decision),
    /// Nobody's, to an application that answers preflights itself: it carries nothing but the preflight.
    Preflight,
}

impl Proof {
    /// Who was let in, if it was anybody.
    pub(crate) fn verified(&self) -> Option<&Verified> {
        match self {
            Self::Somebody(verified) => Some(verified),
            Self::Nobody(_) | Self::Preflight => None,
        }
    }
}

/// Proof that the policy allowed one request of somebody. Alone it is an answer to another proxy: nothing is forwarded for it.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) session: Arc<LiveSession>,
    /// What was true of the person when the decision was made.
    pub(crate) standing: Arc<Standing>,
    pub(crate) target: Arc<Target>,
    pub(crate) decision: Decision,
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum Denial {
    /// The policy's no.
    #[error("denied by policy: {}", .0.reason)]
    Policy(Decision),
    /// The same, to a service.
    #[error("denied by policy: {}", .0.reason)]
    Service(Decision),
    /// A service's token was taken away after the stage before had looked.
    #[error("{0}")]
    Credential(CredentialError),
    /// The session ended after the stage before had looked.
    #[error("the session has ended: {}", .0.as_str())]
    Ended(EndReason),
    /// More sessions and applications over one connection than can be watched.
    #[error("more than {MAX_PASSAGES_PER_CONNECTION} sessions and applications use one connection")]
    CrowdedConnection,
}

impl Denial {
    /// The decision and its policy, when that asks for a stronger or newer login, and for nothing else.
    pub(crate) fn short_of_a_login(&self) -> Option<(Decision, PolicyId)> {
        match self {
            Self::Policy(decision) if decision.reason == Reason::StepUpRequired => {
                decision.policy.map(|policy| (*decision, policy))
            }
            _ => None,
        }
    }

    /// The external evaluation whose answer could turn it into a yes.
    pub(crate) fn unanswered(&self) -> Option<EvaluationId> {
        match self {
            Self::Policy(decision) | Self::Service(decision) => decision.unanswered,
            _ => None,
        }
    }

    /// Whether a login at another provider is all that is missing.
    pub(crate) fn is_login_elsewhere(&self) -> bool {
        matches!(self, Self::Policy(decision) if decision.reason == Reason::LoginElsewhere)
    }
}

/// Why there is no permit, or no answer yet.
#[derive(Debug)]
pub(crate) enum NoPermit {
    Denied(Denial),
    /// The application session is older than the policy that allows wants it.
    Outlived,
    /// The session is judged by a later configuration already: begin anew under that.
    Superseded,
}

impl From<Denial> for NoPermit {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// A client's connection stays known, and so can be cut, until its last byte is delivered.
impl Kept for Arc<Client> {
    const DELIVERS: bool = true;

    /// Once it has carried something of somebody, that may still be in its buffers.
    fn is_guarded(&self) -> bool {
        self.told.load(Order::Acquire) != 0
            || !self.passages.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn is_outdated(&self) -> bool {
        let told = self.told.load(Order::Acquire);
        told != 0 && told != told_under(gate::lapses())
    }
}

/// Never zero.
fn told_under(lapses: u64) -> u64 {
    lapses.saturating_add(1)
}

impl Client {
    pub(crate) fn new(peer: IpAddr, cutter: Arc<Cutter>, admitted: Admitted, journal: Arc<Journal>) -> Self {
        let (handshake, passages, told) = (OnceLock::new(), Mutex::default(), AtomicU64::new(0));
        let (requests, ways) = (Requests::new(journal.worker()), Ways::default());
        let peer = peer.to_canonical();
        Self { peer, handshake, requests, ways, journal, cutter, _admitted: admitted, passages, told }
    }

    /// It is told something of somebody that was found out under so many leases. There is no passage that a change could cut, so it leaves
    /// under the same lease or not at all; and what was told under an earlier one may still be in the buffers.
    pub(crate) fn tells(&self, lapses: u64) {
        let told = told_under(lapses);
        let before = self.told.compare_exchange(0, told, Order::AcqRel, Order::Acquire);
        if before.is_err_and(|before| before != told) {
            self.cutter.cut();
        }
    }

    /// Returns when the peer has taken next to nothing of what is sent to it for that long.
    pub(crate) async fn takes_nothing(&self, limit: Duration) {
        loop {
            let before = self.cutter.delivered();
            tokio::time::sleep(limit).await;
            if self.cutter.delivered().saturating_sub(before) < PINGS_BYTES {
                return;
            }
        }
    }

    /// The passage of a session to an application over this connection, and whether it is new. It stays known until the connection
    /// closes, so that also what is still in the connection's buffers after a request ends can be dropped. Requests that the policies
    /// judge differently have passages of their own: each stays as long as what it was asked with is allowed.
    fn passage(
        &self,
        credential: &Credential,
        target: &Target,
        asked: (&Situation<'_>, Option<RequestClass>),
    ) -> Option<(Arc<Passage>, bool)> {
        let (situation, class) = asked;
        let mut passages = self.passages.lock().unwrap_or_else(PoisonError::into_inner);
        let application = &target.application.name;
        let known = passages.iter().find(|it| {
            let same_client = it.owner() == credential.id() && it.client_ip() == situation.client_ip;
            same_client && it.application() == application.as_ref() && it.is_of(class.as_ref())
        });
        if let Some(passage) = known {
            passage.lasts(target.application.session_duration);
            return Some((passage.clone(), false));
        }
        if !Passage::has_room(&mut passages, MAX_PASSAGES_PER_CONNECTION) {
            return None;
        }
        let passage = credential.session().open_passage(NewPassage {
            owner: credential.id(),
            application,
            situation,
            class,
            life: credential.life(),
            longest: target.application.session_duration,
            client: &self.cutter,
        });
        passages.push(passage.clone());
        Some((passage, true))
    }

    /// Lets go of a passage that nothing has gone through: a later decision about it would be about nothing that is open.
    fn forget(&self, unused: &Arc<Passage>) {
        let mut passages = self.passages.lock().unwrap_or_else(PoisonError::into_inner);
        passages.retain(|known| !Arc::ptr_eq(known, unused));
    }

    /// A passage for a preflight: no change of anybody's standing can end it.
    fn preflights_passage(&self, target: &Target, client_ip: IpAddr) -> Arc<Passage> {
        Arc::new(Passage::new(NewPassage {
            owner: SessionId::new([0; 32]),
            application: &target.application.name,
            situation: &Situation { client_ip, asked: None, shown: &Shown::Unknown },
            class: None,
            life: Life::ENDLESS,
            longest: None,
            client: &self.cutter,
        }))
    }
}

/// Decides one request. Without an awaiting step: what was true at the decision is true when the permit is handed out, and what
/// changes later drops the passage that was made known before.
pub(crate) fn authorize(
    policies: &Policies,
    (client, situation): (&Client, &Situation<'_>),
    credential: &Credential,
    target: &Arc<Target>,
    now: i64,
    reports: &mut Vec<Report>,
) -> Result<Permit, NoPermit> {
    let class = situation.class(policies, target.id);
    let opened = client.passage(credential, target, (situation, class));
    let (passage, is_new) = opened.ok_or(Denial::CrowdedConnection)?;
    let (proof, until) = match decide(policies, situation, credential, target, (now, reports)) {
        Ok(decided) => decided,
        Err(no) => {
            if is_new {
                client.forget(&passage);
            }
            return Err(no);
        }
    };
    passage.decide_again_before(until);
    Ok(Permit { proof, target: target.clone(), passage })
}

/// Lets a preflight pass to an application that answers these itself (T51: and nothing that only resembles one).
pub(crate) fn preflight(
    client: &Client,
    client_ip: IpAddr,
    (head, body): (&Parts, &impl Body),
    target: &Arc<Target>,
) -> Option<Permit> {
    let passes = matches!(target.application.cors, Cors::Pass) && is_preflight(head, body);
    let passage = passes.then(|| client.preflights_passage(target, client_ip))?;
    Some(Permit { proof: Proof::Preflight, target: target.clone(), passage })
}

/// Decides one request that another proxy carries: no passage of ours can be dropped for it, so the decision is for this moment.
pub(crate) fn verify(
    policies: &Policies,
    situation: &Situation<'_>,
    credential: &Credential,
    target: &Arc<Target>,
    now: i64,
    reports: &mut Vec<Report>,
) -> Result<Proof, NoPermit> {
    decide(policies, situation, credential, target, (now, reports)).map(|(proof, _)| proof)
}

/// The proof, and until when it is one.
fn decide(
    policies: &Policies,
    situation: &Situation<'_>,
    credential: &Credential,
    target: &Arc<Target>,
    (now, reports): (i64, &mut Vec<Report>),
) -> Result<(Proof, i64), NoPermit> {
    let session = credential.session();
    let standing = session.standing();
    if let Some(reason) = standing.ended.or(credential.over(now)) {
        return Err(credential.denial(reason).into());
    }
    let anew;
    let principal = match standing.policies.generation.cmp(&policies.generation) {
        Ordering::Equal => &standing.principal,
        // A later configuration has looked through the passages already, and would not find this one again.
        Ordering::Greater => return Err(NoPermit::Superseded),
        // This configuration is being put in force; it has not come to this session yet, and will find the passage.
        Ordering::Less => {
            anew = session.principal(policies, &standing);
            &anew
        }
    };
    let answers = session.answers.of(&policies.set, &target.application.name, situation.client_ip, now);
    let decision = situation.put(policies, target.id, now, |circumstances| {
        let question = Question { principal, circumstances, answers: &answers };
        if policies.set.has_reports(target.id) {
            *reports = policies.set.reports(target.id, &question).collect();
        }
        policies.set.decide(target.id, &question)
    });
    if !decision.is_allowed() {
        let denial = if session.service.is_some() { Denial::Service } else { Denial::Policy };
        return Err(denial(decision).into());
    }
    let until = policies.lasts(&decision, credential.life());
    if now >= until {
        return Err(NoPermit::Outlived);
    }
    // A service for which a bypass comes first is nobody there.
    let proof = if decision.reason == Reason::Bypassed {
        Proof::Nobody(decision)
    } else {
        Proof::Somebody(Verified { session: session.clone(), standing, target: target.clone(), decision })
    };
    Ok((proof, until))
}
