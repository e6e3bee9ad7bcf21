//! What is odd about a policy or a rule group by itself, whatever stands before it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::finding::{Finding, FindingKind};
use super::implies::{Lists, Logic};
use crate::email::EmailDomain;
use crate::fault::Place;
use crate::path::{Covers, PathPattern, RequestPath};
use crate::source::{Action, Policy, RuleGroup, Section, Selector};

/// Domains where anybody can have a mailbox. A list can only be too short: it is there for slips, not for attackers.
const PUBLIC_MAIL_DOMAINS: [&str; 14] = [
    "aol.com",
    "gmail.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.com",
    "icloud.com",
    "live.com",
    "mail.com",
    "outlook.com",
    "proton.me",
    "protonmail.com",
    "yahoo.com",
    "yandex.com",
];
/// A network with a shorter prefix is no office's.
const SHORTEST_PREFIX_V4: u8 = 8;
const SHORTEST_PREFIX_V6: u8 = 16;

/// Whose lists are looked at.
pub(super) enum Owner<'a> {
    Policy(&'a Policy, usize),
    Group(&'a RuleGroup, usize),
}

impl<'a> Owner<'a> {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Policy(policy, index) => Place::Policy { name: policy.name.clone(), index: *index },
            Self::Group(group, index) => Place::RuleGroup { name: group.name.clone(), index: *index },
        }
    }

    fn rule(&self, section: Section, rule: usize) -> Place {
        match self {
            Self::Policy(policy, index) => {
                Place::Rule { policy: policy.name.clone(), index: *index, section, rule }
            }
            Self::Group(group, index) => {
                Place::GroupRule { rule_group: group.name.clone(), index: *index, section, rule }
            }
        }
    }

    fn sections(&self) -> [(Section, &'a [Selector]); 3] {
        match self {
            Self::Policy(policy, _) => policy.sections(),
            Self::Group(group, _) => group.sections(),
        }
    }
}

/// What is found in the lists of one policy or rule group.
pub(super) fn in_lists(owner: &Owner<'_>, logic: Logic<'_>) -> Vec<Finding> {
    let mut found = unmatchable(owner, logic);
    for (section, selectors) in owner.sections() {
        for (rule, selector) in selectors.iter().enumerate() {
            let place = || owner.rule(section, rule);
            for pattern in below_only(selector, selectors) {
                let folder = folder(pattern).unwrap_or_default().to_owned();
                let kind = FindingKind::BelowOnly { pattern: pattern.as_str().to_owned(), folder };
                found.push(Finding { place: place(), kind });
            }
            let lets_in = section != Section::Exclude
                && !matches!(owner, Owner::Policy(it, _) if it.action == Action::Block);
            for domain in public_domains(selector).filter(|_| lets_in) {
                let kind = FindingKind::PublicMailDomain(domain.to_owned());
                found.push(Finding { place: place(), kind });
            }
        }
    }
    found
}

/// Rules that nobody can meet together: one finding for the whole, or one for each entry that is dead.
fn unmatchable(owner: &Owner<'_>, logic: Logic<'_>) -> Vec<Finding> {
    let lists = Lists::from(owner.sections());
    let mut found = Vec::new();
    for (second, entry) in lists.require.iter().enumerate() {
        let clashing = |other: &Selector| logic.disjoint(other, entry);
        let Some(other) = lists.require.iter().take(second).position(clashing) else { continue };
        let same =
            lists.require.get(other).map(std::mem::discriminant) == Some(std::mem::discriminant(entry));
        let kind = FindingKind::ClashingRequire { other, is_list_meant: same };
        found.push(Finding { place: owner.rule(Section::Require, second), kind });
    }
    if !found.is_empty() {
        return found;
    }
    let rest = Lists { include: &[], ..lists };
    let ruled_out = |unwanted: &Selector| lists.require.iter().any(|its| logic.implies(its, unwanted));
    let dead: Vec<usize> = numbers(lists.include, |entry| logic.excludes(rest, entry));
    if dead.len() == lists.include.len() || lists.exclude.iter().any(ruled_out) {
        return vec![Finding { place: owner.place(), kind: FindingKind::NeverMatches }];
    }
    let place = |rule| owner.rule(Section::Include, rule);
    dead.into_iter().map(|rule| Finding { place: place(rule), kind: FindingKind::DeadEntry }).collect()
}

fn numbers(selectors: &[Selector], is_meant: impl Fn(&Selector) -> bool) -> Vec<usize> {
    selectors.iter().enumerate().filter(|(_, entry)| is_meant(entry)).map(|(index, _)| index).collect()
}

/// Who could log in but is not named: everybody.
pub(super) fn is_open(policy: &Policy, logic: Logic<'_>) -> bool {
    policy.action == Action::Allow
        && !policy.report_only
        && policy.approval.is_none()
        && policy.include.iter().any(|entry| logic.implies(&Selector::Everyone, entry))
        && !policy.require.iter().any(|entry| narrows(entry, logic))
}

/// Whether an entry says anything of who somebody is or where they are; how they logged in and what they ask for does not.
fn narrows(entry: &Selector, logic: Logic<'_>) -> bool {
    match entry {
        Selector::Everyone
        | Selector::Method(_)
        | Selector::Path(_)
        | Selector::TimeWindow(_)
        | Selector::LoginMethod(_)
        | Selector::Acr(_)
        | Selector::Amr(_)
        | Selector::LoginAge(_) => false,
        Selector::RuleGroup(name) => logic.named.get(name.as_str()).is_some_and(|group| {
            group.include.iter().all(|entry| narrows(entry, logic))
                || group.require.iter().any(|entry| narrows(entry, logic))
        }),
        _ => true,
    }
}

/// Whether a bypass lets in the whole network, or nearly, to the whole application.
pub(super) fn is_wide(policy: &Policy, logic: Logic<'_>) -> bool {
    policy.action == Action::Bypass
        && !policy.report_only
        && policy.include.iter().any(|entry| !confines(entry, logic))
        && !policy.require.iter().any(|entry| confines(entry, logic))
}

/// Whether an entry keeps a bypass within some paths or networks, or to holders of a certificate.
fn confines(entry: &Selector, logic: Logic<'_>) -> bool {
    match entry {
        Selector::Ip(networks) => !networks.iter().any(is_wide_network),
        Selector::Path(patterns) => !patterns.iter().any(|it| matches!(it.as_str(), "/" | "/*")),
        Selector::ValidCertificate | Selector::CommonName(_) => true,
        Selector::RuleGroup(name) => logic.named.get(name.as_str()).is_some_and(|group| {
            group.include.iter().all(|entry| confines(entry, logic))
                || group.require.iter().any(|entry| confines(entry, logic))
        }),
        _ => false,
    }
}

fn is_wide_network(network: &IpNet) -> bool {
    let shortest = match network.network() {
        IpAddr::V4(_) => SHORTEST_PREFIX_V4,
        IpAddr::V6(_) => SHORTEST_PREFIX_V6,
    };
    network.prefix_len() < shortest
}

/// The patterns of an entry that cover what is below a folder, when no path of the list covers the folder.
fn below_only<'a>(selector: &'a Selector, list: &[Selector]) -> Vec<&'a PathPattern> {
    let Selector::Path(patterns) = selector else { return Vec::new() };
    let is_covered = |folder: &str| {
        let patterns = list.iter().filter_map(|entry| match entry {
            Selector::Path(patterns) => Some(patterns),
            _ => None,
        });
        patterns.flatten().any(|pattern| pattern.covers(RequestPath::plain(folder)) == Covers::Yes)
    };
    let is_bare =
        |pattern: &&PathPattern| folder(pattern).is_some_and(|folder| !is_covered(&folder.replace('*', "x")));
    patterns.iter().filter(is_bare).collect()
}

/// The folder that a pattern leaves out; none when it leaves none out.
fn folder(pattern: &PathPattern) -> Option<&str> {
    let text = pattern.as_str();
    let folder = text.strip_suffix("/*").or_else(|| text.strip_suffix('/'))?;
    Some(folder).filter(|folder| !folder.is_empty())
}

fn public_domains(selector: &Selector) -> impl Iterator<Item = &str> {
    let domains = match selector {
        Selector::EmailDomain(domains) => domains.as_slice(),
        _ => &[],
    };
    domains.iter().map(EmailDomain::as_str).filter(|domain| PUBLIC_MAIL_DOMAINS.contains(domain))
}
