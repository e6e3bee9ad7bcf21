//! The policies that are in force, and which of two came later. Deciding by them is left to `authorize`.

use std::sync::Arc;

use portcullis_policy::{Decision, EmailAddress, Person, PolicySet, Principal, Service};
use portcullis_store::Profile;

use super::login_facts::login_facts;
use super::passage::Life;

/// The policies of one configuration.
#[derive(Debug, Clone)]
pub(crate) struct Policies {
    /// Counts the configurations of this process: of two, the later one has the greater number.
    pub(crate) generation: u64,
    pub(crate) set: Arc<PolicySet>,
}

impl Policies {
    /// Those of the configuration that the process began with.
    pub(crate) fn first(set: Arc<PolicySet>) -> Self {
        Self { generation: 1, set }
    }

    /// Those of the configuration that follows this one.
    pub(crate) fn followed_by(&self, set: Arc<PolicySet>) -> Self {
        Self { generation: self.generation + 1, set }
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

    /// Somebody in the ids of these policies.
    pub(crate) fn principal(&self, provider: &str, profile: &Profile, groups: &[String]) -> Principal {
        Principal::Person(Person {
            email: profile.email.as_deref().and_then(|email| email.parse::<EmailAddress>().ok()),
            groups: self.set.intern_groups(groups.iter().map(String::as_str)),
            login_method: self.set.login_method(provider),
            login: login_facts(&profile.claims_json, profile.authenticated_at),
        })
    }
}
