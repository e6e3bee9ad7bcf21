//! What a lint can find, in words: what is so, and what to do about it.

use std::fmt;

use crate::fault::Place;
use crate::source::Action;

/// Something that compiles and is hardly what its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub kind: FindingKind,
}

/// What a lint finds. Positions count from zero.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// An earlier policy matches whoever could come this far.
    Unreachable {
        /// The earlier policy.
        earlier: String,
        /// Where it is so.
        applications: Vec<String>,
    },
    /// An earlier policy matches whenever this one would.
    Shadowed {
        /// The earlier policy.
        earlier: String,
        /// What that one does.
        action: Action,
        /// Where it is so.
        applications: Vec<String>,
    },
    /// A block that an earlier policy keeps from blocking anybody: it lets in all whom the block means.
    SwallowedBlock {
        /// The earlier policy.
        earlier: String,
        /// Where it is so.
        applications: Vec<String>,
    },
    /// A block after an allow that is wider: who is meant by both is allowed.
    LateBlock {
        /// The earlier policy.
        allow: String,
        /// Where it is so.
        applications: Vec<String>,
    },
    /// Two entries of `require` that nobody can meet at once, so that it never matches.
    ClashingRequire {
        /// The other entry.
        other: usize,
        /// Both ask for one and the same thing, of which nobody has two.
        is_list_meant: bool,
    },
    /// Nobody who is included can meet the rest, so that it never matches.
    NeverMatches,
    /// An entry of `include` that lets in nobody, since the rest rules them out.
    DeadEntry,
    /// Only logins count here of providers that the application does not accept.
    ForeignLogin {
        /// Where it is so.
        applications: Vec<String>,
    },
    /// Whoever is in a group of this name at any of several providers may grant.
    ApproversAnywhere {
        /// Where it is so.
        applications: Vec<String>,
    },
    /// Lets in everybody who can log in.
    OpenToEveryone,
    /// A domain of mailboxes that anybody can have.
    PublicMailDomain(String),
    /// Lets in whoever asks, without narrowing it down to a few paths or networks.
    WideBypass,
    /// What is below a folder, and not the folder.
    BelowOnly {
        /// The pattern.
        pattern: String,
        /// What it does not cover.
        folder: String,
    },
    /// Decides nothing.
    ReportOnly,
    /// No application names it.
    Unattached,
    /// No policy and no rule group names it.
    UnusedRuleGroup,
    /// Denies everybody.
    NoPolicies,
    /// Denies everybody, since all its policies are report-only.
    NothingInForce,
}

impl FindingKind {
    /// The word by which it is told apart, and accepted.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Shadowed { .. } => "shadowed",
            Self::SwallowedBlock { .. } => "swallowed_block",
            Self::LateBlock { .. } => "late_block",
            Self::ClashingRequire { .. } => "clashing_require",
            Self::NeverMatches => "never_matches",
            Self::DeadEntry => "dead_entry",
            Self::ForeignLogin { .. } => "foreign_login",
            Self::ApproversAnywhere { .. } => "approvers_anywhere",
            Self::OpenToEveryone => "open_to_everyone",
            Self::PublicMailDomain(_) => "public_mail_domain",
            Self::WideBypass => "wide_bypass",
            Self::BelowOnly { .. } => "below_only",
            Self::ReportOnly => "report_only",
            Self::Unattached => "unattached",
            Self::UnusedRuleGroup => "unused_rule_group",
            Self::NoPolicies => "no_policies",
            Self::NothingInForce => "nothing_in_force",
        }
    }

    /// The applications at which it is so, where that depends on one.
    #[must_use]
    pub fn applications(&self) -> &[String] {
        match self {
            Self::Unreachable { applications, .. }
            | Self::Shadowed { applications, .. }
            | Self::SwallowedBlock { applications, .. }
            | Self::LateBlock { applications, .. }
            | Self::ForeignLogin { applications }
            | Self::ApproversAnywhere { applications } => applications,
            _ => &[],
        }
    }

    pub(super) fn applications_mut(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Self::Unreachable { applications, .. }
            | Self::Shadowed { applications, .. }
            | Self::SwallowedBlock { applications, .. }
            | Self::LateBlock { applications, .. }
            | Self::ForeignLogin { applications }
            | Self::ApproversAnywhere { applications } => Some(applications),
            _ => None,
        }
    }

    /// The same, wherever it is so.
    pub(super) fn without_applications(&self) -> Self {
        let mut same = self.clone();
        if let Some(applications) = same.applications_mut() {
            applications.clear();
        }
        same
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "put it before the other, or give the other a `require`; else take it out"
            }
            Self::Shadowed { .. } => "put it before the other if it is meant to decide; else take it out",
            Self::SwallowedBlock { .. } => {
                "put the block before the other, or `exclude` the same people there"
            }
            Self::LateBlock { .. } => {
                "put the block first if it is to hold for everybody whom it means; the first match ends the walk"
            }
            Self::ClashingRequire { is_list_meant: true, .. } => {
                "alternatives go into one entry, as a list; each entry of `require` must hold by itself"
            }
            Self::ClashingRequire { .. } | Self::NeverMatches => {
                "each entry of `require` must hold, and none of `exclude`: take out the one that is not meant"
            }
            Self::DeadEntry => "take the entry out, or what rules it out",
            Self::ForeignLogin { .. } => {
                "add the provider to the application's `identity_providers`, or take the policy out there"
            }
            Self::ApproversAnywhere { .. } => {
                "name a `rule_group` instead, which includes the group and requires the `login_method` that is meant"
            }
            Self::OpenToEveryone => "name whom it is for (`group`, `email_domain`), or accept this finding",
            Self::PublicMailDomain(_) => "name the people by `email` or `group`",
            Self::WideBypass => "narrow it down with `path` or `ip` in its `require`",
            Self::BelowOnly { .. } => "add the folder itself, or write the pattern without what follows it",
            Self::ReportOnly => "look at what it reported, then take `report_only` out, or the policy",
            Self::Unattached => "name it in an application's `policies`, or take it out",
            Self::UnusedRuleGroup => "use it, or take it out",
            Self::NoPolicies => "give the application a policy",
            Self::NothingInForce => "take `report_only` out of the policy that is to decide",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { earlier, applications } => {
                let at = At(applications);
                write!(f, "is never reached{at}: `{earlier}` comes before it and always matches")
            }
            Self::Shadowed { earlier, action, applications } => {
                let at = At(applications);
                let verb = match action {
                    Action::Block => "blocks",
                    Action::Allow | Action::Bypass | Action::ServiceAuth => "lets in",
                };
                write!(f, "never decides{at}: `{earlier}` comes before it and {verb} all whom it means")
            }
            Self::SwallowedBlock { earlier, applications } => {
                let at = At(applications);
                write!(f, "blocks nobody{at}: `{earlier}` comes before it and lets in all whom it means")
            }
            Self::LateBlock { allow, applications } => {
                let at = At(applications);
                write!(f, "comes after `{allow}`{at}, which is wider: whom both mean is let in")
            }
            Self::ClashingRequire { other, .. } => {
                write!(
                    f,
                    "nobody can meet this entry and entry {}: it never matches",
                    other.saturating_add(1)
                )
            }
            Self::NeverMatches => f.write_str("nobody who is included can meet the rest: it never matches"),
            Self::DeadEntry => {
                f.write_str("the entry lets in nobody: the rest of the rules excludes all whom it means")
            }
            Self::ForeignLogin { applications } => {
                let at = At(applications);
                write!(f, "never matches{at}: no login counts there of the providers that it asks for")
            }
            Self::ApproversAnywhere { applications } => {
                let at = At(applications);
                write!(
                    f,
                    "counts a group of this name at every provider that is accepted{at}, and each says for itself who is in it"
                )
            }
            Self::OpenToEveryone => f.write_str("lets in everybody who can log in"),
            Self::PublicMailDomain(domain) => write!(f, "anybody can have a mailbox at `{domain}`"),
            Self::WideBypass => {
                f.write_str("lets in whoever asks, without a login, wherever the application answers")
            }
            Self::BelowOnly { pattern, folder } => {
                write!(f, "`{pattern}` covers what is below, and not `{folder}` itself")
            }
            Self::ReportOnly => f.write_str("is report-only: it decides nothing"),
            Self::Unattached => f.write_str("no application names it: it decides nothing"),
            Self::UnusedRuleGroup => f.write_str("no policy uses it"),
            Self::NoPolicies => f.write_str("has no policy: it denies everybody"),
            Self::NothingInForce => f.write_str("has report-only policies alone: it denies everybody"),
        }
    }
}

/// Most applications that are named in one line.
const NAMED: usize = 3;

struct At<'a>(&'a [String]);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().take(NAMED).enumerate() {
            let before = if index == 0 { " at" } else { "," };
            write!(f, "{before} `{name}`")?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
