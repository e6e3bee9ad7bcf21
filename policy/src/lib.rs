//! The policy decision point: may this principal use this application, and which rule says so.
//!
//! Pure, synchronous and total: no I/O, no clock, no waiting, no `Result` from a decision. Who the principal is, and
//! what follows from a decision, is left to the enforcement point.
//!
//! The walk: typed [`Policy`] values are [compiled](PolicySet::compile) once into an immutable [`PolicySet`]; a
//! [`Principal`] is expressed in that set's small ids; [`PolicySet::decide`] answers a [`Question`] with a [`Decision`].
//!
//! A bypass and policies about services come first, in the application's own order; then those about people, in that order. The first
//! that matches ends the walk; when none does, the answer is no. What cannot be known never helps the person who asks: an allow that
//! cannot be evaluated does not allow, a block that cannot be evaluated blocks, a bypass that cannot be evaluated asks who it is. Where
//! an allow fails for the want of something that the person can bring (a better login, a purpose, somebody's approval), the reason says
//! so.

mod country;
mod email;
mod path;
mod predicate;
mod source;
mod time_window;
mod zone;

mod check;
mod compile;
mod concern;
mod fault;
mod rule_group;
mod step_up;

mod intern;
mod principal;
mod question;
mod request;
mod set;

mod decide;
mod decision;
mod facts;
mod matching;

mod explain;
mod had;
mod print;

mod lint;
mod marks;

pub use country::{CountryCode, CountryError};
pub use decide::Report;
pub use decision::{Decision, PolicyId, Reason, RulePosition, Verdict};
pub use email::{EmailAddress, EmailDomain, EmailError};
pub use explain::{ExplainedPolicy, ExplainedRule, Explanation, Outcome, Tried};
pub use facts::Holds;
pub use fault::{CompileFault, Fault, Place};
pub use lint::{Finding, FindingKind, lint};
pub use marks::{Mark, Marks};
pub use path::{MAX_PATTERN_BYTES, PathPattern, PatternError, RequestPath, loosened};
pub use predicate::{Attributes, FactPath, Predicate};
pub use principal::{
    Grant, GrantSet, GroupSet, LoginMethodId, Person, PredicateSet, Principal, PurposeSet, Service,
};
pub use question::{Answer, Certificate, Circumstances, EvaluationId, Question};
pub use request::{Looks, RequestClass};
pub use rule_group::{MAX_RULE_GROUP_DEPTH, MAX_RULE_GROUP_RULES};
pub use set::{ApplicationId, PolicySet};
pub use source::{
    Action, ApplicationPolicies, Approval, Known, Policy, RuleGroup, Section, Selector, Sources, Subject,
};
pub use step_up::{LoginFacts, MAX_STEP_UP_BYTES, StepUp};
pub use time_window::{TimeOfDay, TimeWindow, TimeWindowError, Weekday};
pub use zone::{Zone, ZoneError};

/// Networks are written with this crate's types; the callers need no version of their own.
pub use ipnet::IpNet;
/// How attributes are found and compared, and what is wrong with a predicate's text.
pub use portcullis_filter::{CaseRule, FilterError};
