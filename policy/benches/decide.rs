//! What one decision costs: nanoseconds at 1,000 policies and a person in 200 groups.
//!
//! It prints and judges nothing: comparing figures is left to whoever runs it on a quiet machine.
#![allow(clippy::unwrap_used, reason = "a measuring program: a panic is how it fails")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use portcullis_policy::{
    Action, ApplicationPolicies, Circumstances, Known, LoginFacts, Person, Policy, PolicySet, Principal,
    Question, Selector, Sources,
};

const POLICIES: usize = 1_000;
const GROUPS_OF_PERSON: usize = 200;
const DECISIONS: u32 = 200_000;
const ROUNDS: usize = 5;

fn main() {
    let groups: Vec<String> = (0..GROUPS_OF_PERSON).map(|index| format!("group {}", index * 5)).collect();
    let mut policies: Vec<Policy> = (0..POLICIES).map(policy).collect();
    // A policy of no application mentions every group of the person, so that none is left out of the search.
    policies.push(Policy {
        name: "elsewhere".into(),
        include: vec![Selector::Group(groups.clone())],
        ..policy(1)
    });
    let names = |range: std::ops::Range<usize>| range.map(|index| format!("policy {index}")).collect();
    let with = |application: &str, range| ApplicationPolicies {
        application: application.into(),
        policies: names(range),
        login_methods: Vec::new(),
    };
    let applications = [
        with("1 policy, first matches", 0..1),
        with("10 policies, none matches", 300..310),
        with("100 policies, none matches", 300..400),
        with("all 1000 policies, none matches but the first", 1..POLICIES),
    ];
    let known = Known { identity_providers: vec!["okta".into()], ..Known::default() };
    let sources =
        Sources { policies: &policies, rule_groups: &[], applications: &applications, known: &known };
    let set = PolicySet::compile(&sources).unwrap();
    let principal = Principal::Person(Person {
        email: Some("engineer@corp.example".parse().unwrap()),
        groups: set.intern_groups(groups.iter().map(String::as_str)),
        login_method: set.login_method("okta"),
        login: LoginFacts {
            authenticated_at: Some(0),
            acr: Some("urn:okta:loa:2fa:any".into()),
            amr: Some(["pwd", "mfa", "otp"].map(Box::from).into()),
        },
        ..set.stranger()
    });
    let circumstances = Circumstances::at("192.0.2.1".parse().unwrap(), 60);
    let question = Question::new(&principal, &circumstances);
    for application in &applications {
        let id = set.application(&application.application).unwrap();
        let best = (0..ROUNDS).map(|_| nanoseconds(&set, id, &question)).fold(f64::INFINITY, f64::min);
        println!("{:<50} {best:>9.1} ns  {:?}", application.application, set.decide(id, &question).reason);
    }
}

/// Policy 0 admits the person; every other asks for groups that the person lacks, and for an address.
fn policy(index: usize) -> Policy {
    let group = if index == 0 { "group 0".to_owned() } else { format!("group {}", index * 5 + 1) };
    let include = vec![Selector::Group(vec![group, format!("group {}", index * 5 + 2)])];
    Policy {
        require: vec![
            Selector::EmailDomain(vec!["corp.example".parse().unwrap()]),
            Selector::Amr(vec!["mfa".into()]),
            Selector::LoginAge(Duration::from_secs(900)),
        ],
        exclude: vec![Selector::Group(vec!["group 3".into()])],
        ..Policy::new(&format!("policy {index}"), Action::Allow, include)
    }
}

fn nanoseconds(
    set: &PolicySet,
    application: portcullis_policy::ApplicationId,
    question: &Question<'_>,
) -> f64 {
    let start = Instant::now();
    for _ in 0..DECISIONS {
        let _ = black_box(set.decide(black_box(application), black_box(question)));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(DECISIONS)
}
