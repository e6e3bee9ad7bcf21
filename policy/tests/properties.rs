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

use portcullis_policy::{
    Action, ApplicationPolicies, Decision, IpNet, Known, Policy, PolicySet, Principal, Question, Reason,
    Selector, Service,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const EMAILS: [&str; 4] = ["a@corp.example", "b@corp.example", "a@partner.example", "c@mail.corp.example"];
const DOMAINS: [&str; 3] = ["corp.example", "partner.example", "mail.corp.example"];
const GROUPS: [&str; 4] = ["Engineering", "engineering", "Sales", "Büro"];
const NETWORKS: [&str; 4] = ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "0.0.0.0/0"];
const ADDRESSES: [&str; 4] = ["10.1.2.3", "::ffff:10.9.9.9", "2001:db8::1", "192.0.2.1"];
const PROVIDERS: [&str; 2] = ["okta", "partners"];

/// Who asks, in plain strings; a fact that is `None` is not known.
#[derive(Clone, Debug)]
struct Person {
    email: Option<&'static str>,
    groups: Option<Vec<&'static str>>,
    provider: Option<&'static str>,
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
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let action = select(vec![Action::Allow, Action::Block]);
    (action, vec(selector(), 1..4), vec(selector(), 0..3), vec(selector(), 0..3)).prop_map(
        |(action, include, require, exclude)| Policy {
            name: String::new(),
            action,
            include,
            require,
            exclude,
        },
    )
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
    (select(&EMAILS[..]), subsequence(GROUPS.to_vec(), 0..=4), select(&PROVIDERS[..]), select(&ADDRESSES[..]))
        .prop_map(|(email, groups, provider, ip)| Person {
            email: Some(email),
            groups: Some(groups),
            provider: Some(provider),
            ip,
        })
}

fn person() -> impl Strategy<Value = Person> {
    (known_person(), any::<[bool; 3]>()).prop_map(|(person, [email, groups, provider])| Person {
        email: person.email.filter(|_| email),
        groups: person.groups.filter(|_| groups),
        provider: person.provider.filter(|_| provider),
        ip: person.ip,
    })
}

fn compile(policies: &[Policy], identity_providers: &[&str]) -> PolicySet {
    let application = ApplicationPolicies {
        application: "wiki".into(),
        policies: policies.iter().map(|policy| policy.name.clone()).collect(),
        login_methods: Vec::new(),
    };
    let known = Known { identity_providers: identity_providers.iter().map(ToString::to_string).collect() };
    PolicySet::compile(policies, &[application], &known).unwrap()
}

/// Groups that are not known are groups of another revision: all of them, so that a mix-up would show.
fn decide(policies: &[Policy], person: &Person) -> Decision {
    let set = compile(policies, &PROVIDERS);
    let groups = match &person.groups {
        Some(groups) => set.intern_groups(groups.iter().copied()),
        None => compile(policies, &["okta", "partners", "added"]).intern_groups(GROUPS.into_iter()),
    };
    let principal = Principal::Person(portcullis_policy::Person {
        email: person.email.map(|email| email.parse().unwrap()),
        groups,
        login_method: person.provider.and_then(|name| set.login_method(name)),
    });
    let question = Question { principal: &principal, client_ip: person.ip.parse().unwrap() };
    set.decide(set.application("wiki").unwrap(), &question)
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
            name: String::new(),
            action: Action::ServiceAuth,
            include,
            require,
            exclude,
        },
    )
}

fn decide_service(policies: &[Policy], token: &str, ip: &str) -> Decision {
    let set = compile(policies, &PROVIDERS);
    let principal = Principal::Service(Service { token: token.into() });
    let question = Question { principal: &principal, client_ip: ip.parse().unwrap() };
    set.decide(set.application("wiki").unwrap(), &question)
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

fn holds(selector: &Selector, person: &Person) -> bool {
    let email = person.email.unwrap();
    match selector {
        Selector::Everyone => true,
        Selector::Email(list) => list.iter().any(|it| it.to_string() == email),
        Selector::EmailDomain(list) => list.iter().any(|it| email.split('@').nth(1) == Some(it.as_str())),
        Selector::Group(list) => list.iter().any(|it| person.groups.as_ref().unwrap().contains(&it.as_str())),
        Selector::Ip(list) => list.iter().any(|it| in_network(it, person.ip)),
        Selector::LoginMethod(list) => list.iter().any(|it| person.provider == Some(it.as_str())),
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
    let groups = person.groups.clone().map_or_else(every_subset_of_groups, |it| vec![it]);
    let mut all = Vec::new();
    for email in &emails {
        for provider in &providers {
            for groups in &groups {
                all.push(Person {
                    email: Some(email),
                    groups: Some(groups.clone()),
                    provider: Some(provider),
                    ip: person.ip,
                });
            }
        }
    }
    all
}

fn every_subset_of_groups() -> Vec<Vec<&'static str>> {
    let subset =
        |bits: usize| (0..GROUPS.len()).filter(|bit| bits >> bit & 1 == 1).map(|bit| GROUPS[bit]).collect();
    (0..1 << GROUPS.len()).map(subset).collect()
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
        prop_assert_eq!(name, index.map(|index| policies[index].name.clone()));
        let reason = match (allowed, index) {
            (true, _) => Reason::AllowedByPolicy,
            (false, Some(_)) => Reason::BlockedByPolicy,
            (false, None) if policies.is_empty() => Reason::NoPolicies,
            (false, None) => Reason::NoPolicyMatched,
        };
        prop_assert_eq!(decision.reason, reason);
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
        if decide(&policies, &person).reason == Reason::NoPolicyMatched {
            for completion in completions(&person) {
                prop_assert_eq!(model(&policies, &completion), (false, None), "{:?}", completion);
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
        let policies = without(policies, |it| matches!(it, Selector::Everyone | Selector::Ip(_) | Selector::LoginMethod(_)));
        let nobody = Person {
            email: Some("nobody@elsewhere.example"),
            groups: Some(vec!["Everyone"]),
            provider: Some("okta"),
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
        let Policy { name, action, include, require, exclude } = policy;
        (Just(include).prop_shuffle(), Just(require).prop_shuffle(), Just(exclude).prop_shuffle()).prop_map(
            move |(include, require, exclude)| Policy {
                name: name.clone(),
                action,
                include,
                require,
                exclude,
            },
        )
    });
    each.collect::<Vec<_>>()
}

/// The deciding policy's name, looked up in a set compiled as the decision's was.
fn deciding_policy(policies: &[Policy], decision: Decision) -> Option<String> {
    let set = compile(policies, &PROVIDERS);
    decision.policy.map(|id| set.policy_name(id).unwrap().to_owned())
}

/// Policies whose includes lack the given selectors; a policy that is left without an include is left out.
fn without(mut policies: Vec<Policy>, unwanted: impl Fn(&Selector) -> bool) -> Vec<Policy> {
    for policy in &mut policies {
        policy.include.retain(|selector| !unwanted(selector));
    }
    policies.retain(|policy| !policy.include.is_empty());
    policies
}
