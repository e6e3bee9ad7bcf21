//! What holds for all policies of the whole language: what is unknown, added, inlined, reported or excluded has only the effects it may
//! have, and an explanation always agrees with its decision.
//!
//! The model of the narrower language, over plain strings, is `properties.rs`.

use std::time::Duration;

use portcullis_policy::{
    Action, Answer, ApplicationPolicies, Approval, Attributes, Certificate, Circumstances, Decision, Grant,
    Known, LoginFacts, Person, Policy, PolicySet, Principal, Question, Reason, RequestPath, RuleGroup,
    Selector, Service, Sources, Subject, TimeWindow, Verdict, Weekday, Zone,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::{Map, Value, json};

use super::explained::follows;

const GROUPS: [&str; 3] = ["A", "B", "C"];
const EVALUATIONS: [&str; 2] = ["device", "risk"];
/// A Tuesday, 22:13:20 UTC.
const NOW: i64 = 1_700_000_000;

/// Who asks and for what; what is `None` is not known.
#[derive(Clone, Debug)]
struct Asker {
    kind: Kind,
    email: Option<&'static str>,
    provider: Option<&'static str>,
    subject: Option<&'static str>,
    groups: Vec<&'static str>,
    doubts: Vec<&'static str>,
    ids: Option<Vec<&'static str>>,
    is_finance: Option<bool>,
    is_vip: bool,
    amr: Option<&'static str>,
    age: Option<i64>,
    purpose: Option<i64>,
    grant: Option<i64>,
    country: Option<&'static str>,
    method: Option<&'static str>,
    path: Option<&'static str>,
    certificate: Option<Option<&'static str>>,
    answers: Vec<Option<bool>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Person,
    Service,
    Nobody,
}

#[derive(Clone, Debug)]
struct World {
    policies: Vec<Policy>,
    groups: Vec<RuleGroup>,
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn about_requests() -> impl Strategy<Value = Selector> {
    prop_oneof![
        select(vec!["10.0.0.0/8", "192.0.2.0/24"]).prop_map(|net| Selector::Ip(vec![net.parse().unwrap()])),
        select(vec!["DE", "US"]).prop_map(|code| Selector::Country(vec![code.parse().unwrap()])),
        select(vec!["GET", "POST"]).prop_map(|it| Selector::Method(vec![it.to_owned()])),
        select(vec!["/a", "/a/*", "/a/b"]).prop_map(|it| Selector::Path(vec![it.parse().unwrap()])),
        Just(Selector::ValidCertificate),
        select(vec!["x", "y"]).prop_map(|it| Selector::CommonName(vec![it.to_owned()])),
        select(vec![("22:00", "23:00"), ("22:14", "06:00"), ("08:00", "18:00")]).prop_map(|(from, to)| {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            Selector::TimeWindow(TimeWindow::new(&Weekday::ALL, from, to, Zone::default()).unwrap())
        }),
    ]
}

fn about_people() -> impl Strategy<Value = Selector> {
    prop_oneof![
        1 => Just(Selector::Everyone),
        1 => Just(Selector::Email(vec!["a@corp.example".parse().unwrap()])),
        1 => select(vec!["okta", "partners"]).prop_map(|provider| {
            Selector::Subject(vec![Subject { identity_provider: provider.into(), subject: "1".into() }])
        }),
        3 => subsequence(GROUPS.to_vec(), 1..=2).prop_map(|it| Selector::Group(owned(it))),
        1 => subsequence(GROUPS.to_vec(), 1..=2).prop_map(|it| Selector::GroupId(owned(it))),
        2 => select(vec![
            r#"user.department eq "Finance""#,
            "claims.vip eq true",
            r#"claims.vip eq true or not (user.department eq "Finance")"#,
        ])
        .prop_map(|text| Selector::Attribute(text.parse().unwrap())),
        1 => Just(Selector::LoginMethod(vec!["okta".into()])),
        2 => Just(Selector::Amr(vec!["mfa".into()])),
        1 => Just(Selector::LoginAge(Duration::from_secs(900))),
        1 => select(EVALUATIONS.to_vec()).prop_map(|name| Selector::External(name.into())),
    ]
}

/// What a policy with this action may have as an entry; rule groups `r0`, `r1` are about requests, `p0`, `p1` about people.
fn entry(action: Action) -> BoxedStrategy<Selector> {
    let named = |names: Vec<&'static str>| select(names).prop_map(|name| Selector::RuleGroup(name.into()));
    match action {
        Action::Bypass => prop_oneof![
            1 => Just(Selector::Everyone),
            5 => about_requests(),
            1 => named(vec!["r0", "r1"]),
        ]
        .boxed(),
        Action::ServiceAuth => prop_oneof![
            2 => Just(Selector::AnyServiceToken),
            2 => Just(Selector::ServiceToken(vec!["ci".into()])),
            3 => about_requests(),
            1 => named(vec!["r0", "r1"]),
        ]
        .boxed(),
        Action::Allow | Action::Block => {
            prop_oneof![5 => about_people(), 2 => about_requests(), 2 => named(vec!["r0", "p0", "p1"])]
                .boxed()
        }
        _ => unreachable!(),
    }
}

fn policy_with(action: Action) -> impl Strategy<Value = Policy> {
    let lists = (vec(entry(action), 1..4), vec(entry(action), 0..3), vec(entry(action), 0..3));
    let extras = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (lists, extras).prop_map(move |((include, require, exclude), (asks_purpose, asks_approval))| {
        let approval = Approval { approvers: vec![Selector::Everyone], longest: Duration::from_secs(60) };
        Policy {
            require,
            exclude,
            purpose_required: asks_purpose && action == Action::Allow,
            approval: (asks_approval && action == Action::Allow).then_some(approval),
            ..Policy::new("", action, include)
        }
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        4 => policy_with(Action::Allow),
        2 => policy_with(Action::Block),
        1 => policy_with(Action::ServiceAuth),
        1 => policy_with(Action::Bypass),
    ]
}

/// The group of that name, of entries about requests, or about people with the groups after it.
fn rule_group(name: &'static str, entries: BoxedStrategy<Selector>) -> impl Strategy<Value = RuleGroup> {
    (vec(entries.clone(), 1..3), vec(entries.clone(), 0..2), vec(entries, 0..2)).prop_map(
        move |(include, require, exclude)| RuleGroup { name: name.to_owned(), include, require, exclude },
    )
}

fn world() -> impl Strategy<Value = World> {
    let named = |name: &'static str| Just(Selector::RuleGroup(name.to_owned()));
    let of_requests = || prop_oneof![4 => about_requests(), 1 => named("r1")].boxed();
    let of_people = || prop_oneof![4 => about_people(), 1 => named("r0"), 1 => named("p1")].boxed();
    let last = || prop_oneof![4 => about_people(), 1 => named("r0")].boxed();
    let groups = (
        rule_group("r0", of_requests()),
        rule_group("r1", about_requests().boxed()),
        rule_group("p0", of_people()),
        rule_group("p1", last()),
    );
    (vec(policy(), 0..6), groups)
        .prop_map(|(policies, (a, b, c, d))| World { policies: numbered(policies), groups: vec![a, b, c, d] })
}

fn numbered(mut policies: Vec<Policy>) -> Vec<Policy> {
    for (index, policy) in policies.iter_mut().enumerate() {
        policy.name = format!("{}{index}", if policy.report_only { "trial" } else { "p" });
    }
    policies
}

fn asker() -> impl Strategy<Value = Asker> {
    let who = (
        select(vec![Kind::Person, Kind::Person, Kind::Person, Kind::Person, Kind::Service, Kind::Nobody]),
        select(vec!["a@corp.example", "b@corp.example"]),
        select(vec!["okta", "partners"]),
        select(vec!["1", "2"]),
        subsequence(GROUPS.to_vec(), 0..=3),
        subsequence(GROUPS.to_vec(), 0..=3),
        any::<(bool, bool)>(),
        select(vec!["mfa", "pwd"]),
        select(vec![0, 899, 901]),
        select(vec![-1, 0, 30, 5_000]),
    );
    let what = (
        select(vec!["DE", "US"]),
        select(vec!["GET", "POST"]),
        select(vec!["/a", "/a/b", "/c"]),
        select(vec![None, Some("x"), Some("z")]),
        vec(any::<bool>().prop_map(Some), 2),
        select(vec![-1, 0, 40, 5_000]),
    );
    (who, what).prop_map(|(who, what)| {
        let (kind, email, provider, subject, groups, ids, (is_finance, is_vip), amr, age, purpose) = who;
        let (country, method, path, certificate, answers, grant) = what;
        Asker {
            kind,
            email: Some(email),
            provider: Some(provider),
            subject: Some(subject),
            groups,
            doubts: Vec::new(),
            ids: Some(ids),
            is_finance: Some(is_finance),
            is_vip,
            amr: Some(amr),
            age: Some(age),
            purpose: Some(purpose),
            grant: Some(grant),
            country: Some(country),
            method: Some(method),
            path: Some(path),
            certificate: Some(certificate),
            answers,
        }
    })
}

/// The same asker, of whom less is known.
fn with_less(full: &Asker, hide: &[bool], doubts: &[&'static str]) -> Asker {
    let hidden = |at: usize| hide.get(at).copied().unwrap_or_default();
    let mut less = full.clone();
    less.groups.retain(|group| !doubts.contains(group));
    less.doubts = doubts.to_vec();
    less.email = less.email.filter(|_| !hidden(0));
    less.provider = less.provider.filter(|_| !hidden(1));
    less.subject = less.subject.filter(|_| !hidden(2));
    less.ids = less.ids.filter(|_| !hidden(3));
    less.is_finance = less.is_finance.filter(|_| !hidden(4));
    less.amr = less.amr.filter(|_| !hidden(5));
    less.age = less.age.filter(|_| !hidden(6));
    less.country = less.country.filter(|_| !hidden(7));
    less.method = less.method.filter(|_| !hidden(8));
    less.path = less.path.filter(|_| !hidden(9));
    less.certificate = less.certificate.filter(|_| !hidden(10));
    less.answers = less.answers.iter().enumerate().map(|(at, it)| it.filter(|_| !hidden(11 + at))).collect();
    less.purpose = less.purpose.filter(|_| !hidden(13));
    less.grant = less.grant.filter(|_| !hidden(14));
    less
}

fn hiding() -> impl Strategy<Value = Vec<bool>> {
    vec(prop::bool::weighted(0.3), 15)
}

fn compile(world: &World) -> PolicySet {
    let names = world.policies.iter().map(|policy| policy.name.clone()).collect();
    let applications =
        [ApplicationPolicies { application: "wiki".into(), policies: names, login_methods: Vec::new() }];
    let known = Known {
        identity_providers: owned(vec!["okta", "partners"]),
        external_evaluations: owned(EVALUATIONS.to_vec()),
    };
    let sources = Sources {
        policies: &world.policies,
        rule_groups: &world.groups,
        applications: &applications,
        known: &known,
    };
    PolicySet::compile(&sources).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn principal(set: &PolicySet, asker: &Asker, policies: &[Policy]) -> Principal {
    match asker.kind {
        Kind::Nobody => return Principal::Nobody,
        Kind::Service => return Principal::Service(Service { token: "ci".into() }),
        Kind::Person => {}
    }
    let groups = set.intern_groups_with_doubts(asker.groups.iter().copied(), asker.doubts.iter().copied());
    let groups = match &asker.ids {
        Some(ids) => set.intern_group_ids(groups, ids.iter().copied()),
        None => groups,
    };
    let record = asker.is_finance.map(|is| json!({"department": if is { "Finance" } else { "Sales" }}));
    let claims: Map<String, Value> = [("vip".to_owned(), json!(asker.is_vip))].into_iter().collect();
    let attributes = Attributes {
        user: record.as_ref().and_then(Value::as_object),
        claims: &claims,
        case_exact: |_| false,
    };
    let until = |seconds: Option<i64>| seconds.map(|seconds| NOW + seconds);
    let granted = until(asker.grant).into_iter().flat_map(|until| {
        policies.iter().map(move |policy| Grant { application: "wiki", policy: &policy.name, until })
    });
    Principal::Person(Person {
        email: asker.email.map(|email| email.parse().unwrap()),
        subject: asker.subject.map(Box::from),
        groups,
        attributes: set.intern_attributes(&attributes),
        login_method: asker.provider.and_then(|name| set.login_method(name)),
        login: LoginFacts {
            authenticated_at: asker.age.map(|age| NOW - age),
            acr: None,
            amr: asker.amr.map(|method| [Box::from(method)].into()),
        },
        purposes: set.intern_purposes(until(asker.purpose).map(|until| ("wiki", until)).into_iter()),
        grants: set.intern_grants(granted),
    })
}

/// The decision, with its policy's name in place of its id, and its explanation looked at.
fn decide_at(world: &World, asker: &Asker, now: i64) -> (Decision, Option<String>) {
    let set = compile(world);
    let principal = principal(&set, asker, &world.policies);
    let certificate = match asker.certificate {
        None => Certificate::Unknown,
        Some(None) => Certificate::Absent,
        Some(common_name) => Certificate::Valid { common_name },
    };
    let circumstances = Circumstances {
        country: asker.country.map(|code| code.parse().unwrap()),
        method: asker.method,
        path: asker.path.map(RequestPath::plain),
        certificate,
        ..Circumstances::at([192, 0, 2, 1].into(), now)
    };
    let answers: Vec<Answer> = EVALUATIONS
        .iter()
        .zip(&asker.answers)
        .filter_map(|(name, holds)| holds.map(|holds| (name, holds)))
        .map(|(name, holds)| Answer {
            evaluation: set.evaluation(name).unwrap(),
            holds: Some(holds),
            until: NOW + 100,
        })
        .collect();
    let question = Question { principal: &principal, circumstances: &circumstances, answers: &answers };
    let id = set.application("wiki").unwrap();
    let decision = set.decide(id, &question);
    let explanation = set.explain(id, &question).unwrap();
    assert_eq!(explanation.decision, decision);
    follows(&explanation, &principal, "a made-up world");
    let name = decision.policy.map(|id| set.policy_name(id).unwrap().to_owned());
    (decision, name)
}

fn decide(world: &World, asker: &Asker) -> (Decision, Option<String>) {
    decide_at(world, asker, NOW)
}

/// What may not change where nothing should.
fn essence((decision, name): (Decision, Option<String>)) -> (Verdict, Reason, Option<String>, i64, bool) {
    (decision.verdict, decision.reason, name, decision.until, decision.unanswered.is_some())
}

/// The same but for the time: which entries were looked at before the answer was certain is nobody's promise, so the answer may be asked
/// for again earlier.
fn decided(found: (Decision, Option<String>)) -> (Verdict, Reason, Option<String>, bool) {
    let (verdict, reason, name, _, asks) = essence(found);
    (verdict, reason, name, asks)
}

fn group_of(name: &str, lists: [Vec<Selector>; 3]) -> RuleGroup {
    let [include, require, exclude] = lists;
    RuleGroup { name: name.to_owned(), include, require, exclude }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_known_never_helps(
        world in world(), full in asker(), hide in hiding(), doubts in subsequence(GROUPS.to_vec(), 0..=2),
    ) {
        let less = with_less(&full, &hide, &doubts);
        let (decision, _) = decide(&world, &less);
        if decision.is_allowed() {
            prop_assert!(decide(&world, &full).0.is_allowed(), "{:?}", full);
        }
    }

    #[test]
    fn an_answer_that_was_not_asked_for_could_not_have_helped(
        world in world(), full in asker(), hide in vec(any::<bool>(), 2),
    ) {
        let less = with_less(&full, &[vec![false; 11], hide].concat(), &[]);
        let (decision, _) = decide(&world, &less);
        if !decision.is_allowed() && decision.unanswered.is_none() {
            prop_assert!(!decide(&world, &full).0.is_allowed());
        }
    }

    #[test]
    fn a_block_that_is_added_never_allows(
        world in world(), block in policy_with(Action::Block), at in any::<Index>(), asker in asker(), hide in hiding(),
    ) {
        let asker = with_less(&asker, &hide, &[]);
        let before = decide(&world, &asker).0.is_allowed();
        let mut more = world;
        more.policies.insert(at.index(more.policies.len() + 1), block);
        more.policies = numbered(more.policies);
        prop_assert!(before || !decide(&more, &asker).0.is_allowed());
    }

    #[test]
    fn without_a_policy_that_lets_in_nobody_is_let_in(world in world(), asker in asker()) {
        let mut less = world;
        less.policies.retain(|policy| policy.action == Action::Block);
        prop_assert!(!decide(&less, &asker).0.is_allowed());
    }

    #[test]
    fn who_is_nobody_passes_where_everybody_does(world in world(), asker in asker(), hide in hiding()) {
        let asker = with_less(&asker, &hide, &[]);
        let (decision, _) = decide(&world, &Asker { kind: Kind::Nobody, ..asker.clone() });
        prop_assert_eq!(decision.is_allowed(), decision.reason == Reason::Bypassed);
        if decision.is_allowed() {
            prop_assert!(decide(&world, &asker).0.is_allowed());
        }
    }

    #[test]
    fn what_is_only_reported_changes_nothing(
        world in world(), trials in vec((policy(), any::<Index>()), 1..4), asker in asker(), hide in hiding(),
    ) {
        let asker = with_less(&asker, &hide, &[]);
        let world = World { policies: numbered(world.policies), ..world };
        let before = essence(decide(&world, &asker));
        let mut more = world;
        for (number, (trial, at)) in trials.into_iter().enumerate() {
            let trial = Policy { report_only: true, name: format!("trial {number}"), ..trial };
            more.policies.insert(at.index(more.policies.len() + 1), trial);
        }
        prop_assert_eq!(essence(decide(&more, &asker)), before);
    }

    #[test]
    fn a_policy_whose_rules_are_moved_into_a_group_decides_the_same(
        world in world(), at in any::<Index>(), asker in asker(), hide in hiding(),
    ) {
        prop_assume!(!world.policies.is_empty());
        let asker = with_less(&asker, &hide, &[]);
        let before = decided(decide(&world, &asker));
        let mut moved = world;
        let at = at.index(moved.policies.len());
        let policy = &mut moved.policies[at];
        let lists = [&mut policy.include, &mut policy.require, &mut policy.exclude].map(std::mem::take);
        policy.include = vec![Selector::RuleGroup("moved".into())];
        moved.groups.push(group_of("moved", lists));
        prop_assert_eq!(decided(decide(&moved, &asker)), before);
    }

    #[test]
    fn an_entry_that_is_moved_into_a_group_decides_the_same(
        world in world(), asker in asker(), hide in hiding(),
    ) {
        let asker = with_less(&asker, &hide, &[]);
        let before = decided(decide(&world, &asker));
        let mut moved = world;
        let mut groups = Vec::new();
        for policy in &mut moved.policies {
            for list in [&mut policy.require, &mut policy.exclude] {
                for selector in list.iter_mut() {
                    let name = format!("moved {}", groups.len());
                    let entry = std::mem::replace(selector, Selector::RuleGroup(name.clone()));
                    groups.push(group_of(&name, [vec![entry], vec![], vec![]]));
                }
            }
        }
        moved.groups.extend(groups);
        prop_assert_eq!(decided(decide(&moved, &asker)), before);
    }

    #[test]
    fn an_answer_stands_until_the_time_that_it_names(world in world(), asker in asker(), hide in hiding()) {
        let asker = with_less(&asker, &hide, &[]);
        let (first, name) = decide(&world, &asker);
        prop_assert!(first.until > NOW);
        for later in [1, 29, 30, 39, 40, 41, 99, 100, 2_799, 2_800, 5_000, 30_000, 100_000] {
            if NOW + later < first.until {
                let (again, by) = decide_at(&world, &asker, NOW + later);
                prop_assert_eq!((again.verdict, again.reason, by), (first.verdict, first.reason, name.clone()));
            }
        }
    }
}
