use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use portcullis_policy::{Marks, Principal};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use serde_json::json;

use super::compare::{Access, Asking, Change, Direction, Outcome, Totals, decide};
use super::crowd::Crowd;
use super::*;
use crate::cli::policy::asked::{NOWHERE, Request};
use crate::cli::policy::persona::Persona;
use crate::config::{Config, Shown};

/// Numbers that look random, and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

/// How many go which way.
type Counts = BTreeMap<(Direction, Outcome, Outcome), usize>;

struct Size {
    people: usize,
    groups: usize,
    memberships: usize,
    applications: usize,
}

const HEAD: &str = r#"
[server]
listen = ["127.0.0.1:8443"]
auth_host = "auth.localhost"
inner_listen = "127.0.0.1:9443"
[tls]
self_signed = true
[store]
url = "sqlite:portcullis.db"
[[identity_provider]]
name = "okta"
type = "okta"
issuer = "http://127.0.0.1:8090"
client_id = "portcullis"
[[identity_provider]]
name = "partners"
type = "oidc"
issuer = "http://127.0.0.1:8091"
client_id = "portcullis"
"#;

/// A configuration of the kind that companies have: a few policies for each application.
fn config(dice: &mut Dice, size: &Size) -> Config {
    let mut text = HEAD.to_owned();
    for number in 0..size.applications {
        let mut names = Vec::new();
        for policy in 0..=dice.below(4) {
            let name = format!("p{number}-{policy}");
            let action = dice.one_of(&["allow", "allow", "block"]);
            let _ = writeln!(text, "[[policy]]\nname = \"{name}\"\naction = \"{action}\"");
            for (list, most) in [("include", 3), ("require", 2), ("exclude", 2)] {
                let least = usize::from(list == "include");
                let rules: Vec<String> = (0..dice.below(most).max(least)).map(|_| rule(dice, size)).collect();
                let _ = writeln!(text, "{list} = [{}]", rules.join(", "));
            }
            names.push(format!("\"{name}\""));
        }
        let _ = writeln!(
            text,
            "[[application]]\nname = \"a{number}\"\nhosts = [\"a{number}.localhost\"]\npolicies = [{}]\nupstreams = [\"http://127.0.0.1:8081\"]",
            names.join(", ")
        );
        if dice.below(4) == 0 {
            text.push_str("identity_providers = [\"okta\"]\n");
        }
    }
    Config::parse(&text, Path::new("/etc/portcullis")).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

fn rule(dice: &mut Dice, size: &Size) -> String {
    let (group, other) = (dice.below(size.groups), dice.below(size.groups));
    match dice.below(12) {
        0 => "{ everyone = true }".to_owned(),
        1 => format!("{{ email = \"p{}@corp.example\" }}", dice.below(size.people)),
        2 => "{ email_domain = \"corp.example\" }".to_owned(),
        3 => "{ login_method = \"partners\" }".to_owned(),
        4 => "{ amr = \"mfa\" }".to_owned(),
        _ => format!("{{ group = [\"group {group}\", \"group {other}\"] }}"),
    }
}

fn persona(dice: &mut Dice, size: &Size, number: usize) -> Persona {
    let numbers: Vec<usize> =
        (0..dice.below(2 * size.memberships)).map(|_| dice.below(size.groups)).collect();
    let email = match dice.below(10) {
        0 => None,
        1 | 2 => Some(format!("p{number}@other.example")),
        _ => Some(format!("p{number}@corp.example")),
    };
    let user = json!({ "department": dice.one_of(&["Finance", "Sales"]) });
    let has_record = dice.below(10) > 0;
    Persona {
        email,
        subject: Some(format!("00u{number}")),
        provider: Some(dice.one_of(&["okta", "okta", "okta", "partners", "former"]).to_owned()),
        groups: numbers.iter().map(|it| format!("group {it}")).collect(),
        doubts: if dice.below(10) == 0 { vec!["group 0".to_owned()] } else { Vec::new() },
        group_ids: has_record.then(|| numbers.iter().map(|it| format!("id {it}")).collect()),
        user: user.as_object().cloned().filter(|_| has_record),
        ..Persona::default()
    }
}

/// How many go which way, told by asking about each person by themselves.
fn counted(asking: &Asking<'_>, crowd: &Crowd, application: &str) -> (Counts, [usize; 2]) {
    let (mut kinds, mut allowed) = (BTreeMap::new(), [0, 0]);
    let requests: Vec<Option<Request>> = (0..2)
        .map(|side| {
            let judge = &asking.judges[side];
            Request::of_application(application, None, "GET", asking.at[side].clone(), judge).ok()
        })
        .collect();
    for person in 0..crowd.names.len() {
        let outcome = |side: usize| {
            let principal = Principal::Person(crowd.sides[side].people[person].clone());
            requests[side]
                .as_ref()
                .map_or_else(Outcome::absent, |it| decide(&asking.judges[side], it, &principal))
        };
        let (before, after) = (outcome(0), outcome(1));
        allowed[0] += usize::from(before.access != Access::No);
        allowed[1] += usize::from(after.access != Access::No);
        if let Some(direction) = before.towards(&after) {
            *kinds.entry((direction, before, after)).or_default() += 1;
        }
    }
    (kinds, allowed)
}

fn told(change: &Change) -> Counts {
    for kind in &change.kinds {
        assert_eq!(kind.names.len(), kind.count, "all are named");
    }
    change.kinds.iter().map(|it| ((it.direction, it.before.clone(), it.after.clone()), it.count)).collect()
}

/// Compares two random configurations over a random crowd; how long the comparison took and the count by itself.
fn compare(seed: u64, size: &Size) -> [std::time::Duration; 3] {
    let mut dice = Dice(seed);
    // The second has some of the first's policies: from the same numbers, until it goes its own way.
    let before = config(&mut Dice(seed), size);
    let after = config(
        &mut Dice(seed ^ u64::from(dice.below(3) > 0)),
        &Size { applications: size.applications + 1, ..*size },
    );
    let judges = [Judge::of(before), Judge::of(after)];
    let moment =
        Moment { ip: NOWHERE, country: None, now: 1_000, shown: Some(Shown::Nothing), answers: Vec::new() };
    let at = [moment.clone(), moment];
    let asking = Asking { judges: &judges, at: &at, method: "GET", path: None, names: usize::MAX };
    let people: Vec<Persona> = (0..size.people).map(|number| persona(&mut dice, size, number)).collect();
    let began = Instant::now();
    let marks = judges.each_ref().map(|judge| Marks::new(judge.set()));
    let mut crowd = Crowd::empty();
    for (number, persona) in people.into_iter().enumerate() {
        crowd.add(format!("p{number}"), judges.each_ref(), &marks, &[persona.clone(), persona]);
    }
    let gathered = began.elapsed();
    let mut totals = Totals::new(&crowd);
    let names = applications(&judges);
    let changes: Vec<Change> =
        names.iter().map(|name| asking.compare(name, &crowd, &[], &mut totals).unwrap()).collect();
    let compared = began.elapsed();
    for change in &changes {
        let (kinds, allowed) = counted(&asking, &crowd, &change.application);
        assert_eq!(told(change), kinds, "`{}` of seed {seed}", change.application);
        assert_eq!(change.allowed, allowed, "`{}` of seed {seed}", change.application);
    }
    assert_eq!(changes.len(), size.applications + 1);
    [gathered, compared, began.elapsed() - compared]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_numbers_are_those_of_asking_about_everybody(seed in any::<u64>()) {
        let size = Size { people: 60, groups: 8, memberships: 3, applications: 5 };
        let [gathered, compared, _] = compare(seed, &size);
        prop_assert_eq!(gathered <= compared, true);
    }
}

#[test]
#[ignore = "a hundred thousand people: run it alone, optimised, and read the figures"]
fn a_hundred_thousand_people() {
    let size = Size { people: 100_000, groups: 1_000, memberships: 10, applications: 200 };
    let [gathered, compared, counted] = compare(7, &size);
    println!("gathered {gathered:?}, compared {compared:?} in all; asking about everybody takes {counted:?}");
}

#[test]
fn what_is_given_with_more_is_neither_gained_nor_lost() {
    let outcome = |access| Outcome { access, reason: "", policy: None };
    let towards = |before, after| outcome(before).towards(&outcome(after));
    assert_eq!(towards(Access::No, Access::IfMore), Some(Direction::Gain));
    assert_eq!(towards(Access::IfMore, Access::Yes), Some(Direction::Change));
    assert_eq!(towards(Access::Yes, Access::No), Some(Direction::Lose));
    assert_eq!(towards(Access::Yes, Access::Yes), None);
}
