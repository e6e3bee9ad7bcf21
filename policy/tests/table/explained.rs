//! An explanation says what was decided, and says enough that the decision can be made again from it.

use portcullis_policy::{
    Action, ExplainedPolicy, ExplainedRule, Explanation, Holds, Outcome, PolicyId, Principal, Reason,
    Section, Tried, Verdict,
};

use super::form;

#[test]
fn every_decision_of_the_table_follows_from_its_explanation() {
    let mut explained = 0;
    for (name, file) in form::files() {
        let (set, other) = (file.compile(false), file.compile(true));
        for case in &file.case {
            case.ask(&set, &other, &file, |application, question| {
                let decision = set.decide(application, question);
                let Some(explanation) = set.explain(application, question) else {
                    assert_eq!(decision.reason, Reason::StaleApplication);
                    return;
                };
                let place = format!("{name}: {}", case.name);
                assert_eq!(explanation.decision, decision, "{place}");
                follows(&explanation, question.principal, &place);
                explained += 1;
            });
        }
    }
    assert!(explained >= super::DECISIONS - 1, "{explained}");
}

/// The decision made again from what is said of each policy, and each policy's outcome from what is said of its rules.
pub(super) fn follows(explanation: &Explanation, principal: &Principal, place: &str) {
    let Explanation { decision, policies, .. } = explanation;
    for policy in policies {
        let outcome = from_rules(&policy.rules);
        match policy.outcome {
            Outcome::Matches | Outcome::Lacks(Reason::ApprovalRequired | Reason::PurposeRequired) => {
                assert_eq!(outcome, Some(true), "{place}: {}", policy.name);
            }
            Outcome::DoesNotMatch => assert_eq!(outcome, Some(false), "{place}: {}", policy.name),
            Outcome::Unknown(_) => assert_eq!(outcome, None, "{place}: {}", policy.name),
            Outcome::Lacks(_) => assert_ne!(outcome, Some(true), "{place}: {}", policy.name),
        }
    }
    assert_eq!((decision.verdict, decision.policy), from_policies(explanation, principal), "{place}");
    let deciding = policies.iter().find(|policy| Some(policy.policy) == decision.policy);
    assert_eq!(decision.rule, deciding.and_then(|policy| policy.rule), "{place}");
}

fn from_policies(explanation: &Explanation, principal: &Principal) -> (Verdict, Option<PolicyId>) {
    let policies = &explanation.policies;
    let went_on = |wanted: fn(&ExplainedPolicy) -> bool| {
        let passed = policies.iter().filter(|it| it.tried == Tried::AndWentOn && it.action != Action::Bypass);
        passed.into_iter().find(|it| wanted(it)).map(|it| it.policy)
    };
    let way = went_on(|it| matches!(it.outcome, Outcome::Lacks(_)));
    let doubt = went_on(|it| matches!(it.outcome, Outcome::Unknown(_)));
    match policies.iter().find(|it| it.tried == Tried::AndEnded) {
        Some(end) if end.action == Action::Block => (Verdict::Deny, way.or(Some(end.policy))),
        Some(end) => (Verdict::Allow, Some(end.policy)),
        None if explanation.foreign_login.is_some() || *principal == Principal::Nobody => {
            (Verdict::Deny, None)
        }
        None => (Verdict::Deny, way.or(doubt)),
    }
}

/// In three values, each rule group's entries before the group.
fn from_rules(rules: &[ExplainedRule]) -> Option<bool> {
    let in_section = |section| rules.iter().filter(move |rule| rule.position.section == section).map(truth);
    let any = |values: &mut dyn Iterator<Item = Option<bool>>| {
        let all: Vec<_> = values.collect();
        if all.contains(&Some(true)) {
            Some(true)
        } else if all.contains(&None) {
            None
        } else {
            Some(false)
        }
    };
    let included = any(&mut in_section(Section::Include));
    let lacking = any(&mut in_section(Section::Require).map(|held| held.map(|held| !held)));
    let excluded = any(&mut in_section(Section::Exclude));
    if included == Some(false) || lacking == Some(true) || excluded == Some(true) {
        return Some(false);
    }
    (included == Some(true) && lacking == Some(false) && excluded == Some(false)).then_some(true)
}

fn truth(rule: &ExplainedRule) -> Option<bool> {
    let held = match rule.holds {
        Holds::Yes => Some(true),
        Holds::No => Some(false),
        Holds::Unknown(_) => None,
    };
    if !rule.inner.is_empty() {
        assert_eq!(from_rules(&rule.inner), held, "{}", rule.asked);
    }
    held
}
