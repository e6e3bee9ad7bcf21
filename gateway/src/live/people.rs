//! The directory in memory, and from it the groups that count for a session. Following the feed is left to `live`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use portcullis_store::{DirectoryName, FormerGroupName, Group, GroupId, Person, PersonId};

/// People and groups as of the last applied change.
#[derive(Debug, Default)]
pub(super) struct People {
    persons: HashMap<PersonId, Arc<Person>>,
    groups: HashMap<GroupId, Arc<Group>>,
    /// How many groups of a directory bear a name, for every name that some group bears.
    names: HashMap<DirectoryName, HashMap<String, usize>>,
    /// Names that a group of a directory bore, and when the last one left them, in unix seconds.
    former_names: HashMap<DirectoryName, HashMap<String, i64>>,
}

/// Groups by name, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CountedGroups {
    /// Those that somebody is in.
    pub(super) names: Vec<String>,
    /// Those that somebody is in by a word that does not count.
    pub(super) unproved: Vec<String>,
}

impl People {
    pub(super) fn new(
        persons: Vec<Arc<Person>>,
        groups: Vec<Arc<Group>>,
        former_names: Vec<FormerGroupName>,
    ) -> Self {
        let persons = persons.into_iter().map(|person| (person.id, person)).collect();
        let mut people = Self { persons, ..Self::default() };
        for group in groups {
            people.set_group(group);
        }
        for former in former_names {
            people.leave_name(former.directory, former.name, former.left_at);
        }
        people
    }

    pub(super) fn person(&self, id: PersonId) -> Option<&Arc<Person>> {
        self.persons.get(&id)
    }

    pub(super) fn set_person(&mut self, person: Arc<Person>) {
        self.persons.insert(person.id, person);
    }

    pub(super) fn remove_person(&mut self, id: PersonId) {
        self.persons.remove(&id);
    }

    pub(super) fn set_group(&mut self, group: Arc<Group>) {
        self.remove_group(group.id);
        let names = self.names.entry(group.directory.clone()).or_default();
        *names.entry(group.display_name.clone()).or_default() += 1;
        self.groups.insert(group.id, group);
    }

    pub(super) fn remove_group(&mut self, id: GroupId) -> Option<Arc<Group>> {
        let group = self.groups.remove(&id)?;
        if let Some(names) = self.names.get_mut(&group.directory) {
            let left = names.get(&group.display_name).map_or(0, |count| count.saturating_sub(1));
            if left == 0 {
                names.remove(&group.display_name);
            } else {
                names.insert(group.display_name.clone(), left);
            }
        }
        Some(group)
    }

    /// A group left its name: was renamed, or deleted.
    pub(super) fn leave_name(&mut self, directory: DirectoryName, name: String, at: i64) {
        self.former_names.entry(directory).or_default().insert(name, at);
    }

    /// Names that were left so long ago that no session is older.
    pub(super) fn forget_names(&mut self, until: i64) {
        for names in self.former_names.values_mut() {
            names.retain(|_, left_at| *left_at > until);
        }
    }

    /// Replaces each concerned person's state, so that whoever holds one sees people and groups that belong together.
    pub(super) fn change_membership(&mut self, group: GroupId, added: &[PersonId], removed: &[PersonId]) {
        for id in added {
            self.edit_groups(*id, |groups| groups.extend([group]));
        }
        for id in removed {
            self.edit_groups(*id, |groups| groups.retain(|held| *held != group));
        }
    }

    fn edit_groups(&mut self, id: PersonId, edit: impl FnOnce(&mut BTreeSet<GroupId>)) {
        let Some(held) = self.persons.get_mut(&id) else { return };
        let mut groups: BTreeSet<GroupId> = held.groups.iter().copied().collect();
        edit(&mut groups);
        let mut person = Person::clone(held);
        person.groups = groups.into_iter().collect();
        *held = Arc::new(person);
    }

    /// Names of the groups that the directory alone says somebody is in. What the provider claims beside them allows nothing, but a rule
    /// that forbids such a group is not passed in silence: whether somebody is in it is then unknown.
    pub(super) fn groups_of_directory_alone(
        &self,
        person: Option<&Person>,
        claimed: &[String],
        told_at: i64,
    ) -> CountedGroups {
        let joined = self.groups_that_count(person, claimed, told_at);
        let ids = person.map(|person| person.groups.iter()).into_iter().flatten();
        let held = ids.filter_map(|id| self.groups.get(id)).map(|group| group.display_name.as_str());
        let held: BTreeSet<&str> = held.collect();
        let unproved = joined.into_iter().filter(|name| !held.contains(name.as_str())).collect();
        CountedGroups { names: held.into_iter().map(str::to_owned).collect(), unproved }
    }

    /// Names of the groups that count for somebody of whom the provider claimed these at a time, at login or a renewal.
    ///
    /// The directory speaks for the groups that it holds: whoever was removed from one there is out at once, whatever the
    /// claim said. That a group was renamed or deleted meanwhile gives nothing back: a claim speaks for a name only if no group of the directory has borne it since. Other claimed groups count as claimed.
    pub(super) fn groups_that_count(
        &self,
        person: Option<&Person>,
        claimed: &[String],
        told_at: i64,
    ) -> Vec<String> {
        let Some(person) = person else {
            let names: BTreeSet<&String> = claimed.iter().collect();
            return names.into_iter().cloned().collect();
        };
        let held = self.names.get(&person.directory);
        let former = self.former_names.get(&person.directory);
        let left_at = |name: &str| former.and_then(|names| names.get(name)).copied();
        let is_held = |name: &str| {
            held.is_some_and(|names| names.contains_key(name))
                || left_at(name).is_some_and(|at| told_at <= at)
        };
        let mut names: BTreeSet<&str> =
            claimed.iter().map(String::as_str).filter(|name| !is_held(name)).collect();
        let member_of = person.groups.iter().filter_map(|id| self.groups.get(id));
        names.extend(member_of.map(|group| group.display_name.as_str()));
        names.into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: i64, groups: &[i64]) -> Arc<Person> {
        Arc::new(Person {
            id: PersonId(id),
            scim_id: format!("person-{id}"),
            directory: "corp".into(),
            user_name: format!("person{id}@corp.example"),
            external_id: None,
            emails: Vec::new(),
            display_name: None,
            active: true,
            groups: groups.iter().copied().map(GroupId).collect(),
        })
    }

    fn group(id: i64, name: &str) -> Arc<Group> {
        Arc::new(Group {
            id: GroupId(id),
            scim_id: format!("group-{id}"),
            directory: "corp".into(),
            display_name: name.to_owned(),
            external_id: None,
        })
    }

    fn people(persons: Vec<Arc<Person>>, groups: Vec<Arc<Group>>) -> People {
        People::new(persons, groups, Vec::new())
    }

    /// What counts for a login at the time 100.
    fn names(people: &People, id: Option<i64>, claimed: &[&str]) -> Vec<String> {
        let claimed: Vec<String> = claimed.iter().map(|name| (*name).to_owned()).collect();
        let person = id.and_then(|id| people.person(PersonId(id)).cloned());
        people.groups_that_count(person.as_deref(), &claimed, 100)
    }

    #[test]
    fn the_directory_speaks_for_the_groups_that_it_holds() {
        let people = people(vec![person(1, &[2])], vec![group(1, "Engineering"), group(2, "Finance")]);
        assert_eq!(names(&people, Some(1), &["Engineering", "Book club"]), ["Book club", "Finance"]);
        assert_eq!(names(&people, None, &["Engineering", "Book club"]), ["Book club", "Engineering"]);
    }

    #[test]
    fn where_the_directory_alone_speaks_a_claim_is_a_doubt() {
        let people = people(vec![person(1, &[2])], vec![group(1, "Engineering"), group(2, "Finance")]);
        let claimed = ["Engineering", "Book club", "Finance"].map(str::to_owned);
        let counted = |id: Option<i64>| {
            let person = id.and_then(|id| people.person(PersonId(id)).cloned());
            let CountedGroups { names, unproved } =
                people.groups_of_directory_alone(person.as_deref(), &claimed, 100);
            (names, unproved)
        };
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        // The directory holds Engineering and says no: that is no doubt.
        assert_eq!(counted(Some(1)), (owned(&["Finance"]), owned(&["Book club"])));
        assert_eq!(counted(None), (owned(&[]), owned(&["Book club", "Engineering", "Finance"])));
    }

    #[test]
    fn a_renamed_or_removed_group_gives_nothing_back_to_an_earlier_claim() {
        let mut people = people(vec![person(1, &[])], vec![group(1, "Engineering")]);
        assert!(names(&people, Some(1), &["Engineering"]).is_empty());
        people.leave_name("corp".into(), "Engineering".to_owned(), 200);
        people.set_group(group(1, "engineering"));
        assert!(names(&people, Some(1), &["Engineering"]).is_empty());
        people.remove_group(GroupId(1));
        assert!(names(&people, Some(1), &["Engineering"]).is_empty());
        people.forget_names(200);
        assert_eq!(
            names(&people, Some(1), &["Engineering"]),
            ["Engineering"],
            "forgotten after the longest session"
        );
    }

    #[test]
    fn a_login_after_a_group_left_its_name_speaks_for_itself() {
        let left = FormerGroupName { directory: "corp".into(), name: "Engineering".to_owned(), left_at: 99 };
        let people = People::new(vec![person(1, &[])], Vec::new(), vec![left]);
        assert_eq!(names(&people, Some(1), &["Engineering"]), ["Engineering"]);
    }

    #[test]
    fn membership_changes_replace_the_person() {
        let mut people = people(vec![person(1, &[2])], vec![group(1, "Engineering"), group(2, "Finance")]);
        let before = people.person(PersonId(1)).cloned().unwrap();
        people.change_membership(GroupId(1), &[PersonId(1), PersonId(9)], &[]);
        people.change_membership(GroupId(2), &[], &[PersonId(1)]);
        assert_eq!(names(&people, Some(1), &[]), ["Engineering"]);
        assert_eq!(&*before.groups, &[GroupId(2)]);
    }
}
