//! The policies that are in force, and which of two came later. Deciding by them is left to `authorize`.

use std::sync::Arc;

use portcullis_policy::{EmailAddress, Person, PolicySet, Principal};
use portcullis_store::Profile;

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

    /// Somebody in the ids of these policies.
    pub(crate) fn principal(&self, provider: &str, profile: &Profile, groups: &[String]) -> Principal {
        Principal::Person(Person {
            email: profile.email.as_deref().and_then(|email| email.parse::<EmailAddress>().ok()),
            groups: self.set.intern_groups(groups.iter().map(String::as_str)),
            login_method: self.set.login_method(provider),
        })
    }
}
