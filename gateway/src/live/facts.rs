//! What is known of somebody, in the small ids of the policies: groups by name and by id, what their record in the directory and their
//! claims say, how they logged in, what they said and were granted. Made anew whenever one of these or the policies change; where they
//! come from is left to `live`.

use std::sync::Arc;

use portcullis_policy::{Attributes, EmailAddress, Person as Asker, PolicySet, PredicateSet, Principal};
use portcullis_scim_sink::user_case_exact;
use portcullis_store::{Group, Person, Profile};
use serde_json::{Map, Value};

use super::given::Held;
use super::login_facts::login_facts;
use super::policies::Policies;
use super::session::{Standing, Whose};

/// What is known of one session's owner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) whose: Whose<'a>,
    pub(super) profile: &'a Profile,
    pub(super) person: Option<&'a Person>,
    /// The groups of the directory that they are in.
    pub(super) member_of: &'a [Arc<Group>],
    /// Names of all groups that count.
    pub(super) groups: &'a [String],
    /// Names of groups that they are in by a word that does not count.
    pub(super) doubts: &'a [String],
    pub(super) held: &'a Held,
    /// What was true before, if anything was.
    pub(super) before: Option<&'a Standing>,
}

impl Policies {
    /// Somebody whose groups were counted for earlier policies. Where the provider's word no longer counts, what was counted with its
    /// help is a doubt, until `Live` has counted anew.
    pub(super) fn principal_anew(&self, whose: Whose<'_>, standing: &Standing) -> Principal {
        let Standing { profile, person, member_of, groups, doubts, held, .. } = standing;
        let facts = Facts {
            whose,
            profile,
            person: person.as_deref(),
            member_of,
            groups,
            doubts,
            held,
            before: None,
        };
        if self.directory_alone(whose.provider) && !standing.policies.directory_alone(whose.provider) {
            return self.principal(&Facts { groups: &[], doubts: groups, ..facts });
        }
        self.principal(&facts)
    }

    /// Somebody in the ids of these policies.
    pub(super) fn principal(&self, facts: &Facts<'_>) -> Principal {
        let Facts { whose, profile, person, member_of, groups, doubts, held, .. } = *facts;
        let set = &self.set;
        let names = (groups.iter().map(String::as_str), doubts.iter().map(String::as_str));
        let mut interned = set.intern_groups_with_doubts(names.0, names.1);
        if person.is_some() {
            let is_asked = set.group_ids().next().is_some();
            let ids = self.group_ids(if is_asked { member_of } else { &[] });
            interned = set.intern_group_ids(interned, ids.proved.iter().map(String::as_str));
            interned = set.doubt_group_ids(interned, ids.doubtful.iter().map(String::as_str));
        }
        Principal::Person(Asker {
            email: profile.email.as_deref().and_then(|email| email.parse::<EmailAddress>().ok()),
            subject: Some(whose.subject.into()),
            groups: interned,
            attributes: facts
                .known_attributes(set)
                .cloned()
                .unwrap_or_else(|| attributes(set, whose, profile, person)),
            login_method: set.login_method(whose.provider),
            login: login_facts(&profile.claims_json, profile.authenticated_at),
            purposes: held.purposes_for(set),
            grants: held.grants_for(set),
        })
    }
}

impl Facts<'_> {
    /// What the predicates said before, where they are asked about the same record and the same claims. Reading these is most of the work,
    /// and whoever applies a change to a large group does it for every member.
    fn known_attributes(&self, set: &Arc<PolicySet>) -> Option<&PredicateSet> {
        let before = self.before?;
        let Principal::Person(asker) = &before.principal else { return None };
        let is_same_record = match (before.person.as_deref(), self.person) {
            (None, None) => true,
            (Some(before), Some(now)) => is_same_record(before, now),
            _ => false,
        };
        let is_same = is_same_record
            && Arc::ptr_eq(&before.policies.set, set)
            && std::ptr::eq(before.profile.as_ref(), self.profile);
        is_same.then_some(&asker.attributes)
    }
}

/// Whether [`Person::attributes`] are the same of both.
fn is_same_record(one: &Person, other: &Person) -> bool {
    Arc::ptr_eq(&one.document, &other.document)
        && one.user_name == other.user_name
        && one.external_id == other.external_id
        && one.display_name == other.display_name
        && one.active == other.active
}

/// What the predicates of the policies say of somebody. The documents are read only where a policy asks.
fn attributes(set: &PolicySet, whose: Whose<'_>, profile: &Profile, person: Option<&Person>) -> PredicateSet {
    if !set.asks_for_attributes() {
        return set.unknown_attributes();
    }
    let Some(claims) = claims(whose, profile) else { return set.unknown_attributes() };
    let user = person.and_then(Person::attributes);
    set.intern_attributes(&Attributes { user: user.as_ref(), claims: &claims, case_exact: user_case_exact })
}

/// What the provider said of somebody: the claims that are kept, and those that have places of their own. None when they cannot be read.
fn claims(whose: Whose<'_>, profile: &Profile) -> Option<Map<String, Value>> {
    let mut claims: Map<String, Value> = serde_json::from_str(&profile.claims_json).ok()?;
    let texts = [
        ("sub", Some(whose.subject)),
        ("email", profile.email.as_deref()),
        ("name", profile.display_name.as_deref()),
    ];
    for (name, text) in texts {
        claims.extend(text.map(|text| (name.to_owned(), text.into())));
    }
    claims.insert("groups".to_owned(), profile.groups.as_slice().into());
    Some(claims)
}

#[cfg(test)]
mod tests;
