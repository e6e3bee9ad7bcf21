//! `[[policy]]`: rules as written in the file, handed to the policy crate as typed values, and its faults brought back to their
//! lines.

use std::collections::HashMap;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use portcullis_policy::{
    Action, ApplicationPolicies, EmailAddress, EmailDomain, Known, Place, Policy, PolicySet, Selector,
    Sources,
};

mod beyond;

use super::application::ReadApplication;
use super::document::{Faults, Section, Value};
use super::evaluation::Evaluation;
use super::provider::{IdentityProvider, read_name};

struct ReadPolicy {
    policy: Policy,
    span: Range<usize>,
}

pub(super) fn read_all(
    root: &mut Section<'_, '_>,
    faults: &Faults<'_>,
    applications: &[ReadApplication],
    providers: &[IdentityProvider],
    evaluations: &[Evaluation],
    prompts: &mut HashMap<String, String>,
) -> Option<Arc<PolicySet>> {
    let mut policies = Vec::new();
    let mut whole = true;
    for mut section in root.sections("policy") {
        let read = read_policy(&mut section, prompts);
        whole &= read.is_some();
        policies.extend(read.map(|policy| ReadPolicy { policy, span: section.span() }));
        section.finish();
    }
    let sources: Vec<Policy> = policies.iter().map(|read| read.policy.clone()).collect();
    let identity_providers = providers.iter().map(|provider| provider.name.clone()).collect();
    let external_evaluations = evaluations.iter().map(|evaluation| evaluation.name.clone()).collect();
    let known = Known { identity_providers, external_evaluations };
    let attached: Vec<ApplicationPolicies> =
        applications.iter().map(|read| attached_policies(read, &known.identity_providers)).collect();
    let sources = Sources { policies: &sources, rule_groups: &[], applications: &attached, known: &known };
    let compiled = PolicySet::compile(&sources);
    let found = match compiled {
        Ok(set) => return whole.then(|| Arc::new(set)),
        Err(found) => found,
    };
    for fault in found {
        let (span, key) = place(&fault.place, &policies, applications);
        // A policy that could not be read is reported where it stands, not again wherever it is named.
        if whole || !matches!(fault.fault, portcullis_policy::Fault::UnknownPolicy(_)) {
            faults.add(&span, key, format!("{}: {}", fault.place, fault.fault));
        }
    }
    None
}

/// An application that names no providers accepts those that there are: a session of one that was taken out opens nothing.
fn attached_policies(read: &ReadApplication, all: &[String]) -> ApplicationPolicies {
    let application = &read.application;
    let named = &application.identity_providers;
    ApplicationPolicies {
        application: application.name.to_string(),
        policies: application.policies.clone(),
        login_methods: if named.is_empty() { all.to_vec() } else { named.clone() },
    }
}

fn place(
    place: &Place,
    policies: &[ReadPolicy],
    applications: &[ReadApplication],
) -> (Range<usize>, &'static str) {
    match place {
        Place::Policy { index, .. } | Place::Rule { index, .. } | Place::Approver { index, .. } => {
            (policies.get(*index).map_or(0..0, |read| read.span.clone()), "policy")
        }
        Place::Application { index, .. } | Place::ApplicationPolicy { index, .. } => {
            (applications.get(*index).map_or(0..0, |read| read.span.clone()), "application")
        }
        _ => (0..0, ""),
    }
}

const ACTIONS: &str = "\"allow\", \"block\" or \"service_auth\"";

fn read_policy(section: &mut Section<'_, '_>, prompts: &mut HashMap<String, String>) -> Option<Policy> {
    let name = read_name(section, "applications refer to it");
    let action = section.required("action", ACTIONS).and_then(|value| match value.string()? {
        "allow" => Some(Action::Allow),
        "block" => Some(Action::Block),
        "service_auth" => Some(Action::ServiceAuth),
        other => {
            value.fault(format!("`{other}` is unknown: {ACTIONS}"));
            None
        }
    });
    let include = section.required("include", "whom it concerns, such as [{ group = \"Engineering\" }]");
    let include = include.and_then(|value| read_rules(&value));
    let require = section.optional("require").map_or(Some(Vec::new()), |value| read_rules(&value));
    let exclude = section.optional("exclude").map_or(Some(Vec::new()), |value| read_rules(&value));
    let session_duration = section.optional("session_duration").and_then(|value| value.duration());
    let report_only = section.optional("report_only").and_then(|value| value.boolean()).unwrap_or(false);
    let beyond = beyond::read(section);
    let (name, beyond) = (name?, beyond?);
    prompts.extend(beyond.prompt.map(|prompt| (name.clone(), prompt)));
    Some(Policy {
        require: require?,
        exclude: exclude?,
        session_duration,
        report_only,
        purpose_required: beyond.purpose_required,
        approval: beyond.approval,
        ..Policy::new(&name, action?, include?)
    })
}

/// None when any rule is wrong: half a list would be another policy.
fn read_rules(value: &Value<'_, '_>) -> Option<Vec<Selector>> {
    let read: Vec<Option<Selector>> = value.list().iter().map(read_rule).collect();
    read.into_iter().collect()
}

fn read_rule(value: &Value<'_, '_>) -> Option<Selector> {
    let mut section = value.section()?;
    let everyone = section.optional("everyone").map(|value| only_true(&value, Selector::Everyone));
    let service = section.optional("service_token").map(|value| texts(&value).map(Selector::ServiceToken));
    let any_service =
        section.optional("any_service_token").map(|value| only_true(&value, Selector::AnyServiceToken));
    let email =
        section.optional("email").map(|value| parse_each::<EmailAddress>(&value).map(Selector::Email));
    let domain = section
        .optional("email_domain")
        .map(|value| parse_each::<EmailDomain>(&value).map(Selector::EmailDomain));
    let group = section.optional("group").map(|value| texts(&value).map(Selector::Group));
    let ip = section.optional("ip").map(|value| networks(&value).map(Selector::Ip));
    let login = section.optional("login_method").map(|value| texts(&value).map(Selector::LoginMethod));
    let acr = section.optional("acr").map(|value| texts(&value).map(Selector::Acr));
    let amr = section.optional("amr").map(|value| texts(&value).map(Selector::Amr));
    let age = section.optional("login_age").map(|value| value.duration().map(Selector::LoginAge));
    let external = section
        .optional("external")
        .map(|value| value.string().map(|name| Selector::External(name.to_owned())));
    section.finish();
    let given = [external, everyone, email, domain, group, ip, login, acr, amr, age, service, any_service];
    let mut given: Vec<Option<Selector>> = given.into_iter().flatten().collect();
    if given.len() != 1 {
        value.fault(
            "a rule has exactly one of: everyone, email, email_domain, group, ip, login_method, acr, amr, login_age, \
             service_token, any_service_token, external",
        );
        return None;
    }
    given.pop().flatten()
}

/// A rule without values: written as true, or left out.
fn only_true(value: &Value<'_, '_>, selector: Selector) -> Option<Selector> {
    if !value.boolean()? {
        value.fault("write `true`, or leave the rule out");
        return None;
    }
    Some(selector)
}

fn texts(value: &Value<'_, '_>) -> Option<Vec<String>> {
    value.one_or_list().iter().map(|item| item.string().map(str::to_owned)).collect()
}

fn parse_each<T>(value: &Value<'_, '_>) -> Option<Vec<T>>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    value.one_or_list().iter().map(Value::parsed).collect()
}

/// Networks in CIDR form; a bare address is a network of one.
pub(super) fn networks(value: &Value<'_, '_>) -> Option<Vec<IpNet>> {
    let network = |item: &Value<'_, '_>| {
        let text = item.string()?;
        let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        if parsed.is_err() {
            item.fault(format!("`{text}` is no address or network, such as \"10.0.0.0/8\""));
        }
        parsed.ok()
    };
    value.one_or_list().iter().map(network).collect()
}
