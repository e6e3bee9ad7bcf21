//! Faults of the wider language, each with its place, through the public face.

use std::time::Duration;

use super::*;
use crate::PolicySet;
use crate::rule_group::{MAX_RULE_GROUP_DEPTH, MAX_RULE_GROUP_RULES};
use crate::source::{Approval, Known, RuleGroup, Subject};

fn group(name: &str, include: Vec<Selector>) -> RuleGroup {
    RuleGroup { name: name.into(), include, ..RuleGroup::default() }
}

fn names(name: &str) -> Selector {
    Selector::RuleGroup(name.into())
}

/// The faults as people read them.
fn told(policies: &[Policy], rule_groups: &[RuleGroup]) -> Vec<String> {
    let known =
        Known { identity_providers: vec!["okta".into()], external_evaluations: vec!["device".into()] };
    let sources = Sources { policies, rule_groups, applications: &[], known: &known };
    match PolicySet::compile(&sources) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_bypass_asks_nobody_who_they_are() {
    let free = || {
        vec![
            Selector::Everyone,
            Selector::Ip(vec!["10.0.0.0/8".parse().unwrap()]),
            Selector::Country(vec!["DE".parse().unwrap()]),
            Selector::Method(vec!["GET".into()]),
            Selector::Path(vec!["/a".parse().unwrap()]),
            Selector::ValidCertificate,
            Selector::CommonName(vec!["x".into()]),
            names("free"),
        ]
    };
    let mut sound = Policy::new("sound", Action::Bypass, free());
    (sound.require, sound.exclude) = (free(), free());
    let mut wrong = Policy::new("wrong", Action::Bypass, vec![Selector::Group(vec!["A".into()])]);
    wrong.require = vec![Selector::External("device".into()), Selector::AnyServiceToken];
    wrong.exclude = vec![names("who")];
    let groups = [
        group("free", vec![Selector::ValidCertificate]),
        group("who", vec![Selector::Everyone, names("inner")]),
        { group("inner", vec![Selector::Email(vec!["a@corp.example".parse().unwrap()])]) },
    ];
    let found = told(&[sound, wrong], &groups);
    let places: Vec<&str> = found.iter().filter_map(|text| text.split(':').next()).collect();
    let at = ["include entry 1", "require entry 1", "require entry 2", "exclude entry 1"];
    assert_eq!(places, at.map(|at| format!("policy `wrong`, {at}")));
    assert!(found.iter().all(|text| text.contains("a `bypass` asks nobody who they are")), "{found:?}");
}

#[test]
fn what_a_policy_has_beside_its_rules_fits_its_action() {
    let approval = |approvers| Some(Approval { approvers, longest: Duration::ZERO });
    let everyone = || vec![Selector::Everyone];
    let block = Policy {
        purpose_required: true,
        approval: approval(vec![]),
        ..Policy::new("b", Action::Block, everyone())
    };
    let bypass = Policy {
        session_duration: Some(Duration::from_secs(1)),
        ..Policy::new("y", Action::Bypass, everyone())
    };
    let allow = Policy {
        approval: approval(vec![Selector::AnyServiceToken, Selector::Group(vec![String::new()])]),
        ..Policy::new("a", Action::Allow, everyone())
    };
    assert_eq!(
        told(&[block, bypass, allow], &[]),
        [
            "policy `b`: a `block` policy asks nobody for a purpose",
            "policy `b`: a `block` policy grants nothing to people",
            "policy `b`: `approvers` needs at least one entry, or nobody can grant it",
            "policy `b`: the longest time of a grant is none at all",
            "policy `y`: `session_duration` is for policies that allow people",
            "policy `a`: the longest time of a grant is none at all",
            "policy `a`, approvers entry 1: an `allow` policy is about people, and this entry about services: use \
             `service_auth`",
            "policy `a`, approvers entry 2: a group's name is empty",
        ]
    );
}

#[test]
fn names_and_values_are_checked_in_policies_and_rule_groups() {
    let entries = || {
        vec![
            names("absent"),
            Selector::External("absent".into()),
            Selector::Subject(vec![Subject { identity_provider: "x".into(), subject: String::new() }]),
            Selector::Method(vec!["get".into(), "GET".into(), String::new()]),
            Selector::CommonName(vec![]),
            Selector::GroupId(vec![String::new()]),
        ]
    };
    let found =
        told(&[Policy::new("p", Action::Allow, entries())], &[group("g", entries()), group("", vec![])]);
    let faults = [
        "include entry 1: no rule group is named `absent`",
        "include entry 2: no external evaluation is named `absent`",
        "include entry 3: a text in the list is empty",
        "include entry 3: no identity provider is named `x`",
        "include entry 4: `get` is no method, such as \"GET\"",
        "include entry 4: `` is no method, such as \"GET\"",
        "include entry 5: the list is empty, so the entry never holds",
        "include entry 6: a text in the list is empty",
    ];
    let mut expected: Vec<String> = faults.iter().map(|fault| format!("policy `p`, {fault}")).collect();
    expected.push("rule group ``: the name is empty".into());
    expected.extend(faults.iter().map(|fault| format!("rule group `g`, {fault}")));
    expected.push("rule group ``: `include` needs at least one entry, or it never matches".into());
    assert_eq!(found, expected);
}

#[test]
fn a_circle_of_rule_groups_is_told_once_with_its_way() {
    let mut back = group("c", vec![Selector::Everyone]);
    back.exclude = vec![names("a")];
    let groups = [
        group("before", vec![names("a")]),
        group("a", vec![Selector::Everyone, names("b")]),
        group("b", vec![names("c")]),
        back,
        group("self", vec![names("self")]),
        group("a", vec![Selector::Everyone]),
    ];
    let policy = Policy::new("p", Action::Allow, vec![names("a")]);
    assert_eq!(
        told(&[policy], &groups),
        [
            "rule group `before`: rule groups name each other in a circle: `a` -> `b` -> `c` -> `a`",
            "rule group `self`: rule groups name each other in a circle: `self` -> `self`",
            "rule group `a`: another rule group has the same name",
        ]
    );
}

#[test]
fn rule_groups_are_bounded_in_depth_and_size() {
    let nested = |depth: usize| {
        let inner =
            |level: usize| if level == 1 { Selector::Everyone } else { names(&format!("g{}", level - 1)) };
        (1..=depth).map(|level| group(&format!("g{level}"), vec![inner(level)])).collect::<Vec<_>>()
    };
    assert_eq!(told(&[], &nested(MAX_RULE_GROUP_DEPTH)), Vec::<String>::new());
    let deep = format!("rule groups stand in one another more than {MAX_RULE_GROUP_DEPTH} deep");
    assert_eq!(
        told(&[], &nested(MAX_RULE_GROUP_DEPTH + 1)),
        [format!("rule group `g{}`: {deep}", MAX_RULE_GROUP_DEPTH + 1)]
    );
    assert!(!told(&[], &nested(10_000)).is_empty());

    let wide = |rules: usize| [group("wide", vec![Selector::Everyone; rules])];
    assert_eq!(told(&[], &wide(MAX_RULE_GROUP_RULES)), Vec::<String>::new());
    let large = format!("with the rule groups in it, it has more than {MAX_RULE_GROUP_RULES} rules");
    assert_eq!(told(&[], &wide(MAX_RULE_GROUP_RULES + 1)), [format!("rule group `wide`: {large}")]);
    // Ten times ten times ten: few entries, many rules.
    let doubling: Vec<RuleGroup> = (1..=MAX_RULE_GROUP_DEPTH)
        .map(|level| {
            let inner = if level == 1 { Selector::Everyone } else { names(&format!("d{}", level - 1)) };
            group(&format!("d{level}"), vec![inner; 10])
        })
        .collect();
    assert_eq!(told(&[], &doubling).first(), Some(&format!("rule group `d3`: {large}")));
}

#[test]
fn a_rule_group_that_can_hold_for_nobody_concerned_is_a_fault() {
    let mut both = group("both", vec![Selector::AnyServiceToken, Selector::Everyone]);
    let services = group("services", vec![Selector::AnyServiceToken]);
    let mut neither = group("neither", vec![Selector::AnyServiceToken]);
    neither.require = vec![Selector::Everyone];
    both.exclude = vec![Selector::Group(vec!["A".into()])];
    let groups = [both, services, neither];
    let of = |action: Action| {
        Policy::new(action.as_str(), action, ["both", "services", "neither"].map(names).into())
    };
    let useless = "the rule group can hold for nobody whom";
    assert_eq!(
        told(&[of(Action::Allow), of(Action::ServiceAuth)], &groups),
        [
            format!("policy `allow`, include entry 2: {useless} `allow` is about"),
            format!("policy `allow`, include entry 3: {useless} `allow` is about"),
            format!("policy `service_auth`, include entry 3: {useless} `service_auth` is about"),
        ]
    );
}

#[test]
fn what_rule_groups_ask_of_a_login_is_summed_up_with_the_policy() {
    let acr = |name: &str| Selector::Acr(vec![name.into()]);
    let mut strong = group("strong", vec![Selector::Everyone]);
    strong.require = vec![acr("1fa")];
    let mut policy = Policy::new("p", Action::Allow, vec![names("strong")]);
    policy.require = vec![acr("2fa")];
    assert_eq!(
        told(&[policy], &[strong]),
        ["policy `p`: no login has a context that all `acr` entries of `require` name"]
    );
}
