//! What can be wrong with a set of policies, and where.
//!
//! A place names policy, list and position; turning it into file and line is left to the configuration.

use std::error::Error;
use std::fmt;

use crate::rule_group::{MAX_RULE_GROUP_DEPTH, MAX_RULE_GROUP_RULES};
use crate::source::{Action, Section};
use crate::step_up::MAX_STEP_UP_BYTES;

/// One fault of the sources, with its place. Compilation reports all of them at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompileFault {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub fault: Fault,
}

/// Where a fault stands. Positions count from zero, in the order of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A policy as a whole.
    Policy {
        /// Its name.
        name: String,
        /// Its position among the policies.
        index: usize,
    },
    /// One entry of a policy's lists.
    Rule {
        /// The policy's name.
        policy: String,
        /// The policy's position among the policies.
        index: usize,
        /// The list.
        section: Section,
        /// The entry's position in the list.
        rule: usize,
    },
    /// One of those who may grant what a policy would allow.
    Approver {
        /// The policy's name.
        policy: String,
        /// The policy's position among the policies.
        index: usize,
        /// The entry's position in the list.
        rule: usize,
    },
    /// A rule group as a whole.
    RuleGroup {
        /// Its name.
        name: String,
        /// Its position among the rule groups.
        index: usize,
    },
    /// One entry of a rule group's lists.
    GroupRule {
        /// The rule group's name.
        rule_group: String,
        /// The rule group's position among the rule groups.
        index: usize,
        /// The list.
        section: Section,
        /// The entry's position in the list.
        rule: usize,
    },
    /// An application as a whole.
    Application {
        /// Its name.
        name: String,
        /// Its position among the applications.
        index: usize,
    },
    /// One entry of an application's list of policies.
    ApplicationPolicy {
        /// The application's name.
        application: String,
        /// The application's position among the applications.
        index: usize,
        /// The entry's position in the list.
        position: usize,
    },
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A policy or application has the empty text as its name.
    EmptyName,
    /// An earlier policy has this name.
    DuplicatePolicy,
    /// An earlier application has this name.
    DuplicateApplication,
    /// `include` has no entry, so the policy could never match.
    EmptyInclude,
    /// An entry lists no alternative, so it could never hold.
    EmptySelector,
    /// A group without a name.
    EmptyGroupName,
    /// A service token without a name.
    EmptyTokenName,
    /// A policy about services speaks of people, or one about people speaks of services: the entry could never hold.
    WrongKind(Action),
    /// A bypass is about nobody, and this entry about somebody.
    NeedsIdentity,
    /// No identity provider has this name.
    UnknownLoginMethod(String),
    /// No external evaluation has this name.
    UnknownEvaluation(String),
    /// No rule group has this name.
    UnknownRuleGroup(String),
    /// An earlier rule group has this name.
    DuplicateRuleGroup,
    /// Rule groups that name each other in a circle: the way from one of them back to itself.
    RuleGroupCycle(Vec<String>),
    /// Rule groups within rule groups, deeper than [`MAX_RULE_GROUP_DEPTH`].
    DeepRuleGroup,
    /// With the rule groups that it names, the rule group has more rules than [`MAX_RULE_GROUP_RULES`].
    LargeRuleGroup,
    /// A rule group of which no rule could hold for those whom the policy is about.
    UselessRuleGroup(Action),
    /// A list has an empty text where somebody or something is named.
    EmptyText,
    /// A method that is no token in capital letters.
    BadMethod(String),
    /// An action that takes no account of a purpose, an approval.
    UselessPurpose(Action),
    /// See [`Fault::UselessPurpose`].
    UselessApproval(Action),
    /// An approval without anybody who could grant it.
    NoApprovers,
    /// An approval for no time.
    NoApprovalTime,
    /// A context or method of a login that is empty, or holds a space, a quote, a backslash or something beyond ASCII.
    BadLoginValue(String),
    /// The `acr` entries of `require` have no context in common, so no login could meet them.
    NoCommonAcr,
    /// The contexts and methods that `require` names are too long together.
    LongStepUp,
    /// A policy that allows no person says how long their sessions last.
    UselessDuration,
    /// No policy has this name.
    UnknownPolicy(String),
    /// The application lists this policy twice; the second place would never be reached.
    RepeatedPolicy(String),
}

impl Error for CompileFault {}

impl fmt::Display for CompileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy { name, .. } => write!(f, "policy `{name}`"),
            Self::Rule { policy, section, rule, .. } => {
                write!(f, "policy `{policy}`, {section} entry {}", rule.saturating_add(1))
            }
            Self::Approver { policy, rule, .. } => {
                write!(f, "policy `{policy}`, approvers entry {}", rule.saturating_add(1))
            }
            Self::RuleGroup { name, .. } => write!(f, "rule group `{name}`"),
            Self::GroupRule { rule_group, section, rule, .. } => {
                write!(f, "rule group `{rule_group}`, {section} entry {}", rule.saturating_add(1))
            }
            Self::Application { name, .. } => write!(f, "application `{name}`"),
            Self::ApplicationPolicy { application, position, .. } => {
                write!(f, "application `{application}`, policies entry {}", position.saturating_add(1))
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName => f.write_str("the name is empty"),
            Self::DuplicatePolicy => f.write_str("another policy has the same name"),
            Self::DuplicateApplication => f.write_str("another application has the same name"),
            Self::EmptyInclude => f.write_str("`include` needs at least one entry, or it never matches"),
            Self::EmptySelector => f.write_str("the list is empty, so the entry never holds"),
            Self::EmptyGroupName => f.write_str("a group's name is empty"),
            Self::EmptyTokenName => f.write_str("a service token's name is empty"),
            Self::WrongKind(Action::ServiceAuth) => f.write_str(
                "a `service_auth` policy is about services, and this entry about people: \
                 `service_token`, `any_service_token` and what is true of a request can hold for a service",
            ),
            Self::WrongKind(action) => {
                write!(
                    f,
                    "an `{action}` policy is about people, and this entry about services: use `service_auth`"
                )
            }
            Self::NeedsIdentity => f.write_str(
                "a `bypass` asks nobody who they are: only `everyone`, `ip`, `country`, `method`, `path`, \
                 `valid_certificate`, `common_name` and `time` can stand in it, and rule groups of these",
            ),
            Self::UnknownEvaluation(name) => write!(f, "no external evaluation is named `{name}`"),
            Self::UnknownRuleGroup(name) => write!(f, "no rule group is named `{name}`"),
            Self::DuplicateRuleGroup => f.write_str("another rule group has the same name"),
            Self::RuleGroupCycle(path) => {
                write!(f, "rule groups name each other in a circle: `{}`", path.join("` -> `"))
            }
            Self::DeepRuleGroup => {
                write!(f, "rule groups stand in one another more than {MAX_RULE_GROUP_DEPTH} deep")
            }
            Self::LargeRuleGroup => {
                write!(f, "with the rule groups in it, it has more than {MAX_RULE_GROUP_RULES} rules")
            }
            Self::UselessRuleGroup(action) => {
                write!(f, "the rule group can hold for nobody whom `{action}` is about")
            }
            Self::EmptyText => f.write_str("a text in the list is empty"),
            Self::BadMethod(method) => write!(f, "`{method}` is no method, such as \"GET\""),
            Self::UselessPurpose(action) => write!(f, "a `{action}` policy asks nobody for a purpose"),
            Self::UselessApproval(action) => write!(f, "a `{action}` policy grants nothing to people"),
            Self::NoApprovers => f.write_str("`approvers` needs at least one entry, or nobody can grant it"),
            Self::NoApprovalTime => f.write_str("the longest time of a grant is none at all"),
            Self::UnknownLoginMethod(name) => write!(f, "no identity provider is named `{name}`"),
            Self::BadLoginValue(value) => write!(
                f,
                "`{value}` is no value of `acr` or `amr`: ASCII without spaces, quotes and backslashes"
            ),
            Self::NoCommonAcr => {
                f.write_str("no login has a context that all `acr` entries of `require` name")
            }
            Self::LongStepUp => {
                write!(f, "what `acr` and `amr` in `require` name is longer than {MAX_STEP_UP_BYTES} bytes")
            }
            Self::UselessDuration => f.write_str("`session_duration` is for policies that allow people"),
            Self::UnknownPolicy(name) => write!(f, "no policy is named `{name}`"),
            Self::RepeatedPolicy(name) => write!(f, "policy `{name}` is listed twice"),
        }
    }
}
