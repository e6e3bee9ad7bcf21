//! What was given beyond what a policy asks of everybody: purposes, by somebody in one login; access for a while, to a subject by an
//! approver. Whether either is asked for is left to the policies.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use portcullis_policy::{Grant, GrantSet, PolicySet, PurposeSet};
use portcullis_store::{AccessRequest, AccessState, GivenPurpose, Purposes, SessionId};

use super::session::{Cuts, LiveSession};
use super::{Followed, Live};
use crate::gateway::now;

/// Everything that was given, as of the last applied change.
#[derive(Debug, Default)]
pub(super) struct Given {
    purposes: HashMap<SessionId, Arc<[GivenPurpose]>>,
    /// By provider and subject: a grant is for every login of theirs.
    grants: HashMap<(String, String), Vec<Arc<AccessRequest>>>,
}

/// What of it counts for one session.
#[derive(Debug, Default, Clone)]
pub(crate) struct Held {
    /// What they said that they use applications for, sorted by application.
    pub(crate) purposes: Arc<[GivenPurpose]>,
    /// What is granted. Some of it may have run out.
    pub(crate) grants: Arc<[Arc<AccessRequest>]>,
}

impl Held {
    /// What they said that they use an application for.
    pub(crate) fn purpose(&self, application: &str) -> Option<&str> {
        let given = self.purposes.iter().find(|given| given.application == application);
        given.map(|given| given.purpose.as_str())
    }

    /// A purpose counts as long as the login does.
    pub(super) fn purposes_for(&self, set: &PolicySet) -> PurposeSet {
        set.intern_purposes(self.purposes.iter().map(|given| (given.application.as_str(), i64::MAX)))
    }

    /// A grant counts no longer than its policy allows now, also when it was given while that was longer.
    pub(super) fn grants_for(&self, set: &PolicySet) -> GrantSet {
        set.intern_grants(self.grants.iter().filter_map(|grant| {
            let AccessRequest { application, policy, until, decided_at, .. } = grant.as_ref();
            let longest = set.approval(set.policy_named(policy)?)?.longest;
            let longest_s = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
            let until = (*until)?.min((*decided_at)?.saturating_add(longest_s));
            Some(Grant { application, policy, until })
        }))
    }
}

impl Given {
    pub(super) fn new(purposes: Vec<Purposes>, grants: Vec<Arc<AccessRequest>>, now: i64) -> Self {
        let mut given = Self::default();
        for given_in_one in purposes {
            given.give(&given_in_one);
        }
        for grant in grants {
            given.set(&grant, now);
        }
        given
    }

    /// Somebody said what they use applications for.
    pub(super) fn give(&mut self, given: &Purposes) {
        self.purposes.insert(given.session, given.given.clone());
    }

    /// A session is forgotten.
    pub(super) fn forget(&mut self, session: &SessionId) {
        self.purposes.remove(session);
    }

    /// Takes in how a request stands now. Of the same subject, what has run out is forgotten.
    pub(super) fn set(&mut self, request: &Arc<AccessRequest>, now: i64) {
        let subject = (request.provider.clone(), request.subject.clone());
        let grants = self.grants.entry(subject.clone()).or_default();
        grants.retain(|known| known.id != request.id && known.is_in_force(now));
        if request.state == AccessState::Granted {
            grants.push(request.clone());
        }
        if grants.is_empty() {
            self.grants.remove(&subject);
        }
    }

    /// What counts for a session of this subject.
    pub(super) fn held(&self, session: SessionId, provider: &str, subject: &str) -> Held {
        let purposes = self.purposes.get(&session).cloned().unwrap_or_default();
        if self.grants.is_empty() {
            return Held { purposes, grants: Arc::default() };
        }
        let subject = (provider.to_owned(), subject.to_owned());
        let grants = self.grants.get(&subject).map_or_else(Arc::default, |grants| grants.as_slice().into());
        Held { purposes, grants }
    }
}

impl Live {
    /// Somebody said in a login what they use applications for.
    pub(super) fn give(&self, followed: &mut Followed, given: &Purposes) -> Cuts {
        followed.given.give(given);
        let session = self.session(&given.session);
        session.map_or(Cuts(0), |session| self.refresh_as_it_is(followed, &session))
    }

    /// Access was granted to somebody, or is over: for all their logins, at once.
    pub(super) fn set_access(&self, followed: &mut Followed, request: &Arc<AccessRequest>) -> Cuts {
        followed.given.set(request, now());
        log(request);
        let theirs: Vec<Arc<LiveSession>> = {
            let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
            let is_theirs = |session: &&Arc<LiveSession>| {
                session.provider == request.provider && session.subject == request.subject
            };
            sessions.values().filter(is_theirs).cloned().collect()
        };
        Cuts(theirs.iter().map(|session| self.refresh_as_it_is(followed, session).0).sum())
    }

    fn refresh_as_it_is(&self, followed: &Followed, session: &LiveSession) -> Cuts {
        let person = session.standing().person.as_ref().map(|person| person.id);
        self.refresh(followed, session, person, None)
    }
}

/// Each step of a request, whoever took it: a person on a page, an administrator by command, a deactivation, or the clock.
fn log(request: &AccessRequest) {
    tracing::info!(
        target: "portcullis::access",
        access_request = request.id,
        state = request.state.as_str(),
        application = request.application,
        policy = request.policy,
        email = request.email.as_deref(),
        subject = request.subject,
        provider = request.provider,
        reason = request.reason,
        by = request.ended_by.as_deref().or(request.decided_by.as_deref()),
        until = request.until,
        "temporary access"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grant of `policy` at `application` for the subject `00u1`.
    fn grant(id: &str, application: &str, policy: &str, until: i64) -> AccessRequest {
        AccessRequest {
            id: id.to_owned(),
            provider: "okta".to_owned(),
            subject: "00u1".to_owned(),
            email: None,
            person: None,
            application: application.to_owned(),
            policy: policy.to_owned(),
            reason: "Ticket 7".to_owned(),
            wanted_s: 60,
            asked_at: 1,
            state: AccessState::Granted,
            decided_by: Some("approver@corp.example".to_owned()),
            decided_at: Some(2),
            until: Some(until),
            ended_by: None,
            ended_at: None,
        }
    }

    fn ids(given: &Given) -> Vec<String> {
        let held = given.held(SessionId::new([1; 32]), "okta", "00u1");
        held.grants.iter().map(|grant| grant.id.clone()).collect()
    }

    #[test]
    fn grants_are_of_a_subject_until_they_end() {
        let first = Arc::new(grant("a", "payroll", "p", 100));
        let mut given = Given::new(Vec::new(), vec![first.clone()], 10);
        assert_eq!(ids(&given), ["a"]);
        assert!(given.held(SessionId::new([1; 32]), "other", "00u1").grants.is_empty());
        assert!(given.held(SessionId::new([1; 32]), "okta", "00u2").grants.is_empty());
        given.set(&Arc::new(grant("b", "payroll", "p", 200)), 20);
        assert_eq!(ids(&given), ["a", "b"]);
        given.set(
            &Arc::new(AccessRequest { state: AccessState::Ended, ..grant("b", "payroll", "p", 200) }),
            30,
        );
        assert_eq!(ids(&given), ["a"]);
        given.set(&Arc::new(grant("c", "payroll", "p", 300)), 100);
        assert_eq!(ids(&given), ["c"], "what has run out is forgotten");
        given.set(
            &Arc::new(AccessRequest { state: AccessState::Ended, ..grant("c", "payroll", "p", 300) }),
            110,
        );
        assert!(given.grants.is_empty());
    }

    #[test]
    fn a_grant_counts_no_longer_than_its_policy_allows_now() {
        let with = |longest_s| {
            let everyone = || vec![portcullis_policy::Selector::Everyone];
            let action = portcullis_policy::Action::Allow;
            let mut policy = portcullis_policy::Policy::new("p", action, everyone());
            let longest = std::time::Duration::from_secs(longest_s);
            policy.approval = Some(portcullis_policy::Approval { approvers: everyone(), longest });
            let payroll = portcullis_policy::ApplicationPolicies {
                application: "payroll".to_owned(),
                policies: vec!["p".to_owned()],
                login_methods: Vec::new(),
            };
            crate::live::Policies::of_tests(&[policy], &[payroll]).set
        };
        let held = Held { grants: [Arc::new(grant("a", "payroll", "p", 100))].into(), ..Held::default() };
        for (longest_s, counts_until) in [(98, 100), (500, 100), (60, 62), (1, 3)] {
            let set = with(longest_s);
            let counted = Grant { application: "payroll", policy: "p", until: counts_until };
            assert_eq!(held.grants_for(&set), set.intern_grants([counted].into_iter()), "{longest_s}");
        }
    }

    #[test]
    fn purposes_are_of_one_session() {
        let session = SessionId::new([1; 32]);
        let said = GivenPurpose { application: "wiki".to_owned(), purpose: "Ticket 7".to_owned() };
        let purposes = Purposes { session, given: [said.clone()].into() };
        let mut given = Given::new(vec![purposes], Vec::new(), 10);
        assert_eq!(*given.held(session, "okta", "00u1").purposes, [said]);
        assert!(given.held(SessionId::new([2; 32]), "okta", "00u1").purposes.is_empty());
        given.forget(&session);
        assert!(given.purposes.is_empty());
    }
}
