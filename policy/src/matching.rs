//! Whether one policy matches: any include, all require, no exclude, in three values.
//!
//! A part that certainly fails settles it, whatever is unknown beside it. A policy that would match after another login, with a purpose
//! or with somebody's approval says what it lacks.

use crate::decision::{Reason, RulePosition};
use crate::facts::{Facts, Holds, Login};
use crate::set::{CompiledPolicy, Rules, Test};
use crate::source::{Action, Section};

/// Whether a policy matches, and the entry that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Yes(RulePosition),
    /// Another login would not change that, or might.
    No {
        login_may_help: bool,
    },
    Unknown(RulePosition, Reason),
    /// All holds for certain but what the person can still bring.
    Lacks(RulePosition, Reason),
}

impl Facts<'_> {
    pub(crate) fn matches(&self, policy: &CompiledPolicy) -> Match {
        let now = self.as_it_is(&policy.rules);
        if policy.action != Action::Allow {
            return now;
        }
        match now {
            Match::Yes(rule) => self.lacks(policy).map_or(now, |reason| Match::Lacks(rule, reason)),
            Match::No { login_may_help: true } | Match::Unknown(..) if policy.step_up.is_some() => {
                match self.after_a_better_login(&policy.rules) {
                    Some(rule) => Match::Lacks(rule, Reason::StepUpRequired),
                    None => now,
                }
            }
            _ => now,
        }
    }

    /// What stands between a policy that matches and a yes.
    fn lacks(&self, policy: &CompiledPolicy) -> Option<Reason> {
        if policy.approval.is_some() && !self.is_granted(policy.id) {
            return Some(Reason::ApprovalRequired);
        }
        (policy.purpose_required && !self.has_purpose()).then_some(Reason::PurposeRequired)
    }

    fn as_it_is(&self, rules: &Rules) -> Match {
        let included = match self.any(&rules.include, Section::Include) {
            Match::No { .. } => {
                let by_login = matches!(&*rules.include, [Test::RuleGroup(_)]);
                return Match::No { login_may_help: by_login };
            }
            included => included,
        };
        let mut doubt = None;
        let mut fails = false;
        for (rule, test) in numbered(&rules.require, Section::Require) {
            match self.holds(test) {
                Holds::Yes => {}
                // Go on: only another login could help, unless something else fails too.
                Holds::No if test.may_ask_a_login() => fails = true,
                Holds::No => return Match::No { login_may_help: false },
                Holds::Unknown(reason) => {
                    doubt.get_or_insert((rule, reason));
                }
            }
        }
        match self.any(&rules.exclude, Section::Exclude) {
            Match::Yes(_) => return Match::No { login_may_help: false },
            Match::Unknown(rule, reason) => {
                doubt.get_or_insert((rule, reason));
            }
            Match::No { .. } | Match::Lacks(..) => {}
        }
        match (included, doubt) {
            _ if fails => Match::No { login_may_help: true },
            (Match::Yes(_), Some((rule, reason))) => Match::Unknown(rule, reason),
            (included, _) => included,
        }
    }

    /// The first entry that fails now, if everything held for certain after the best login that there could be.
    fn after_a_better_login(&self, rules: &Rules) -> Option<RulePosition> {
        let included = match &*rules.include {
            [only] => self.holds_after(only, Login::BestIncluded).is_certain(),
            several => matches!(self.any(several, Section::Include), Match::Yes(_)),
        };
        let required = |test| self.holds_after(test, Login::BestRequired).is_certain();
        let excluded = || matches!(self.any(&rules.exclude, Section::Exclude), Match::No { .. });
        if !(included && rules.require.iter().all(required) && excluded()) {
            return None;
        }
        let short =
            numbered(&rules.require, Section::Require).find(|(_, test)| !self.holds(test).is_certain());
        Some(short.map_or(RulePosition { section: Section::Include, index: 0 }, |(rule, _)| rule))
    }

    fn any(&self, tests: &[Test], section: Section) -> Match {
        let mut found = Match::No { login_may_help: false };
        for (rule, test) in numbered(tests, section) {
            match self.holds(test) {
                Holds::Yes => return Match::Yes(rule),
                Holds::Unknown(reason) if matches!(found, Match::No { .. }) => {
                    found = Match::Unknown(rule, reason);
                }
                Holds::Unknown(_) | Holds::No => {}
            }
        }
        found
    }
}

fn numbered(tests: &[Test], section: Section) -> impl Iterator<Item = (RulePosition, &Test)> {
    tests.iter().enumerate().map(move |(index, test)| (RulePosition { section, index }, test))
}

impl Test {
    /// Whether another login of the same person could make it hold.
    pub(crate) fn may_ask_a_login(&self) -> bool {
        matches!(self, Self::Contexts(_) | Self::LoginBy(_) | Self::LoginAge(_) | Self::RuleGroup(_))
    }
}
