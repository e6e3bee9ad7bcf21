//! What one decision costs: nanoseconds at 1,000 policies and a person in 200 groups.
//!
//! It prints and judges nothing: comparing figures is left to whoever runs it on a quiet machine.
#![allow(clippy::unwrap_used, reason = "a measuring program: a panic is how it fails")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use portcullis_policy::{
    Action, ApplicationPolicies, Attributes, Circumstances, Known, LoginFacts, Person, Policy, PolicySet,
    Principal, Question, RequestPath, RuleGroup, Selector, Sources, TimeWindow, Weekday,
};

const POLICIES: usize = 1_000;
const GROUPS_OF_PERSON: usize = 200;
/// Rounds are short and many, and the best counts: also on a machine that has other work some of them are undisturbed.
const DECISIONS: u32 = 500;
const ROUNDS: usize = 1_000;
/// Policies of each kind beyond groups and addresses.
const WIDER: usize = 8;

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
    policies.extend(wider());
    let wide = |application: &str, name: &str| ApplicationPolicies {
        application: application.into(),
        policies: (0..WIDER).map(|index| format!("{name} {index}")).collect(),
        login_methods: Vec::new(),
    };
    let applications = [
        wide("8 policies by attribute, the last matches", "attribute"),
        wide("8 policies by rule groups four deep, none matches", "rule group"),
        wide("8 policies by hours of a place, none matches", "time"),
        wide("8 bypasses by path, none matches", "path"),
        with("1 policy, first matches", 0..1),
        with("10 policies, none matches", 300..310),
        with("100 policies, none matches", 300..400),
        with("all 1000 policies, none matches but the first", 1..POLICIES),
    ];
    let known = Known { identity_providers: vec!["okta".into()], ..Known::default() };
    let sources = Sources {
        policies: &policies,
        rule_groups: &rule_groups(),
        applications: &applications,
        known: &known,
    };
    let set = PolicySet::compile(&sources).unwrap();
    let record =
        serde_json::json!({"department": format!("Department {}", WIDER - 1), "userType": "Employee"});
    let principal = Principal::Person(Person {
        email: Some("engineer@corp.example".parse().unwrap()),
        groups: set.intern_groups(groups.iter().map(String::as_str)),
        login_method: set.login_method("okta"),
        login: LoginFacts {
            authenticated_at: Some(0),
            acr: Some("urn:okta:loa:2fa:any".into()),
            amr: Some(["pwd", "mfa", "otp"].map(Box::from).into()),
        },
        attributes: set.intern_attributes(&Attributes {
            user: record.as_object(),
            claims: &serde_json::Map::new(),
            case_exact: |_| false,
        }),
        ..set.stranger()
    });
    let path = RequestPath::plain("/teams/red/files/2026/report.pdf");
    let circumstances =
        Circumstances { path: Some(path), ..Circumstances::at("192.0.2.1".parse().unwrap(), 60) };
    let question = Question::new(&principal, &circumstances);
    for application in &applications {
        let id = set.application(&application.application).unwrap();
        let best = (0..ROUNDS).map(|_| nanoseconds(&set, id, &question)).fold(f64::INFINITY, f64::min);
        println!("{:<50} {best:>9.1} ns  {:?}", application.application, set.decide(id, &question).reason);
    }
}

/// A few policies of each of the selectors that cost something of their own.
fn wider() -> Vec<Policy> {
    let allow = |name: &str, index: usize, include| {
        Policy::new(&format!("{name} {index}"), Action::Allow, vec![include])
    };
    let mut policies = Vec::new();
    for index in 0..WIDER {
        let filter =
            format!("user.department eq \"Department {index}\" and not (user.userType eq \"Contractor\")");
        policies.push(allow("attribute", index, Selector::Attribute(filter.parse().unwrap())));
        policies.push(allow("rule group", index, Selector::RuleGroup("depth 3".into())));
        let hours = |from: &str, to: &str| {
            let zone = "Europe/Berlin".parse().unwrap();
            TimeWindow::new(&Weekday::ALL, from.parse().unwrap(), to.parse().unwrap(), zone).unwrap()
        };
        let hours = hours(&format!("{:02}:00", 8 + index), "18:00");
        policies.push(allow("time", index, Selector::TimeWindow(hours)));
        let pattern = format!("/teams/*/files/2026/{index}");
        let path = Selector::Path(vec![pattern.parse().unwrap()]);
        policies.push(Policy { action: Action::Bypass, ..allow("path", index, path) });
    }
    policies
}

/// Four rule groups in one another, each with a group that the person lacks and with the next.
fn rule_groups() -> Vec<RuleGroup> {
    let group = |depth: usize| {
        let mut include = vec![Selector::Group(vec!["group 3".into()])];
        include.extend(depth.checked_sub(1).map(|below| Selector::RuleGroup(format!("depth {below}"))));
        RuleGroup {
            name: format!("depth {depth}"),
            include,
            exclude: vec![Selector::Group(vec!["group 2".into()])],
            ..RuleGroup::default()
        }
    };
    (0..4).map(group).collect()
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
