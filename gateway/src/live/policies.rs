//! The policies that are in force, and which of two came later. Deciding by them is left to `authorize`.

use std::sync::Arc;

use portcullis_policy::{Decision, EmailAddress, Person, PolicySet, Principal, Service};
use portcullis_store::Profile;

use super::given::Held;
use super::login_facts::login_facts;
use super::passage::Life;
use super::session::Standing;

/// The policies of one configuration.
#[derive(Debug, Clone)]
pub(crate) struct Policies {
    /// Counts the configurations of this process: of two, the later one has the greater number.
    pub(crate) generation: u64,
    pub(crate) set: Arc<PolicySet>,
    /// The providers of whose people a directory alone says which groups they are in.
    directory_alone: Arc<[String]>,
}

impl Policies {
    /// Those of the configuration that the process began with.
    pub(crate) fn first(set: Arc<PolicySet>, directory_alone: Arc<[String]>) -> Self {
        Self { generation: 1, set, directory_alone }
    }

    /// Those of the configuration that follows this one.
    pub(crate) fn followed_by(&self, set: Arc<PolicySet>, directory_alone: Arc<[String]>) -> Self {
        Self { generation: self.generation + 1, set, directory_alone }
    }

    /// Whether what this provider says of groups counts only against somebody.
    pub(crate) fn directory_alone(&self, provider: &str) -> bool {
        self.directory_alone.iter().any(|alone| alone == provider)
    }

    /// Until when a decision that allows holds for an application session, in unix seconds: a login grows old, and a policy
    /// may ask for a newer session.
    pub(crate) fn lasts(&self, decision: &Decision, life: Life) -> i64 {
        let longest = decision.policy.and_then(|policy| self.set.session_duration(policy));
        decision.until.min(life.until(longest))
    }

    /// A service: its token's name is the same to all policies.
    pub(crate) fn service(token: &str) -> Principal {
        Principal::Service(Service { token: token.into() })
    }

    /// Somebody whose groups were counted for earlier policies. Where the provider's word no longer counts, what was counted with its
    /// help is a doubt, until `Live` has counted anew.
    pub(crate) fn principal_anew(&self, provider: &str, standing: &Standing) -> Principal {
        let Standing { profile, groups, doubts, held, .. } = standing;
        if self.directory_alone(provider) && !standing.policies.directory_alone(provider) {
            return self.principal(provider, profile, (&[], groups), held);
        }
        self.principal(provider, profile, (groups, doubts), held)
    }

    /// Somebody in the ids of these policies.
    pub(crate) fn principal(
        &self,
        provider: &str,
        profile: &Profile,
        (groups, doubts): (&[String], &[String]),
        held: &Held,
    ) -> Principal {
        Principal::Person(Person {
            email: profile.email.as_deref().and_then(|email| email.parse::<EmailAddress>().ok()),
            groups: self.set.intern_groups_with_doubts(
                groups.iter().map(String::as_str),
                doubts.iter().map(String::as_str),
            ),
            login_method: self.set.login_method(provider),
            login: login_facts(&profile.claims_json, profile.authenticated_at),
            purposes: held.purposes_for(&self.set),
            grants: held.grants_for(&self.set),
            ..self.set.stranger()
        })
    }
}
