//! From sources to a [`PolicySet`]: names resolved, lists sorted, rules and numbers in place of texts.
//!
//! What is wrong with the sources is `check`'s matter.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use crate::check;
use crate::decision::PolicyId;
use crate::fault::CompileFault;
use crate::predicate::Predicate;
use crate::request::RequestRules;
use crate::rule_group::{self, ByName};
use crate::set::{CompiledApplication, CompiledGroup, CompiledPolicy, Ids, PolicySet, Rules, Test};
use crate::source::{Action, ApplicationPolicies, Policy, RuleGroup, Section, Selector, Sources};
use crate::step_up::StepUp;

/// Bits before the IPv4 part of a mapped address (RFC 4291, 2.5.5.2).
const MAPPED_PREFIX_BITS: u8 = 96;

impl PolicySet {
    /// Compiles the sources, or names everything that is wrong with them.
    ///
    /// # Errors
    /// Every fault of every policy, rule group and application, in the order of the sources.
    pub fn compile(sources: &Sources<'_>) -> Result<Self, Vec<CompileFault>> {
        let faults = check::faults(sources);
        if !faults.is_empty() {
            return Err(faults);
        }
        let revision = revision(sources);
        let ids = ids(sources);
        let named = rule_group::by_name(sources.rule_groups);
        let mut compiler = Compiler { ids: &ids, named: &named, groups: HashMap::new() };
        let numbered = sources.policies.iter().enumerate();
        let policies: Box<[_]> = numbered
            .map(|(index, policy)| Arc::new(compiler.policy(PolicyId { revision, index }, policy)))
            .collect();
        let by_name: HashMap<&str, &Arc<CompiledPolicy>> =
            policies.iter().map(|policy| (&*policy.name, policy)).collect();
        let applications = sources.applications.iter().map(|it| compiler.application(it, &by_name)).collect();
        let mut predicates: Vec<(&Predicate, u32)> =
            ids.predicates.iter().map(|(predicate, id)| (predicate, *id)).collect();
        predicates.sort_unstable_by_key(|(_, id)| *id);
        let predicates = predicates.into_iter().map(|(predicate, _)| predicate.clone()).collect();
        Ok(Self {
            revision,
            policies,
            applications,
            predicates,
            ids,
            sources: sources.policies.into(),
            rule_groups: sources.rule_groups.into(),
        })
    }
}

/// A digest of the sources rather than a counter: the same on every node and after every restart, so that a log line
/// says which policies were in force, and a reload that changes nothing keeps every interned group valid.
fn revision(sources: &Sources<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (sources.policies, sources.rule_groups, sources.applications, sources.known).hash(&mut hasher);
    hasher.finish()
}

/// Numbers in the order of the alphabet, or of the text for predicates: the same for the same sources.
fn ids(sources: &Sources<'_>) -> Ids {
    let mut names = Names::default();
    for policy in sources.policies {
        policy.sections().into_iter().for_each(|section| names.gather(section));
        names.gather((Section::Include, policy.approval.as_ref().map_or(&[], |it| &it.approvers)));
    }
    for group in sources.rule_groups {
        group.sections().into_iter().for_each(|section| names.gather(section));
    }
    let groups = number(names.groups, 0);
    let applications = sources.applications.iter().enumerate();
    let mut ids = Ids {
        applications: applications.map(|(index, it)| (it.application.as_str().into(), index)).collect(),
        group_ids: number(names.group_ids, groups.len()),
        groups,
        login_methods: number(sources.known.identity_providers.iter().map(String::as_str).collect(), 0),
        evaluations: number(sources.known.external_evaluations.iter().map(String::as_str).collect(), 0),
        predicates: HashMap::new(),
    };
    for predicate in names.predicates {
        let next = u32::try_from(ids.predicates.len()).unwrap_or(u32::MAX);
        ids.predicates.entry(predicate.clone()).or_insert(next);
    }
    ids
}

/// What is named where, before it is numbered.
#[derive(Default)]
struct Names<'a> {
    groups: BTreeSet<&'a str>,
    group_ids: BTreeSet<&'a str>,
    predicates: Vec<&'a Predicate>,
}

impl<'a> Names<'a> {
    fn gather(&mut self, (_, selectors): (Section, &'a [Selector])) {
        for selector in selectors {
            match selector {
                Selector::Group(names) => self.groups.extend(names.iter().map(String::as_str)),
                Selector::GroupId(ids) => self.group_ids.extend(ids.iter().map(String::as_str)),
                Selector::Attribute(predicate) => self.predicates.push(predicate),
                _ => {}
            }
        }
    }
}

fn number(names: BTreeSet<&str>, after: usize) -> HashMap<Box<str>, u32> {
    let first = u32::try_from(after).unwrap_or(u32::MAX);
    names.into_iter().map(Box::from).zip(first..).collect()
}

struct Compiler<'a> {
    ids: &'a Ids,
    named: &'a ByName<'a>,
    /// Those that were compiled already; each is shared by all who name it.
    groups: HashMap<&'a str, Arc<CompiledGroup>>,
}

impl<'a> Compiler<'a> {
    /// The application's order is kept within each of the two walks.
    fn application(
        &self,
        source: &ApplicationPolicies,
        by_name: &HashMap<&str, &Arc<CompiledPolicy>>,
    ) -> CompiledApplication {
        let policies = source.policies.iter().filter_map(|name| by_name.get(name.as_str()));
        let (first, then): (Vec<_>, Vec<_>) =
            policies.map(|policy| Arc::clone(policy)).partition(|policy| match policy.action {
                Action::Bypass | Action::ServiceAuth => true,
                Action::Allow | Action::Block => false,
            });
        let some = !source.login_methods.is_empty();
        CompiledApplication {
            login_methods: some.then(|| lookup(&self.ids.login_methods, &source.login_methods)),
            requests: RequestRules::of(first.iter().chain(&then).map(AsRef::as_ref)),
            first: first.into(),
            then: then.into(),
        }
    }

    fn policy(&mut self, id: PolicyId, source: &'a Policy) -> CompiledPolicy {
        CompiledPolicy {
            id,
            name: source.name.as_str().into(),
            action: source.action,
            rules: self.rules(source.sections()),
            step_up: StepUp::of(source, self.named),
            session_duration: source.session_duration,
            report_only: source.report_only,
            purpose_required: source.purpose_required,
            approvers: source.approval.as_ref().map_or_else(Box::default, |it| self.tests(&it.approvers)),
            approval: source.approval.clone(),
        }
    }

    fn rules(&mut self, [include, require, exclude]: [(Section, &'a [Selector]); 3]) -> Rules {
        Rules {
            include: self.tests(include.1),
            require: self.tests(require.1),
            exclude: self.tests(exclude.1),
        }
    }

    fn tests(&mut self, selectors: &'a [Selector]) -> Box<[Test]> {
        selectors.iter().map(|selector| self.test(selector).unwrap_or(Test::Unresolved)).collect()
    }

    fn group(&mut self, name: &'a str) -> Option<Arc<CompiledGroup>> {
        if let Some(known) = self.groups.get(name) {
            return Some(known.clone());
        }
        let source: &'a RuleGroup = self.named.get(name).copied()?;
        let compiled = Arc::new(CompiledGroup { rules: self.rules(source.sections()) });
        self.groups.insert(name, compiled.clone());
        Some(compiled)
    }

    /// None for a name that the check would have refused.
    fn test(&mut self, selector: &'a Selector) -> Option<Test> {
        Some(match selector {
            Selector::Everyone => Test::Everyone,
            Selector::Email(list) => Test::Emails(sorted(list.iter().map(|it| it.as_str().into()))),
            Selector::EmailDomain(list) => {
                Test::EmailDomains(sorted(list.iter().map(|it| it.as_str().into())))
            }
            Selector::Subject(list) => Test::Subjects(sorted(list.iter().filter_map(|it| {
                Some((
                    *self.ids.login_methods.get(it.identity_provider.as_str())?,
                    it.subject.as_str().into(),
                ))
            }))),
            Selector::Group(names) => Test::Groups(lookup(&self.ids.groups, names)),
            Selector::GroupId(ids) => Test::GroupIds(lookup(&self.ids.group_ids, ids)),
            Selector::Attribute(predicate) => Test::Attribute(*self.ids.predicates.get(predicate)?),
            Selector::Ip(list) => Test::Networks(sorted(list.iter().map(canonical))),
            Selector::Country(list) => Test::Countries(sorted(list.iter().copied())),
            Selector::Method(list) => Test::RequestMethods(texts(list)),
            Selector::Path(list) => Test::Paths(sorted(list.iter().cloned())),
            Selector::ValidCertificate => Test::ValidCertificate,
            Selector::CommonName(list) => Test::CommonNames(texts(list)),
            Selector::TimeWindow(window) => Test::TimeWindow(window.clone()),
            Selector::LoginMethod(names) => Test::LoginMethods(lookup(&self.ids.login_methods, names)),
            Selector::Acr(list) => Test::Contexts(texts(list)),
            Selector::Amr(list) => Test::LoginBy(texts(list)),
            Selector::LoginAge(age) => Test::LoginAge(*age),
            Selector::ServiceToken(names) => Test::ServiceTokens(texts(names)),
            Selector::AnyServiceToken => Test::AnyServiceToken,
            Selector::External(name) => Test::External(*self.ids.evaluations.get(name.as_str())?),
            Selector::RuleGroup(name) => Test::RuleGroup(self.group(name)?),
        })
    }
}

fn texts(list: &[String]) -> Box<[Box<str>]> {
    sorted(list.iter().map(|text| text.as_str().into()))
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
