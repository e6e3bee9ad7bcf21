//! Faults and ids, through the public face.

use super::*;
use crate::fault::{Fault, Place};
use crate::source::{Known, Section};
use crate::step_up::MAX_STEP_UP_BYTES;
use std::time::Duration;

fn allow(name: &str, include: Vec<Selector>) -> Policy {
    Policy::new(name, Action::Allow, include)
}

fn compile(
    policies: &[Policy],
    applications: &[ApplicationPolicies],
    known: &Known,
) -> Result<PolicySet, Vec<CompileFault>> {
    PolicySet::compile(&Sources { policies, rule_groups: &[], applications, known })
}

fn uses(application: &str, policies: &[&str]) -> ApplicationPolicies {
    ApplicationPolicies {
        application: application.into(),
        policies: policies.iter().map(ToString::to_string).collect(),
        login_methods: vec![],
    }
}

fn known() -> Known {
    Known { identity_providers: vec!["okta".into(), "partners".into()], ..Known::default() }
}

#[test]
fn all_faults_are_reported_at_once_with_their_places() {
    let mut wrong = allow("wrong", vec![]);
    wrong.require = vec![Selector::Everyone, Selector::LoginMethod(vec!["okta".into(), "nobody".into()])];
    wrong.exclude = vec![Selector::Group(vec![]), Selector::Group(vec![String::new()])];
    let policies = [
        allow("fine", vec![Selector::Everyone]),
        wrong,
        allow("fine", vec![Selector::Email(vec![])]),
        allow("", vec![Selector::EmailDomain(vec![]), Selector::Ip(vec![]), Selector::LoginMethod(vec![])]),
    ];
    let mut applications =
        [uses("wiki", &["fine", "absent", "fine"]), uses("wiki", &[]), uses("", &["fine"])];
    applications[2].login_methods = vec!["okta".into(), "nobody".into()];
    let faults = compile(&policies, &applications, &known()).unwrap_err();
    let policy = |name: &str, index| Place::Policy { name: name.into(), index };
    let rule =
        |policy: &str, index, section, rule| Place::Rule { policy: policy.into(), index, section, rule };
    let listed = |position| Place::ApplicationPolicy { application: "wiki".into(), index: 0, position };
    let application = |name: &str, index| Place::Application { name: name.into(), index };
    let expected = [
        (policy("wrong", 1), Fault::EmptyInclude),
        (rule("wrong", 1, Section::Require, 1), Fault::UnknownLoginMethod("nobody".into())),
        (rule("wrong", 1, Section::Exclude, 0), Fault::EmptySelector),
        (rule("wrong", 1, Section::Exclude, 1), Fault::EmptyGroupName),
        (policy("fine", 2), Fault::DuplicatePolicy),
        (rule("fine", 2, Section::Include, 0), Fault::EmptySelector),
        (policy("", 3), Fault::EmptyName),
        (rule("", 3, Section::Include, 0), Fault::EmptySelector),
        (rule("", 3, Section::Include, 1), Fault::EmptySelector),
        (rule("", 3, Section::Include, 2), Fault::EmptySelector),
        (listed(1), Fault::UnknownPolicy("absent".into())),
        (listed(2), Fault::RepeatedPolicy("fine".into())),
        (application("wiki", 1), Fault::DuplicateApplication),
        (application("", 2), Fault::EmptyName),
        (application("", 2), Fault::UnknownLoginMethod("nobody".into())),
    ];
    let found: Vec<_> = faults.into_iter().map(|it| (it.place, it.fault)).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_no_login_can_bring_is_a_fault() {
    let acr = |names: &[&str]| Selector::Acr(names.iter().map(ToString::to_string).collect());
    let amr = |name: &str| Selector::Amr(vec![name.to_owned()]);
    let requiring = |name: &str, require| Policy { require, ..allow(name, vec![Selector::Everyone]) };
    let long = "x".repeat(MAX_STEP_UP_BYTES - 3);
    let policies = [
        requiring("disjoint", vec![acr(&["1fa"]), acr(&["2fa", "phr"])]),
        requiring("common", vec![acr(&["phr", "2fa"]), acr(&["2fa", "1fa"])]),
        requiring("spaced", vec![amr("a b"), amr("\""), amr("é"), amr(""), acr(&["\\"])]),
        requiring("at the limit", vec![amr(&long)]),
        requiring("over the limit", vec![amr(&format!("{long}x"))]),
        Policy {
            action: Action::Block,
            session_duration: Some(Duration::from_secs(1)),
            ..allow("block", vec![Selector::Everyone])
        },
    ];
    let faults = compile(&policies, &[], &known()).unwrap_err();
    let found: Vec<_> = faults.into_iter().map(|it| (it.place.to_string(), it.fault)).collect();
    let bad = |text: &str| Fault::BadLoginValue(text.to_owned());
    let expected = [
        ("policy `disjoint`", Fault::NoCommonAcr),
        ("policy `spaced`, require entry 1", bad("a b")),
        ("policy `spaced`, require entry 2", bad("\"")),
        ("policy `spaced`, require entry 3", bad("é")),
        ("policy `spaced`, require entry 4", bad("")),
        ("policy `spaced`, require entry 5", bad("\\")),
        ("policy `over the limit`", Fault::LongStepUp),
        ("policy `block`", Fault::UselessDuration),
    ];
    assert_eq!(found, expected.map(|(place, fault)| (place.to_owned(), fault)));
}

#[test]
fn what_a_policy_asks_of_a_login_is_the_sum_of_its_requirements() {
    let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut strong = allow("strong", vec![Selector::Everyone]);
    strong.require = vec![
        Selector::Acr(texts(&["phr", "2fa", "1fa"])),
        Selector::LoginAge(Duration::from_secs(900)),
        Selector::Amr(texts(&["hwk", "swk"])),
        Selector::LoginAge(Duration::from_secs(60)),
        Selector::Amr(texts(&["mfa"])),
        Selector::Acr(texts(&["1fa", "phr"])),
    ];
    strong.session_duration = Some(Duration::from_secs(3_600));
    let mut elsewhere = allow("elsewhere", vec![Selector::Amr(texts(&["hwk"]))]);
    elsewhere.exclude = vec![Selector::LoginAge(Duration::from_secs(60))];
    let set = compile(&[strong, elsewhere], &[], &known()).unwrap();
    let id = |index| PolicyId { revision: set.revision(), index };
    let wanted = set.step_up(id(0)).unwrap();
    assert_eq!(wanted.acr, ["phr", "1fa"].map(Box::from));
    assert_eq!(wanted.amr, [vec!["hwk".into(), "swk".into()], vec![Box::from("mfa")]]);
    assert_eq!(wanted.max_age, Some(Duration::from_secs(60)));
    assert_eq!(set.session_duration(id(0)), Some(Duration::from_secs(3_600)));
    assert_eq!((set.step_up(id(1)), set.session_duration(id(1))), (None, None));
    let other = PolicyId { revision: set.revision() ^ 1, index: 0 };
    assert_eq!((set.step_up(other), set.session_duration(other)), (None, None));
}

#[test]
fn a_fault_reads_alone() {
    let policies = [allow("partners", vec![Selector::LoginMethod(vec!["nobody".into()])])];
    let faults = compile(&policies, &[], &known()).unwrap_err();
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["policy `partners`, include entry 1: no identity provider is named `nobody`"]);
}

#[test]
fn people_and_services_have_policies_of_their_own() {
    let token = || Selector::ServiceToken(vec!["ci".into()]);
    let mut service = allow("service", vec![token(), Selector::AnyServiceToken, Selector::Everyone]);
    service.action = Action::ServiceAuth;
    service.require = vec![Selector::Ip(vec![]), Selector::Group(vec!["Staff".into()])];
    service.exclude = vec![Selector::ServiceToken(vec![]), Selector::ServiceToken(vec![String::new()])];
    let policies = [service, allow("person", vec![Selector::Everyone, token()])];
    let faults = compile(&policies, &[], &known()).unwrap_err();
    let rule =
        |policy: &str, index, section, rule| Place::Rule { policy: policy.into(), index, section, rule };
    let expected = [
        (rule("service", 0, Section::Include, 2), Fault::WrongKind(Action::ServiceAuth)),
        (rule("service", 0, Section::Require, 0), Fault::EmptySelector),
        (rule("service", 0, Section::Require, 1), Fault::WrongKind(Action::ServiceAuth)),
        (rule("service", 0, Section::Exclude, 0), Fault::EmptySelector),
        (rule("service", 0, Section::Exclude, 1), Fault::EmptyTokenName),
        (rule("person", 1, Section::Include, 1), Fault::WrongKind(Action::Allow)),
    ];
    let found: Vec<_> = faults.into_iter().map(|it| (it.place, it.fault)).collect();
    assert_eq!(found, expected);
}

#[test]
fn service_tokens_that_a_policy_names_can_be_listed() {
    let mut policy = allow("service", vec![Selector::ServiceToken(vec!["ci".into(), "backup".into()])]);
    policy.action = Action::ServiceAuth;
    policy.exclude = vec![Selector::ServiceToken(vec!["old".into()])];
    let set = compile(&[policy], &[], &known()).unwrap();
    assert_eq!(set.service_token_names().collect::<Vec<_>>(), ["ci", "backup", "old"]);
}

#[test]
fn the_revision_follows_the_sources_and_nothing_else() {
    let policies = [allow("staff", vec![Selector::Group(vec!["Staff".into()])])];
    let revision = |policies: &[Policy], applications: &[ApplicationPolicies], known: &Known| {
        compile(policies, applications, known).unwrap().revision()
    };
    let first = revision(&policies, &[uses("wiki", &["staff"])], &known());
    assert_eq!(first, revision(&policies, &[uses("wiki", &["staff"])], &known()));
    assert_ne!(first, revision(&policies, &[uses("wiki", &[])], &known()));
    assert_ne!(first, revision(&policies, &[uses("wiki", &["staff"])], &Known::default()));
    let other = [allow("staff", vec![Selector::Group(vec!["staff".into()])])];
    assert_ne!(first, revision(&other, &[uses("wiki", &["staff"])], &known()));
}

#[test]
fn only_groups_that_a_policy_mentions_are_interned_once_and_sorted() {
    let policies = [allow(
        "staff",
        vec![Selector::Group(vec!["B".into(), "A".into()]), Selector::Group(vec!["C".into()])],
    )];
    let set = compile(&policies, &[], &known()).unwrap();
    let groups = set.intern_groups(["C", "A", "Everyone", "A", "b", ""].into_iter());
    assert_eq!(&*groups.ids, [0, 2]);
    assert_eq!(groups.revision(), set.revision());
    let mut names: Vec<_> = set.group_names().collect();
    names.sort_unstable();
    assert_eq!(names, ["A", "B", "C"]);
}

#[test]
fn names_are_looked_up_exactly() {
    let set = compile(&[], &[uses("wiki", &[])], &known()).unwrap();
    assert!(set.application("wiki").is_some() && set.application("Wiki").is_none());
    assert!(set.login_method("okta").is_some() && set.login_method("Okta").is_none());
}

#[test]
fn a_policy_is_named_by_the_revision_that_decided_alone() {
    let policies = [allow("one", vec![Selector::Everyone]), allow("other", vec![Selector::Everyone])];
    let compiled = |policies: &[Policy]| compile(policies, &[uses("wiki", &["one"])], &known()).unwrap();
    let (set, swapped) = (compiled(&policies), compiled(&[policies[1].clone(), policies[0].clone()]));
    let principal = crate::Principal::Person(set.stranger());
    let circumstances = crate::Circumstances::at([192, 0, 2, 1].into(), 0);
    let question = crate::Question::new(&principal, &circumstances);
    let id = set.decide(set.application("wiki").unwrap(), &question).policy.unwrap();
    assert_eq!(set.policy_name(id), Some("one"));
    assert_eq!(swapped.policy_name(id), None);
}
