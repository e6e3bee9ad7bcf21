//! Who may grant what a policy would allow.

use std::time::Duration;

use super::*;
use crate::country::CountryCode;
use crate::source::{ApplicationPolicies, Approval, Known, Policy, Selector, Sources};

/// `payroll` accepts logins of `okta` alone, `handbook` of all providers; access to both is granted by the group `Leads`, or from Germany.
fn set() -> PolicySet {
    let approvers =
        vec![Selector::Group(vec!["Leads".into()]), Selector::Country(vec!["DE".parse().unwrap()])];
    let mut policy = Policy::new("on call", Action::Allow, vec![Selector::Everyone]);
    policy.approval = Some(Approval { approvers, longest: Duration::from_secs(60) });
    let application = |name: &str, login_methods: &[&str]| ApplicationPolicies {
        application: name.to_owned(),
        policies: vec!["on call".to_owned()],
        login_methods: login_methods.iter().map(|&name| name.to_owned()).collect(),
    };
    let known = Known { identity_providers: vec!["okta".into(), "partners".into()], ..Known::default() };
    let sources = Sources {
        policies: &[policy],
        rule_groups: &[],
        applications: &[application("payroll", &["okta"]), application("handbook", &[])],
        known: &known,
    };
    PolicySet::compile(&sources).unwrap()
}

/// Whether a login at that provider, with the group's name among its groups or not, may grant access to that application.
fn may(application: &str, provider: &str, is_lead: bool, country: Option<CountryCode>) -> bool {
    let set = set();
    let person = crate::principal::Person {
        groups: set.intern_groups(is_lead.then_some("Leads").into_iter()),
        login_method: set.login_method(provider),
        ..set.stranger()
    };
    let principal = Principal::Person(person);
    let at = Circumstances { country, ..Circumstances::at([192, 0, 2, 1].into(), 100) };
    let (application, policy) = (set.application(application).unwrap(), set.policy_named("on call").unwrap());
    set.may_approve(application, policy, &Question::new(&principal, &at))
}

#[test]
fn who_approves_has_logged_in_as_the_application_asks() {
    assert!(may("payroll", "okta", true, None));
    assert!(!may("payroll", "okta", false, None));
    assert!(!may("payroll", "partners", true, None), "another provider's group of that name approves");
    assert!(!may("payroll", "gone", true, None), "a provider that is gone approves");
    assert!(may("handbook", "partners", true, None), "here the logins of all providers count");
    assert!(may("payroll", "okta", false, "DE".parse().ok()), "where they are counts too");
    assert!(!may("payroll", "partners", false, "DE".parse().ok()));
}
