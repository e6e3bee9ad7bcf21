//! The people who have sessions here, and which sessions those are. Everybody else is the store's matter alone: a directory may hold a
//! million people of whom a few thousand are logged in. What their groups are called is left to `people`.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_store::{GroupId, Person, PersonId, SessionId, SessionRecord};

/// People as of the last applied change, each known from their first session to the end of their last.
#[derive(Debug, Default)]
pub(super) struct Linked {
    people: HashMap<PersonId, Entry>,
    /// How many sessions claim a group by this name: a name that none claims concerns nobody by a claim.
    claims: HashMap<String, usize>,
}

#[derive(Debug)]
struct Entry {
    person: Arc<Person>,
    sessions: Vec<SessionId>,
}

impl Linked {
    pub(super) fn person(&self, id: PersonId) -> Option<&Arc<Person>> {
        self.people.get(&id).map(|entry| &entry.person)
    }

    /// The sessions of a person.
    pub(super) fn sessions(&self, id: PersonId) -> &[SessionId] {
        self.people.get(&id).map_or(&[], |entry| &entry.sessions)
    }

    /// A session belongs to this person, whose state is the newest.
    pub(super) fn link(&mut self, session: SessionId, person: Arc<Person>) {
        let entry = self.people.entry(person.id);
        let entry = entry.or_insert_with(|| Entry { person: person.clone(), sessions: Vec::new() });
        entry.person = person;
        if !entry.sessions.contains(&session) {
            entry.sessions.push(session);
        }
    }

    /// A session belongs to this person no more, or is forgotten. Whoever has no other is forgotten too.
    pub(super) fn unlink(&mut self, session: SessionId, person: PersonId) {
        let Some(entry) = self.people.get_mut(&person) else { return };
        entry.sessions.retain(|held| *held != session);
        if entry.sessions.is_empty() {
            self.people.remove(&person);
        }
    }

    /// Takes in a person's state, if they have sessions.
    pub(super) fn set_person(&mut self, person: &Arc<Person>) {
        if let Some(entry) = self.people.get_mut(&person.id) {
            entry.person = person.clone();
        }
    }

    /// Forgets a person; the sessions that they had.
    pub(super) fn remove_person(&mut self, id: PersonId) -> Vec<SessionId> {
        self.people.remove(&id).map(|entry| entry.sessions).unwrap_or_default()
    }

    /// Replaces each concerned person's state, so that whoever holds one sees people and groups that belong together.
    pub(super) fn change_membership(&mut self, group: GroupId, added: &[PersonId], removed: &[PersonId]) {
        for id in added {
            self.edit_groups(*id, |groups| {
                if let Err(place) = groups.binary_search(&group) {
                    groups.insert(place, group);
                }
            });
        }
        for id in removed {
            self.edit_groups(*id, |groups| groups.retain(|held| *held != group));
        }
    }

    fn edit_groups(&mut self, id: PersonId, edit: impl FnOnce(&mut Vec<GroupId>)) {
        let Some(entry) = self.people.get_mut(&id) else { return };
        let mut groups = entry.person.groups.to_vec();
        edit(&mut groups);
        let mut person = Person::clone(&entry.person);
        person.groups = groups.into_boxed_slice();
        entry.person = Arc::new(person);
    }

    /// A session claims these groups from now on.
    pub(super) fn claim(&mut self, names: &[String]) {
        for name in names {
            match self.claims.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(self.claims.insert(name.clone(), 1)),
            }
        }
    }

    /// A session claims these groups no more.
    pub(super) fn unclaim(&mut self, names: &[String]) {
        for name in names {
            match self.claims.get_mut(name) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.claims.remove(name)),
            }
        }
    }

    /// Whether any session claims a group by one of these names.
    pub(super) fn is_claimed(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.claims.contains_key(*name))
    }

    /// Everybody, with their sessions.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<Person>, &[SessionId])> {
        self.people.values().map(|entry| (&entry.person, entry.sessions.as_slice()))
    }

    /// Of a new state: everybody, and whom each session belongs to. A session of somebody who is not served is nobody's.
    pub(super) fn load(persons: Vec<Arc<Person>>, sessions: &[Arc<SessionRecord>]) -> Self {
        let persons: HashMap<PersonId, Arc<Person>> =
            persons.into_iter().map(|person| (person.id, person)).collect();
        let mut linked = Self::default();
        for session in sessions {
            linked.claim(&session.profile.groups);
            if let Some(person) = session.person.and_then(|id| persons.get(&id)) {
                linked.link(session.id, person.clone());
            }
        }
        linked
    }
}

#[cfg(test)]
mod tests {
    use super::super::people::tests::person;
    use super::*;

    fn session(number: u8) -> SessionId {
        SessionId::new([number; 32])
    }

    fn groups(linked: &Linked, id: i64) -> Vec<i64> {
        linked.person(PersonId(id)).unwrap().groups.iter().map(|group| group.0).collect()
    }

    #[test]
    fn a_person_is_known_from_the_first_session_to_the_end_of_the_last() {
        let mut linked = Linked::default();
        linked.set_person(&person(1, &[]));
        assert!(linked.person(PersonId(1)).is_none(), "somebody without a session was kept");
        linked.link(session(1), person(1, &[2]));
        linked.link(session(2), person(1, &[2, 3]));
        linked.link(session(2), person(1, &[2, 3]));
        assert_eq!(linked.sessions(PersonId(1)), [session(1), session(2)]);
        assert_eq!(groups(&linked, 1), [2, 3], "the newest state counts for all");
        linked.set_person(&person(1, &[4]));
        assert_eq!(groups(&linked, 1), [4]);
        linked.unlink(session(1), PersonId(1));
        linked.unlink(session(1), PersonId(1));
        assert!(linked.person(PersonId(1)).is_some());
        linked.unlink(session(2), PersonId(1));
        assert!(linked.person(PersonId(1)).is_none());
        assert!(linked.sessions(PersonId(1)).is_empty());
    }

    #[test]
    fn membership_changes_replace_the_person() {
        let mut linked = Linked::default();
        linked.link(session(1), person(1, &[2]));
        let before = linked.person(PersonId(1)).cloned().unwrap();
        linked.change_membership(GroupId(1), &[PersonId(1), PersonId(9)], &[]);
        linked.change_membership(GroupId(1), &[PersonId(1)], &[]);
        linked.change_membership(GroupId(2), &[], &[PersonId(1), PersonId(9)]);
        assert_eq!(groups(&linked, 1), [1]);
        assert_eq!(&*before.groups, &[GroupId(2)]);
        assert!(linked.person(PersonId(9)).is_none(), "a membership made somebody known");
    }

    #[test]
    fn a_name_is_claimed_as_long_as_one_session_claims_it() {
        let mut linked = Linked::default();
        let names = ["Engineering", "Finance"].map(str::to_owned);
        linked.claim(&names);
        linked.claim(&names[..1]);
        linked.unclaim(&names);
        assert!(linked.is_claimed(&["Sales", "Engineering"]));
        assert!(!linked.is_claimed(&["Finance"]));
        linked.unclaim(&names[..1]);
        assert!(!linked.is_claimed(&["Engineering"]));
        assert!(linked.claims.is_empty());
    }
}
