//! What provisioning means for sessions: a person, a group or a link that changed concerns these sessions and no others. Who has sessions
//! is known by `linked`, what a change ends by `session`.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use portcullis_store::{Group, GroupId, Person, PersonId, SessionId};

use super::session::Cuts;
use super::{Followed, Live};

impl Live {
    pub(super) fn refresh_person(&self, followed: &Followed, person: PersonId) -> Cuts {
        let sessions = followed.linked.sessions(person).iter().filter_map(|id| self.session(id));
        Cuts(sessions.map(|session| self.refresh(followed, &session, Some(person), None).0).sum())
    }

    pub(super) fn change_members(
        &self,
        followed: &mut Followed,
        group: GroupId,
        added: &[PersonId],
        removed: &[PersonId],
    ) -> Cuts {
        followed.linked.change_membership(group, added, removed);
        let concerned = added.iter().chain(removed);
        Cuts(concerned.map(|person| self.refresh_person(followed, *person).0).sum())
    }

    /// Who left is not named: everybody who is remembered is looked at.
    pub(super) fn replace_members(
        &self,
        followed: &mut Followed,
        group: GroupId,
        members: &[PersonId],
    ) -> Cuts {
        let members: HashSet<PersonId> = members.iter().copied().collect();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for (person, _) in followed.linked.all() {
            let was_member = person.groups.binary_search(&group).is_ok();
            match members.contains(&person.id) {
                true if !was_member => added.push(person.id),
                false if was_member => removed.push(person.id),
                _ => {}
            }
        }
        self.change_members(followed, group, &added, &removed)
    }

    /// A group that appears, is renamed or goes changes which claimed groups count for who claims one of its names, and what the groups of
    /// its members are called. Nobody else is looked at, and nobody at all where a new group bears a name that no session claims.
    pub(super) fn refresh_group(&self, followed: &Followed, group: &Group, before: Option<&Group>) -> Cuts {
        let mut names = vec![group.display_name.as_str()];
        names.extend(before.map(|before| before.display_name.as_str()));
        let is_claimed = followed.linked.is_claimed(&names);
        if !is_claimed && before.is_none() {
            return Cuts(0);
        }
        let mut cuts = 0;
        let of_directory = followed.linked.all().filter(|(person, _)| person.directory == group.directory);
        for (person, sessions) in of_directory {
            let is_member = person.groups.binary_search(&group.id).is_ok();
            let sessions = sessions.iter().filter_map(|id| self.session(id));
            let concerned =
                sessions.filter(|session| is_member || is_claimed && session.claims_one_of(&names));
            cuts += concerned
                .map(|session| self.refresh(followed, &session, Some(person.id), None).0)
                .sum::<usize>();
        }
        Cuts(cuts)
    }

    pub(super) fn link(
        &self,
        followed: &mut Followed,
        sessions: &[SessionId],
        person: Option<&Arc<Person>>,
    ) -> Cuts {
        let known: Vec<_> = sessions.iter().filter_map(|id| self.session(id)).collect();
        for session in &known {
            let before = session.standing().person.as_ref().map(|person| person.id);
            if let Some(before) = before.filter(|before| person.is_none_or(|now| now.id != *before)) {
                followed.linked.unlink(session.id, before);
            }
            if let Some(person) = person {
                followed.linked.link(session.id, person.clone());
            }
        }
        let person = person.map(|person| person.id);
        Cuts(known.iter().map(|session| self.refresh(followed, session, person, None).0).sum())
    }

    pub(super) fn forget(&self, followed: &mut Followed, ids: &[SessionId]) {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        for session in ids.iter().filter_map(|id| sessions.remove(id)) {
            let standing = session.standing();
            followed.linked.unclaim(&standing.profile.groups);
            if let Some(person) = &standing.person {
                followed.linked.unlink(session.id, person.id);
            }
        }
        drop(sessions);
        let mut applications = self.application_sessions.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            applications.remove(id);
            followed.given.forget(id);
        }
    }
}
