//! Policies that compile and are hardly what their author meant: unreachable, swallowed, unmatchable, open to everyone.
//!
//! Only the sources are looked at: what the directory knows of groups and people is left to whoever has it. A finding is a proof, as far
//! as it goes; that nothing is found proves nothing.

mod alone;
mod finding;
mod implies;
mod order;

use std::collections::{HashMap, HashSet};

pub use finding::{Finding, FindingKind};

use crate::fault::Place;
use crate::rule_group;
use crate::set::PolicySet;
use crate::source::{Action, ApplicationPolicies, Policy, RuleGroup, Selector, Sources};
use alone::Owner;
use implies::Logic;
use order::Numbered;

/// Looks through sources that compile, and names what is odd about them: policies first, then rule groups, then applications.
#[must_use]
pub fn lint(sources: &Sources<'_>) -> Vec<Finding> {
    let named = rule_group::by_name(sources.rule_groups);
    let look = Look { sources, logic: Logic { named: &named } };
    let mut found = look.policies();
    found.extend(look.rule_groups());
    found.extend(look.applications());
    found
}

impl PolicySet {
    /// All policies and rule groups as their author wrote them, for whoever looks at them rather than deciding by them.
    #[must_use]
    pub fn written(&self) -> (&[Policy], &[RuleGroup]) {
        (&self.sources, &self.rule_groups)
    }
}

#[derive(Clone, Copy)]
struct Look<'a> {
    sources: &'a Sources<'a>,
    logic: Logic<'a>,
}

impl Look<'_> {
    fn policies(self) -> Vec<Finding> {
        let mut by_policy: Vec<Vec<Finding>> = self.each_alone();
        for application in self.sources.applications {
            for (index, finding) in self.in_order(application) {
                if let Some(found) = by_policy.get_mut(index) {
                    add(found, finding);
                }
            }
        }
        by_policy.into_iter().flatten().collect()
    }

    fn each_alone(self) -> Vec<Vec<Finding>> {
        let attached: HashSet<&String> =
            self.sources.applications.iter().flat_map(|it| &it.policies).collect();
        let numbered = self.sources.policies.iter().enumerate();
        let found = numbered.map(|(index, policy)| {
            let owner = Owner::Policy(policy, index);
            let mut found = alone::in_lists(&owner, self.logic);
            let is_attached = attached.contains(&policy.name);
            let whole = [
                (!is_attached, FindingKind::Unattached),
                (is_attached && policy.report_only, FindingKind::ReportOnly),
                (is_attached && alone::is_open(policy, self.logic), FindingKind::OpenToEveryone),
                (is_attached && alone::is_wide(policy, self.logic), FindingKind::WideBypass),
            ];
            let whole = whole.into_iter().filter(|(is_so, _)| *is_so);
            found.extend(whole.map(|(_, kind)| Finding { place: owner.place(), kind }));
            found
        });
        found.collect()
    }

    /// What is found where an application tries its policies, by the position of the policy.
    fn in_order(self, application: &ApplicationPolicies) -> Vec<(usize, Finding)> {
        let by_name: HashMap<&str, Numbered<'_>> = self
            .sources
            .policies
            .iter()
            .enumerate()
            .map(|(index, policy)| (policy.name.as_str(), (index, policy)))
            .collect();
        let walk = order::walk(application, |name| by_name.get(name).copied());
        let name = application.application.as_str();
        let accepted = Selector::LoginMethod(application.login_methods.clone());
        let mut found = Vec::new();
        for (position, (index, policy)) in walk.iter().copied().enumerate() {
            let is_about_people = matches!(policy.action, Action::Allow | Action::Block);
            if is_about_people
                && !application.login_methods.is_empty()
                && self.logic.excludes(policy.sections().into(), &accepted)
            {
                let kind = FindingKind::ForeignLogin { applications: vec![name.to_owned()] };
                found.push((index, Finding { place: Owner::Policy(policy, index).place(), kind }));
            }
            found.extend(self.approvers_anywhere(application, policy, index).map(|finding| (index, finding)));
            let earlier = walk.get(..position).unwrap_or_default();
            let finding = order::before((index, policy), earlier, name, self.logic);
            found.extend(finding.map(|finding| (index, finding)));
        }
        found
    }

    /// Approvers by the name of a group, where several providers may say who is in one of that name.
    fn approvers_anywhere<'f>(
        self,
        application: &'f ApplicationPolicies,
        policy: &'f Policy,
        index: usize,
    ) -> impl Iterator<Item = Finding> + 'f
    where
        Self: 'f,
    {
        let accepted = match application.login_methods.as_slice() {
            [] => self.sources.known.identity_providers.as_slice(),
            some => some,
        };
        let approvers = policy.approval.iter().flat_map(|approval| approval.approvers.iter().enumerate());
        let anywhere = approvers.filter(move |(_, entry)| {
            let is_of =
                |provider: &String| self.logic.implies(entry, &Selector::LoginMethod(vec![provider.clone()]));
            accepted.len() > 1 && self.logic.goes_by_group_names(entry) && !accepted.iter().any(is_of)
        });
        anywhere.map(move |(rule, _)| Finding {
            place: Place::Approver { policy: policy.name.clone(), index, rule },
            kind: FindingKind::ApproversAnywhere { applications: vec![application.application.clone()] },
        })
    }

    fn rule_groups(self) -> Vec<Finding> {
        let used = self.used();
        let numbered = self.sources.rule_groups.iter().enumerate();
        let found = numbered.flat_map(|(index, group)| {
            let owner = Owner::Group(group, index);
            let mut found = alone::in_lists(&owner, self.logic);
            if !used.contains(group.name.as_str()) {
                found.push(Finding { place: owner.place(), kind: FindingKind::UnusedRuleGroup });
            }
            found
        });
        found.collect()
    }

    /// The rule groups that some policy uses, also by way of others.
    fn used(&self) -> HashSet<&str> {
        let of_policies = self.sources.policies.iter().flat_map(|policy| {
            let approvers = policy.approval.iter().flat_map(|approval| &approval.approvers);
            policy.sections().into_iter().flat_map(|(_, selectors)| selectors).chain(approvers)
        });
        let mut waiting: Vec<&str> = of_policies.filter_map(named_group).collect();
        let mut used = HashSet::new();
        while let Some(name) = waiting.pop() {
            if used.insert(name) {
                let group: Option<&&RuleGroup> = self.logic.named.get(name);
                let inner = group.into_iter().flat_map(|group| group.sections()).flat_map(|(_, it)| it);
                waiting.extend(inner.filter_map(named_group));
            }
        }
        used
    }

    fn applications(self) -> Vec<Finding> {
        let in_force: HashSet<&str> =
            self.sources.policies.iter().filter(|it| !it.report_only).map(|it| it.name.as_str()).collect();
        let numbered = self.sources.applications.iter().enumerate();
        let found = numbered.filter_map(|(index, it)| {
            let kind = if it.policies.is_empty() {
                FindingKind::NoPolicies
            } else if !it.policies.iter().any(|name| in_force.contains(name.as_str())) {
                FindingKind::NothingInForce
            } else {
                return None;
            };
            Some(Finding { place: Place::Application { name: it.application.clone(), index }, kind })
        });
        found.collect()
    }
}

fn named_group(selector: &Selector) -> Option<&str> {
    match selector {
        Selector::RuleGroup(name) => Some(name),
        _ => None,
    }
}

/// What is so at several applications is one finding.
fn add(found: &mut Vec<Finding>, finding: Finding) {
    let Some(at) = finding.kind.applications().first().cloned() else { return found.push(finding) };
    let same = |other: &&mut Finding| {
        other.place == finding.place
            && other.kind.without_applications() == finding.kind.without_applications()
    };
    match found.iter_mut().find(same).and_then(|other| other.kind.applications_mut()) {
        Some(applications) => applications.push(at),
        None => found.push(finding),
    }
}
