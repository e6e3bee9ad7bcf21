//! What a head means, and what it may do: judged by one configuration, whole, before anything is awaited. Doing it is left to
//! `pipeline`.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use hyper::body::Incoming;
use portcullis_policy::{EvaluationId, Report};

mod bypass;

use crate::authorize::{Client, Denial, NoPermit, Permit, Proof, authorize, preflight, verify};
use crate::circumstances::{Shown, Situation};
use crate::client_address::client_address;
use crate::config::{Application, Cors};
use crate::cors::is_preflight;
use crate::credential::{self, Credential, CredentialError};
use crate::errand::Errand;
use crate::evaluation;
use crate::forward::is_websocket;
use crate::gate;
use crate::gateway::{self, Current, Gateway};
use crate::live::{Freshness, LiveSession};
use crate::login::{self, Need, Summons};
use crate::respond::Rejection;
use crate::route::{Canonical, Destination, RouteError, Target};
use crate::session::{Visitor, application_visitor};
use crate::verify::{self as forward_auth, Asker, OriginalError, Question};

/// A head that was judged.
pub(super) struct Judged {
    pub(super) canonical: Canonical,
    pub(super) verdict: Verdict,
}

pub(super) enum Verdict {
    AuthHost,
    ApplicationHost,
    Application {
        target: Arc<Target>,
        session: Option<Arc<LiveSession>>,
        permit: Result<Permit, Rejection>,
        /// What report-only policies would have decided.
        reports: Vec<Report>,
    },
    /// A preflight that we answer; with its origin, if that is listed.
    Preflight {
        target: Arc<Target>,
        origin: Option<HeaderValue>,
    },
    /// Another proxy asks whether a request may pass.
    Asked {
        /// How it wants to be told, once that is known.
        by: Option<Asker>,
        target: Option<Arc<Target>>,
        session: Option<Arc<LiveSession>>,
        proof: Result<Proof, Rejection>,
        reports: Vec<Report>,
    },
}

/// Questions to external evaluations that one request may wait for, one after the other.
const MAX_EVALUATIONS: usize = 8;

impl Verdict {
    /// The session whose provider must say first that it still stands.
    fn unconfirmed(&self) -> Option<&Arc<LiveSession>> {
        match self {
            Self::Application { session, permit: Err(Rejection::ProviderUnavailable), .. }
            | Self::Asked { session, proof: Err(Rejection::ProviderUnavailable), .. } => session.as_ref(),
            _ => None,
        }
    }

    /// The external evaluation whose answer could turn a no into a yes, and about whom at which application.
    fn unanswered(&self) -> Option<(&Arc<LiveSession>, &Arc<Target>, EvaluationId)> {
        let (Self::Application { session: Some(session), target, permit: Err(rejection), .. }
        | Self::Asked { session: Some(session), target: Some(target), proof: Err(rejection), .. }) = self
        else {
            return None;
        };
        let evaluation = match rejection {
            Rejection::Denied(denial) => denial.unanswered(),
            Rejection::StepUp(summons) => summons.decision.unanswered,
            Rejection::Errand(errand) => errand.decision.unanswered,
            _ => None,
        };
        evaluation.map(|evaluation| (session, target, evaluation))
    }
}

/// Why a head was not judged.
pub(super) enum Unjudged {
    /// It has no single meaning, or none here.
    Route(RouteError),
    /// The address asks more often than it may.
    TooFast,
}

/// Judges a head. One whose session wants a word of its provider waits until that has come, or failed to, and is judged once more: what
/// lay unused over night does not end in an error page because the provider takes a second. So does one about which an external evaluation
/// has to be asked.
pub(super) async fn judge(
    current: &Current,
    client: &Client,
    (head, body): (&Parts, &Incoming),
    now: i64,
) -> (Arc<Gateway>, IpAddr, Result<Judged, Unjudged>) {
    let mut judgement = confirmed(current, client, (head, body), now).await;
    for _ in 0..MAX_EVALUATIONS {
        let (gateway, client_ip, judged) = &judgement;
        let Some((canonical, (session, target, evaluation))) =
            judged.as_ref().ok().and_then(|judged| Some((&judged.canonical, judged.verdict.unanswered()?)))
        else {
            break;
        };
        let asked = (canonical, *client_ip);
        if !evaluation::ask(gateway, (session, evaluation), target, asked).await {
            break;
        }
        judgement = judge_at_once(current, client, (head, body), gateway::now());
    }
    judgement
}

/// Judges a head whose session may want a word of its provider first.
async fn confirmed(
    current: &Current,
    client: &Client,
    (head, body): (&Parts, &Incoming),
    now: i64,
) -> (Arc<Gateway>, IpAddr, Result<Judged, Unjudged>) {
    let judgement = judge_at_once(current, client, (head, body), now);
    let unconfirmed = judgement.2.as_ref().ok().and_then(|judged| judged.verdict.unconfirmed());
    let Some(renewals) = unconfirmed.and_then(|session| session.renewals.clone()) else { return judgement };
    // Each exchange with a provider has its own deadline; this holds for all of them together.
    let patience = judgement.0.config.limits.provider_timeout;
    drop(judgement);
    // Whatever came of it, the next look tells.
    let _ = tokio::time::timeout(patience, renewals.over()).await;
    judge_at_once(current, client, (head, body), gateway::now())
}

/// Judges a head; with the configuration that it was judged by and the address of the client. When the configuration is replaced
/// meanwhile, and the session is judged by the next one already, the request begins anew under the next.
fn judge_at_once(
    current: &Current,
    client: &Client,
    (head, body): (&Parts, &Incoming),
    now: i64,
) -> (Arc<Gateway>, IpAddr, Result<Judged, Unjudged>) {
    loop {
        let gateway = current.get();
        let server = &gateway.config.server;
        let client_ip = match client_address(client.peer, &head.headers, |peer| server.is_proxy(peer)) {
            Ok(client_ip) => client_ip,
            Err(error) => return (gateway, client.peer, Err(Unjudged::Route(error.into()))),
        };
        // First of all: what follows costs more than the question.
        if !gateway.limits.of_address.allows(client_ip) {
            return (gateway, client_ip, Err(Unjudged::TooFast));
        }
        let (canonical, destination) = match resolve(&gateway, client, head) {
            Ok(resolved) => resolved,
            Err(error) => return (gateway, client_ip, Err(Unjudged::Route(error))),
        };
        let asking = Asking { gateway: &gateway, client, client_ip, head, body, now };
        if let Some(judged) = asking.judge(canonical, destination) {
            return (gateway, client_ip, Ok(judged));
        }
    }
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

/// Who asked, as far as that is known, and the proof that they may, or why not.
type Decided<P> = (Option<Arc<LiveSession>>, Result<P, Rejection>);

/// A head under one configuration.
struct Asking<'a> {
    gateway: &'a Arc<Gateway>,
    client: &'a Client,
    client_ip: IpAddr,
    head: &'a Parts,
    body: &'a Incoming,
    now: i64,
}

impl Asking<'_> {
    /// None when the configuration was replaced meanwhile.
    fn judge(&self, canonical: Canonical, destination: Destination) -> Option<Judged> {
        let verdict = match destination {
            Destination::Application(target) => {
                if let Some(verdict) = self.preflight(&target) {
                    return Some(Judged { canonical, verdict });
                }
                if !self.may_open_socket(&canonical, &target) {
                    let verdict = Verdict::Application {
                        target,
                        session: None,
                        permit: Err(Rejection::OriginUnlisted),
                        reports: Vec::new(),
                    };
                    return Some(Judged { canonical, verdict });
                }
                let shown = self.shown();
                let situation = Situation::of(&canonical, self.client_ip, &shown);
                let mut reports = Vec::new();
                let authorize = |credential: &Credential| {
                    let client = (self.client, &situation);
                    authorize(&self.gateway.policies, client, credential, &target, self.now, &mut reports)
                };
                let (session, permit) = self.decide((&canonical, &target), &situation, authorize)?;
                Verdict::Application { target, session, permit, reports }
            }
            Destination::AuthHost | Destination::ApplicationHost => {
                // From anybody else the path is one where nothing lives.
                let may_ask = forward_auth::may_ask(self.gateway, self.client.peer, &self.head.headers);
                let question = forward_auth::question(&canonical).filter(|_| may_ask);
                match (question, destination) {
                    (Some(beyond), _) => {
                        let understood =
                            forward_auth::understand(self.gateway, self.head, &canonical, beyond);
                        return self.judge_asked(canonical, understood);
                    }
                    (None, Destination::AuthHost) => Verdict::AuthHost,
                    (None, _) => Verdict::ApplicationHost,
                }
            }
        };
        Some(Judged { canonical, verdict })
    }

    /// What becomes of a preflight, where the application is configured to treat these in a way of their own.
    fn preflight(&self, target: &Arc<Target>) -> Option<Verdict> {
        match &target.application.cors {
            Cors::Off => None,
            Cors::Pass => {
                let permit = preflight(self.client, self.client_ip, (self.head, self.body), target)?;
                let (target, session) = (target.clone(), None);
                Some(Verdict::Application { target, session, permit: Ok(permit), reports: Vec::new() })
            }
            Cors::Answer(rules) => is_preflight(self.head, self.body).then(|| {
                let origin = rules.origin(&self.head.headers).cloned();
                Verdict::Preflight { target: target.clone(), origin }
            }),
        }
    }

    /// Where origins are listed, a WebSocket of a page of any other is refused.
    fn may_open_socket(&self, canonical: &Canonical, target: &Target) -> bool {
        let Cors::Answer(rules) = &target.application.cors else { return true };
        let own = || self.gateway.config.origin(&canonical.host);
        !is_websocket(self.head) || rules.admits_socket(&self.head.headers, &own())
    }

    /// From here on the request is the one that was asked about.
    fn judge_asked(&self, outer: Canonical, understood: Result<Question, OriginalError>) -> Option<Judged> {
        let Question { canonical, target, asker } = match understood {
            Ok(question) => question,
            Err(error) => {
                let proof = Err(Rejection::Asked(error));
                let reports = Vec::new();
                let verdict = Verdict::Asked { by: None, target: None, session: None, proof, reports };
                return Some(Judged { canonical: outer, verdict });
            }
        };
        // The client's handshake was with the other proxy.
        let situation = Situation::of(&canonical, self.client_ip, &Shown::Unknown);
        let mut reports = Vec::new();
        let verify = |credential: &Credential| {
            verify(&self.gateway.policies, &situation, credential, &target, self.now, &mut reports)
        };
        let (session, proof) = self.decide((&canonical, &target), &situation, verify)?;
        let verdict = Verdict::Asked { by: Some(asker), target: Some(target), session, proof, reports };
        Some(Judged { canonical, verdict })
    }

    /// Who asks, and may they; where a bypass does not ask, nobody's cookie and nobody's token is looked at. None when the configuration
    /// was replaced meanwhile.
    fn decide<P>(
        &self,
        (canonical, target): (&Canonical, &Target),
        situation: &Situation<'_>,
        decide: impl FnMut(&Credential) -> Result<P, NoPermit>,
    ) -> Option<Decided<P>> {
        let (gateway, headers) = (self.gateway, &self.head.headers);
        let (policies, application) = (&gateway.policies, &target.application);
        let live = &gateway.process.live;
        // Before anybody is looked for: without a lease memory knows nothing for certain, of nobody either.
        if !gate::is_open() {
            return Some((None, Err(Rejection::Unleased)));
        }
        if policies.set.has_bypass(target.id) && situation.is_bypassed(policies, target.id, self.now) {
            return self.decide_for_nobody((canonical, target), decide);
        }
        let asked = (canonical, application.as_ref());
        match credential::service(live, headers, application.headers.service_token.as_ref(), self.now) {
            None => {}
            Some(Ok(secret)) => return self.decide_for(&Credential::Service(secret), asked, decide),
            Some(Err(error)) if gateway.limits.logins.allows(self.client_ip) => {
                return Some((None, Err(error.into())));
            }
            Some(Err(_)) => return Some((None, Err(Rejection::TooManyRequests))),
        }
        let challenge = || Box::new(login::challenge(gateway, asked, None, headers, self.now));
        match application_visitor(live, headers, &canonical.host, application.session_duration, self.now) {
            Visitor::Nobody => Some((None, Err(Rejection::LoginRequired(challenge())))),
            Visitor::Contradictory => Some((None, Err(Rejection::CredentialsDisagree))),
            // It was begun before the application asked for a second cookie. A token at a terminal is in no cookie.
            // Its host gives tokens, for another application or by an earlier configuration.
            Visitor::Known(visitor) if visitor.terminal.is_some() && !target.application.terminals => {
                Some((None, Err(Rejection::LoginRequired(challenge()))))
            }
            Visitor::Known(visitor)
                if target.application.binding_cookie && !visitor.is_bound() && visitor.terminal.is_none() =>
            {
                Some((None, Err(Rejection::LoginRequired(challenge()))))
            }
            Visitor::Ended(reason) => Some((None, Err(Rejection::SessionEnded(reason, challenge())))),
            Visitor::Known(visitor) => self.decide_for(&Credential::Session(visitor), asked, decide),
        }
    }

    /// May whoever has proven themselves.
    fn decide_for<P>(
        &self,
        credential: &Credential,
        asked: (&Canonical, &Application),
        mut decide: impl FnMut(&Credential) -> Result<P, NoPermit>,
    ) -> Option<Decided<P>> {
        let session = credential.session();
        if !self.gateway.limits.of_person.allows_somebody(session.pace_key) {
            return Some((Some(session.clone()), Err(Rejection::TooFast)));
        }
        if login::keep_fresh(self.gateway, session, self.now) == Freshness::Overdue {
            return Some((Some(session.clone()), Err(Rejection::ProviderUnavailable)));
        }
        let another_login = || {
            let headers = &self.head.headers;
            let challenge = login::challenge(self.gateway, asked, None, headers, self.now);
            Rejection::LoginRequired(Box::new(challenge))
        };
        let rejection = match decide(credential) {
            Ok(proof) => return Some((Some(session.clone()), Ok(proof))),
            Err(NoPermit::Superseded) => return None,
            // What a service proved is as old as its request, and no login makes it newer.
            Err(NoPermit::Outlived) if session.service.is_some() => CredentialError::Expired.into(),
            Err(NoPermit::Outlived) => another_login(),
            // To this application they are nobody: another login opens it.
            Err(NoPermit::Denied(denial)) if denial.is_login_elsewhere() => another_login(),
            Err(NoPermit::Denied(denial)) => {
                let errand = || Errand::of(self.gateway, asked, session, &denial, self.now);
                let errand = || errand().map(|errand| Rejection::Errand(Box::new(errand)));
                self.summons(asked.0, asked.1, &denial).or_else(errand).unwrap_or(denial.into())
            }
        };
        Some((Some(session.clone()), Err(rejection)))
    }

    /// The way to a better login, where one is all that a policy asks for.
    fn summons(
        &self,
        canonical: &Canonical,
        application: &Application,
        denial: &Denial,
    ) -> Option<Rejection> {
        let (decision, policy) = denial.short_of_a_login()?;
        let need = Need::from(self.gateway.policies.set.step_up(policy)?);
        let asked = (canonical, application);
        let challenge =
            login::challenge(self.gateway, asked, Some(need.clone()), &self.head.headers, self.now);
        Some(Rejection::StepUp(Box::new(Summons { decision, need, challenge })))
    }
}
