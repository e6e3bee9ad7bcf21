//! One decision with everything that led to it: each policy in the order in which it is tried, each rule, what it asked and what was
//! there. Made beside a decision, not in place of it: it allocates freely.
//!
//! Wording for people and for programs is left to whoever shows it.

use crate::decision::{Decision, PolicyId, Reason, RulePosition};
use crate::facts::{Facts, Holds};
use crate::had::had;
use crate::matching::Match;
use crate::principal::Principal;
use crate::question::Question;
use crate::set::{ApplicationId, CompiledPolicy, PolicySet, Rules, Test};
use crate::source::{Action, Section, Selector};

/// Why a question is answered as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The answer, as [`PolicySet::decide`] gives it.
    pub decision: Decision,
    /// Why the login does not count for the application, whatever its policies say; those about people were not tried then.
    pub foreign_login: Option<Reason>,
    /// The application's policies in the order in which they are tried.
    pub policies: Vec<ExplainedPolicy>,
}

/// One policy of the application.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedPolicy {
    /// Which one.
    pub policy: PolicyId,
    /// Its name.
    pub name: String,
    /// What its match means.
    pub action: Action,
    /// Whether the walk came to it.
    pub tried: Tried,
    /// What came of it, or would have come of it.
    pub outcome: Outcome,
    /// The entry that says so.
    pub rule: Option<RulePosition>,
    /// All its entries.
    pub rules: Vec<ExplainedRule>,
}

/// Whether the walk came to a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It did, and went on.
    AndWentOn,
    /// It did, and ended there.
    AndEnded,
    /// An earlier policy had ended it.
    NotReached,
    /// It is about others: people, services.
    OfOthers,
    /// It is only reported.
    ReportOnly,
}

/// What comes of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It matches.
    Matches,
    /// It does not.
    DoesNotMatch,
    /// Nobody can say whether it does.
    Unknown(Reason),
    /// It would match if the person brought something.
    Lacks(Reason),
}

/// One entry of a policy or rule group.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedRule {
    /// Where it stands.
    pub position: RulePosition,
    /// What it asks.
    pub asked: Selector,
    /// Whether it holds.
    pub holds: Holds,
    /// What there was to compare with; empty where nothing is known, and for attributes, whose values are in documents that a decision
    /// does not see: [`Predicate::values`](crate::Predicate::values).
    pub had: Vec<String>,
    /// The entries of the rule group that it names.
    pub inner: Vec<ExplainedRule>,
}

impl PolicySet {
    /// The decision, and all that led to it. None for an application of another revision.
    #[must_use]
    pub fn explain(&self, id: ApplicationId, question: &Question<'_>) -> Option<Explanation> {
        let application = self.compiled(id)?;
        let decision = self.decide(id, question);
        let foreign_login = self.foreign_login(application, question.principal);
        let mut told = Teller { set: self, application: id.index, question, has_ended: false };
        let first = application.first.iter().map(|policy| told.policy(policy)).collect::<Vec<_>>();
        told.has_ended |= foreign_login.is_some();
        let then = application.then.iter().map(|policy| told.policy(policy));
        Some(Explanation { decision, foreign_login, policies: first.into_iter().chain(then).collect() })
    }
}

struct Teller<'a> {
    set: &'a PolicySet,
    application: usize,
    question: &'a Question<'a>,
    has_ended: bool,
}

impl Teller<'_> {
    fn policy(&mut self, policy: &CompiledPolicy) -> ExplainedPolicy {
        let facts = Facts::new(self.set, self.application, self.question);
        if policy.action == Action::Bypass {
            facts.ask_as(&Principal::Nobody);
        }
        let (outcome, rule) = match facts.matches(policy) {
            Match::Yes(rule) => (Outcome::Matches, Some(rule)),
            Match::No { .. } => (Outcome::DoesNotMatch, None),
            Match::Unknown(rule, reason) => (Outcome::Unknown(reason), Some(rule)),
            Match::Lacks(rule, reason) => (Outcome::Lacks(reason), Some(rule)),
        };
        let sections = self.set.source(policy.id).map(crate::Policy::sections);
        ExplainedPolicy {
            policy: policy.id,
            name: policy.name.to_string(),
            action: policy.action,
            tried: self.tried(policy, outcome),
            outcome,
            rule,
            rules: sections.map(|sections| self.rules(&facts, sections, &policy.rules)).unwrap_or_default(),
        }
    }

    fn tried(&mut self, policy: &CompiledPolicy, outcome: Outcome) -> Tried {
        let is_about = match policy.action {
            Action::Bypass => true,
            Action::ServiceAuth => matches!(self.question.principal, Principal::Service(_)),
            Action::Allow | Action::Block => matches!(self.question.principal, Principal::Person(_)),
        };
        if policy.report_only {
            Tried::ReportOnly
        } else if !is_about {
            Tried::OfOthers
        } else if self.has_ended {
            Tried::NotReached
        } else if policy.action.ends_at(outcome) {
            self.has_ended = true;
            Tried::AndEnded
        } else {
            Tried::AndWentOn
        }
    }

    fn rules(
        &self,
        facts: &Facts<'_>,
        sections: [(Section, &[Selector]); 3],
        rules: &Rules,
    ) -> Vec<ExplainedRule> {
        let mut told = Vec::new();
        for ((section, selectors), tests) in
            sections.into_iter().zip([&rules.include, &rules.require, &rules.exclude])
        {
            for (index, (selector, test)) in selectors.iter().zip(tests).enumerate() {
                let inner = match (selector, test) {
                    (Selector::RuleGroup(name), Test::RuleGroup(group)) => {
                        let source = self.set.rule_group(name).map(crate::RuleGroup::sections);
                        source.map(|source| self.rules(facts, source, &group.rules)).unwrap_or_default()
                    }
                    _ => Vec::new(),
                };
                told.push(ExplainedRule {
                    position: RulePosition { section, index },
                    asked: selector.clone(),
                    holds: facts.holds(test),
                    had: had(self.set, selector, self.question),
                    inner,
                });
            }
        }
        told
    }
}

impl Action {
    /// Whether the walk ends at a policy with this outcome.
    fn ends_at(self, outcome: Outcome) -> bool {
        match self {
            Self::Block => outcome != Outcome::DoesNotMatch,
            Self::Allow | Self::ServiceAuth | Self::Bypass => outcome == Outcome::Matches,
        }
    }
}
