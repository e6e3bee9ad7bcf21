//! The compiled policies: what a decision reads, and the names that it gives ids to.
//!
//! Making one is left to `compile`, reading one to `decide`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::decision::PolicyId;
use crate::principal::{GroupSet, LoginMethodId};
use crate::source::Action;
use crate::step_up::StepUp;

/// All policies and applications of one configuration: immutable, made to be shared in an [`Arc`].
#[derive(Debug)]
pub struct PolicySet {
    pub(crate) revision: u64,
    pub(crate) policies: Box<[Arc<CompiledPolicy>]>,
    pub(crate) applications: Box<[CompiledApplication]>,
    pub(crate) application_ids: HashMap<Box<str>, usize>,
    pub(crate) group_ids: HashMap<Box<str>, u32>,
    pub(crate) login_method_ids: HashMap<Box<str>, u32>,
}

/// One application of one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApplicationId {
    pub(crate) revision: u64,
    pub(crate) index: usize,
}

/// The policies of one application in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct CompiledApplication {
    /// The logins that count; none means all.
    pub(crate) login_methods: Option<Box<[u32]>>,
    pub(crate) policies: Box<[Arc<CompiledPolicy>]>,
}

#[derive(Debug)]
pub(crate) struct CompiledPolicy {
    pub(crate) id: PolicyId,
    pub(crate) name: Box<str>,
    pub(crate) action: Action,
    pub(crate) include: Box<[Test]>,
    pub(crate) require: Box<[Test]>,
    pub(crate) exclude: Box<[Test]>,
    pub(crate) step_up: Option<StepUp>,
    pub(crate) session_duration: Option<Duration>,
}

/// A selector with every list sorted and every name replaced by its id.
#[derive(Debug)]
pub(crate) enum Test {
    Everyone,
    Emails(Box<[Box<str>]>),
    EmailDomains(Box<[Box<str>]>),
    Groups(Box<[u32]>),
    Networks(Box<[IpNet]>),
    LoginMethods(Box<[u32]>),
    ServiceTokens(Box<[Box<str>]>),
    AnyServiceToken,
    Contexts(Box<[Box<str>]>),
    Methods(Box<[Box<str>]>),
    LoginAge(Duration),
}

impl Test {
    /// Whether another login of the same person could make it hold.
    pub(crate) fn is_about_the_login(&self) -> bool {
        matches!(self, Self::Contexts(_) | Self::Methods(_) | Self::LoginAge(_))
    }
}

impl PolicySet {
    /// A number that differs whenever the sources differ, and is the same for the same sources on every node.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The application of this name, as decisions want it.
    #[must_use]
    pub fn application(&self, name: &str) -> Option<ApplicationId> {
        let index = *self.application_ids.get(name)?;
        Some(ApplicationId { revision: self.revision, index })
    }

    /// The identity provider of this name, as decisions want it.
    #[must_use]
    pub fn login_method(&self, identity_provider: &str) -> Option<LoginMethodId> {
        let id = *self.login_method_ids.get(identity_provider)?;
        Some(LoginMethodId { revision: self.revision, id })
    }

    /// A person's groups, cut down to those that some policy mentions. Names are compared exactly.
    #[must_use]
    pub fn intern_groups<'a>(&self, names: impl Iterator<Item = &'a str>) -> GroupSet {
        self.intern_groups_with_doubts(names, [].into_iter())
    }

    /// A person's groups, and those in which the person may be: a rule about one of them cannot be evaluated, so that it allows nobody
    /// and blocks whoever it might mean.
    #[must_use]
    pub fn intern_groups_with_doubts<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
        unproved: impl Iterator<Item = &'a str>,
    ) -> GroupSet {
        GroupSet { revision: self.revision, ids: self.group_ids(names), unproved: self.group_ids(unproved) }
    }

    fn group_ids<'a>(&self, names: impl Iterator<Item = &'a str>) -> Box<[u32]> {
        let mut ids: Vec<u32> = names.filter_map(|name| self.group_ids.get(name).copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into()
    }

    /// The groups that some policy mentions, in no order: a name that no directory has is worth a warning.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        self.group_ids.keys().map(AsRef::as_ref)
    }

    /// The service tokens that some policy names, in no order and with repetition: a name that no token has is worth a warning.
    pub fn service_token_names(&self) -> impl Iterator<Item = &str> {
        let lists =
            self.policies.iter().flat_map(|policy| [&policy.include, &policy.require, &policy.exclude]);
        let named = lists.flatten().flat_map(|test| match test {
            Test::ServiceTokens(names) => names.iter(),
            _ => [].iter(),
        });
        named.map(AsRef::as_ref)
    }

    /// The name of a policy of this revision.
    #[must_use]
    pub fn policy_name(&self, policy: PolicyId) -> Option<&str> {
        self.policy(policy).map(|compiled| &*compiled.name)
    }

    /// What a login must bring for this policy to allow; `None` when it asks nothing of logins.
    #[must_use]
    pub fn step_up(&self, policy: PolicyId) -> Option<&StepUp> {
        self.policy(policy)?.step_up.as_ref()
    }

    /// How long an application session may last for whom this policy allows.
    #[must_use]
    pub fn session_duration(&self, policy: PolicyId) -> Option<Duration> {
        self.policy(policy)?.session_duration
    }

    fn policy(&self, id: PolicyId) -> Option<&CompiledPolicy> {
        self.policies.get(id.index).map(AsRef::as_ref).filter(|compiled| compiled.id == id)
    }
}
