//! May this request pass: joins session, directory and policy, and hands out the permit. The only maker of permits. Spending
//! one is left to `forward`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_policy::{Decision, PolicySet, Question};
use portcullis_store::EndReason;

use crate::live::{ApplicationSession, LiveSession, Passage};
use crate::route::Target;
use crate::socket::Cutter;

/// How many sessions and applications one client connection is remembered for; idle ones beyond are forgotten, oldest first.
const MAX_PASSAGES_PER_CONNECTION: usize = 64;

/// One client connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// The address that is judged.
    pub(crate) ip: IpAddr,
    /// What the client asked for in the handshake.
    pub(crate) tls_name: Option<String>,
    cutter: Arc<Cutter>,
    passages: Mutex<Vec<Arc<Passage>>>,
}

/// Proof that the policy allowed one request. Forwarding takes it by value.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) session: Arc<LiveSession>,
    pub(crate) target: Arc<Target>,
    pub(crate) decision: Decision,
    pub(crate) passage: Arc<Passage>,
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum Denial {
    /// The policy's no.
    #[error("denied by policy: {}", .0.reason)]
    Policy(Decision),
    /// The session ended after the stage before had looked.
    #[error("the session has ended: {}", .0.as_str())]
    Ended(EndReason),
}

impl Client {
    pub(crate) fn new(ip: IpAddr, tls_name: Option<String>, cutter: Arc<Cutter>) -> Self {
        Self { ip: ip.to_canonical(), tls_name, cutter, passages: Mutex::default() }
    }

    /// The passage of a session to an application over this connection. It stays known until the connection closes, so that
    /// also what is still in the connection's buffers after a request ends can be dropped.
    fn passage(&self, visitor: &ApplicationSession, target: &Target) -> Arc<Passage> {
        let mut passages = self.passages.lock().unwrap_or_else(PoisonError::into_inner);
        let known = passages.iter().find(|it| it.owner() == visitor.id && it.application() == target.id);
        if let Some(passage) = known {
            return passage.clone();
        }
        if passages.len() >= MAX_PASSAGES_PER_CONNECTION {
            let idle = passages.iter().position(|passage| Arc::strong_count(passage) == 1);
            idle.map(|index| passages.remove(index));
        }
        let passage = visitor.session.open_passage(visitor.id, target.id, self.ip, &self.cutter);
        passages.push(passage.clone());
        passage
    }
}

/// Decides one request. Without an awaiting step: what was true at the decision is true when the permit is handed out, and what
/// changes later drops the passage that was made known before.
pub(crate) fn authorize(
    policies: &PolicySet,
    client: &Client,
    visitor: &ApplicationSession,
    target: &Arc<Target>,
) -> Result<Permit, Denial> {
    let session = &visitor.session;
    let passage = client.passage(visitor, target);
    let standing = session.standing();
    let question = Question { principal: &standing.principal, client_ip: client.ip };
    let decision = policies.decide(target.id, &question);
    if let Some(reason) = standing.ended {
        return Err(Denial::Ended(reason));
    }
    if !decision.is_allowed() {
        return Err(Denial::Policy(decision));
    }
    Ok(Permit { session: session.clone(), target: target.clone(), decision, passage })
}
