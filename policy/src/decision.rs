//! The answer: yes or no, and the policy, rule and reason behind it.
//!
//! Wording for people and the choice of a status code are left to the enforcement point.

use std::fmt;

use crate::question::EvaluationId;
use crate::source::Section;

/// The answer to one question. It owns nothing, so that making one costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Decision {
    /// Yes or no.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The policy that decided, or that could not be evaluated; its name is
    /// [`PolicySet::policy_name`](crate::PolicySet::policy_name).
    pub policy: Option<PolicyId>,
    /// The entry of that policy that matched, or that could not be evaluated.
    pub rule: Option<RulePosition>,
    /// From when on the answer may be another, in unix seconds, since a login has grown old, an hour is over or a
    /// grant has ended: until then the same question
    /// has the same answer. `i64::MAX` when no time changes it.
    pub until: i64,
    /// An external evaluation that was not asked and whose answer could turn this no into a yes.
    pub unanswered: Option<EvaluationId>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request may go on.
    Allow,
    /// It may not.
    Deny,
}

/// Why a decision is as it is: a closed list, stable in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An allow policy matched first.
    AllowedByPolicy,
    /// A policy about services matched first.
    AllowedByServiceAuth,
    /// A bypass matched: the request is nobody's.
    Bypassed,
    /// A block policy matched first.
    BlockedByPolicy,
    /// The application has policies and none matched.
    NoPolicyMatched,
    /// The application has no policy at all.
    NoPolicies,
    /// A service asks, and the application has policies about people alone.
    NoServiceAuth,
    /// Nobody asks, and no bypass lets nobody in.
    NoIdentity,
    /// The application's id belongs to another revision.
    StaleApplication,
    /// A policy asks for groups, and the principal's were interned for another revision.
    StaleGroups,
    /// A policy asks for a group in which the person is by the word of somebody whose word does not count.
    UnprovedGroup,
    /// A policy asks for the person's attributes, and what is true of them was found for another revision.
    StaleAttributes,
    /// A policy asks for the person's record in the directory or for its groups by id, and there is no record.
    NoDirectoryRecord,
    /// A policy asks who the person is to their provider, and that is not known.
    UnknownSubject,
    /// A policy asks for the login method, and the principal's is of another revision or no longer configured.
    UnknownLoginMethod,
    /// A policy asks for the e-mail address, and the principal has no verified one.
    NoVerifiedEmail,
    /// The login was made at a provider whose logins do not count for the application.
    LoginElsewhere,
    /// A policy asks for the country, and that of the address is not known.
    UnknownCountry,
    /// A policy asks for the method, and it is not known.
    UnknownMethod,
    /// A policy asks for the path, and it is not known, or only some servers would read in it what the policy means.
    UnclearPath,
    /// A policy asks for a client certificate, and it is not known what the client showed.
    UnknownCertificate,
    /// A policy asks an external evaluation, which was not asked yet: [`Decision::unanswered`].
    NotEvaluated,
    /// A policy asks an external evaluation, which gave no answer that counts.
    EvaluationFailed,
    /// A policy asks how or when the login was made, and the provider did not say.
    LoginNotDescribed,
    /// The policy would allow after a stronger or newer login: [`PolicySet::step_up`](crate::PolicySet::step_up).
    StepUpRequired,
    /// The policy would allow who says what they need the application for.
    PurposeRequired,
    /// The policy would allow to whom somebody grants it: [`PolicySet::approval`](crate::PolicySet::approval).
    ApprovalRequired,
}

/// One policy of one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyId {
    pub(crate) revision: u64,
    pub(crate) index: usize,
}

/// One entry of a policy's lists; the position counts from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RulePosition {
    /// The list.
    pub section: Section,
    /// The position in it.
    pub index: usize,
}

impl Decision {
    /// Whether the request may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

impl Verdict {
    /// The word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Reason {
    /// Every reason, for tables and documentation.
    pub const ALL: [Self; 27] = [
        Self::AllowedByPolicy,
        Self::AllowedByServiceAuth,
        Self::Bypassed,
        Self::BlockedByPolicy,
        Self::NoPolicyMatched,
        Self::NoPolicies,
        Self::NoServiceAuth,
        Self::NoIdentity,
        Self::StaleApplication,
        Self::StaleGroups,
        Self::UnprovedGroup,
        Self::StaleAttributes,
        Self::NoDirectoryRecord,
        Self::UnknownSubject,
        Self::UnknownLoginMethod,
        Self::NoVerifiedEmail,
        Self::LoginElsewhere,
        Self::UnknownCountry,
        Self::UnknownMethod,
        Self::UnclearPath,
        Self::UnknownCertificate,
        Self::NotEvaluated,
        Self::EvaluationFailed,
        Self::LoginNotDescribed,
        Self::StepUpRequired,
        Self::PurposeRequired,
        Self::ApprovalRequired,
    ];

    /// The word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowedByPolicy => "allowed_by_policy",
            Self::AllowedByServiceAuth => "allowed_by_service_auth",
            Self::Bypassed => "bypassed",
            Self::BlockedByPolicy => "blocked_by_policy",
            Self::NoPolicyMatched => "no_policy_matched",
            Self::NoPolicies => "no_policies",
            Self::NoServiceAuth => "no_service_auth",
            Self::NoIdentity => "no_identity",
            Self::StaleApplication => "stale_application",
            Self::StaleGroups => "stale_groups",
            Self::UnprovedGroup => "unproved_group",
            Self::StaleAttributes => "stale_attributes",
            Self::NoDirectoryRecord => "no_directory_record",
            Self::UnknownSubject => "unknown_subject",
            Self::UnknownLoginMethod => "unknown_login_method",
            Self::NoVerifiedEmail => "no_verified_email",
            Self::LoginElsewhere => "login_elsewhere",
            Self::UnknownCountry => "unknown_country",
            Self::UnknownMethod => "unknown_method",
            Self::UnclearPath => "unclear_path",
            Self::UnknownCertificate => "unknown_certificate",
            Self::NotEvaluated => "not_evaluated",
            Self::EvaluationFailed => "evaluation_failed",
            Self::LoginNotDescribed => "login_not_described",
            Self::StepUpRequired => "step_up_required",
            Self::PurposeRequired => "purpose_required",
            Self::ApprovalRequired => "approval_required",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RulePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.section, self.index)
    }
}
