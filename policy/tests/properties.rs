//! What holds for all policies: decisions agree with a naive model over strings, and order, blocks and missing facts
//! have only the effects they may have.
//!
//! Single cases with a meaning of their own are left to `decisions/`.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a panic is how it fails"
)]

use std::net::IpAddr;
use std::time::Duration;

use portcullis_policy::{
    Action, ApplicationPolicies, Circumstances, Decision, IpNet, Known, LoginFacts, Policy, PolicySet,
    Principal, Question, Reason, Selector, Service, Sources, StepUp,
};
use proptest::array::uniform6;
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const EMAILS: [&str; 4] = ["a@corp.example", "b@corp.example", "a@partner.example", "c@mail.corp.example"];
const DOMAINS: [&str; 3] = ["corp.example", "partner.example", "mail.corp.example"];
const GROUPS: [&str; 4] = ["Engineering", "engineering", "Sales", "Büro"];
const NETWORKS: [&str; 4] = ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "0.0.0.0/0"];
const ADDRESSES: [&str; 4] = ["10.1.2.3", "::ffff:10.9.9.9", "2001:db8::1", "192.0.2.1"];
const PROVIDERS: [&str; 2] = ["okta", "partners"];
const CONTEXTS: [&str; 2] = ["1fa", "2fa"];
const METHODS: [&str; 2] = ["pwd", "mfa"];
/// Greatest ages that policies ask for, and, between and beside them, ages of logins, in seconds.
const MAX_AGES: [u64; 2] = [60, 900];
const AGES: [u64; 3] = [60, 61, 901];
const NOW: u64 = 1_700_000_000;

/// Who asks, in plain strings; a fact that is `None` is not known.
#[derive(Clone, Debug)]
struct Person {
    email: Option<&'static str>,
    groups: Option<Vec<&'static str>>,
    provider: Option<&'static str>,
    acr: Option<&'static str>,
    amr: Option<Vec<&'static str>>,
    age: Option<u64>,
    ip: &'static str,
}

fn some_of<T: Clone + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = Vec<T>> {
    subsequence(all.to_vec(), 1..=2)
}

fn selector() -> impl Strategy<Value = Selector> {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    prop_oneof![
        1 => Just(Selector::Everyone),
        2 => some_of(&EMAILS).prop_map(|it| Selector::Email(it.iter().map(|e| e.parse().unwrap()).collect())),
        2 => some_of(&DOMAINS).prop_map(|it| Selector::EmailDomain(it.iter().map(|d| d.parse().unwrap()).collect())),
        4 => some_of(&GROUPS).prop_map(move |it| Selector::Group(owned(it))),
        2 => some_of(&NETWORKS).prop_map(|it| Selector::Ip(it.iter().map(|n| n.parse().unwrap()).collect())),
        2 => some_of(&PROVIDERS).prop_map(move |it| Selector::LoginMethod(owned(it))),
        4 => about_the_login(),
    ]
}

fn about_the_login() -> impl Strategy<Value = Selector> {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    prop_oneof![
        some_of(&CONTEXTS).prop_map(move |it| Selector::Acr(owned(it))),
        some_of(&METHODS).prop_map(move |it| Selector::Amr(owned(it))),
        select(&MAX_AGES[..]).prop_map(|age| Selector::LoginAge(Duration::from_secs(age))),
    ]
}

fn is_about_the_login(selector: &Selector) -> bool {
    matches!(selector, Selector::Acr(_) | Selector::Amr(_) | Selector::LoginAge(_))
}

fn policy() -> impl Strategy<Value = Policy> {
    let action = select(vec![Action::Allow, Action::Block]);
    (action, vec(selector(), 1..4), vec(selector(), 0..3), vec(selector(), 0..3)).prop_map(
        |(action, include, require, exclude)| Policy {
            require: with_one_acr_at_most(require),
            exclude,
            ..Policy::new("", action, include)
        },
    )
}

/// Two of them may have nothing in common, which is a fault.
fn with_one_acr_at_most(mut require: Vec<Selector>) -> Vec<Selector> {
    let mut seen = false;
    require.retain(|it| !(matches!(it, Selector::Acr(_)) && std::mem::replace(&mut seen, true)));
    require
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    vec(policy(), 0..6).prop_map(named)
}

fn named(mut policies: Vec<Policy>) -> Vec<Policy> {
    for (index, policy) in policies.iter_mut().enumerate() {
        policy.name = format!("p{index}");
    }
    policies
}

fn known_person() -> impl Strategy<Value = Person> {
    let who = (select(&EMAILS[..]), subsequence(GROUPS.to_vec(), 0..=4), select(&ADDRESSES[..]));
    let login = (
        select(&PROVIDERS[..]),
        select(&CONTEXTS[..]),
        subsequence(METHODS.to_vec(), 0..=2),
        select(&AGES[..]),
    );
    (who, login).prop_map(|((email, groups, ip), (provider, acr, amr, age))| Person {
        email: Some(email),
        groups: Some(groups),
        provider: Some(provider),
        acr: Some(acr),
        amr: Some(amr),
        age: Some(age),
        ip,
    })
}

fn person() -> impl Strategy<Value = Person> {
    (known_person(), uniform6(weighted(0.8))).prop_map(
        |(person, [email, groups, provider, acr, amr, age])| Person {
            email: person.email.filter(|_| email),
            groups: person.groups.filter(|_| groups),
            provider: person.provider.filter(|_| provider),
            acr: person.acr.filter(|_| acr),
            amr: person.amr.filter(|_| amr),
            age: person.age.filter(|_| age),
            ip: person.ip,
        },
    )
}

fn compile(policies: &[Policy], identity_providers: &[&str]) -> PolicySet {
    let application = ApplicationPolicies {
        application: "wiki".into(),
        policies: policies.iter().map(|policy| policy.name.clone()).collect(),
        login_methods: Vec::new(),
    };
    let identity_providers = identity_providers.iter().map(ToString::to_string).collect();
    let known = Known { identity_providers, ..Known::default() };
    let applications = &[application];
    PolicySet::compile(&Sources { policies, rule_groups: &[], applications, known: &known }).unwrap()
}

/// Groups that are not known are groups of another revision: all of them, so that a mix-up would show.
fn decide(policies: &[Policy], person: &Person) -> Decision {
    decide_at(policies, person, NOW)
}

fn decide_at(policies: &[Policy], person: &Person, now: u64) -> Decision {
    decide_in_doubt(policies, person, &[], now)
}

/// Of somebody who may be in some more groups.
fn decide_in_doubt(policies: &[Policy], person: &Person, doubts: &[&str], now: u64) -> Decision {
    let set = compile(policies, &PROVIDERS);
    let groups = match &person.groups {
        Some(groups) => set.intern_groups_with_doubts(groups.iter().copied(), doubts.iter().copied()),
        None => compile(policies, &["okta", "partners", "added"]).intern_groups(GROUPS.into_iter()),
    };
    let principal = Principal::Person(portcullis_policy::Person {
        email: person.email.map(|email| email.parse().unwrap()),
        groups,
        login_method: person.provider.and_then(|name| set.login_method(name)),
        login: login(person),
        ..set.stranger()
    });
    let circumstances = Circumstances::at(person.ip.parse().unwrap(), now as i64);
    set.decide(set.application("wiki").unwrap(), &Question::new(&principal, &circumstances))
}

const TOKENS: [&str; 3] = ["ci", "backup", "CI"];

fn service_selector() -> impl Strategy<Value = Selector> {
    prop_oneof![
        1 => Just(Selector::AnyServiceToken),
        3 => some_of(&TOKENS).prop_map(|it| Selector::ServiceToken(it.iter().map(ToString::to_string).collect())),
        2 => some_of(&NETWORKS).prop_map(|it| Selector::Ip(it.iter().map(|n| n.parse().unwrap()).collect())),
    ]
}

fn service_policy() -> impl Strategy<Value = Policy> {
    (vec(service_selector(), 1..3), vec(service_selector(), 0..2), vec(service_selector(), 0..2)).prop_map(
        |(include, require, exclude)| Policy {
            require,
            exclude,
            ..Policy::new("", Action::ServiceAuth, include)
        },
    )
}

fn decide_service(policies: &[Policy], token: &str, ip: &str) -> Decision {
    let set = compile(policies, &PROVIDERS);
    let principal = Principal::Service(Service { token: token.into() });
    let circumstances = Circumstances::at(ip.parse().unwrap(), NOW as i64);
    set.decide(set.application("wiki").unwrap(), &Question::new(&principal, &circumstances))
}

fn login(person: &Person) -> LoginFacts {
    LoginFacts {
        authenticated_at: person.age.map(|age| (NOW - age) as i64),
        acr: person.acr.map(Box::from),
        amr: person.amr.as_ref().map(|methods| methods.iter().copied().map(Box::from).collect()),
    }
}

/// What a policy asks of a login, if a decision names one.
fn step_up(policies: &[Policy], decision: Decision) -> Option<StepUp> {
    compile(policies, &PROVIDERS).step_up(decision.policy?).cloned()
}

/// The naive model: two truth values, strings, no ids. Answers with the deciding policy.
fn model(policies: &[Policy], person: &Person) -> (bool, Option<usize>) {
    for (index, policy) in policies.iter().enumerate() {
        let matches = policy.include.iter().any(|it| holds(it, person))
            && policy.require.iter().all(|it| holds(it, person))
            && !policy.exclude.iter().any(|it| holds(it, person));
        if matches {
            return (policy.action == Action::Allow, Some(index));
        }
    }
    (false, None)
}

/// The first policy that would allow somebody whose login were as good as it asks.
fn short(policies: &[Policy], person: &Person) -> Option<usize> {
    policies.iter().position(|policy| {
        let others = policy.require.iter().filter(|it| !is_about_the_login(it));
        policy.action == Action::Allow
            && policy.include.iter().any(|it| holds(it, person))
            && others.into_iter().all(|it| holds(it, person))
            && !policy.exclude.iter().any(|it| holds(it, person))
    })
}

fn holds(selector: &Selector, person: &Person) -> bool {
    let email = person.email.unwrap();
    match selector {
        Selector::Everyone => true,
        Selector::Email(list) => list.iter().any(|it| it.to_string() == email),
        Selector::EmailDomain(list) => list.iter().any(|it| email.split('@').nth(1) == Some(it.as_str())),
        Selector::Group(list) => list.iter().any(|it| person.groups.as_ref().unwrap().contains(&it.as_str())),
        Selector::Ip(list) => list.iter().any(|it| in_network(it, person.ip)),
        Selector::LoginMethod(list) => list.iter().any(|it| person.provider == Some(it.as_str())),
        Selector::Acr(list) => list.iter().any(|it| person.acr == Some(it.as_str())),
        Selector::Amr(list) => list.iter().any(|it| person.amr.as_ref().unwrap().contains(&it.as_str())),
        Selector::LoginAge(age) => person.age.unwrap() <= age.as_secs(),
        _ => panic!("the model lacks a selector"),
    }
}

fn in_network(net: &IpNet, address: &str) -> bool {
    let address = address.strip_prefix("::ffff:").unwrap_or(address);
    net.contains(&address.parse::<IpAddr>().unwrap())
}

/// Every person that this one may be, the unknown facts filled in with everything of this small world.
fn completions(person: &Person) -> Vec<Person> {
    let emails = person.email.map_or(EMAILS.to_vec(), |it| vec![it]);
    let providers = person.provider.map_or(PROVIDERS.to_vec(), |it| vec![it]);
    let groups = person.groups.clone().map_or_else(|| every_subset(&GROUPS), |it| vec![it]);
    let logins = every_login(person);
    let mut all = Vec::new();
    for email in &emails {
        for provider in &providers {
            for groups in &groups {
                all.extend(logins.iter().map(|(acr, amr, age)| Person {
                    email: Some(email),
                    groups: Some(groups.clone()),
                    provider: Some(provider),
                    acr: Some(acr),
                    amr: Some(amr.clone()),
                    age: Some(*age),
                    ip: person.ip,
                }));
            }
        }
    }
    all
}

fn every_login(person: &Person) -> Vec<(&'static str, Vec<&'static str>, u64)> {
    let contexts = person.acr.map_or(CONTEXTS.to_vec(), |it| vec![it]);
    let methods = person.amr.clone().map_or_else(|| every_subset(&METHODS), |it| vec![it]);
    let ages = person.age.map_or(AGES.to_vec(), |it| vec![it]);
    let mut all = Vec::new();
    for acr in contexts {
        for amr in &methods {
            all.extend(ages.iter().map(|age| (acr, amr.clone(), *age)));
        }
    }
    all
}

fn every_subset(of: &[&'static str]) -> Vec<Vec<&'static str>> {
    let subset = |bits: usize| (0..of.len()).filter(|bit| bits >> bit & 1 == 1).map(|bit| of[bit]).collect();
    (0..1 << of.len()).map(subset).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_every_fact_known_the_model_agrees(policies in policies(), person in known_person()) {
        let decision = decide(&policies, &person);
        let (allowed, index) = model(&policies, &person);
        let set = compile(&policies, &PROVIDERS);
        let name = decision.policy.map(|id| set.policy_name(id).unwrap().to_owned());
        prop_assert_eq!(decision.is_allowed(), allowed);
        let short = short(&policies, &person).filter(|at| !allowed && index.is_none_or(|index| *at < index));
        let index = short.or(index);
        prop_assert_eq!(name, index.map(|index| policies[index].name.clone()));
        let reason = match (allowed, index) {
            (true, _) => Reason::AllowedByPolicy,
            (false, Some(_)) if short.is_some() => Reason::StepUpRequired,
            (false, Some(_)) => Reason::BlockedByPolicy,
            (false, None) if policies.is_empty() => Reason::NoPolicies,
            (false, None) => Reason::NoPolicyMatched,
        };
        prop_assert_eq!(decision.reason, reason);
    }

    #[test]
    fn who_is_sent_to_log_in_is_allowed_afterwards_and_nobody_else_would_be(
        policies in policies(), person in person(),
    ) {
        // Elsewhere than in the `require` of an allow, a better login may also work against somebody.
        let policies = without(policies, is_about_the_login);
        let decision = decide(&policies, &person);
        let better = every_login(&Person { acr: None, amr: None, age: None, ..person.clone() });
        let mut helps = better.into_iter().map(|(acr, amr, age)| Person {
            acr: Some(acr), amr: Some(amr), age: Some(age), ..person.clone()
        });
        if decision.reason == Reason::StepUpRequired {
            let wanted = step_up(&policies, decision).unwrap();
            prop_assert!(!wanted.is_met_by(&login(&person), NOW as i64));
            let helped: Vec<Person> = helps.filter(|it| wanted.is_met_by(&login(it), NOW as i64)).collect();
            prop_assert!(!helped.is_empty());
            for person in helped {
                prop_assert!(decide(&policies, &person).is_allowed(), "{:?}", person);
            }
        } else if !decision.is_allowed() {
            prop_assert!(!helps.any(|it| decide(&policies, &it).is_allowed()), "{:?}", decision);
        }
    }

    #[test]
    fn asking_more_of_the_login_never_allows_more(
        policies in policies(), more in about_the_login(), at in any::<prop::sample::Index>(), person in person(),
    ) {
        let before = decide(&policies, &person);
        let mut stricter = policies.clone();
        let mut allows: Vec<&mut Policy> = stricter.iter_mut().filter(|it| it.action == Action::Allow).collect();
        prop_assume!(!allows.is_empty());
        let chosen = at.index(allows.len());
        allows[chosen].require.push(more);
        let required = std::mem::take(&mut allows[chosen].require);
        allows[chosen].require = with_one_acr_at_most(required);
        prop_assert!(before.is_allowed() || !decide(&stricter, &person).is_allowed());
    }

    #[test]
    fn an_answer_stands_until_the_time_it_names(policies in policies(), person in person()) {
        let first = decide(&policies, &person);
        for later in [1, 59, 60, 61, 840, 841, 900, 901, 100_000] {
            let again = decide_at(&policies, &person, NOW + later);
            if ((NOW + later) as i64) < first.until {
                prop_assert_eq!(again, first);
            }
        }
        prop_assert!(first.until > NOW as i64);
    }

    #[test]
    fn who_is_allowed_would_be_allowed_whatever_the_unknown_facts_are(policies in policies(), person in person()) {
        if decide(&policies, &person).is_allowed() {
            for completion in completions(&person) {
                prop_assert!(model(&policies, &completion).0, "{:?}", completion);
            }
        }
    }

    #[test]
    fn who_is_told_no_for_certain_would_not_be_allowed_whatever_the_unknown_facts_are(
        policies in policies(),
        person in person(),
    ) {
        // Another login can only help where the reason says so.
        if decide(&policies, &person).reason == Reason::NoPolicyMatched {
            for completion in completions(&person) {
                prop_assert_eq!(model(&policies, &completion), (false, None), "{:?}", completion);
            }
        }
    }

    #[test]
    fn a_group_in_doubt_never_helps(
        policies in policies(), person in known_person(), doubts in subsequence(GROUPS.to_vec(), 0..=4),
    ) {
        if decide_in_doubt(&policies, &person, &doubts, NOW).is_allowed() {
            for bits in 0..1_usize << doubts.len() {
                let mut maybe = person.clone();
                let more = doubts.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name);
                maybe.groups.get_or_insert_default().extend(more);
                prop_assert!(decide(&policies, &maybe).is_allowed(), "{:?}", maybe);
            }
        }
    }

    #[test]
    fn adding_a_block_never_allows(
        policies in policies(), mut block in policy(), at in any::<prop::sample::Index>(), person in person(),
    ) {
        block.action = Action::Block;
        let before = decide(&policies, &person);
        let mut more = policies.clone();
        more.insert(at.index(policies.len() + 1), block);
        let after = decide(&named(more), &person);
        prop_assert!(before.is_allowed() || !after.is_allowed());
    }

    #[test]
    fn a_service_is_let_in_by_a_policy_about_services_alone(
        policies in policies(), services in vec(service_policy(), 0..4), at in any::<prop::sample::Index>(),
        ip in select(&ADDRESSES[..]), token in select(&TOKENS[..]), person in person(),
    ) {
        prop_assert!(!decide_service(&policies, token, ip).is_allowed());
        let mut both = policies.clone();
        let at = at.index(policies.len() + 1);
        both.splice(at..at, services.clone());
        let both = named(both);
        // People do not notice them, wherever they stand.
        prop_assert_eq!(decide(&both, &person).verdict, decide(&policies, &person).verdict);
        let holds = |selector: &Selector| match selector {
            Selector::ServiceToken(names) => names.iter().any(|name| name == token),
            Selector::AnyServiceToken => true,
            Selector::Ip(list) => list.iter().any(|net| in_network(net, ip)),
            _ => false,
        };
        let admits = |policy: &Policy| {
            policy.include.iter().any(holds)
                && policy.require.iter().all(holds)
                && !policy.exclude.iter().any(holds)
        };
        prop_assert_eq!(decide_service(&both, token, ip).is_allowed(), services.iter().any(admits));
    }

    #[test]
    fn the_order_of_rules_inside_a_policy_does_not_matter(
        (policies, shuffled) in policies().prop_flat_map(|it| (Just(it.clone()), shuffled(it))),
        person in person(),
    ) {
        let (one, other) = (decide(&policies, &person), decide(&shuffled, &person));
        prop_assert_eq!(one.verdict, other.verdict);
        // Between two unknown rules the order chooses which is named, never whether the policy decides.
        prop_assert_eq!(deciding_policy(&policies, one), deciding_policy(&shuffled, other));
    }

    #[test]
    fn who_is_not_mentioned_is_denied_without_everyone(policies in policies()) {
        let policies = without_including(policies, |it| matches!(it, Selector::Everyone | Selector::Ip(_) | Selector::LoginMethod(_)));
        let nobody = Person {
            email: Some("nobody@elsewhere.example"),
            groups: Some(vec!["Everyone"]),
            provider: Some("okta"),
            acr: Some("0fa"),
            amr: Some(vec!["otp"]),
            age: Some(100_000),
            ip: "192.0.2.1",
        };
        prop_assert!(!decide(&policies, &nobody).is_allowed());
    }

    #[test]
    fn what_parses_as_an_address_is_its_own_normal_form(text in "[aAbB.@\"_+ -]{0,12}|\\PC{0,12}@\\PC{0,12}") {
        if let Ok(address) = text.parse::<portcullis_policy::EmailAddress>() {
            let normal = address.to_string();
            prop_assert_eq!(normal.matches('@').count(), 1);
            prop_assert_eq!(&normal, &text.to_ascii_lowercase());
            prop_assert_eq!(normal.parse(), Ok(address));
        }
    }
}

fn shuffled(policies: Vec<Policy>) -> impl Strategy<Value = Vec<Policy>> {
    let each = policies.into_iter().map(|policy| {
        let lists = (
            Just(policy.include.clone()).prop_shuffle(),
            Just(policy.require.clone()).prop_shuffle(),
            Just(policy.exclude.clone()).prop_shuffle(),
        );
        lists.prop_map(move |(include, require, exclude)| Policy {
            include,
            require,
            exclude,
            ..policy.clone()
        })
    });
    each.collect::<Vec<_>>()
}

/// The deciding policy's name, looked up in a set compiled as the decision's was.
fn deciding_policy(policies: &[Policy], decision: Decision) -> Option<String> {
    let set = compile(policies, &PROVIDERS);
    decision.policy.map(|id| set.policy_name(id).unwrap().to_owned())
}

/// Policies whose includes lack the given selectors; a policy that is left without an include is left out.
fn without_including(mut policies: Vec<Policy>, unwanted: impl Fn(&Selector) -> bool) -> Vec<Policy> {
    for policy in &mut policies {
        policy.include.retain(|selector| !unwanted(selector));
    }
    policies.retain(|policy| !policy.include.is_empty());
    policies
}

/// Policies that speak of something only where an allow requires it.
fn without(mut policies: Vec<Policy>, unwanted: impl Fn(&Selector) -> bool) -> Vec<Policy> {
    for policy in &mut policies {
        policy.exclude.retain(|selector| !unwanted(selector));
        if policy.action == Action::Block {
            policy.require.retain(|selector| !unwanted(selector));
        }
    }
    without_including(policies, unwanted)
}
