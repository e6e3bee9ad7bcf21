//! External evaluations: a service of the operator is asked whether a policy's rule holds for somebody, by a signed question, and believed
//! by a signed answer to exactly that question. Whatever else comes is no answer: an allow does not allow by it, and a block blocks.
//!
//! The shape is Cloudflare Access's: `{"token": JWT}` both ways, with `identity` and `nonce` in the question, `nonce` and `success` in the
//! answer. When one is needed is said by the policies; what was answered is kept by `live`.

use std::net::IpAddr;
use std::sync::Arc;

use portcullis_policy::EvaluationId;
use tokio::sync::Semaphore;

mod answer;
mod keys;
mod question;

use crate::assertion::Signer;
use crate::config::Evaluation;
use crate::gateway::{Gateway, now};
use crate::live::{About, Answers, Begun, Cuts, LiveSession};
use crate::metrics;
use crate::route::{Canonical, Target};
use crate::web_client::{WebClient, WebClientError};
use keys::Keys;
use question::Request;

/// Questions to one service that are under way at once; one more waits, within the time that it has.
const MAX_AT_ONCE: usize = 64;
/// How long no answer is asked for again after one did not come, in seconds.
const FAILED_S: i64 = 2;
/// How long before its end an answer is asked for anew for what is open, beyond the time that it may take, in seconds.
const AHEAD_S: i64 = 5;
/// Of the time that an answer counts, the part at whose end it is asked for anew at the earliest.
const EARLIEST_PART: i64 = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EvaluationError {
    #[error("no answer within the time that it has")]
    Slow,
    #[error("cannot ask: {0}")]
    Client(#[from] WebClientError),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is larger than {} bytes", answer::MAX_ANSWER_BYTES)]
    TooLarge,
    #[error("its answer is not `{{\"token\": ...}}` with a signed token")]
    Malformed,
    #[error("its answer is signed by an unknown key, or not as that key signs")]
    Signature,
    #[error("its answer is to another question")]
    Nonce,
    #[error("its answer has expired, or does not say until when it is good")]
    Expired,
    #[error("its answer says neither yes nor no")]
    Undecided,
    #[error("its keys cannot be had")]
    Keys,
    #[error("the question cannot be signed")]
    Unsigned,
}

/// One service, as it is configured.
#[derive(Debug)]
pub(crate) struct Evaluator {
    settings: Evaluation,
    keys: Keys,
    http: Arc<WebClient>,
    at_once: Semaphore,
}

impl Evaluator {
    fn new(settings: Evaluation, http: Arc<WebClient>) -> Self {
        let keys = Keys::new(settings.keys.clone());
        Self { settings, keys, http, at_once: Semaphore::new(MAX_AT_ONCE) }
    }

    /// Those of a configuration. One that is configured as before keeps its keys.
    pub(crate) fn all(
        configured: &[Evaluation],
        http: &Arc<WebClient>,
        before: Option<&[Arc<Self>]>,
    ) -> Vec<Arc<Self>> {
        let one = |settings: &Evaluation| {
            let mut known = before.unwrap_or_default().iter();
            let kept = known.find(|known| known.settings == *settings && Arc::ptr_eq(&known.http, http));
            kept.cloned().unwrap_or_else(|| Arc::new(Self::new(settings.clone(), http.clone())))
        };
        configured.iter().map(one).collect()
    }

    /// Asks about a session, within the time that there is.
    async fn ask(
        &self,
        (signer, answers): (&Signer, &Answers),
        request: &Request,
        now: i64,
    ) -> Result<bool, EvaluationError> {
        let asking = async {
            let _own_place = answers.place().await.ok_or(EvaluationError::Slow)?;
            let _place = self.at_once.acquire().await.map_err(|_| EvaluationError::Slow)?;
            let (nonce, question) = question::signed(signer, &self.settings, request, now)?;
            let told = self.http.send(question).await?;
            answer::read(&told, &nonce, &self.keys, &self.http, now).await
        };
        tokio::time::timeout(self.settings.timeout, asking).await.unwrap_or(Err(EvaluationError::Slow))
    }

    /// How long an answer counts, in seconds.
    fn cache_s(&self) -> i64 {
        i64::try_from(self.settings.cache.as_secs()).unwrap_or(i64::MAX)
    }

    /// How long before its end it is asked for anew, in seconds.
    fn ahead_s(&self) -> i64 {
        let timeout_s = i64::try_from(self.settings.timeout.as_secs()).unwrap_or(i64::MAX);
        timeout_s.saturating_add(AHEAD_S).min(self.cache_s() / EARLIEST_PART)
    }
}

/// Asks what a decision about a request wants to know, or waits for whoever asks the same already. False when there is nobody to ask, so
/// that deciding once more would not help.
pub(crate) async fn ask(
    gateway: &Arc<Gateway>,
    (session, evaluation): (&Arc<LiveSession>, EvaluationId),
    target: &Target,
    (canonical, client_ip): (&Canonical, IpAddr),
) -> bool {
    let Some(evaluator) = of_id(gateway, evaluation) else { return false };
    let about = About {
        application: target.application.name.clone(),
        evaluation: evaluator.settings.name.as_str().into(),
        client_ip,
    };
    let request = Request {
        application: about.application.clone(),
        host: canonical.host.to_string(),
        method: canonical.method.to_string(),
        path: canonical.path.as_str().to_owned(),
        ..Request::default()
    };
    if let Some(mut over) = begin(gateway, session, &evaluator, about, request) {
        // Its end is told by letting go.
        let _ = over.changed().await;
    }
    true
}

fn of_id(gateway: &Gateway, evaluation: EvaluationId) -> Option<Arc<Evaluator>> {
    let name = gateway.policies.set.evaluation_name(evaluation)?;
    of_name(gateway, name)
}

fn of_name(gateway: &Gateway, name: &str) -> Option<Arc<Evaluator>> {
    gateway.evaluators.iter().find(|evaluator| evaluator.settings.name == name).cloned()
}

/// Begins to ask, away from the threads that carry requests; what tells the end. None when it was answered meanwhile.
fn begin(
    gateway: &Arc<Gateway>,
    session: &Arc<LiveSession>,
    evaluator: &Arc<Evaluator>,
    about: About,
    request: Request,
) -> Option<tokio::sync::watch::Receiver<()>> {
    let (flight, over) = match session.answers.begin(&about, request.clone().into(), now()) {
        Begun::Ask(flight, over) => (flight, over),
        Begun::Wait(over) => return Some(over),
        Begun::Known => return None,
    };
    let (gateway, session, evaluator) = (gateway.clone(), session.clone(), evaluator.clone());
    let control = gateway.process.control.clone();
    control.spawn(async move {
        let request = Request { identity: question::identity(&gateway, &session, about.client_ip), ..request };
        let answered = evaluator.ask((&gateway.process.signer, &session.answers), &request, now()).await;
        let at = now();
        metrics::evaluated(answered.as_ref().ok().copied());
        let turned = match answered {
            Ok(holds) => {
                let until = at.saturating_add(evaluator.cache_s());
                session.answers.tell(&about, holds, (at, until, until - evaluator.ahead_s()))
            }
            Err(cause) => {
                tracing::warn!(
                    target: "portcullis::evaluation",
                    evaluation = evaluator.settings.name,
                    application = &*about.application,
                    subject = session.subject,
                    %cause,
                    "an external evaluation gave no answer"
                );
                session.answers.fail(&about, at, FAILED_S);
                false
            }
        };
        drop(flight);
        // Nothing can be open by an answer that was not there: what is unknown helps nobody, and a first answer takes nothing away.
        let cuts = if turned { session.decide_again(&about, at) } else { Cuts(0) };
        if cuts != Cuts(0) {
            metrics::cut("evaluation", cuts.0);
            tracing::info!(target: "portcullis::drop", change = "evaluation", connections = cuts.0, "connections were cut");
        }
    });
    Some(over)
}

/// Asks anew what something open depends on, shortly before its answer ends. What is not answered until then is cut when it ends.
pub(crate) fn keep_answers(gateway: &Arc<Gateway>, session: &Arc<LiveSession>, now: i64) {
    for (about, asked) in session.answers.due(now) {
        if !session.carries_to(&about.application, about.client_ip) {
            continue;
        }
        let Some(evaluator) = of_name(gateway, &about.evaluation) else { continue };
        // Nobody waits for it.
        let _ = begin(gateway, session, &evaluator, about, Request::again(&asked));
    }
}
