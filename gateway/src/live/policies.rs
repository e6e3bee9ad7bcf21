//! The policies that are in force, with what else of the configuration decides beside them, and which of two came later. Deciding by them
//! is left to `authorize`, what somebody is to them to `facts`.

use std::net::IpAddr;
use std::sync::Arc;

use portcullis_policy::{CountryCode, Decision, PolicySet, Principal, Service};
use portcullis_store::Group;

use super::group_ids::GroupIds;
use super::passage::Life;
use crate::config::{Config, GroupsSource, Mention};
use crate::country::Countries;

/// The policies of one configuration.
#[derive(Debug, Clone)]
pub(crate) struct Policies {
    /// Counts the configurations of this process: of two, the later one has the greater number.
    pub(crate) generation: u64,
    pub(crate) set: Arc<PolicySet>,
    /// The providers of whose people a directory alone says which groups they are in.
    directory_alone: Arc<[String]>,
    /// Whether more than one directory is served, so that what a client calls its groups means nothing by itself.
    pub(super) has_several_directories: bool,
    countries: Option<Arc<Countries>>,
    /// What the policies name that only a directory or the store can know.
    pub(super) mentions: Arc<[Mention]>,
}

impl Policies {
    /// Those of the configuration that the process began with.
    pub(crate) fn first(config: &Config) -> Self {
        Self {
            generation: 1,
            set: config.policies.clone(),
            directory_alone: directory_alone(config),
            has_several_directories: config.directories.len() > 1,
            countries: config.countries.clone(),
            mentions: config.mentions.clone(),
        }
    }

    /// Those of a configuration of which nothing else matters.
    #[cfg(test)]
    pub(crate) fn of_tests(
        policies: &[portcullis_policy::Policy],
        applications: &[portcullis_policy::ApplicationPolicies],
    ) -> Self {
        let known = portcullis_policy::Known {
            identity_providers: vec!["okta".to_owned()],
            ..portcullis_policy::Known::default()
        };
        let sources = portcullis_policy::Sources { policies, rule_groups: &[], applications, known: &known };
        Self {
            generation: 1,
            set: Arc::new(PolicySet::compile(&sources).unwrap()),
            directory_alone: Arc::new([]),
            has_several_directories: false,
            countries: None,
            mentions: Arc::new([]),
        }
    }

    /// Those of the configuration that follows this one.
    pub(crate) fn followed_by(&self, config: &Config) -> Self {
        Self { generation: self.generation + 1, ..Self::first(config) }
    }

    /// Whether what this provider says of groups counts only against somebody.
    pub(crate) fn directory_alone(&self, provider: &str) -> bool {
        self.directory_alone.iter().any(|alone| alone == provider)
    }

    /// The ids by which these policies may mean groups.
    pub(crate) fn group_ids(&self, groups: &[Arc<Group>]) -> GroupIds {
        GroupIds::of(groups.iter().map(AsRef::as_ref), self.has_several_directories)
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

    /// In which country an address is, if that is known.
    pub(crate) fn country(&self, address: IpAddr) -> Option<CountryCode> {
        self.countries.as_ref()?.of(address)
    }
}

/// Whose people are in the groups that a directory says, and in no others.
fn directory_alone(config: &Config) -> Arc<[String]> {
    let providers = config.identity_providers.iter();
    let alone = providers.filter(|provider| provider.groups_source == GroupsSource::Scim);
    alone.map(|provider| provider.name.clone()).collect()
}
