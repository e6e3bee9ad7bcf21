//! `[[policy]]` and `[[rule_group]]`, in the configuration or in files of their own: handed to the policy crate as typed values, and its
//! faults brought back to their lines. One rule is read by `rule`, which files there are by `files`.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_policy::{
    Action, ApplicationPolicies, Known, Place, Policy, PolicySet, RuleGroup, Section as List, Selector,
    Sources,
};

mod beyond;
mod files;
mod mention;
mod rule;

pub use files::PolicyFiles;
pub use mention::{Mention, Named};
pub(super) use rule::networks;

use super::application::ReadApplication;
use super::document::{self, Faults, Section, Value};
use super::evaluation::Evaluation;
use super::provider::{IdentityProvider, read_name};
use rule::{Names, read_rules};

/// What the policies of a configuration are, and what else was written beside them.
#[derive(Debug)]
pub(super) struct ReadPolicies {
    pub(super) set: Arc<PolicySet>,
    pub(super) mentions: Arc<[Mention]>,
    pub(super) purpose_prompts: HashMap<String, String>,
    pub(super) files: PolicyFiles,
}

/// What the rest of the configuration has that policies may speak of.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) applications: &'a [ReadApplication],
    pub(super) providers: &'a [IdentityProvider],
    pub(super) evaluations: &'a [Evaluation],
    /// Whether it is known in which country an address is.
    pub(super) countries: bool,
    /// Where relative paths begin.
    pub(super) folder: &'a Path,
}

pub(super) fn read_all(
    root: &mut Section<'_, '_>,
    faults: &Faults<'_>,
    beside: Beside<'_>,
) -> Option<ReadPolicies> {
    let named = files::read(root, beside.folder);
    let own: Vec<Faults<'_>> = named.texts.iter().map(|(_, text)| Faults::new(text)).collect();
    let names = Names::new(beside);
    let mut written = Written::default();
    written.take(root, None, &names);
    for (number, faults) in own.iter().enumerate() {
        let table = document::parse(faults);
        let mut section = Section::root(&table, faults);
        written.take(&mut section, Some(number), &names);
        section.finish();
    }
    let documents = Documents { main: faults, own: &own };
    let compiled = written.compile(beside, documents).map(Arc::new);
    let mentions = written.mentions(documents, &named.texts);
    for ((file, _), own) in named.texts.iter().zip(own) {
        faults.adopt(file, own);
    }
    let whole = written.half == 0 && named.whole;
    let Written { purpose_prompts, .. } = written;
    let set = compiled.filter(|_| whole)?;
    Some(ReadPolicies { set, mentions, purpose_prompts, files: named.files })
}

/// The documents that policies stand in.
#[derive(Clone, Copy)]
struct Documents<'a, 's> {
    main: &'a Faults<'s>,
    own: &'a [Faults<'s>],
}

impl<'a, 's> Documents<'a, 's> {
    fn of(self, document: Option<usize>) -> &'a Faults<'s> {
        document.and_then(|number| self.own.get(number)).unwrap_or(self.main)
    }
}

/// Where something stands.
#[derive(Debug, Clone, Default)]
struct Spot {
    /// The number among the files of policies; none for the configuration itself.
    document: Option<usize>,
    span: Range<usize>,
    include: Vec<Range<usize>>,
    require: Vec<Range<usize>>,
    exclude: Vec<Range<usize>>,
    approvers: Vec<Range<usize>>,
}

impl Spot {
    fn rule(&self, list: List, rule: usize) -> Range<usize> {
        let rules = match list {
            List::Include => &self.include,
            List::Require => &self.require,
            List::Exclude => &self.exclude,
        };
        rules.get(rule).unwrap_or(&self.span).clone()
    }

    fn approver(&self, rule: usize) -> Range<usize> {
        self.approvers.get(rule).unwrap_or(&self.span).clone()
    }
}

/// Everything that was written, as far as it could be read.
#[derive(Default)]
struct Written {
    policies: Vec<Policy>,
    policy_spots: Vec<Spot>,
    rule_groups: Vec<RuleGroup>,
    group_spots: Vec<Spot>,
    purpose_prompts: HashMap<String, String>,
    /// How many policies and rule groups could not be read.
    half: usize,
}

impl Written {
    fn take(&mut self, root: &mut Section<'_, '_>, document: Option<usize>, names: &Names<'_>) {
        for mut section in root.sections("policy") {
            let mut spot = Spot { document, span: section.span(), ..Spot::default() };
            match read_policy(&mut section, names, &mut spot) {
                Some((policy, prompt)) => {
                    self.purpose_prompts.extend(prompt.map(|prompt| (policy.name.clone(), prompt)));
                    self.policies.push(policy);
                    self.policy_spots.push(spot);
                }
                None => self.half += 1,
            }
            section.finish();
        }
        for mut section in root.sections("rule_group") {
            let mut spot = Spot { document, span: section.span(), ..Spot::default() };
            match read_rule_group(&mut section, names, &mut spot) {
                Some(group) => {
                    self.rule_groups.push(group);
                    self.group_spots.push(spot);
                }
                None => self.half += 1,
            }
            section.finish();
        }
    }

    /// None when something is wrong, which is told then.
    fn compile(&self, beside: Beside<'_>, documents: Documents<'_, '_>) -> Option<PolicySet> {
        let identity_providers = beside.providers.iter().map(|provider| provider.name.clone()).collect();
        let external_evaluations = beside.evaluations.iter().map(|it| it.name.clone()).collect();
        let known = Known { identity_providers, external_evaluations };
        let attached = |read| attached_policies(read, &known.identity_providers);
        let applications: Vec<ApplicationPolicies> = beside.applications.iter().map(attached).collect();
        let (policies, rule_groups) = (&self.policies, &self.rule_groups);
        let sources = Sources { policies, rule_groups, applications: &applications, known: &known };
        let found = match PolicySet::compile(&sources) {
            Ok(set) => return Some(set),
            Err(found) => found,
        };
        for fault in found {
            use portcullis_policy::Fault::{UnknownPolicy, UnknownRuleGroup};
            let (document, span, key) = self.place(&fault.place, beside.applications);
            // What could not be read is reported where it stands, not again wherever it is named.
            if self.half == 0 || !matches!(fault.fault, UnknownPolicy(_) | UnknownRuleGroup(_)) {
                documents.of(document).add(&span, &key, format!("{}: {}", fault.place, fault.fault));
            }
        }
        None
    }

    fn place(
        &self,
        place: &Place,
        applications: &[ReadApplication],
    ) -> (Option<usize>, Range<usize>, String) {
        let policy = |index: &usize| self.policy_spots.get(*index).cloned().unwrap_or_default();
        let group = |index: &usize| self.group_spots.get(*index).cloned().unwrap_or_default();
        match place {
            Place::Policy { index, .. } => {
                let spot = policy(index);
                (spot.document, spot.span, "policy".to_owned())
            }
            Place::Rule { index, section, rule, .. } => {
                let spot = policy(index);
                (spot.document, spot.rule(*section, *rule), format!("policy.{section}"))
            }
            Place::Approver { index, rule, .. } => {
                let spot = policy(index);
                (spot.document, spot.approver(*rule), "policy.approval.approvers".to_owned())
            }
            Place::RuleGroup { index, .. } => {
                let spot = group(index);
                (spot.document, spot.span, "rule_group".to_owned())
            }
            Place::GroupRule { index, section, rule, .. } => {
                let spot = group(index);
                (spot.document, spot.rule(*section, *rule), format!("rule_group.{section}"))
            }
            Place::Application { index, .. } | Place::ApplicationPolicy { index, .. } => {
                let span = applications.get(*index).map_or(0..0, |read| read.span.clone());
                (None, span, "application".to_owned())
            }
            _ => (None, 0..0, String::new()),
        }
    }

    fn mentions(&self, documents: Documents<'_, '_>, texts: &[(PathBuf, String)]) -> Arc<[Mention]> {
        let mut mentions = Vec::new();
        let mut gather = |owner: &str, spot: &Spot, span: Range<usize>, selector: &Selector| {
            let file = spot.document.and_then(|number| texts.get(number)).map(|(file, _)| file.as_path());
            let line = documents.of(spot.document).line(&span);
            mentions.extend(mention::of(selector, owner, file, line));
        };
        for (policy, spot) in self.policies.iter().zip(&self.policy_spots) {
            let owner = format!("policy `{}`", policy.name);
            for (list, selectors) in policy.sections() {
                for (rule, selector) in selectors.iter().enumerate() {
                    gather(&owner, spot, spot.rule(list, rule), selector);
                }
            }
            let approvers = policy.approval.iter().flat_map(|approval| &approval.approvers);
            for (rule, selector) in approvers.enumerate() {
                gather(&owner, spot, spot.approver(rule), selector);
            }
        }
        for (group, spot) in self.rule_groups.iter().zip(&self.group_spots) {
            let owner = format!("rule group `{}`", group.name);
            for (list, selectors) in group.sections() {
                for (rule, selector) in selectors.iter().enumerate() {
                    gather(&owner, spot, spot.rule(list, rule), selector);
                }
            }
        }
        mentions.into()
    }
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

const ACTIONS: &str = "\"allow\", \"block\", \"bypass\" or \"service_auth\"";

/// A policy, and what people are asked by it in words of its own.
fn read_policy(
    section: &mut Section<'_, '_>,
    names: &Names<'_>,
    spot: &mut Spot,
) -> Option<(Policy, Option<String>)> {
    let name = read_name(section, "applications refer to it");
    let action = section.required("action", ACTIONS).and_then(|value| match value.string()? {
        "allow" => Some(Action::Allow),
        "block" => Some(Action::Block),
        "bypass" => Some(Action::Bypass),
        "service_auth" => Some(Action::ServiceAuth),
        other => {
            value.fault(format!("`{other}` is unknown: {ACTIONS}"));
            None
        }
    });
    let lists = read_lists(section, names, spot);
    let session_duration = section.optional("session_duration").and_then(|value| value.duration());
    let report_only = section.optional("report_only").and_then(|value| value.boolean()).unwrap_or(false);
    let beyond = beyond::read(section, names, &mut spot.approvers);
    let (include, require, exclude) = lists?;
    let beyond = beyond?;
    let policy = Policy {
        require,
        exclude,
        session_duration,
        report_only,
        purpose_required: beyond.purpose_required,
        approval: beyond.approval,
        ..Policy::new(&name?, action?, include)
    };
    Some((policy, beyond.prompt))
}

fn read_rule_group(section: &mut Section<'_, '_>, names: &Names<'_>, spot: &mut Spot) -> Option<RuleGroup> {
    let name = read_name(section, "policies refer to it by `rule_group`");
    let (include, require, exclude) = read_lists(section, names, spot)?;
    Some(RuleGroup { name: name?, include, require, exclude })
}

type Lists = (Vec<Selector>, Vec<Selector>, Vec<Selector>);

fn read_lists(section: &mut Section<'_, '_>, names: &Names<'_>, spot: &mut Spot) -> Option<Lists> {
    let read = |value: Option<Value<'_, '_>>, spans: &mut Vec<Range<usize>>| {
        value.map_or(Some(Vec::new()), |value| read_rules(&value, names, spans))
    };
    let include = section.required("include", "whom it concerns, such as [{ group = \"Engineering\" }]");
    let is_told = include.is_some();
    let include = read(include, &mut spot.include);
    let require = read(section.optional("require"), &mut spot.require);
    let exclude = read(section.optional("exclude"), &mut spot.exclude);
    Some((include.filter(|_| is_told)?, require?, exclude?))
}

#[cfg(test)]
mod tests;
