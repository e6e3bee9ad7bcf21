//! What policies name and nobody bears: a group that was renamed, a token that was never made. Such a rule holds for nobody, or forbids
//! nobody, so it is said where administrators look: at start, at each reload, and at the change that leaves a name without a bearer.
//! Where policies name something is found by the configuration.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use portcullis_store::{Group, PersonLookup};

use super::{Followed, GroupIds, Live};
use crate::config::{Mention, Named};
use crate::gateway::Gateway;

/// More than this many at once are not told one by one.
const MAX_TOLD: usize = 100;

/// Says what the policies in force name and nobody bears.
pub(crate) fn warn_of_unborne(gateway: &Gateway) {
    let config = &gateway.config;
    let unborne = gateway.process.live.unborne(&config.mentions, config.directories.len());
    let mut told = 0;
    for mention in unborne.into_iter().filter(|mention| !is_known_user(gateway, &mention.named)) {
        told += 1;
        if told > MAX_TOLD {
            tracing::warn!(target: "portcullis::policy", "policies name more that nobody bears");
            return;
        }
        tracing::warn!(
            target: "portcullis::policy",
            named = %mention.named,
            %mention,
            "policies name what nobody bears"
        );
    }
}

/// Whether it is a user whom a session or a directory knows. Who has not logged in yet and is not provisioned is not known.
fn is_known_user(gateway: &Gateway, named: &Named) -> bool {
    let Named::User(user) = named else { return false };
    let directories = gateway.config.directories.iter();
    let mut of_provider = directories.filter(|it| it.identity_provider == user.identity_provider);
    let lookup = PersonLookup::ExternalId(user.subject.clone());
    let store = &gateway.process.store;
    gateway.process.live.has_session_of(&user.identity_provider, &user.subject)
        || of_provider.any(|directory| {
            // A store that cannot be read says nothing about the policies.
            store.list_persons(&directory.name, &lookup, 0, 1).map_or(true, |page| page.total > 0)
        })
}

/// Who bears the names that policies mean.
#[derive(Debug, Default)]
pub(crate) struct Bearers {
    groups: HashSet<String>,
    group_ids: HashSet<String>,
    tokens: HashSet<String>,
    has_directories: bool,
}

impl Bearers {
    /// Those of the directories, if there are any, and of the store.
    pub(crate) fn new<'g>(
        groups: impl Iterator<Item = &'g Arc<Group>>,
        tokens: impl Iterator<Item = String>,
        directories: usize,
    ) -> Self {
        let has_directories = directories > 0;
        let mut bearers = Self { tokens: tokens.collect(), has_directories, ..Self::default() };
        for group in groups {
            bearers.groups.insert(group.display_name.clone());
            bearers.group_ids.extend(GroupIds::of([group.as_ref()], directories > 1).proved);
        }
        bearers
    }

    /// The mentions that none of these bears. Where no directory has groups yet, nothing is said about names of groups: a provider may
    /// claim them. Of users nothing is known here.
    pub(crate) fn missing<'m>(&self, mentions: &'m [Mention]) -> Vec<&'m Mention> {
        let says_nothing = !self.has_directories || self.groups.is_empty();
        let is_borne = |named: &Named| match named {
            Named::Group(name) => says_nothing || self.groups.contains(name),
            Named::GroupId(id) => (says_nothing && self.has_directories) || self.group_ids.contains(id),
            Named::ServiceToken(name) => self.tokens.contains(name),
            Named::User(_) => false,
        };
        mentions.iter().filter(|mention| !is_borne(&mention.named)).collect()
    }
}

impl Live {
    /// The mentions that nobody bears who is in memory, and those of users.
    fn unborne<'m>(&self, mentions: &'m [Mention], directories: usize) -> Vec<&'m Mention> {
        let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner).all();
        let living = services.iter().filter(|session| session.standing().ended.is_none());
        let tokens = living.filter_map(|session| session.service.as_ref()).map(|it| it.token.to_string());
        Bearers::new(followed.people.groups(), tokens, directories).missing(mentions)
    }

    fn has_session_of(&self, provider: &str, subject: &str) -> bool {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.values().any(|session| session.provider == provider && session.subject == subject)
    }
}

/// Says that a group has left a name that policies mean it by, when no other group has it. `now` is what it is called from here on; none
/// when it is gone.
pub(super) fn warn_of_leaving(followed: &Followed, before: &Group, now: Option<&Group>) {
    let left = &before.display_name;
    if now.is_some_and(|now| now.display_name == *left) || followed.people.has_name(left) {
        return;
    }
    let means_it = |mention: &&Mention| matches!(&mention.named, Named::Group(name) if name == left);
    let mentions: Vec<String> =
        followed.policies.mentions.iter().filter(means_it).map(ToString::to_string).collect();
    if mentions.is_empty() {
        return;
    }
    let mentioned = mentions.join("; ");
    match now {
        Some(now) => tracing::warn!(
            target: "portcullis::policy",
            group = left,
            renamed_to = now.display_name,
            id = now.scim_id,
            mentioned,
            "a group that policies name was renamed"
        ),
        None => tracing::warn!(
            target: "portcullis::policy",
            group = left,
            mentioned,
            "a group that policies name was deleted"
        ),
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::Subject;

    use super::*;

    fn group(name: &str, external_id: Option<&str>) -> Arc<Group> {
        Arc::new(Group {
            id: portcullis_store::GroupId(1),
            scim_id: format!("id of {name}"),
            directory: "corp".into(),
            display_name: name.to_owned(),
            external_id: external_id.map(str::to_owned),
        })
    }

    fn missing(bearers: &Bearers) -> Vec<String> {
        let user = Subject { identity_provider: "okta".to_owned(), subject: "00u1".to_owned() };
        let named = [
            Named::Group("A".to_owned()),
            Named::Group("a".to_owned()),
            Named::GroupId("id of A".to_owned()),
            Named::GroupId("00g1".to_owned()),
            Named::GroupId("A".to_owned()),
            Named::ServiceToken("ci".to_owned()),
            Named::ServiceToken("CI".to_owned()),
            Named::User(user),
        ];
        let mention = |named| Mention { named, owner: "policy `x`".to_owned(), file: None, line: 7 };
        let mentions = named.map(mention);
        bearers.missing(&mentions).into_iter().map(|mention| mention.named.to_string()).collect()
    }

    #[test]
    fn what_nobody_bears_is_found_and_what_may_be_claimed_is_not() {
        let tokens = || ["ci".to_owned()].into_iter();
        let (token, user) = ("the service token `CI`", "the user `00u1` of `okta`");
        let groups = [group("A", Some("00g1"))];
        let bearers = Bearers::new(groups.iter(), tokens(), 1);
        assert_eq!(missing(&bearers), ["the group `a`", "the group with the id `A`", token, user]);
        assert_eq!(missing(&Bearers::new([].iter(), tokens(), 1)), [token, user], "nothing was pushed yet");
        // What one directory's client calls a group, another's may too.
        let several = missing(&Bearers::new(groups.iter(), tokens(), 2));
        let bare = "the group with the id `00g1`";
        assert_eq!(several, ["the group `a`", bare, "the group with the id `A`", token, user]);
        // Without a directory groups are claimed, and nobody has an id.
        let ids = ["id of A", "00g1", "A"].map(|id| format!("the group with the id `{id}`"));
        let none = missing(&Bearers::new([].iter(), tokens(), 0));
        assert_eq!(none, [&ids[0], &ids[1], &ids[2], token, user]);
    }
}
