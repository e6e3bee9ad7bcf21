//! The facts of one principal in the small ids of a policy set, so that a decision compares numbers.
//!
//! Where the facts come from, and when they have to be told anew, is left to the enforcement point.

use std::collections::HashMap;
use std::hash::Hash;

use crate::decision::PolicyId;
use crate::predicate::Attributes;
use crate::principal::{Grant, GrantSet, GroupSet, LoginMethodId, Person, PredicateSet, PurposeSet};
use crate::question::EvaluationId;
use crate::set::PolicySet;
use crate::source::Selector;
use crate::step_up::LoginFacts;

impl PolicySet {
    /// Somebody of whom nothing is known but that they are in no group by name, to be completed.
    #[must_use]
    pub fn stranger(&self) -> Person {
        Person {
            email: None,
            subject: None,
            groups: self.intern_groups([].into_iter()),
            attributes: self.unknown_attributes(),
            login_method: None,
            login: LoginFacts::default(),
            purposes: self.intern_purposes([].into_iter()),
            grants: self.intern_grants([].into_iter()),
        }
    }

    /// The identity provider of this name, as decisions want it.
    #[must_use]
    pub fn login_method(&self, identity_provider: &str) -> Option<LoginMethodId> {
        let id = *self.ids.login_methods.get(identity_provider)?;
        Some(LoginMethodId { revision: self.revision, id })
    }

    /// The external evaluation of this name, as answers want it.
    #[must_use]
    pub fn evaluation(&self, name: &str) -> Option<EvaluationId> {
        let id = *self.ids.evaluations.get(name)?;
        Some(EvaluationId { revision: self.revision, id })
    }

    /// The name of an external evaluation of this revision.
    #[must_use]
    pub fn evaluation_name(&self, evaluation: EvaluationId) -> Option<&str> {
        let mut named = self.ids.evaluations.iter();
        let found = named.find(|(_, id)| **id == evaluation.id && evaluation.revision == self.revision);
        found.map(|(name, _)| &**name)
    }

    /// A person's groups, cut down to those that some policy mentions. Names are compared exactly.
    #[must_use]
    pub fn intern_groups<'a>(&self, names: impl Iterator<Item = &'a str>) -> GroupSet {
        self.intern_groups_with_doubts(names, [].into_iter())
    }

    /// A person's groups, and those in which the person may be: a rule about one of them cannot be evaluated, so that it allows nobody
    /// and blocks whoever it might mean.
    #[must_use]
    pub fn intern_groups_with_doubts<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
        unproved: impl Iterator<Item = &'a str>,
    ) -> GroupSet {
        GroupSet {
            revision: self.revision,
            ids: known(&self.ids.groups, names).into(),
            unproved: known(&self.ids.groups, unproved).into(),
            has_ids: false,
        }
    }

    /// Adds by id the groups in which the person's record in the directory is: our ids and those of the provisioning client alike. To be
    /// called for whoever has a record, also in no group; for others, rules about ids stay unknown.
    #[must_use]
    pub fn intern_group_ids<'a>(&self, groups: GroupSet, ids: impl Iterator<Item = &'a str>) -> GroupSet {
        let mut all = groups.ids.into_vec();
        all.extend(known(&self.ids.group_ids, ids));
        all.sort_unstable();
        all.dedup();
        GroupSet { ids: all.into(), has_ids: true, ..groups }
    }

    /// Adds the ids that may mean a group in which the person's record is, or another: a rule about one of them cannot be evaluated.
    #[must_use]
    pub fn doubt_group_ids<'a>(&self, groups: GroupSet, ids: impl Iterator<Item = &'a str>) -> GroupSet {
        let mut all = groups.unproved.into_vec();
        all.extend(known(&self.ids.group_ids, ids));
        all.sort_unstable();
        all.dedup();
        GroupSet { unproved: all.into(), ..groups }
    }

    /// What is true of a person's attributes: every predicate of the policies is tried once.
    #[must_use]
    pub fn intern_attributes(&self, attributes: &Attributes<'_>) -> PredicateSet {
        let (mut held, mut unknown) = (Vec::new(), Vec::new());
        for (id, predicate) in (0..).zip(&self.predicates) {
            match predicate.truth(attributes) {
                Some(true) => held.push(id),
                Some(false) => {}
                None => unknown.push(id),
            }
        }
        PredicateSet { revision: self.revision, held: held.into(), unknown: unknown.into() }
    }

    /// Nothing is known of the attributes, neither the directory's nor the claims.
    #[must_use]
    pub fn unknown_attributes(&self) -> PredicateSet {
        let unknown = (0..).zip(&self.predicates).map(|(id, _)| id).collect();
        PredicateSet { revision: self.revision, held: Box::default(), unknown }
    }

    /// Whether any policy asks for attributes, so that the documents are worth fetching.
    #[must_use]
    pub fn asks_for_attributes(&self) -> bool {
        !self.predicates.is_empty()
    }

    /// The applications for which the person has given a purpose, by name, each until when it counts in unix seconds.
    #[must_use]
    pub fn intern_purposes<'a>(&self, given: impl Iterator<Item = (&'a str, i64)>) -> PurposeSet {
        let named = given.filter_map(|(name, until)| Some((*self.ids.applications.get(name)?, until)));
        PurposeSet { revision: self.revision, given: latest(named.collect()) }
    }

    /// What was granted to the person.
    #[must_use]
    pub fn intern_grants<'a>(&self, granted: impl Iterator<Item = Grant<'a>>) -> GrantSet {
        let named = granted.filter_map(|grant| {
            let application = *self.ids.applications.get(grant.application)?;
            let policy = self.sources.iter().position(|policy| policy.name == grant.policy)?;
            Some(((application, policy), grant.until))
        });
        GrantSet { revision: self.revision, granted: latest(named.collect()) }
    }

    /// The groups that some policy names, in no order: a name that no directory has is worth a warning.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        self.ids.groups.keys().map(AsRef::as_ref)
    }

    /// The groups that some policy means by id, in no order: an id that no directory has is worth a warning.
    pub fn group_ids(&self) -> impl Iterator<Item = &str> {
        self.ids.group_ids.keys().map(AsRef::as_ref)
    }

    /// The service tokens that some policy or rule group names, in no order and with repetition: a name that no token has is worth a
    /// warning.
    pub fn service_token_names(&self) -> impl Iterator<Item = &str> {
        let named = self.selectors().flat_map(|(_, selector)| match selector {
            Selector::ServiceToken(names) => names.iter(),
            _ => [].iter(),
        });
        named.map(String::as_str)
    }

    /// Every entry of every policy and of its approvers, with the policy; then those of rule groups, with none.
    pub fn selectors(&self) -> impl Iterator<Item = (Option<PolicyId>, &Selector)> {
        let of_policies = self.policies.iter().zip(&self.sources).flat_map(|(compiled, policy)| {
            let rules = policy.sections().into_iter().flat_map(|(_, selectors)| selectors);
            let approvers = policy.approval.iter().flat_map(|approval| &approval.approvers);
            rules.chain(approvers).map(|selector| (Some(compiled.id), selector))
        });
        let of_groups = self.rule_groups.iter().flat_map(|group| {
            group.sections().into_iter().flat_map(|(_, selectors)| selectors).map(|selector| (None, selector))
        });
        of_policies.chain(of_groups)
    }
}

/// The ids of those names that have one, sorted and once each.
fn known<'a>(ids: &HashMap<Box<str>, u32>, names: impl Iterator<Item = &'a str>) -> Vec<u32> {
    let mut found: Vec<u32> = names.filter_map(|name| ids.get(name).copied()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Sorted, and of several ends of one the latest.
fn latest<K: Ord + Copy + Hash>(mut all: Vec<(K, i64)>) -> Box<[(K, i64)]> {
    all.sort_unstable_by(|(one, until), (other, other_until)| one.cmp(other).then(other_until.cmp(until)));
    all.dedup_by_key(|(key, _)| *key);
    all.into()
}
