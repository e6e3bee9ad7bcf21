//! What the lint finds, and what it leaves in peace.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::time::Duration;

use portcullis_policy::{
    Action, ApplicationPolicies, Approval, Known, Policy, PolicySet, RuleGroup, Selector, Sources, Subject,
    lint,
};

fn group(name: &str) -> Selector {
    Selector::Group(vec![name.to_owned()])
}

fn email(address: &str) -> Selector {
    Selector::Email(vec![address.parse().unwrap()])
}

fn domain(name: &str) -> Selector {
    Selector::EmailDomain(vec![name.parse().unwrap()])
}

fn ip(network: &str) -> Selector {
    Selector::Ip(vec![network.parse().unwrap()])
}

fn paths(list: &[&str]) -> Selector {
    Selector::Path(list.iter().map(|it| it.parse().unwrap()).collect())
}

fn login(provider: &str) -> Selector {
    Selector::LoginMethod(vec![provider.to_owned()])
}

fn named(name: &str) -> Selector {
    Selector::RuleGroup(name.to_owned())
}

fn allow(name: &str, include: Vec<Selector>) -> Policy {
    Policy::new(name, Action::Allow, include)
}

fn block(name: &str, include: Vec<Selector>) -> Policy {
    Policy::new(name, Action::Block, include)
}

fn bypass(name: &str, include: Vec<Selector>) -> Policy {
    Policy::new(name, Action::Bypass, include)
}

fn rules(name: &str, include: Vec<Selector>) -> RuleGroup {
    RuleGroup { name: name.to_owned(), include, ..RuleGroup::default() }
}

/// What is found where one application `wiki`, which accepts logins of `okta` and `entra`, has these policies in this order: place and code.
fn found_with(policies: &[Policy], rule_groups: &[RuleGroup]) -> Vec<String> {
    let application = ApplicationPolicies {
        application: "wiki".to_owned(),
        policies: policies.iter().map(|policy| policy.name.clone()).collect(),
        login_methods: vec!["okta".to_owned(), "entra".to_owned()],
    };
    found_in(policies, rule_groups, &[application])
}

fn found_in(
    policies: &[Policy],
    rule_groups: &[RuleGroup],
    applications: &[ApplicationPolicies],
) -> Vec<String> {
    let providers = ["okta", "entra", "partners"].map(str::to_owned).to_vec();
    let known = Known { identity_providers: providers, ..Known::default() };
    let sources = Sources { policies, rule_groups, applications, known: &known };
    PolicySet::compile(&sources).unwrap_or_else(|faults| panic!("{faults:?}"));
    lint(&sources).iter().map(|finding| format!("{}: {}", finding.place, finding.kind.code())).collect()
}

fn found(policies: &[Policy]) -> Vec<String> {
    found_with(policies, &[])
}

const NOTHING: [&str; 0] = [];

#[test]
fn what_comes_after_a_policy_that_always_matches_is_unreachable() {
    let everyone = allow("all", vec![Selector::Everyone]);
    let staff = allow("staff", vec![group("Staff")]);
    assert_eq!(
        found(&[everyone.clone(), staff.clone()]),
        ["policy `all`: open_to_everyone", "policy `staff`: unreachable"]
    );
    assert_eq!(found(&[staff.clone(), everyone.clone()]), ["policy `all`: open_to_everyone"]);
    let open = bypass("open", vec![Selector::Everyone]);
    assert_eq!(found(&[staff.clone(), open]), ["policy `staff`: unreachable", "policy `open`: wide_bypass"]);
    let granted = Policy {
        approval: Some(Approval {
            approvers: vec![email("lead@corp.example")],
            longest: Duration::from_secs(60),
        }),
        ..everyone
    };
    assert_eq!(found(&[granted, staff]), NOTHING);
}

#[test]
fn a_policy_within_an_earlier_one_is_shadowed() {
    let wide = allow("wide", vec![group("A"), domain("corp.example")]);
    let narrow =
        Policy { require: vec![ip("10.0.0.0/8")], ..allow("narrow", vec![email("jane@corp.example")]) };
    assert_eq!(found(&[wide.clone(), narrow.clone()]), ["policy `narrow`: shadowed"]);
    assert_eq!(found(&[narrow.clone(), wide.clone()]), NOTHING);
    let hours = Policy { require: vec![ip("10.0.0.0/16")], ..wide.clone() };
    assert_eq!(found(&[hours, narrow.clone()]), NOTHING);
    let but_contractors = Policy { exclude: vec![group("Contractors")], ..wide };
    assert_eq!(found(&[but_contractors.clone(), narrow.clone()]), NOTHING);
    let also_without = Policy { exclude: vec![group("Contractors"), group("X")], ..narrow };
    assert_eq!(found(&[but_contractors, also_without]), ["policy `narrow`: shadowed"]);
}

#[test]
fn a_block_after_an_allow_of_the_same_people_blocks_nobody() {
    let staff = allow("staff", vec![domain("corp.example")]);
    let leaver = block("leaver", vec![email("joe@corp.example")]);
    assert_eq!(found(&[staff.clone(), leaver.clone()]), ["policy `leaver`: swallowed_block"]);
    assert_eq!(found(&[leaver, staff.clone()]), NOTHING);
    let office = bypass("office", vec![ip("192.0.2.0/24")]);
    let from_office =
        Policy { require: vec![ip("192.0.2.128/25")], ..block("there", vec![Selector::Everyone]) };
    assert_eq!(found(&[from_office, office]), ["policy `there`: swallowed_block"]);
}

#[test]
fn a_block_after_a_wider_allow_comes_late() {
    let staff = allow("staff", vec![domain("corp.example")]);
    let contractors = block("contractors", vec![group("Contractors")]);
    assert_eq!(found(&[staff.clone(), contractors.clone()]), ["policy `contractors`: late_block"]);
    assert_eq!(found(&[contractors.clone(), staff]), NOTHING);
    let break_glass = allow("break-glass", vec![email("root@corp.example")]);
    assert_eq!(found(&[break_glass, contractors.clone()]), NOTHING);
    let but = Policy { exclude: vec![group("Contractors")], ..allow("staff", vec![domain("corp.example")]) };
    assert_eq!(found(&[but, contractors]), NOTHING);
}

#[test]
fn what_nobody_can_meet_never_matches() {
    let two = Policy {
        require: vec![email("a@corp.example"), email("b@corp.example")],
        ..allow("two", vec![Selector::Everyone])
    };
    assert_eq!(found(&[two]), ["policy `two`, require entry 2: clashing_require"]);
    let elsewhere =
        Policy { require: vec![domain("corp.example")], ..allow("e", vec![email("a@other.example")]) };
    assert_eq!(found(&[elsewhere]), ["policy `e`: never_matches"]);
    let out = Policy { exclude: vec![group("A"), group("B")], ..allow("out", vec![group("A"), group("C")]) };
    assert_eq!(found(std::slice::from_ref(&out)), ["policy `out`, include entry 1: dead_entry"]);
    assert_eq!(found(&[Policy { include: vec![group("B")], ..out }]), ["policy `out`: never_matches"]);
    let both =
        Policy { require: vec![group("A"), group("B")], ..allow("both", vec![domain("corp.example")]) };
    assert_eq!(found(&[both]), NOTHING);
    let cut = RuleGroup { exclude: vec![group("A")], ..rules("cut", vec![group("A")]) };
    assert_eq!(
        found_with(&[allow("a", vec![named("cut"), group("B")])], &[cut]),
        ["rule group `cut`: never_matches"]
    );
}

#[test]
fn approvers_by_the_name_of_a_group_are_of_any_provider() {
    let granted = |approvers| Policy {
        approval: Some(Approval { approvers, longest: Duration::from_secs(60) }),
        ..allow("granted", vec![group("Staff")])
    };
    let told = ["policy `granted`, approvers entry 2: approvers_anywhere"];
    let of_okta = RuleGroup { require: vec![login("okta")], ..rules("leads", vec![group("Leads")]) };
    let lead = email("lead@corp.example");
    let named_leads = || granted(vec![lead.clone(), named("leads")]);
    assert_eq!(found_with(&[granted(vec![lead.clone(), group("Leads")])], &[]), told);
    assert_eq!(found_with(&[named_leads()], std::slice::from_ref(&of_okta)), NOTHING);
    let of_anybody = RuleGroup { require: Vec::new(), ..of_okta.clone() };
    assert_eq!(found_with(&[named_leads()], &[of_anybody]), told);
    let of_both =
        RuleGroup { require: vec![Selector::LoginMethod(vec!["okta".into(), "entra".into()])], ..of_okta };
    assert_eq!(found_with(&[named_leads()], &[of_both]), told);
}

#[test]
fn logins_that_do_not_count_never_match() {
    let subject = Subject { identity_provider: "partners".into(), subject: "00u1".into() };
    for entry in [login("partners"), Selector::Subject(vec![subject])] {
        assert_eq!(found(&[allow("p", vec![entry])]), ["policy `p`: foreign_login"]);
    }
    assert_eq!(found(&[allow("p", vec![login("partners"), group("A")])]), NOTHING);
}

#[test]
fn who_is_let_in_without_a_name_is_told() {
    let everyone = allow("all", vec![Selector::Everyone]);
    let with = |require| Policy { require: vec![require], ..everyone.clone() };
    for (require, open) in [
        (Selector::Amr(vec!["mfa".into()]), true),
        (login("okta"), true),
        (paths(&["/public"]), true),
        (group("A"), false),
        (ip("10.0.0.0/8"), false),
    ] {
        assert_eq!(!found(&[with(require.clone())]).is_empty(), open, "{require:?}");
    }
    assert_eq!(
        found_with(&[allow("g", vec![named("all")])], &[rules("all", vec![Selector::Everyone])]),
        ["policy `g`: open_to_everyone"]
    );
    assert_eq!(
        found(&[allow("m", vec![domain("gmail.com")])]),
        ["policy `m`, include entry 1: public_mail_domain"]
    );
    assert_eq!(found(&[block("m", vec![domain("gmail.com")])]), NOTHING);
}

#[test]
fn a_bypass_is_narrow_or_it_is_told() {
    for (entry, wide) in [
        (Selector::Everyone, true),
        (ip("0.0.0.0/0"), true),
        (ip("2001::/8"), true),
        (paths(&["/*"]), true),
        (Selector::Method(vec!["GET".into()]), true),
        (ip("10.0.0.0/8"), false),
        (paths(&["/healthz"]), false),
        (Selector::ValidCertificate, false),
    ] {
        assert_eq!(!found(&[bypass("b", vec![entry.clone()])]).is_empty(), wide, "{entry:?}");
    }
    let required = Policy { require: vec![paths(&["/hook"])], ..bypass("b", vec![Selector::Everyone]) };
    assert_eq!(found(&[required]), NOTHING);
}

#[test]
fn what_is_below_a_folder_is_not_the_folder() {
    for (list, told) in [
        (vec!["/admin/*"], true),
        (vec!["/admin/"], true),
        (vec!["/a/*/b/*"], true),
        (vec!["/admin/*", "/admin"], false),
        (vec!["/*"], false),
        (vec!["/admin/x/*", "/admin"], false),
    ] {
        assert_eq!(!found(&[block("b", vec![paths(&list)])]).is_empty(), told, "{list:?}");
    }
    assert_eq!(found(&[block("b", vec![paths(&["/a/*"]), paths(&["/a"])])]), NOTHING);
}

#[test]
fn what_decides_nothing_is_told() {
    let reporting = Policy { report_only: true, ..allow("later", vec![group("A")]) };
    assert_eq!(
        found(std::slice::from_ref(&reporting)),
        ["policy `later`: report_only", "application `wiki`: nothing_in_force"]
    );
    let all = allow("all", vec![group("A")]);
    assert_eq!(found(&[Policy { report_only: true, ..block("b", vec![group("A")]) }, all.clone()]).len(), 1);
    let bare = ApplicationPolicies { application: "bare".into(), policies: vec![], login_methods: vec![] };
    let groups = [
        rules("inner", vec![group("A")]),
        rules("outer", vec![named("inner")]),
        rules("x", vec![group("A")]),
    ];
    let user = allow("user", vec![named("outer")]);
    let with = ApplicationPolicies {
        application: "with".into(),
        policies: vec!["user".into()],
        login_methods: vec![],
    };
    assert_eq!(
        found_in(&[all, user], &groups, &[bare, with]),
        ["policy `all`: unattached", "rule group `x`: unused_rule_group", "application `bare`: no_policies"]
    );
}

#[test]
fn what_is_so_at_several_applications_is_one_finding() {
    let policies =
        [allow("staff", vec![domain("corp.example")]), block("one", vec![email("a@corp.example")])];
    let at = |name: &str| ApplicationPolicies {
        application: name.to_owned(),
        policies: vec!["staff".into(), "one".into()],
        login_methods: vec![],
    };
    let known = Known::default();
    let applications = ["a", "b", "c", "d", "e"].map(at);
    let sources =
        Sources { policies: &policies, rule_groups: &[], applications: &applications, known: &known };
    let found = lint(&sources);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "policy `one`: blocks nobody at `a`, `b`, `c` and 2 more: `staff` comes before it and lets in all whom it means"
    );
}
