//! `requests` on the auth host: those who may approve see who asks for access and who has it, grant, refuse, or end it at once. Whether
//! they may is decided by the policies on what is true now, for each answer; nobody answers themselves.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::{Response, StatusCode};
use portcullis_policy::{Circumstances, PolicyId, Question};
use portcullis_store::{AccessDecision, AccessRequest, AccessState, Decider};
use serde::{Deserialize, Serialize};

use super::{ERRAND_LIFE_S, ErrandError, called, chosen, done, length, offered, shown};
use crate::body::Body;
use crate::gateway::Gateway;
use crate::live::LiveSession;
use crate::query::Query;
use crate::respond::{self, Field, Page};
use crate::route::RESERVED_PREFIX;
use crate::seal::Purpose;

/// Most requests that one page shows.
const MAX_SHOWN: usize = 50;

/// Who would answer, as the policies see them.
pub(crate) struct Approver<'a> {
    pub(crate) session: &'a LiveSession,
    pub(crate) client_ip: IpAddr,
    pub(crate) now: i64,
}

/// One request on one approver's page, sealed.
#[derive(Serialize, Deserialize)]
struct Shown {
    #[serde(rename = "s")]
    session: [u8; 32],
    #[serde(rename = "r")]
    request: String,
}

impl Approver<'_> {
    /// The policy that a request is about, if they may answer it.
    fn may_answer(&self, gateway: &Gateway, request: &AccessRequest) -> Option<PolicyId> {
        let policies = &gateway.policies;
        let application = policies.set.application(&request.application)?;
        let policy = policies.set.policy_named(&request.policy)?;
        let standing = self.session.standing();
        let principal = self.session.principal(policies, &standing);
        let country = policies.country(self.client_ip);
        let at = Circumstances { country, ..Circumstances::at(self.client_ip, self.now) };
        let may = policies.set.may_approve(application, policy, &Question::new(&principal, &at));
        (may && standing.ended.is_none() && !self.is_asker(request)).then_some(policy)
    }

    /// The store asks once more.
    fn is_asker(&self, request: &AccessRequest) -> bool {
        let standing = self.session.standing();
        let person = standing.person.as_ref().map(|person| person.id);
        let email = &standing.profile.email;
        (&self.session.provider, &self.session.subject) == (&request.provider, &request.subject)
            || person.is_some() && person == request.person
            || email.is_some() && *email == request.email
    }
}

/// The page: what waits first, then what is in force.
pub(crate) fn waiting(gateway: &Gateway, approver: &Approver<'_>) -> Result<Response<Body>, ErrandError> {
    let open = gateway.process.store.open_access_requests(approver.now)?;
    let mut longest: HashMap<PolicyId, i64> = HashMap::new();
    let mut theirs = Vec::new();
    for request in open {
        let Some(policy) = approver.may_answer(gateway, &request) else { continue };
        longest.entry(policy).or_insert_with(|| longest_s(gateway, policy));
        theirs.push((request, policy));
    }
    theirs.sort_by_key(|(request, _)| request.state != AccessState::Waiting);
    let mut page = Page::new(StatusCode::OK, "Requests for access");
    if theirs.is_empty() {
        page = page.text(
            "Nobody waits for an answer of yours, and nobody has access that you granted or could end.",
        );
    }
    if theirs.len() > MAX_SHOWN {
        page = page.text(&format!("The oldest {MAX_SHOWN} of {} are shown.", theirs.len()));
    }
    for (request, policy) in theirs.iter().take(MAX_SHOWN) {
        let longest_s = longest.get(policy).copied().unwrap_or_default();
        page = one(gateway, approver, page, request, longest_s)?;
    }
    Ok(respond::page(&gateway.look, page, None))
}

fn longest_s(gateway: &Gateway, policy: PolicyId) -> i64 {
    let approval = gateway.policies.set.approval(policy);
    approval.map_or(0, |approval| i64::try_from(approval.longest.as_secs()).unwrap_or(i64::MAX))
}

fn one(
    gateway: &Gateway,
    approver: &Approver<'_>,
    page: Page,
    request: &AccessRequest,
    longest_s: i64,
) -> Result<Page, ErrandError> {
    let shown_here = Shown { session: *approver.session.id.as_bytes(), request: request.id.clone() };
    let auth_host = gateway.config.server.auth_host.as_str();
    let life = approver.now + ERRAND_LIFE_S;
    let sealed = gateway.process.sealer.seal(Purpose::AccessAnswer, auth_host, life, shown_here);
    let sealed = sealed.ok_or(ErrandError::Stale)?;
    let who = request.email.clone().unwrap_or_else(|| format!("{} at {}", request.subject, request.provider));
    let action = format!("{RESERVED_PREFIX}requests");
    let carried = [("request", sealed.as_str())];
    if request.state == AccessState::Granted {
        let until = request.until.map(shown).unwrap_or_default();
        let by = request.decided_by.as_deref().unwrap_or_default();
        return Ok(page
            .part(&format!("{who} has access to {}", request.application))
            .text(&format!("Until {until}, granted by {by}. \u{201c}{}\u{201d}", request.reason))
            .form(&action, &carried, &[("end", "End it now")]));
    }
    let lengths = offered(longest_s).into_iter();
    let mut lengths: Vec<(String, String)> =
        lengths.map(|seconds| (seconds.to_string(), length(seconds))).collect();
    // What was asked for comes first.
    lengths.sort_by_key(|(seconds, _)| *seconds != request.wanted_s.to_string());
    Ok(page
        .part(&format!("{who} asks for {}", request.application))
        .text(&format!(
            "Asked at {}, for {}. \u{201c}{}\u{201d}",
            shown(request.asked_at),
            length(request.wanted_s),
            request.reason
        ))
        .fields(
            &action,
            &carried,
            &[Field::Choice { name: "for", label: "Grant it for", options: lengths }],
            &[("grant", "Grant"), ("refuse", "Refuse")],
        ))
}

/// Takes an answer.
pub(crate) async fn answer(
    gateway: &Arc<Gateway>,
    approver: &Approver<'_>,
    form: &Query,
) -> Result<Response<Body>, ErrandError> {
    let (session, now) = (approver.session, approver.now);
    // Whether they may is judged below by memory, and has to hold until it is written.
    let store = gateway.process.store.while_leased();
    let sealed = form.only("request").ok_or(ErrandError::Incomplete)?;
    let auth_host = gateway.config.server.auth_host.as_str();
    let opened = gateway.process.sealer.open::<Shown>(Purpose::AccessAnswer, auth_host, now, sealed);
    let shown_here = opened.map_err(|_| ErrandError::Stale)?;
    if shown_here.session != *session.id.as_bytes() {
        return Err(ErrandError::Stale);
    }
    let request = store.access_request(&shown_here.request)?.ok_or(ErrandError::NoRequest)?;
    let policy = approver.may_answer(gateway, &request).ok_or(ErrandError::NotYours)?;
    let by = Decider { name: called(session), session: Some(session.id) };
    let (title, text) = match form.only("answer") {
        Some("grant") => {
            let until = now.saturating_add(chosen(form, longest_s(gateway, policy))?);
            store.decide_access(&request.id, AccessDecision::Grant { until }, by, now).await?;
            ("Access is granted", format!("It is open at once, and ends by itself at {}.", shown(until)))
        }
        Some("refuse") => {
            store.decide_access(&request.id, AccessDecision::Refuse, by, now).await?;
            ("Access is refused", "Whoever asked is told so when they come again.".to_owned())
        }
        Some("end") => {
            store.end_access(&request.id, by, now).await?;
            ("Access has ended", "What was open is cut off.".to_owned())
        }
        _ => return Err(ErrandError::Incomplete),
    };
    let page = done(title, &text).link(&format!("{RESERVED_PREFIX}requests"), "Other requests");
    Ok(respond::page(&gateway.look, page, None))
}
