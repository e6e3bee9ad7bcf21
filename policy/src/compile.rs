//! From sources to a [`PolicySet`]: names resolved, lists sorted, all faults reported at once.
//!
//! Whether a policy is wise (unreachable, open to everyone) is left to a lint.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use crate::decision::PolicyId;
use crate::fault::{CompileFault, Fault, Place};
use crate::set::{CompiledApplication, CompiledPolicy, PolicySet, Test};
use crate::source::{Action, ApplicationPolicies, Concerns, Known, Policy, Selector};
use crate::step_up::{StepUp, bad_values};

/// Bits before the IPv4 part of a mapped address (RFC 4291, 2.5.5.2).
const MAPPED_PREFIX_BITS: u8 = 96;

impl PolicySet {
    /// Compiles the sources, or names everything that is wrong with them.
    ///
    /// # Errors
    /// Every fault of every policy and application, in the order of the sources.
    pub fn compile(
        policies: &[Policy],
        applications: &[ApplicationPolicies],
        known: &Known,
    ) -> Result<Self, Vec<CompileFault>> {
        let mut faults = policy_faults(policies, known);
        faults.extend(application_faults(applications, policies, known));
        if !faults.is_empty() {
            return Err(faults);
        }
        let revision = revision(policies, applications, known);
        let group_ids = number(policies.iter().flat_map(group_names));
        let login_method_ids = number(known.identity_providers.iter().map(String::as_str));
        let ids = Ids { groups: &group_ids, login_methods: &login_method_ids };
        let policies: Box<[_]> = policies
            .iter()
            .enumerate()
            .map(|(index, policy)| Arc::new(ids.policy(PolicyId { revision, index }, policy)))
            .collect();
        let by_name: HashMap<&str, &Arc<CompiledPolicy>> =
            policies.iter().map(|policy| (&*policy.name, policy)).collect();
        let compiled_applications = applications.iter().map(|it| ids.application(it, &by_name)).collect();
        let application_ids = applications
            .iter()
            .enumerate()
            .map(|(index, it)| (it.application.as_str().into(), index))
            .collect();
        Ok(Self {
            revision,
            policies,
            applications: compiled_applications,
            application_ids,
            group_ids,
            login_method_ids,
        })
    }
}

fn policy_faults(policies: &[Policy], known: &Known) -> Vec<CompileFault> {
    let mut faults = Vec::new();
    let mut names = HashSet::new();
    for (index, policy) in policies.iter().enumerate() {
        let mut report = |fault| {
            let place = Place::Policy { name: policy.name.clone(), index };
            faults.push(CompileFault { place, fault });
        };
        if policy.name.is_empty() {
            report(Fault::EmptyName);
        }
        if !names.insert(policy.name.as_str()) {
            report(Fault::DuplicatePolicy);
        }
        if policy.include.is_empty() {
            report(Fault::EmptyInclude);
        }
        if policy.action != Action::Allow && policy.session_duration.is_some() {
            report(Fault::UselessDuration);
        }
        StepUp::faults(policy).into_iter().for_each(&mut report);
        for (section, selectors) in policy.sections() {
            for (rule, selector) in selectors.iter().enumerate() {
                let found = selector_faults(selector, policy.action, known);
                faults.extend(found.into_iter().map(|fault| CompileFault {
                    place: Place::Rule { policy: policy.name.clone(), index, section, rule },
                    fault,
                }));
            }
        }
    }
    faults
}

fn selector_faults(selector: &Selector, action: Action, known: &Known) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !matches!(selector.concerns(), Concerns::Both) && selector.concerns() != action.concerns() {
        faults.push(Fault::WrongKind(action));
    }
    let is_empty = match selector {
        Selector::Everyone | Selector::AnyServiceToken => false,
        Selector::ServiceToken(list) => {
            faults.extend(list.iter().filter(|name| name.is_empty()).map(|_| Fault::EmptyTokenName));
            list.is_empty()
        }
        Selector::Email(list) => list.is_empty(),
        Selector::EmailDomain(list) => list.is_empty(),
        Selector::Ip(list) => list.is_empty(),
        Selector::Group(list) => {
            faults.extend(list.iter().filter(|name| name.is_empty()).map(|_| Fault::EmptyGroupName));
            list.is_empty()
        }
        Selector::LoginMethod(list) => {
            let unknown = list.iter().filter(|name| !known.identity_providers.contains(name));
            faults.extend(unknown.cloned().map(Fault::UnknownLoginMethod));
            list.is_empty()
        }
        Selector::Acr(list) | Selector::Amr(list) => {
            faults.extend(bad_values(list));
            list.is_empty()
        }
        Selector::LoginAge(_) => false,
    };
    if is_empty {
        faults.push(Fault::EmptySelector);
    }
    faults
}

fn application_faults(
    applications: &[ApplicationPolicies],
    policies: &[Policy],
    known: &Known,
) -> Vec<CompileFault> {
    let named: HashSet<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    let mut faults = Vec::new();
    let mut names = HashSet::new();
    for (index, it) in applications.iter().enumerate() {
        let mut report = |fault| {
            let place = Place::Application { name: it.application.clone(), index };
            faults.push(CompileFault { place, fault });
        };
        if it.application.is_empty() {
            report(Fault::EmptyName);
        }
        if !names.insert(it.application.as_str()) {
            report(Fault::DuplicateApplication);
        }
        for method in it.login_methods.iter().filter(|name| !known.identity_providers.contains(name)) {
            report(Fault::UnknownLoginMethod(method.clone()));
        }
        let mut listed = HashSet::new();
        for (position, policy) in it.policies.iter().enumerate() {
            let fault = if !named.contains(policy.as_str()) {
                Fault::UnknownPolicy(policy.clone())
            } else if !listed.insert(policy.as_str()) {
                Fault::RepeatedPolicy(policy.clone())
            } else {
                continue;
            };
            let place = Place::ApplicationPolicy { application: it.application.clone(), index, position };
            faults.push(CompileFault { place, fault });
        }
    }
    faults
}

/// A digest of the sources rather than a counter: the same on every node and after every restart, so that a log line
/// says which policies were in force, and a reload that changes nothing keeps every interned group valid.
fn revision(policies: &[Policy], applications: &[ApplicationPolicies], known: &Known) -> u64 {
    let mut hasher = DefaultHasher::new();
    (policies, applications, known).hash(&mut hasher);
    hasher.finish()
}

fn group_names(policy: &Policy) -> impl Iterator<Item = &str> {
    policy.sections().into_iter().flat_map(|(_, selectors)| selectors).flat_map(|selector| match selector {
        Selector::Group(names) => names.iter().map(String::as_str),
        _ => [].iter().map(String::as_str),
    })
}

fn number<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<Box<str>, u32> {
    let sorted: BTreeSet<&str> = names.collect();
    sorted.into_iter().map(Box::from).zip(0..).collect()
}

struct Ids<'a> {
    groups: &'a HashMap<Box<str>, u32>,
    login_methods: &'a HashMap<Box<str>, u32>,
}

impl Ids<'_> {
    /// The applications' order is kept: allow and block share one walk. What is tried before them comes first.
    fn application(
        &self,
        source: &ApplicationPolicies,
        by_name: &HashMap<&str, &Arc<CompiledPolicy>>,
    ) -> CompiledApplication {
        let policies = source.policies.iter().filter_map(|name| by_name.get(name.as_str()));
        let mut policies: Vec<Arc<CompiledPolicy>> = policies.map(|policy| Arc::clone(policy)).collect();
        policies.sort_by_key(|policy| match policy.action {
            Action::ServiceAuth => 0,
            Action::Allow | Action::Block => 1,
        });
        let some = !source.login_methods.is_empty();
        CompiledApplication {
            login_methods: some.then(|| lookup(self.login_methods, &source.login_methods)),
            policies: policies.into(),
        }
    }

    fn policy(&self, id: PolicyId, source: &Policy) -> CompiledPolicy {
        let tests = |selectors: &[Selector]| selectors.iter().map(|selector| self.test(selector)).collect();
        CompiledPolicy {
            id,
            name: source.name.as_str().into(),
            action: source.action,
            include: tests(&source.include),
            require: tests(&source.require),
            exclude: tests(&source.exclude),
            step_up: StepUp::of(source),
            session_duration: source.session_duration,
        }
    }

    fn test(&self, selector: &Selector) -> Test {
        match selector {
            Selector::Everyone => Test::Everyone,
            Selector::Email(list) => Test::Emails(sorted(list.iter().map(|it| it.as_str().into()))),
            Selector::EmailDomain(list) => {
                Test::EmailDomains(sorted(list.iter().map(|it| it.as_str().into())))
            }
            Selector::Group(names) => Test::Groups(lookup(self.groups, names)),
            Selector::Ip(list) => Test::Networks(sorted(list.iter().map(canonical))),
            Selector::LoginMethod(names) => Test::LoginMethods(lookup(self.login_methods, names)),
            Selector::ServiceToken(names) => {
                Test::ServiceTokens(sorted(names.iter().map(|name| name.as_str().into())))
            }
            Selector::AnyServiceToken => Test::AnyServiceToken,
            Selector::Acr(list) => Test::Contexts(sorted(list.iter().map(|it| it.as_str().into()))),
            Selector::Amr(list) => Test::Methods(sorted(list.iter().map(|it| it.as_str().into()))),
            Selector::LoginAge(age) => Test::LoginAge(*age),
        }
    }
}

fn lookup(ids: &HashMap<Box<str>, u32>, names: &[String]) -> Box<[u32]> {
    sorted(names.iter().filter_map(|name| ids.get(name.as_str()).copied()))
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Box<[T]> {
    items.collect::<BTreeSet<T>>().into_iter().collect()
}

/// A network of mapped IPv4 addresses becomes the IPv4 network, as the addresses it is compared with do.
fn canonical(net: &IpNet) -> IpNet {
    if let IpNet::V6(v6) = net
        && let IpAddr::V4(address) = IpAddr::V6(v6.addr()).to_canonical()
        && let Some(length) = v6.prefix_len().checked_sub(MAPPED_PREFIX_BITS)
        && let Ok(v4) = Ipv4Net::new(address, length)
    {
        return IpNet::V4(v4.trunc());
    }
    net.trunc()
}

#[cfg(test)]
mod tests;
