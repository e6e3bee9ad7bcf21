//! What is wrong with the sources, each with its place, all at once.
//!
//! Whether a policy is wise (unreachable, open to everyone) is left to a lint.

use std::collections::HashSet;

use crate::concern::Concerns;
use crate::fault::{CompileFault, Fault, Place};
use crate::rule_group::{self, ByName};
use crate::source::{Action, ApplicationPolicies, Policy, Section, Selector, Sources};
use crate::step_up::{StepUp, bad_values};

/// Every fault, in the order of the sources: policies, rule groups, applications.
pub(crate) fn faults(sources: &Sources<'_>) -> Vec<CompileFault> {
    let in_groups = rule_group::faults(sources.rule_groups);
    let named = rule_group::by_name(sources.rule_groups);
    // Where groups are entangled, what stands in them cannot be followed.
    let is_sound = in_groups.is_empty();
    let check = Check { sources, named: &named, is_sound };
    let mut faults = check.policies();
    faults.extend(in_groups);
    faults.extend(check.rule_groups());
    faults.extend(applications(sources));
    faults
}

struct Check<'a> {
    sources: &'a Sources<'a>,
    named: &'a ByName<'a>,
    is_sound: bool,
}

impl Check<'_> {
    fn policies(&self) -> Vec<CompileFault> {
        let mut faults = Vec::new();
        let mut names = HashSet::new();
        for (index, policy) in self.sources.policies.iter().enumerate() {
            let place = || Place::Policy { name: policy.name.clone(), index };
            let mut report = |fault| faults.push(CompileFault { place: place(), fault });
            if policy.name.is_empty() {
                report(Fault::EmptyName);
            }
            if !names.insert(policy.name.as_str()) {
                report(Fault::DuplicatePolicy);
            }
            extras(policy).into_iter().for_each(&mut report);
            if self.is_sound {
                StepUp::faults(policy, self.named).into_iter().for_each(&mut report);
            }
            self.sections(policy.sections(), Some(policy.action), &mut |section, rule, fault| {
                let place = Place::Rule { policy: policy.name.clone(), index, section, rule };
                faults.push(CompileFault { place, fault });
            });
            let approvers = policy.approval.iter().flat_map(|approval| &approval.approvers);
            for (rule, selector) in approvers.enumerate() {
                let place = || Place::Approver { policy: policy.name.clone(), index, rule };
                let found = self.selector(selector, Some(Action::Allow));
                faults.extend(found.into_iter().map(|fault| CompileFault { place: place(), fault }));
            }
        }
        faults
    }

    fn rule_groups(&self) -> Vec<CompileFault> {
        let mut faults = Vec::new();
        for (index, group) in self.sources.rule_groups.iter().enumerate() {
            if group.include.is_empty() {
                let place = Place::RuleGroup { name: group.name.clone(), index };
                faults.push(CompileFault { place, fault: Fault::EmptyInclude });
            }
            self.sections(group.sections(), None, &mut |section, rule, fault| {
                let place = Place::GroupRule { rule_group: group.name.clone(), index, section, rule };
                faults.push(CompileFault { place, fault });
            });
        }
        faults
    }

    fn sections(
        &self,
        sections: [(Section, &[Selector]); 3],
        action: Option<Action>,
        report: &mut dyn FnMut(Section, usize, Fault),
    ) {
        for (section, selectors) in sections {
            for (rule, selector) in selectors.iter().enumerate() {
                self.selector(selector, action).into_iter().for_each(|fault| report(section, rule, fault));
            }
        }
    }

    /// A rule group's own entries are about whoever its users are about.
    fn selector(&self, selector: &Selector, action: Option<Action>) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(action) = action {
            faults.extend(self.wrong_kind(selector, action));
        }
        let is_empty = match selector {
            Selector::Everyone
            | Selector::AnyServiceToken
            | Selector::Attribute(_)
            | Selector::ValidCertificate
            | Selector::TimeWindow(_)
            | Selector::LoginAge(_) => false,
            Selector::ServiceToken(list) => any_empty(list, &Fault::EmptyTokenName, &mut faults),
            Selector::Group(list) => any_empty(list, &Fault::EmptyGroupName, &mut faults),
            Selector::GroupId(list) | Selector::CommonName(list) => {
                any_empty(list, &Fault::EmptyText, &mut faults)
            }
            Selector::Email(list) => list.is_empty(),
            Selector::EmailDomain(list) => list.is_empty(),
            Selector::Ip(list) => list.is_empty(),
            Selector::Country(list) => list.is_empty(),
            Selector::Path(list) => list.is_empty(),
            Selector::Subject(list) => {
                for subject in list {
                    faults.extend(subject.subject.is_empty().then_some(Fault::EmptyText));
                    faults.extend(self.unknown_provider(&subject.identity_provider));
                }
                list.is_empty()
            }
            Selector::Method(list) => {
                let bad = list.iter().filter(|method| !is_method(method));
                faults.extend(bad.cloned().map(Fault::BadMethod));
                list.is_empty()
            }
            Selector::LoginMethod(list) => {
                faults.extend(list.iter().filter_map(|name| self.unknown_provider(name)));
                list.is_empty()
            }
            Selector::Acr(list) | Selector::Amr(list) => {
                faults.extend(bad_values(list));
                list.is_empty()
            }
            Selector::External(name) => {
                let is_known = self.sources.known.external_evaluations.contains(name);
                faults.extend((!is_known).then(|| Fault::UnknownEvaluation(name.clone())));
                false
            }
            Selector::RuleGroup(name) => {
                let is_known = self.named.contains_key(name.as_str());
                faults.extend((!is_known).then(|| Fault::UnknownRuleGroup(name.clone())));
                false
            }
        };
        faults.extend(is_empty.then_some(Fault::EmptySelector));
        faults
    }

    /// An entry that could never hold for those whom the action is about.
    fn wrong_kind(&self, selector: &Selector, action: Action) -> Option<Fault> {
        let concerned = action.concerns();
        let Selector::RuleGroup(name) = selector else {
            if concerned == Concerns::Anybody {
                return (!selector.needs_nobody()).then_some(Fault::NeedsIdentity);
            }
            let its = selector.concerns();
            return (its != Some(Concerns::Anybody) && its != Some(concerned))
                .then_some(Fault::WrongKind(action));
        };
        let group = self.named.get(name.as_str()).filter(|_| self.is_sound)?;
        if concerned == Concerns::Anybody {
            return (!rule_group::needs_nobody(group, self.named)).then_some(Fault::NeedsIdentity);
        }
        (!rule_group::can_hold(group, concerned, self.named)).then_some(Fault::UselessRuleGroup(action))
    }

    fn unknown_provider(&self, name: &String) -> Option<Fault> {
        let is_known = self.sources.known.identity_providers.contains(name);
        (!is_known).then(|| Fault::UnknownLoginMethod(name.clone()))
    }
}

/// What stands beside the rules of a policy.
fn extras(policy: &Policy) -> Vec<Fault> {
    let mut faults = Vec::new();
    let action = policy.action;
    if policy.include.is_empty() {
        faults.push(Fault::EmptyInclude);
    }
    if action != Action::Allow && policy.session_duration.is_some() {
        faults.push(Fault::UselessDuration);
    }
    if action != Action::Allow && policy.purpose_required {
        faults.push(Fault::UselessPurpose(action));
    }
    if let Some(approval) = &policy.approval {
        faults.extend((action != Action::Allow).then_some(Fault::UselessApproval(action)));
        faults.extend(approval.approvers.is_empty().then_some(Fault::NoApprovers));
        faults.extend((approval.longest.as_secs() == 0).then_some(Fault::NoApprovalTime));
    }
    faults
}

/// Notes a fault for each empty text; whether there is no text at all.
fn any_empty(list: &[String], fault: &Fault, faults: &mut Vec<Fault>) -> bool {
    faults.extend(list.iter().filter(|text| text.is_empty()).map(|_| fault.clone()));
    list.is_empty()
}

/// RFC 9110 section 9.1: methods are tokens; those of the standard are in capital letters, and a request with others is another method.
fn is_method(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(&byte))
}

fn applications(sources: &Sources<'_>) -> Vec<CompileFault> {
    let named: HashSet<&str> = sources.policies.iter().map(|policy| policy.name.as_str()).collect();
    let mut faults = Vec::new();
    let mut names = HashSet::new();
    for (index, it) in sources.applications.iter().enumerate() {
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
        let providers = &sources.known.identity_providers;
        for method in it.login_methods.iter().filter(|name| !providers.contains(name)) {
            report(Fault::UnknownLoginMethod(method.clone()));
        }
        faults.extend(listed_policies(it, index, &named));
    }
    faults
}

fn listed_policies(it: &ApplicationPolicies, index: usize, named: &HashSet<&str>) -> Vec<CompileFault> {
    let mut listed = HashSet::new();
    let mut faults = Vec::new();
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
    faults
}

#[cfg(test)]
mod tests;
