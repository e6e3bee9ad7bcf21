//! By which ids policies may mean a group: by ours, which nobody chooses, and by the provisioning client's, which that client does. Who is
//! in the groups is left to `people`.

use portcullis_store::Group;

/// Ids of groups of the directories.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupIds {
    /// Those that mean one group.
    pub(crate) proved: Vec<String>,
    /// Those that another directory's client may have given a group of its own: they allow nothing.
    pub(crate) doubtful: Vec<String>,
}

impl GroupIds {
    /// Where there are several directories, each may give a group the id that a policy means in another. Its id there counts with the
    /// directory's name before it, which has no `/`.
    pub(crate) fn of<'g>(groups: impl IntoIterator<Item = &'g Group>, has_several_directories: bool) -> Self {
        let mut ids = Self::default();
        for group in groups {
            ids.proved.push(group.scim_id.clone());
            let Some(external) = &group.external_id else { continue };
            if has_several_directories {
                ids.proved.push(format!("{}/{external}", group.directory));
                ids.doubtful.push(external.clone());
            } else {
                ids.proved.push(external.clone());
            }
        }
        ids
    }
}
