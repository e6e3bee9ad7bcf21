//! What follows from one entry for another: that whoever meets the one meets the other, or that nobody meets both.
//!
//! Both are proofs: false means that nothing was found, not that the opposite is true. Only for rule groups without circles.

use std::hash::Hash;

use ipnet::IpNet;

use crate::rule_group::ByName;
use crate::source::{RuleGroup, Section, Selector};

/// The three lists of a policy or of a rule group.
#[derive(Clone, Copy)]
pub(super) struct Lists<'a> {
    pub(super) include: &'a [Selector],
    pub(super) require: &'a [Selector],
    pub(super) exclude: &'a [Selector],
}

impl<'a> From<[(Section, &'a [Selector]); 3]> for Lists<'a> {
    fn from([include, require, exclude]: [(Section, &'a [Selector]); 3]) -> Self {
        Self { include: include.1, require: require.1, exclude: exclude.1 }
    }
}

/// Proofs over the sources of one configuration.
#[derive(Clone, Copy)]
pub(super) struct Logic<'a> {
    pub(super) named: &'a ByName<'a>,
}

impl<'a> Logic<'a> {
    fn lists(&self, name: &str) -> Option<Lists<'a>> {
        let group: &'a RuleGroup = self.named.get(name).copied()?;
        Some(group.sections().into())
    }

    /// Whether somebody may meet the entry because a group of theirs has a name.
    pub(super) fn goes_by_group_names(&self, entry: &Selector) -> bool {
        match entry {
            Selector::Group(_) => true,
            Selector::RuleGroup(name) => self
                .lists(name)
                .is_some_and(|lists| lists.include.iter().any(|entry| self.goes_by_group_names(entry))),
            _ => false,
        }
    }

    /// Whoever meets the second lists meets the first.
    pub(super) fn covers(&self, wide: Lists<'_>, narrow: Lists<'_>) -> bool {
        let known = |wanted: &Selector| self.follows(narrow, wanted);
        let included = wide.include.iter().any(known)
            || narrow.include.iter().all(|its| wide.include.iter().any(|wanted| self.implies(its, wanted)));
        let cannot = |unwanted: &Selector| {
            narrow.exclude.iter().any(|its| self.implies(unwanted, its)) || self.excludes(narrow, unwanted)
        };
        included && wide.require.iter().all(known) && wide.exclude.iter().all(cannot)
    }

    /// Whoever meets the lists meets the entry.
    fn follows(&self, lists: Lists<'_>, wanted: &Selector) -> bool {
        lists.require.iter().any(|its| self.implies(its, wanted))
            || (!lists.include.is_empty() && lists.include.iter().all(|its| self.implies(its, wanted)))
    }

    /// Whoever meets the lists does not meet the entry.
    pub(super) fn excludes(&self, lists: Lists<'_>, other: &Selector) -> bool {
        lists.require.iter().any(|its| self.disjoint(its, other))
            || (!lists.include.is_empty() && lists.include.iter().all(|its| self.disjoint(its, other)))
            || lists.exclude.iter().any(|its| self.implies(other, its))
    }

    /// Nobody meets both.
    pub(super) fn apart(&self, one: Lists<'_>, other: Lists<'_>) -> bool {
        other.require.iter().any(|entry| self.excludes(one, entry))
            || (!other.include.is_empty() && other.include.iter().all(|entry| self.excludes(one, entry)))
            || other.exclude.iter().any(|entry| self.follows(one, entry))
    }

    /// Whoever meets the one entry meets the other.
    pub(super) fn implies(&self, one: &Selector, other: &Selector) -> bool {
        use Selector as S;
        match (one, other) {
            (_, S::Everyone) => true,
            (one, other) if one == other => true,
            (S::RuleGroup(name), other) => self.lists(name).is_some_and(|lists| self.follows(lists, other)),
            (one, S::RuleGroup(name)) => {
                let Some(lists) = self.lists(name) else { return false };
                lists.include.iter().any(|wanted| self.implies(one, wanted))
                    && lists.require.iter().all(|wanted| self.implies(one, wanted))
                    && lists.exclude.iter().all(|unwanted| self.disjoint(one, unwanted))
            }
            (S::Email(one), S::Email(other)) => within(one, other),
            (S::EmailDomain(one), S::EmailDomain(other)) => within(one, other),
            (S::Email(addresses), S::EmailDomain(domains)) => addresses
                .iter()
                .all(|address| domains.iter().any(|domain| domain.as_str() == address.domain())),
            (S::Subject(one), S::Subject(other)) => within(one, other),
            (S::Subject(subjects), S::LoginMethod(providers)) => {
                subjects.iter().all(|subject| providers.contains(&subject.identity_provider))
            }
            (S::Group(one), S::Group(other))
            | (S::GroupId(one), S::GroupId(other))
            | (S::Method(one), S::Method(other))
            | (S::CommonName(one), S::CommonName(other))
            | (S::LoginMethod(one), S::LoginMethod(other))
            | (S::Acr(one), S::Acr(other))
            | (S::Amr(one), S::Amr(other))
            | (S::ServiceToken(one), S::ServiceToken(other)) => within(one, other),
            (S::ServiceToken(_), S::AnyServiceToken) | (S::CommonName(_), S::ValidCertificate) => true,
            (S::Country(one), S::Country(other)) => within(one, other),
            (S::LoginAge(one), S::LoginAge(other)) => one <= other,
            (S::Ip(one), S::Ip(other)) => {
                one.iter().all(|inner| other.iter().any(|outer| outer.contains(inner)))
            }
            (S::Path(one), S::Path(other)) => {
                one.iter().all(|inner| other.iter().any(|outer| reaches(outer.as_str(), inner.as_str())))
            }
            _ => false,
        }
    }

    /// Nobody meets both entries.
    pub(super) fn disjoint(&self, one: &Selector, other: &Selector) -> bool {
        use Selector as S;
        match (one, other) {
            (S::RuleGroup(name), other) | (other, S::RuleGroup(name)) => {
                self.lists(name).is_some_and(|lists| self.excludes(lists, other))
            }
            (S::Email(one), S::Email(other)) => strangers(one, other),
            (S::EmailDomain(one), S::EmailDomain(other)) => strangers(one, other),
            (S::Email(addresses), S::EmailDomain(domains))
            | (S::EmailDomain(domains), S::Email(addresses)) => !addresses
                .iter()
                .any(|address| domains.iter().any(|domain| domain.as_str() == address.domain())),
            (S::Subject(one), S::Subject(other)) => strangers(one, other),
            (S::Subject(subjects), S::LoginMethod(providers))
            | (S::LoginMethod(providers), S::Subject(subjects)) => {
                !subjects.iter().any(|subject| providers.contains(&subject.identity_provider))
            }
            (S::Method(one), S::Method(other))
            | (S::CommonName(one), S::CommonName(other))
            | (S::LoginMethod(one), S::LoginMethod(other))
            | (S::Acr(one), S::Acr(other))
            | (S::ServiceToken(one), S::ServiceToken(other)) => strangers(one, other),
            (S::Country(one), S::Country(other)) => strangers(one, other),
            (S::Ip(one), S::Ip(other)) => {
                !one.iter().any(|one| other.iter().any(|other| overlap(one, other)))
            }
            _ => false,
        }
    }
}

fn within<T: Eq + Hash>(one: &[T], other: &[T]) -> bool {
    one.iter().all(|item| other.contains(item))
}

fn strangers<T: Eq + Hash>(one: &[T], other: &[T]) -> bool {
    !one.iter().any(|item| other.contains(item))
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// Whether the first pattern covers all that the second does.
fn reaches(outer: &str, inner: &str) -> bool {
    let Some(folder) = outer.strip_suffix("/*").or_else(|| outer.strip_suffix('/')) else {
        return inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    };
    // What is below a folder alone, and all that is below that.
    inner.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn paths(list: &[&str]) -> Selector {
        Selector::Path(list.iter().map(|it| it.parse().unwrap()).collect())
    }

    fn groups(list: &[&str]) -> Selector {
        Selector::Group(list.iter().map(|it| (*it).to_owned()).collect())
    }

    fn nets(list: &[&str]) -> Selector {
        Selector::Ip(list.iter().map(|it| it.parse().unwrap()).collect())
    }

    #[test]
    fn what_is_narrower_implies_what_is_wider_and_not_the_other_way_round() {
        let emails = Selector::Email(vec!["a@corp.example".parse().unwrap()]);
        let domain = Selector::EmailDomain(vec!["corp.example".parse().unwrap()]);
        let inner = RuleGroup { name: "staff".into(), include: vec![groups(&["A"])], ..RuleGroup::default() };
        let staff = Selector::RuleGroup("staff".into());
        let named = HashMap::from([("staff", &inner)]);
        let logic = Logic { named: &named };
        for (narrow, wide) in [
            (&emails, &domain),
            (&groups(&["A"]), &groups(&["A", "B"])),
            (&groups(&["A"]), &staff),
            (&staff, &groups(&["A", "B"])),
            (&nets(&["10.1.0.0/16"]), &nets(&["192.0.2.0/24", "10.0.0.0/8"])),
            (&paths(&["/a/b", "/a/*"]), &paths(&["/a"])),
            (&paths(&["/a/b"]), &paths(&["/a/*"])),
            (&paths(&["/a"]), &paths(&["/"])),
            (&Selector::ServiceToken(vec!["ci".into()]), &Selector::AnyServiceToken),
        ] {
            assert!(logic.implies(narrow, wide), "{narrow:?} implies {wide:?}");
            assert!(
                !logic.implies(wide, narrow) || wide == &staff || narrow == &staff,
                "{wide:?} {narrow:?}"
            );
            assert!(logic.implies(narrow, &Selector::Everyone));
        }
        assert!(!logic.implies(&paths(&["/ab"]), &paths(&["/a"])));
        assert!(!logic.implies(&paths(&["/a"]), &paths(&["/a/*"])));
    }

    #[test]
    fn nobody_has_two_addresses_but_many_have_two_groups() {
        let (named, email) = (HashMap::new(), |it: &str| Selector::Email(vec![it.parse().unwrap()]));
        let logic = Logic { named: &named };
        assert!(logic.disjoint(&email("a@corp.example"), &email("b@corp.example")));
        assert!(!logic.disjoint(&email("a@corp.example"), &email("a@corp.example")));
        assert!(logic.disjoint(&nets(&["10.0.0.0/8"]), &nets(&["192.0.2.0/24", "2001:db8::/32"])));
        assert!(!logic.disjoint(&nets(&["10.0.0.0/8"]), &nets(&["10.9.0.0/16"])));
        assert!(!logic.disjoint(&groups(&["A"]), &groups(&["B"])));
        assert!(!logic.disjoint(&Selector::Amr(vec!["pwd".into()]), &Selector::Amr(vec!["mfa".into()])));
    }
}
