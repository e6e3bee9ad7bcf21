//! A decision with all that led to it, in words: for somebody who has not seen the code, in short for a failed case, and as JSON.

use std::fmt::Write;

use portcullis_policy::{
    Action, Decision, ExplainedPolicy, ExplainedRule, Explanation, Holds, Outcome, Policy, Reason,
    RulePosition, Section, Selector, Tried, Verdict,
};
use serde_json::{Value, json};

use super::asked::Request;
use super::judge::Judge;
use super::persona::Asker;

/// `ALLOWED by policy engineers (include entry 1)`, and a sentence on why.
pub(super) fn headline(judge: &Judge, decision: &Decision) -> String {
    let verdict = match decision.verdict {
        Verdict::Allow => "ALLOWED",
        Verdict::Deny => "DENIED",
    };
    // What is missing is no entry of a list.
    let rule = decision.rule.filter(|_| !is_errand(decision.reason));
    let rule = rule.map(|rule| format!(", {}", entry(rule))).unwrap_or_default();
    let by = judge.policy_of(decision).map(|name| format!(" by policy `{name}`{rule}")).unwrap_or_default();
    format!("{verdict}{by}\n  {}: {}.", decision.reason, meaning(decision.reason))
}

/// Whether what is missing is done on a page of ours, and stands in no list of a policy.
fn is_errand(reason: Reason) -> bool {
    matches!(reason, Reason::PurposeRequired | Reason::ApprovalRequired)
}

/// What a reason means, for somebody who has not seen the code.
fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::AllowedByPolicy => "it is the first policy that matches, and it allows",
        Reason::AllowedByServiceAuth => "it is the first policy about services that matches",
        Reason::Bypassed => "a bypass lets the request in without asking who it is",
        Reason::BlockedByPolicy => "it is the first policy that matches, and it blocks",
        Reason::NoPolicyMatched => "no policy of the application matches, and without one the answer is no",
        Reason::NoPolicies => "the application has no policy in force, and without one the answer is no",
        Reason::NoServiceAuth => "a service asks, and no policy of the application is about services",
        Reason::NoIdentity => {
            "nobody is logged in, and no bypass opens this request: a browser is sent to log in"
        }
        Reason::StaleApplication | Reason::StaleGroups | Reason::StaleAttributes => {
            "the facts belong to other policies than these"
        }
        Reason::UnprovedGroup => {
            "whether the person is in the group is told by somebody whose word does not count"
        }
        Reason::NoDirectoryRecord => "the policy asks for a record in the directory, and there is none",
        Reason::UnknownSubject => {
            "the policy asks who the person is to their provider, and that is not known"
        }
        Reason::UnknownLoginMethod => "the policy asks for the provider of the login, and that is not known",
        Reason::NoVerifiedEmail => "the policy asks for an e-mail address, and none was verified",
        Reason::LoginElsewhere => "the application does not accept logins of this provider",
        Reason::UnknownCountry => "the policy asks for the country, and that of the address is not known",
        Reason::UnknownMethod => "the policy asks for the method, and that is not known",
        Reason::UnclearPath => {
            "the policy asks for the path, and only some servers would read it as the policy means"
        }
        Reason::UnknownCertificate => {
            "the policy asks for a client certificate, and what the client showed is not known"
        }
        Reason::NotEvaluated => {
            "the policy asks an external evaluation, and it was not asked (--external NAME=yes)"
        }
        Reason::EvaluationFailed => {
            "the policy asks an external evaluation, and it gave no answer that counts"
        }
        Reason::LoginNotDescribed => "the policy asks how or when the login was made, and that is not known",
        Reason::StepUpRequired => {
            "the policy would allow after a stronger or newer login: a browser is sent to make it"
        }
        Reason::PurposeRequired => {
            "the policy would allow, once they say what they need the application for: a browser is sent to a page that asks"
        }
        Reason::ApprovalRequired => {
            "the policy would allow, once somebody who may has granted it for a while: a browser is sent to a page for asking"
        }
    }
}

fn entry(rule: RulePosition) -> String {
    format!("{} entry {}", rule.section, rule.index.saturating_add(1))
}

/// One line for each policy that the walk came to.
pub(super) fn short(explanation: &Explanation, asker: &Asker) -> String {
    let mut text = String::new();
    let mut not_reached = 0;
    for policy in &explanation.policies {
        if policy.tried == Tried::NotReached {
            not_reached += 1;
            continue;
        }
        let _ =
            writeln!(text, "    {} `{}` {}{}", policy.action, policy.name, fate(policy), why(policy, asker));
    }
    if not_reached > 0 {
        let _ = writeln!(text, "    and {not_reached} more that are not reached");
    }
    text
}

/// What became of a policy.
fn fate(policy: &ExplainedPolicy) -> String {
    let outcome = match policy.outcome {
        Outcome::Matches => "matches".to_owned(),
        Outcome::DoesNotMatch => "does not match".to_owned(),
        Outcome::Unknown(reason) => {
            let then = match policy.action {
                Action::Block => "so it blocks",
                Action::Allow | Action::ServiceAuth => "so it allows nobody",
                _ => "so it lets nothing pass",
            };
            format!("cannot be evaluated ({reason}), {then}")
        }
        Outcome::Lacks(reason) => format!("would match, but for one thing ({reason})"),
    };
    match policy.tried {
        Tried::AndEnded => format!("{outcome}: the walk ends here"),
        Tried::AndWentOn => outcome,
        Tried::NotReached => "is not reached".to_owned(),
        Tried::OfOthers => match policy.action {
            Action::ServiceAuth => "is about services, and no service asks".to_owned(),
            _ => "is about people, and no person asks".to_owned(),
        },
        Tried::ReportOnly => format!("{outcome}, and is only reported"),
    }
}

/// What keeps a policy from matching, in a few words.
fn obstacle(policy: &ExplainedPolicy) -> String {
    if policy.outcome != Outcome::DoesNotMatch || policy.tried == Tried::OfOthers {
        return String::new();
    }
    let find = |section, holds| {
        let found = policy.rules.iter().find(|it| it.position.section == section && it.holds == holds);
        found.map(|rule| entry(rule.position))
    };
    let mut include = policy.rules.iter().filter(|rule| rule.position.section == Section::Include);
    if include.all(|rule| rule.holds == Holds::No) {
        return ": no include entry holds".to_owned();
    }
    let failed = find(Section::Require, Holds::No).map(|entry| format!(": {entry} does not hold"));
    let failed = failed.or_else(|| Some(format!(": {} holds", find(Section::Exclude, Holds::Yes)?)));
    failed.unwrap_or_default()
}

/// The entry that tells most, for one line.
fn why(policy: &ExplainedPolicy, asker: &Asker) -> String {
    if policy.outcome != Outcome::DoesNotMatch || matches!(policy.tried, Tried::OfOthers) {
        return policy.rule.map(|rule| format!(", by {}", entry(rule))).unwrap_or_default();
    }
    let of = |section| policy.rules.iter().filter(move |rule| rule.position.section == section);
    if of(Section::Include).all(|rule| rule.holds == Holds::No) {
        let rules: Vec<String> = of(Section::Include).take(3).map(|rule| compared(rule, asker)).collect();
        return format!(": no include entry holds: {}", rules.join("; "));
    }
    let failed = of(Section::Require).find(|rule| rule.holds == Holds::No);
    let failed = failed.or_else(|| of(Section::Exclude).find(|rule| rule.holds == Holds::Yes));
    failed.map(|rule| format!(": {} {}", entry(rule.position), compared(rule, asker))).unwrap_or_default()
}

/// `group = "Engineering", had Finance`
fn compared(rule: &ExplainedRule, asker: &Asker) -> String {
    let had = told(rule, asker).map(|had| format!(", {had}")).unwrap_or_default();
    format!("{}{had}", rule.asked)
}

/// Of many groups, those that are told.
const GROUPS_TOLD: usize = 5;

/// `had Finance`, with the groups that a person is in also where no policy names them.
fn told(rule: &ExplainedRule, asker: &Asker) -> Option<String> {
    let mut had = match (&rule.asked, rule.holds, asker.persona()) {
        (Selector::Group(asked), Holds::Yes | Holds::No, Some(persona)) => {
            let mut groups = persona.groups.clone();
            groups.sort_by_key(|group| !asked.contains(group));
            groups
        }
        _ => had(rule, asker),
    };
    if matches!(rule.asked, Selector::Group(_)) && had.len() > GROUPS_TOLD {
        let more = had.len() - GROUPS_TOLD;
        had.truncate(GROUPS_TOLD);
        had.push(format!("and {more} more"));
    }
    (!had.is_empty()).then(|| format!("had {}", had.join(", ")))
}

/// What there was to compare with; nothing for entries that compare nothing.
fn had(rule: &ExplainedRule, asker: &Asker) -> Vec<String> {
    if let (Selector::Attribute(predicate), Some(persona)) = (&rule.asked, asker.persona()) {
        let attributes = persona.attributes();
        let values = predicate.values(&attributes).into_iter().map(|(name, values)| {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            let none =
                if name.starts_with("user.") && attributes.user.is_none() { "no record" } else { "nothing" };
            format!("{name}: {}", if values.is_empty() { none.to_owned() } else { values.join(", ") })
        });
        return values.collect();
    }
    rule.had.clone()
}

/// Every policy and every rule.
pub(super) fn long((judge, request): (&Judge, &Request), explanation: &Explanation, asker: &Asker) -> String {
    let mut text = String::new();
    if let Some(reason) = explanation.foreign_login {
        let _ = writeln!(text, "Policies about people are not tried: {} ({reason}).\n", meaning(reason));
    }
    for (index, policy) in explanation.policies.iter().enumerate() {
        let number = index.saturating_add(1);
        let (fate, obstacle) = (fate(policy), obstacle(policy));
        let _ = writeln!(text, "{number}. {} `{}` {fate}{obstacle}", policy.action, policy.name);
        if policy.tried == Tried::OfOthers {
            continue;
        }
        let errand = match policy.outcome {
            Outcome::Lacks(reason) if is_errand(reason) => Some(reason),
            _ => None,
        };
        let telling = policy.rule.filter(|_| policy.tried != Tried::NotReached && errand.is_none());
        rules(&mut text, &policy.rules, telling, 1, asker);
        beside_rules(&mut text, judge.set().source(policy.policy), request, asker, errand);
    }
    if explanation.policies.is_empty() {
        text.push_str("The application has no policies.\n");
    }
    text
}

/// What a policy wants beside its rules, and whether it was given.
fn beside_rules(
    text: &mut String,
    policy: Option<&Policy>,
    request: &Request,
    asker: &Asker,
    missing: Option<Reason>,
) {
    let (Some(policy), Some(persona)) = (policy, asker.persona()) else { return };
    let application = &request.application;
    let granted = |(of, by, until): &(String, String, i64)| {
        of == application && *by == policy.name && request.at.now < *until
    };
    let mut wanted = Vec::new();
    if let Some(approval) = &policy.approval {
        let longest = format!("granted by an approver, for {}s at most", approval.longest.as_secs());
        wanted.push((longest, persona.grants.iter().any(granted), Reason::ApprovalRequired));
    }
    if policy.purpose_required {
        let given = persona.purposes.contains(application);
        wanted.push(("a purpose, said once in each login".to_owned(), given, Reason::PurposeRequired));
    }
    if !wanted.is_empty() {
        text.push_str("   and besides\n");
    }
    for (index, (what, holds, reason)) in wanted.iter().enumerate() {
        let (number, holds) = (index.saturating_add(1), if *holds { "yes" } else { "no " });
        let mark = if missing == Some(*reason) { " <- this is missing" } else { "" };
        let _ = writeln!(text, "{}", format!("     {number}. {what:<RULE_WIDTH$} {holds}{mark}").trim_end());
    }
}

/// Rules wider than this push what follows them to the right.
const RULE_WIDTH: usize = 44;

fn rules(
    text: &mut String,
    rules: &[ExplainedRule],
    telling: Option<RulePosition>,
    depth: usize,
    asker: &Asker,
) {
    let mut section = None;
    for rule in rules {
        let indent = "   ".repeat(depth);
        if section != Some(rule.position.section) {
            section = Some(rule.position.section);
            let heading = match rule.position.section {
                Section::Include => "include (any must hold)",
                Section::Require => "require (all must hold)",
                Section::Exclude => "exclude (none may hold)",
            };
            let _ = writeln!(text, "{indent}{heading}");
        }
        let holds = match rule.holds {
            Holds::Yes => "yes".to_owned(),
            Holds::No => "no ".to_owned(),
            Holds::Unknown(reason) => format!("?   {reason}"),
        };
        let had = told(rule, asker).map(|had| format!("  {had}")).unwrap_or_default();
        let mark = if telling == Some(rule.position) { "  <- this one" } else { "" };
        let number = rule.position.index.saturating_add(1);
        let asked = rule.asked.to_string();
        let line = format!("{indent}  {number}. {asked:<RULE_WIDTH$} {holds}{had}{mark}");
        let _ = writeln!(text, "{}", line.trim_end());
        if !rule.inner.is_empty() {
            self::rules(text, &rule.inner, None, depth.saturating_add(2), asker);
        }
    }
}

/// The same for programs.
pub(super) fn json(judge: &Judge, explanation: &Explanation, asker: &Asker) -> Value {
    let decision = &explanation.decision;
    let policies: Vec<Value> = explanation.policies.iter().map(|policy| policy_json(policy, asker)).collect();
    json!({
        "verdict": decision.verdict.as_str(),
        "reason": decision.reason.as_str(),
        "policy": judge.policy_of(decision),
        "rule": decision.rule.map(|rule| rule.to_string()),
        "until": Some(decision.until).filter(|until| *until != i64::MAX),
        "foreign_login": explanation.foreign_login.map(Reason::as_str),
        "policies": policies,
    })
}

fn policy_json(policy: &ExplainedPolicy, asker: &Asker) -> Value {
    let (outcome, reason) = match policy.outcome {
        Outcome::Matches => ("matches", None),
        Outcome::DoesNotMatch => ("does_not_match", None),
        Outcome::Unknown(reason) => ("unknown", Some(reason)),
        Outcome::Lacks(reason) => ("lacks", Some(reason)),
    };
    let tried = match policy.tried {
        Tried::AndWentOn => "and_went_on",
        Tried::AndEnded => "and_ended",
        Tried::NotReached => "not_reached",
        Tried::OfOthers => "of_others",
        Tried::ReportOnly => "report_only",
    };
    let rules: Vec<Value> = policy.rules.iter().map(|rule| rule_json(rule, asker)).collect();
    json!({
        "policy": policy.name,
        "action": policy.action.as_str(),
        "tried": tried,
        "outcome": outcome,
        "reason": reason.map(Reason::as_str),
        "rule": policy.rule.map(|rule| rule.to_string()),
        "rules": rules,
    })
}

fn rule_json(rule: &ExplainedRule, asker: &Asker) -> Value {
    let (holds, reason) = match rule.holds {
        Holds::Yes => ("yes", None),
        Holds::No => ("no", None),
        Holds::Unknown(reason) => ("unknown", Some(reason)),
    };
    let inner: Vec<Value> = rule.inner.iter().map(|rule| rule_json(rule, asker)).collect();
    json!({
        "rule": rule.position.to_string(),
        "asked": rule.asked.to_string(),
        "holds": holds,
        "reason": reason.map(Reason::as_str),
        "had": had(rule, asker),
        "rules": inner,
    })
}
