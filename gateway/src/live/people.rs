//! The groups of the directories, and from them and a person those that count for a session. Which people are known is left to `linked`,
//! following the feed to `live`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use portcullis_store::{DirectoryName, FormerGroupName, Group, GroupId, Person};

/// Groups as of the last applied change: who is in one, the people say.
#[derive(Debug, Default)]
pub(crate) struct People {
    groups: HashMap<GroupId, Arc<Group>>,
    /// How many groups of a directory bear a name, for every name that some group bears.
    names: HashMap<DirectoryName, HashMap<String, usize>>,
    /// Names that a group of a directory bore, and when the last one left them, in unix seconds.
    former_names: HashMap<DirectoryName, HashMap<String, i64>>,
}

/// Groups by name, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CountedGroups {
    /// Those that somebody is in.
    pub(crate) names: Vec<String>,
    /// Those that somebody is in by a word that does not count.
    pub(crate) unproved: Vec<String>,
}

impl People {
    pub(crate) fn new(groups: Vec<Arc<Group>>, former_names: Vec<FormerGroupName>) -> Self {
        let mut people = Self::default();
        for group in groups {
            people.set_group(group);
        }
        for former in former_names {
            people.leave_name(former.directory, former.name, former.left_at);
        }
        people
    }

    /// Takes in a group's state; the one before.
    pub(super) fn set_group(&mut self, group: Arc<Group>) -> Option<Arc<Group>> {
        let before = self.remove_group(group.id);
        let names = self.names.entry(group.directory.clone()).or_default();
        *names.entry(group.display_name.clone()).or_default() += 1;
        self.groups.insert(group.id, group);
        before
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

    /// The groups that the directory says somebody is in.
    pub(super) fn member_of(&self, person: &Person) -> Box<[Arc<Group>]> {
        person.groups.iter().filter_map(|id| self.groups.get(id)).cloned().collect()
    }

    /// Whether some group of some directory has this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.values().any(|names| names.contains_key(name))
    }

    /// The groups of all directories.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
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

    /// Names of the groups that the directory alone says somebody is in. What the provider claims beside them allows nothing, but a rule
    /// that forbids such a group is not passed in silence: whether somebody is in it is then unknown.
    pub(crate) fn groups_of_directory_alone(
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
    pub(crate) fn groups_that_count(
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
pub(super) mod tests;
