//! Every file of `decisions/` holds policies, applications and cases; adding a case is adding lines or a file.
//!
//! The shape of the product's own configuration file is left to the gateway.
#![allow(clippy::panic, clippy::unwrap_used, reason = "test code: a panic is how it fails")]

mod explained;
mod form;
mod matrix;
mod wider;

use std::collections::HashSet;

use form::{Case, Expect, File, Reported};
use portcullis_policy::{PolicySet, Reason};

/// How many decisions the table has at least.
const DECISIONS: usize = 300;

#[test]
fn every_case_of_every_file_is_decided_as_written() {
    let mut failures = Vec::new();
    let mut reasons = HashSet::new();
    let mut count = 0;
    for (name, file) in form::files() {
        assert!(!file.case.is_empty(), "{name} holds no case");
        let (set, other) = (file.compile(false), file.compile(true));
        let mut names = HashSet::new();
        for case in &file.case {
            assert!(names.insert(&case.name), "{name}: two cases named `{}`", case.name);
            let found = found(&set, &other, &file, case);
            if !case.expect.is_met_by(&found) {
                failures.push(format!("{name}: {}\n  {found:?}, not\n  {:?}", case.name, case.expect));
            }
            reasons.insert(found.reason);
            count += 1;
        }
    }
    assert!(failures.is_empty(), "{} cases failed\n{}", failures.len(), failures.join("\n"));
    for reason in Reason::ALL {
        assert!(reasons.contains(reason.as_str()), "no case ends with {reason}");
    }
    assert!(count >= DECISIONS, "{count} decisions, fewer than {DECISIONS}");
}

fn found(set: &PolicySet, other: &PolicySet, file: &File, case: &Case) -> Expect {
    case.ask(set, other, file, |application, question| {
        let decision = set.decide(application, question);
        let reports = set.reports(application, question).map(|report| Reported {
            policy: set.policy_name(report.policy).unwrap().to_owned(),
            verdict: report.decision.verdict.to_string(),
            reason: report.decision.reason.to_string(),
            differs: report.differs,
        });
        Expect {
            verdict: decision.verdict.to_string(),
            reason: decision.reason.to_string(),
            policy: decision.policy.map(|id| set.policy_name(id).unwrap().to_owned()),
            rule: decision.rule.map(|rule| rule.to_string()),
            lasts: (decision.until < i64::MAX).then(|| decision.until - question.circumstances.now),
            unanswered: decision.unanswered.map(|id| set.evaluation_name(id).unwrap().to_owned()),
            reports: Some(reports.collect()),
        }
    })
}
