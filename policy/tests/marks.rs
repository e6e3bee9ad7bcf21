//! People with the same marks have the same decision.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::collections::HashMap;

use portcullis_policy::{
    Action, ApplicationPolicies, Attributes, Circumstances, Decision, Known, Mark, Marks, Person, Policy,
    PolicySet, Principal, Question, RuleGroup, Selector, Sources, Subject,
};
use proptest::prelude::{any, proptest};
use serde_json::{Map, json};

fn selectors() -> Vec<Selector> {
    let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let subject = Subject { identity_provider: "okta".into(), subject: "00u1".into() };
    vec![
        Selector::Everyone,
        Selector::Group(texts(&["A"])),
        Selector::Group(texts(&["B", "C"])),
        Selector::GroupId(texts(&["id A"])),
        Selector::Email(vec!["a@corp.example".parse().unwrap()]),
        Selector::EmailDomain(vec!["corp.example".parse().unwrap()]),
        Selector::Attribute("user.department eq \"Finance\"".parse().unwrap()),
        Selector::Attribute("claims.temporary eq true".parse().unwrap()),
        Selector::Subject(vec![subject]),
        Selector::LoginMethod(texts(&["partners"])),
        Selector::RuleGroup("staff".to_owned()),
    ]
}

fn set(choice: &[(u8, u8, u8, u8)]) -> PolicySet {
    let all = selectors();
    let pick = |number: u8| all[usize::from(number) % all.len()].clone();
    let policies: Vec<Policy> = choice
        .iter()
        .enumerate()
        .map(|(index, (action, include, require, exclude))| {
            let action = if action.is_multiple_of(3) { Action::Block } else { Action::Allow };
            let some = |number: u8| number.is_multiple_of(2).then(|| pick(number / 2)).into_iter().collect();
            Policy {
                require: some(*require),
                exclude: some(*exclude),
                ..Policy::new(&format!("p{index}"), action, vec![pick(*include)])
            }
        })
        .collect();
    let staff = RuleGroup {
        name: "staff".into(),
        include: vec![all[5].clone()],
        exclude: vec![all[2].clone()],
        ..RuleGroup::default()
    };
    let application = ApplicationPolicies {
        application: "wiki".into(),
        policies: policies.iter().map(|policy| policy.name.clone()).collect(),
        login_methods: vec!["okta".into(), "partners".into()],
    };
    let known = Known { identity_providers: vec!["okta".into(), "partners".into()], ..Known::default() };
    let sources =
        Sources { policies: &policies, rule_groups: &[staff], applications: &[application], known: &known };
    PolicySet::compile(&sources).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// Everybody that there could be, as far as the selectors can tell.
fn people(set: &PolicySet) -> Vec<Person> {
    let mut people = Vec::new();
    for number in 0_u32..1 << 9 {
        let has = |bit: u32| number >> bit & 1 == 1;
        let names = [(has(0), "A"), (has(1), "B"), (has(2), "X")];
        let names = || names.into_iter().filter(|(is_in, _)| *is_in).map(|(_, name)| name);
        let mut groups = set.intern_groups_with_doubts(names(), has(3).then_some("C").into_iter());
        let user = json!({ "department": if has(4) { "Finance" } else { "Sales" } });
        let user = user.as_object().filter(|_| has(5));
        if user.is_some() {
            groups = set.intern_group_ids(groups, has(0).then_some("id A").into_iter());
        }
        let claims = Map::from_iter([("temporary".to_owned(), has(6).into())]);
        let attributes = Attributes { user, claims: &claims, case_exact: |_| false };
        let email = match (has(7), has(8)) {
            (false, false) => None,
            (false, true) => Some("a@corp.example"),
            (true, false) => Some("b@corp.example"),
            (true, true) => Some("a@other.example"),
        };
        let login_method = [set.login_method("okta"), set.login_method("partners"), None];
        people.push(Person {
            email: email.map(|email| email.parse().unwrap()),
            subject: has(2).then(|| if has(1) { "00u1".into() } else { format!("00u{number}").into() }),
            groups,
            attributes: set.intern_attributes(&attributes),
            login_method: login_method[number as usize % 3],
            ..set.stranger()
        });
    }
    people
}

proptest! {
    #[test]
    fn people_with_the_same_marks_have_the_same_decision(choice in proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 1..4)) {
        let set = set(&choice);
        let application = set.application("wiki").unwrap();
        let marks = Marks::new(&set);
        let asked = marks.asked(application);
        let circumstances = Circumstances::at([192, 0, 2, 1].into(), 100);
        let mut decided: HashMap<Vec<Mark>, Decision> = HashMap::new();
        for person in people(&set) {
            let mut theirs = marks.of(&person);
            theirs.retain(|mark| asked.contains(mark));
            theirs.sort();
            let principal = Principal::Person(person);
            let decision = set.decide(application, &Question::new(&principal, &circumstances));
            let earlier = *decided.entry(theirs.clone()).or_insert(decision);
            assert_eq!(earlier, decision, "{theirs:?} of {choice:?}");
        }
        assert!(choice.len() > 1 || decided.len() < 512, "many people are like somebody else");
    }
}
