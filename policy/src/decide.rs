//! One decision: bypass and service_auth in the application's order, then allow and block; the first that matches ends the walk.
//!
//! Nothing here allocates, fails or waits. Whether one policy matches is `matching`'s matter, whether one rule holds that of `facts`.

use crate::decision::{Decision, PolicyId, Reason, RulePosition, Verdict};
use crate::facts::Facts;
use crate::matching::Match;
use crate::principal::Principal;
use crate::question::{Circumstances, Question};
use crate::set::{ApplicationId, CompiledApplication, CompiledPolicy, PolicySet};
use crate::source::Action;

/// A report-only policy that would have decided, if it did decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The policy.
    pub policy: PolicyId,
    /// What it would have decided.
    pub decision: Decision,
    /// Whether the verdict would have been another one.
    pub differs: bool,
}

impl PolicySet {
    /// Decides one request. Default deny.
    pub fn decide(&self, application: ApplicationId, question: &Question<'_>) -> Decision {
        self.decide_with(application, question, None)
    }

    /// Whether a request passes without anybody being asked who they are. To be asked before anything is looked at that says who asks.
    #[must_use]
    pub fn bypasses(
        &self,
        application: ApplicationId,
        circumstances: &Circumstances<'_>,
    ) -> Option<Decision> {
        let question = Question::new(&Principal::Nobody, circumstances);
        Some(self.decide(application, &question)).filter(Decision::is_allowed)
    }

    /// Whether the application has any policy by which a request could pass as nobody's.
    #[must_use]
    pub fn has_bypass(&self, application: ApplicationId) -> bool {
        let policies = self.compiled(application).map_or(&[][..], |it| &it.first);
        policies.iter().any(|policy| policy.action == Action::Bypass && !policy.report_only)
    }

    /// Which of the application's report-only policies would have decided this question, each as if it alone were in force.
    pub fn reports<'a>(
        &'a self,
        application: ApplicationId,
        question: &'a Question<'a>,
    ) -> impl Iterator<Item = Report> + 'a {
        let policies = self.compiled(application).into_iter().flat_map(CompiledApplication::policies);
        policies.filter(|policy| policy.report_only).filter_map(move |policy| {
            let decision = self.decide_with(application, question, Some(policy.id));
            let differs = || self.decide(application, question).verdict != decision.verdict;
            (decision.policy == Some(policy.id)).then(|| Report {
                policy: policy.id,
                decision,
                differs: differs(),
            })
        })
    }

    /// Whether somebody is among those who may grant what this policy would allow at the application. What is not known of them does not
    /// help, and a login that does not count for the application counts for nothing here: what another provider says of somebody, their
    /// groups above all, opens nothing of the application for others either.
    #[must_use]
    pub fn may_approve(&self, application: ApplicationId, policy: PolicyId, question: &Question<'_>) -> bool {
        let (Some(at), Some(compiled)) = (self.compiled(application), self.policy(policy)) else {
            return false;
        };
        let Principal::Person(_) = question.principal else { return false };
        if self.foreign_login(at, question.principal).is_some() {
            return false;
        }
        let facts = Facts::new(self, usize::MAX, question);
        compiled.approvers.iter().any(|test| facts.holds(test).is_certain())
    }

    /// With one policy of those that are report-only, or none.
    pub(crate) fn decide_with(
        &self,
        id: ApplicationId,
        question: &Question<'_>,
        in_force: Option<PolicyId>,
    ) -> Decision {
        let Some(application) = self.compiled(id) else {
            return Decision::without_policy(Reason::StaleApplication);
        };
        let is_in_force = |policy: &&CompiledPolicy| !policy.report_only || in_force == Some(policy.id);
        if !application.policies().any(|policy| is_in_force(&policy)) {
            return Decision::without_policy(Reason::NoPolicies);
        }
        let mut walk = Walk { facts: Facts::new(self, id.index, question), way: None, first_doubt: None };
        let decision = walk.through(application, question.principal, is_in_force);
        let unanswered = walk.facts.unanswered.get().filter(|_| !decision.is_allowed());
        Decision { until: walk.facts.until.get(), unanswered, ..decision }
    }

    /// Why a login does not count for an application, whatever its policies say. A service has none that could be wrong.
    pub(crate) fn foreign_login(
        &self,
        application: &CompiledApplication,
        principal: &Principal,
    ) -> Option<Reason> {
        let (Some(accepted), Principal::Person(person)) = (&application.login_methods, principal) else {
            return None;
        };
        match person.login_method {
            Some(method) if method.revision != self.revision => Some(Reason::UnknownLoginMethod),
            Some(method) if accepted.contains(&method.id) => None,
            _ => Some(Reason::LoginElsewhere),
        }
    }
}

impl Decision {
    fn by(policy: &CompiledPolicy, rule: RulePosition, verdict: Verdict, reason: Reason) -> Self {
        Self { policy: Some(policy.id), rule: Some(rule), verdict, ..Self::without_policy(reason) }
    }

    fn without_policy(reason: Reason) -> Self {
        let verdict = Verdict::Deny;
        Self { verdict, reason, policy: None, rule: None, until: i64::MAX, unanswered: None }
    }
}

struct Walk<'a> {
    facts: Facts<'a>,
    /// What would open the first way that is open to this person, all else being in order.
    way: Option<Decision>,
    first_doubt: Option<Decision>,
}

impl<'a> Walk<'a> {
    /// A block ends the walk, but not a way that was open before it: who logs in as an earlier allow asks would not come to
    /// the block.
    fn through(
        &mut self,
        application: &CompiledApplication,
        principal: &'a Principal,
        is_in_force: impl Fn(&&CompiledPolicy) -> bool,
    ) -> Decision {
        let mut has_service_auth = false;
        for policy in application.first.iter().map(AsRef::as_ref).filter(&is_in_force) {
            let is_bypass = policy.action == Action::Bypass;
            has_service_auth |= !is_bypass;
            if !is_bypass && !matches!(principal, Principal::Service(_)) {
                continue;
            }
            self.facts.ask_as(if is_bypass { &Principal::Nobody } else { principal });
            if let Some(end) = self.at(policy) {
                return end;
            }
        }
        self.facts.ask_as(principal);
        let nothing = match principal {
            Principal::Nobody => return Decision::without_policy(Reason::NoIdentity),
            Principal::Service(_) if !has_service_auth => Reason::NoServiceAuth,
            Principal::Service(_) | Principal::Person(_) => Reason::NoPolicyMatched,
        };
        if let Some(reason) = self.facts.set.foreign_login(application, principal) {
            self.facts.unanswered.set(None);
            return Decision::without_policy(reason);
        }
        if let Principal::Person(_) = principal {
            for policy in application.then.iter().map(AsRef::as_ref).filter(&is_in_force) {
                if let Some(end) = self.at(policy) {
                    return end;
                }
            }
        }
        self.way.or(self.first_doubt).unwrap_or(Decision::without_policy(nothing))
    }

    /// The decision, if the walk ends at this policy.
    fn at(&mut self, policy: &CompiledPolicy) -> Option<Decision> {
        let asked_before = self.facts.unanswered.get();
        let deny = |rule, reason| Decision::by(policy, rule, Verdict::Deny, reason);
        match (policy.action, self.facts.matches(policy)) {
            (_, Match::No { .. }) => {
                // Whatever an evaluation would say, this policy does not match.
                self.facts.unanswered.set(asked_before);
                None
            }
            (Action::Block, Match::Yes(rule)) => {
                self.facts.unanswered.set(asked_before);
                Some(self.way.unwrap_or(deny(rule, Reason::BlockedByPolicy)))
            }
            (Action::Block, Match::Unknown(rule, reason) | Match::Lacks(rule, reason)) => {
                Some(self.way.unwrap_or(deny(rule, reason)))
            }
            (Action::Allow, Match::Yes(rule)) => {
                Some(Decision::by(policy, rule, Verdict::Allow, Reason::AllowedByPolicy))
            }
            (Action::ServiceAuth, Match::Yes(rule)) => {
                Some(Decision::by(policy, rule, Verdict::Allow, Reason::AllowedByServiceAuth))
            }
            (Action::Bypass, Match::Yes(rule)) => {
                Some(Decision::by(policy, rule, Verdict::Allow, Reason::Bypassed))
            }
            // Who a bypass does not let pass for certain is asked who they are, and that is all.
            (Action::Bypass, Match::Unknown(..) | Match::Lacks(..)) => None,
            (Action::Allow | Action::ServiceAuth, Match::Lacks(rule, reason)) => {
                self.way.get_or_insert(deny(rule, reason));
                None
            }
            (Action::Allow | Action::ServiceAuth, Match::Unknown(rule, reason)) => {
                self.first_doubt.get_or_insert(deny(rule, reason));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
