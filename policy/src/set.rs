//! The compiled policies: what a decision reads, and the names that it gives ids to.
//!
//! Making one is left to `compile`, reading one to `decide`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::country::CountryCode;
use crate::decision::PolicyId;
use crate::path::PathPattern;
use crate::predicate::Predicate;
use crate::request::RequestRules;
use crate::source::{Action, Approval, Policy, RuleGroup};
use crate::step_up::StepUp;
use crate::time_window::TimeWindow;

/// All policies and applications of one configuration: immutable, made to be shared in an [`Arc`].
#[derive(Debug)]
pub struct PolicySet {
    pub(crate) revision: u64,
    pub(crate) policies: Box<[Arc<CompiledPolicy>]>,
    pub(crate) applications: Box<[CompiledApplication]>,
    pub(crate) ids: Ids,
    /// Distinct predicates; the position is the id.
    pub(crate) predicates: Box<[Predicate]>,
    /// What the policies were compiled from, by the same position: an explanation quotes it.
    pub(crate) sources: Box<[Policy]>,
    pub(crate) rule_groups: Box<[RuleGroup]>,
}

/// The small numbers that stand for names in a decision.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    pub(crate) applications: HashMap<Box<str>, usize>,
    /// Groups by name.
    pub(crate) groups: HashMap<Box<str>, u32>,
    /// Groups by id, numbered after those by name.
    pub(crate) group_ids: HashMap<Box<str>, u32>,
    pub(crate) login_methods: HashMap<Box<str>, u32>,
    pub(crate) evaluations: HashMap<Box<str>, u32>,
    pub(crate) predicates: HashMap<Predicate, u32>,
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
    /// Those that are tried first, whoever asks: bypass and service_auth.
    pub(crate) first: Box<[Arc<CompiledPolicy>]>,
    /// Allow and block, which share one walk.
    pub(crate) then: Box<[Arc<CompiledPolicy>]>,
    /// What all of them ask about requests.
    pub(crate) requests: RequestRules,
}

#[derive(Debug)]
pub(crate) struct CompiledPolicy {
    pub(crate) id: PolicyId,
    pub(crate) name: Box<str>,
    pub(crate) action: Action,
    pub(crate) rules: Rules,
    pub(crate) step_up: Option<StepUp>,
    pub(crate) session_duration: Option<Duration>,
    pub(crate) report_only: bool,
    pub(crate) purpose_required: bool,
    pub(crate) approval: Option<Approval>,
    /// Those who may grant it.
    pub(crate) approvers: Box<[Test]>,
}

#[derive(Debug)]
pub(crate) struct CompiledGroup {
    pub(crate) rules: Rules,
}

/// The three lists.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) include: Box<[Test]>,
    pub(crate) require: Box<[Test]>,
    pub(crate) exclude: Box<[Test]>,
}

/// A selector with every list sorted and every name replaced by its id.
#[derive(Debug)]
pub(crate) enum Test {
    Everyone,
    Emails(Box<[Box<str>]>),
    EmailDomains(Box<[Box<str>]>),
    Subjects(Box<[(u32, Box<str>)]>),
    Groups(Box<[u32]>),
    GroupIds(Box<[u32]>),
    Attribute(u32),
    Networks(Box<[IpNet]>),
    Countries(Box<[CountryCode]>),
    RequestMethods(Box<[Box<str>]>),
    Paths(Box<[PathPattern]>),
    ValidCertificate,
    CommonNames(Box<[Box<str>]>),
    TimeWindow(TimeWindow),
    LoginMethods(Box<[u32]>),
    Contexts(Box<[Box<str>]>),
    LoginBy(Box<[Box<str>]>),
    LoginAge(Duration),
    ServiceTokens(Box<[Box<str>]>),
    AnyServiceToken,
    External(u32),
    RuleGroup(Arc<CompiledGroup>),
    /// A name without an id: never there in a set that was checked, and unknown if it were.
    Unresolved,
}

impl CompiledApplication {
    /// All of them, in the order in which they are tried.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &CompiledPolicy> {
        self.first.iter().chain(&self.then).map(AsRef::as_ref)
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
        let index = *self.ids.applications.get(name)?;
        Some(ApplicationId { revision: self.revision, index })
    }

    /// The policy of this name.
    #[must_use]
    pub fn policy_named(&self, name: &str) -> Option<PolicyId> {
        self.policies.iter().find(|policy| &*policy.name == name).map(|policy| policy.id)
    }

    /// Whether any policy of the application is report-only.
    #[must_use]
    pub fn has_reports(&self, application: ApplicationId) -> bool {
        self.compiled(application).is_some_and(|it| it.policies().any(|policy| policy.report_only))
    }

    /// The name of a policy of this revision.
    #[must_use]
    pub fn policy_name(&self, policy: PolicyId) -> Option<&str> {
        self.policy(policy).map(|compiled| &*compiled.name)
    }

    /// What the match of a policy means.
    #[must_use]
    pub fn action(&self, policy: PolicyId) -> Option<Action> {
        self.policy(policy).map(|compiled| compiled.action)
    }

    /// A policy as its author wrote it.
    #[must_use]
    pub fn source(&self, policy: PolicyId) -> Option<&Policy> {
        self.policy(policy)?;
        self.sources.get(policy.index)
    }

    /// A rule group as its author wrote it.
    #[must_use]
    pub fn rule_group(&self, name: &str) -> Option<&RuleGroup> {
        self.rule_groups.iter().find(|group| group.name == name)
    }

    /// What a login must bring for this policy to allow; `None` when it asks nothing of logins.
    #[must_use]
    pub fn step_up(&self, policy: PolicyId) -> Option<&StepUp> {
        self.policy(policy)?.step_up.as_ref()
    }

    /// Who may grant what this policy would allow, and for how long; `None` when it allows without.
    #[must_use]
    pub fn approval(&self, policy: PolicyId) -> Option<&Approval> {
        self.policy(policy)?.approval.as_ref()
    }

    /// How long an application session may last for whom this policy allows.
    #[must_use]
    pub fn session_duration(&self, policy: PolicyId) -> Option<Duration> {
        self.policy(policy)?.session_duration
    }

    pub(crate) fn policy(&self, id: PolicyId) -> Option<&CompiledPolicy> {
        self.policies.get(id.index).map(AsRef::as_ref).filter(|compiled| compiled.id == id)
    }

    pub(crate) fn compiled(&self, application: ApplicationId) -> Option<&CompiledApplication> {
        self.applications.get(application.index).filter(|_| application.revision == self.revision)
    }
}
