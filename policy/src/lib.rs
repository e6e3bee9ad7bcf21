//! The policy decision point: may this principal use this application, and which rule says so.
//!
//! Pure, synchronous and total: no I/O, no clock, no waiting, no `Result` from a decision. Who the principal is, and
//! what follows from a decision, is left to the enforcement point.
//!
//! The walk: typed [`Policy`] values are [compiled](PolicySet::compile) once into an immutable [`PolicySet`]; a
//! [`Principal`] is expressed in that set's small ids; [`PolicySet::decide`] answers with a [`Decision`].
//!
//! The policies of an application that speak of whoever asks, a person or a service, are tried in its own order and the
//! first that matches ends the walk; when none does, the answer is no. What cannot be known never helps the person who asks: an allow that cannot be evaluated does not
//! allow, a block that cannot be evaluated blocks. Where an allow fails for the want of a stronger or newer login alone, the
//! reason says so, and the set knows [what is wanted](PolicySet::step_up).

mod email;
mod source;

mod compile;
mod fault;
mod step_up;

mod principal;
mod set;

mod decide;
mod decision;

pub use decision::{Decision, PolicyId, Reason, RulePosition, Verdict};
pub use email::{EmailAddress, EmailDomain, EmailError};
pub use fault::{CompileFault, Fault, Place};
pub use principal::{GroupSet, LoginMethodId, Person, Principal, Question, Service};
pub use set::{ApplicationId, PolicySet};
pub use source::{Action, ApplicationPolicies, Known, Policy, Section, Selector};
pub use step_up::{LoginFacts, MAX_STEP_UP_BYTES, StepUp};

/// Networks are written with this crate's types; the callers need no version of their own.
pub use ipnet::IpNet;
