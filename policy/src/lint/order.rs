//! What is odd about the order of an application's policies: which of them never get a word.

use super::alone::Owner;
use super::finding::{Finding, FindingKind};
use super::implies::{Lists, Logic};
use crate::source::{Action, ApplicationPolicies, Policy, Selector};

/// A policy that decides and its position among the sources.
pub(super) type Numbered<'a> = (usize, &'a Policy);

/// The policies of an application that decide, in the order in which they are tried.
pub(super) fn walk<'a>(
    application: &ApplicationPolicies,
    find: impl Fn(&str) -> Option<Numbered<'a>>,
) -> Vec<Numbered<'a>> {
    let all = application.policies.iter().filter_map(|name| find(name));
    let (first, then): (Vec<_>, Vec<_>) = all
        .filter(|(_, policy)| !policy.report_only)
        .partition(|(_, policy)| matches!(policy.action, Action::Bypass | Action::ServiceAuth));
    first.into_iter().chain(then).collect()
}

/// What one policy of the walk finds before it: at most one finding, the first that settles it.
pub(super) fn before(
    (index, policy): Numbered<'_>,
    earlier: &[Numbered<'_>],
    application: &str,
    logic: Logic<'_>,
) -> Option<Finding> {
    let kind = earlier.iter().find_map(|(_, other)| overruled(policy, other, application, logic));
    let late = || earlier.iter().find_map(|(_, other)| late(policy, other, application, logic));
    let kind = kind.or_else(late)?;
    Some(Finding { place: Owner::Policy(policy, index).place(), kind })
}

fn overruled(policy: &Policy, earlier: &Policy, application: &str, logic: Logic<'_>) -> Option<FindingKind> {
    if !ends_the_walk_for(earlier, policy)
        || !logic.covers(earlier.sections().into(), policy.sections().into())
    {
        return None;
    }
    let (name, applications) = (earlier.name.clone(), vec![application.to_owned()]);
    if policy.action == Action::Block && earlier.action != Action::Block {
        return Some(FindingKind::SwallowedBlock { earlier: name, applications });
    }
    let all = |entry: &Selector| matches!(entry, Selector::Everyone | Selector::AnyServiceToken);
    let always = earlier.require.is_empty() && earlier.exclude.is_empty() && earlier.include.iter().any(all);
    Some(if always {
        FindingKind::Unreachable { earlier: name, applications }
    } else {
        FindingKind::Shadowed { earlier: name, action: earlier.action, applications }
    })
}

/// Whether a match of the earlier one keeps the other from being asked about the same people. One that asks for a purpose or an approval
/// lets others go on to a later allow, but to no block.
fn ends_the_walk_for(earlier: &Policy, policy: &Policy) -> bool {
    match (earlier.action, policy.action) {
        (Action::Bypass, _)
        | (Action::Block, Action::Allow | Action::Block)
        | (Action::Allow, Action::Block)
        | (Action::ServiceAuth, Action::ServiceAuth) => true,
        (Action::Allow, Action::Allow) => earlier.approval.is_none() && !earlier.purpose_required,
        (Action::Allow | Action::Block | Action::ServiceAuth, _) => false,
    }
}

/// A block after an allow that is wider and means some of the same people.
fn late(policy: &Policy, earlier: &Policy, application: &str, logic: Logic<'_>) -> Option<FindingKind> {
    let is_pair = policy.action == Action::Block && earlier.action == Action::Allow;
    let is_late = is_pair
        && breadth(earlier.sections().into(), logic) > breadth(policy.sections().into(), logic)
        && !logic.apart(earlier.sections().into(), policy.sections().into());
    is_late.then(|| FindingKind::LateBlock {
        allow: earlier.name.clone(),
        applications: vec![application.to_owned()],
    })
}

/// How many people are meant, very roughly: everybody, an organisation, some of it, a few by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Breadth {
    Named,
    Some,
    Organisation,
    Everybody,
}

fn breadth(lists: Lists<'_>, logic: Logic<'_>) -> Breadth {
    let widest = lists.include.iter().map(|entry| breadth_of(entry, logic)).max();
    let narrowest = lists.require.iter().map(|entry| breadth_of(entry, logic)).min();
    let widest = widest.unwrap_or(Breadth::Named);
    narrowest.map_or(widest, |narrowest| narrowest.min(widest))
}

fn breadth_of(entry: &Selector, logic: Logic<'_>) -> Breadth {
    match entry {
        Selector::Email(_) | Selector::Subject(_) => Breadth::Named,
        Selector::Group(_) | Selector::GroupId(_) | Selector::Attribute(_) | Selector::External(_) => {
            Breadth::Some
        }
        Selector::EmailDomain(_) | Selector::LoginMethod(_) => Breadth::Organisation,
        Selector::RuleGroup(name) => {
            let group = logic.named.get(name.as_str());
            group.map_or(Breadth::Named, |group| breadth(group.sections().into(), logic))
        }
        // What is true of a request is true of anybody.
        _ => Breadth::Everybody,
    }
}
