//! Rule groups within rule groups: in which order they can be compiled, and what is wrong with how they name each other.
//!
//! What a rule group's own entries are, is checked as a policy's are.

use std::collections::{HashMap, HashSet};

use crate::concern::Concerns;
use crate::fault::{CompileFault, Fault, Place};
use crate::source::{RuleGroup, Selector};

/// Most rule groups in one another: a decision recurses this deep, never deeper.
pub const MAX_RULE_GROUP_DEPTH: usize = 8;
/// Most rules of one rule group together with those of the rule groups in it, each counted as often as it is named: what one decision
/// may look at for one entry of a policy.
pub const MAX_RULE_GROUP_RULES: usize = 1_000;

/// The rule groups by name.
pub(crate) type ByName<'a> = HashMap<&'a str, &'a RuleGroup>;

/// Rule groups by name; of several with one name the first.
pub(crate) fn by_name(groups: &[RuleGroup]) -> ByName<'_> {
    groups.iter().rev().map(|group| (group.name.as_str(), group)).collect()
}

/// How rule groups name each other: circles, depth and size. Names that do not exist are the entry's fault.
pub(crate) fn faults(groups: &[RuleGroup]) -> Vec<CompileFault> {
    let named = by_name(groups);
    let mut seen = HashSet::new();
    let mut told = HashSet::new();
    let mut faults = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let mut report = |fault| {
            let place = Place::RuleGroup { name: group.name.clone(), index };
            faults.push(CompileFault { place, fault });
        };
        if group.name.is_empty() {
            report(Fault::EmptyName);
        }
        if !seen.insert(group.name.as_str()) {
            report(Fault::DuplicateRuleGroup);
            continue;
        }
        match (Look { named: &named, way: Vec::new(), sizes: HashMap::new() }).into(group) {
            Ok(rules) if rules > MAX_RULE_GROUP_RULES => report(Fault::LargeRuleGroup),
            Ok(_) => {}
            // One circle is told once, by whichever of its groups comes first.
            Err(Offence::Circle(way)) => {
                let mut members = way.clone();
                members.sort();
                members.dedup();
                if told.insert(members) {
                    report(Fault::RuleGroupCycle(way));
                }
            }
            Err(Offence::TooDeep) => report(Fault::DeepRuleGroup),
        }
    }
    faults
}

enum Offence {
    Circle(Vec<String>),
    TooDeep,
}

struct Look<'a> {
    named: &'a ByName<'a>,
    way: Vec<&'a str>,
    /// Rules and height of those that were looked at: without it, a few groups could be walked for ever.
    sizes: HashMap<&'a str, (usize, usize)>,
}

impl<'a> Look<'a> {
    /// How many rules it has in all.
    fn into(mut self, group: &'a RuleGroup) -> Result<usize, Offence> {
        let (rules, height) = self.size(group)?;
        if height > MAX_RULE_GROUP_DEPTH { Err(Offence::TooDeep) } else { Ok(rules) }
    }

    fn size(&mut self, group: &'a RuleGroup) -> Result<(usize, usize), Offence> {
        if let Some(known) = self.sizes.get(group.name.as_str()) {
            return Ok(*known);
        }
        if let Some(at) = self.way.iter().position(|name| *name == group.name) {
            let mut circle: Vec<String> = self.way.iter().skip(at).map(ToString::to_string).collect();
            circle.push(group.name.clone());
            return Err(Offence::Circle(circle));
        }
        // Deeper than this the answer is known, and the walk must not exhaust the stack.
        if self.way.len() > MAX_RULE_GROUP_DEPTH {
            return Err(Offence::TooDeep);
        }
        self.way.push(&group.name);
        let (mut rules, mut height) = (0_usize, 0);
        for selector in group.sections().into_iter().flat_map(|(_, selectors)| selectors) {
            rules = rules.saturating_add(1);
            let Selector::RuleGroup(name) = selector else { continue };
            let Some(inner) = self.named.get(name.as_str()) else { continue };
            let (more, deep) = self.size(inner)?;
            (rules, height) = (rules.saturating_add(more), height.max(deep));
        }
        self.way.pop();
        let size = (rules, height + 1);
        self.sizes.insert(&group.name, size);
        Ok(size)
    }
}

/// Whether a rule group could hold for those concerned. Only for groups without circles.
pub(crate) fn can_hold(group: &RuleGroup, concerned: Concerns, named: &ByName<'_>) -> bool {
    let could = |selector: &Selector| match selector {
        Selector::RuleGroup(name) => {
            named.get(name.as_str()).is_none_or(|inner| can_hold(inner, concerned, named))
        }
        other => other.concerns().is_some_and(|its| its == Concerns::Anybody || its == concerned),
    };
    group.include.iter().any(could) && group.require.iter().all(could)
}

/// Whether a rule group asks only what needs no identity. Only for groups without circles.
pub(crate) fn needs_nobody(group: &RuleGroup, named: &ByName<'_>) -> bool {
    let all = group.sections().into_iter().flat_map(|(_, selectors)| selectors);
    all.into_iter().all(|selector| match selector {
        Selector::RuleGroup(name) => named.get(name.as_str()).is_none_or(|inner| needs_nobody(inner, named)),
        other => other.needs_nobody(),
    })
}

/// The entries that every login must meet for a policy to match: those of its `require`, and of the rule groups that must hold.
pub(crate) fn asked_of_a_login<'a>(
    include: &'a [Selector],
    require: &'a [Selector],
    named: &ByName<'a>,
) -> Vec<&'a Selector> {
    let mut asked = Vec::new();
    required(require, named, &mut asked);
    included(include, named, &mut asked);
    asked
}

fn required<'a>(selectors: &'a [Selector], named: &ByName<'a>, asked: &mut Vec<&'a Selector>) {
    for selector in selectors {
        match selector {
            Selector::Acr(_) | Selector::Amr(_) | Selector::LoginAge(_) => asked.push(selector),
            Selector::RuleGroup(name) => {
                let Some(group) = named.get(name.as_str()) else { continue };
                required(&group.require, named, asked);
                // The only way into a group is as good as required.
                if group.include.len() == 1 {
                    required(&group.include, named, asked);
                }
            }
            _ => {}
        }
    }
}

fn included<'a>(selectors: &'a [Selector], named: &ByName<'a>, asked: &mut Vec<&'a Selector>) {
    let [Selector::RuleGroup(name)] = selectors else { return };
    let Some(group) = named.get(name.as_str()) else { return };
    required(&group.require, named, asked);
    included(&group.include, named, asked);
}
