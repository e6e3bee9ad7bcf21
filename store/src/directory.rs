//! The directory as the provisioning client sees it: contents of people and groups, stored forms, questions and
//! refusals. The SCIM protocol is left to the sink.

mod declare;
mod group;
mod lookup;
mod members;
mod person;
mod regroup;
mod roster;
mod rules;
mod seen;
mod sorted;
mod stretches;

pub(crate) use declare::all_served;
pub use rules::{DirectoryRules, LinkBy, OnGroupChange, UniqueBy};
pub use seen::{Holds, Seen, SeenAttribute, SeenIn};
pub use sorted::{Begin, Direction, GroupOrder, PersonOrder, SortedPage};

use crate::error::StoreError;
use crate::limits::TooLong;
use crate::model::{DirectoryName, GroupId, PersonId};
use serde_json::{Map, Value};

/// A configured directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its name.
    pub name: DirectoryName,
    /// The identity provider that its people log in at.
    pub identity_provider: String,
    /// What else the configuration says of it.
    pub rules: DirectoryRules,
}

/// Everything that the provisioning client says about a person.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonContent {
    /// The userName as received; unique in its directory when folded.
    pub user_name: String,
    /// The provisioning client's id.
    pub external_id: Option<String>,
    /// The e-mail addresses; kept folded and without repeats.
    pub emails: Vec<String>,
    /// The name to show.
    pub display_name: Option<String>,
    /// Whether they may log in at all.
    pub active: bool,
    /// Every other attribute as received.
    pub document: Map<String, Value>,
}

/// A person as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPerson {
    /// The number of this person.
    pub id: PersonId,
    /// The id that the provisioning client knows.
    pub scim_id: String,
    /// The directory that holds them.
    pub directory: DirectoryName,
    /// What the client said.
    pub content: PersonContent,
    /// Rises with every change of the content.
    pub version: i64,
    /// When they were created, in unix seconds.
    pub created_at: i64,
    /// When the content last changed, in unix seconds.
    pub updated_at: i64,
    /// The groups that they are a member of: SCIM id and displayName.
    pub groups: Vec<(String, String)>,
}

/// Everything that the provisioning client says about a group, but for its members.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupContent {
    /// The name; unique in its directory when folded.
    pub display_name: String,
    /// The provisioning client's id.
    pub external_id: Option<String>,
    /// Every other attribute as received.
    pub document: Map<String, Value>,
}

/// A group as stored; its members are read by themselves, for they can be many.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredGroup {
    /// The number of this group.
    pub id: GroupId,
    /// The id that the provisioning client knows.
    pub scim_id: String,
    /// The directory that holds it.
    pub directory: DirectoryName,
    /// What the client said.
    pub content: GroupContent,
    /// Rises with every change of the content or the members.
    pub version: i64,
    /// When it was created, in unix seconds.
    pub created_at: i64,
    /// When content or members last changed, in unix seconds.
    pub updated_at: i64,
}

/// What a write does to the members of a group; people are named by SCIM id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEdit {
    /// Nothing.
    Keep,
    /// These are the members from now on.
    Replace(Vec<String>),
    /// Some join, some leave. Who stands in both lists stays or joins. Leaving a group that one is not in is no error.
    Change {
        /// Who joins.
        add: Vec<String>,
        /// Who leaves.
        remove: Vec<String>,
    },
    /// Everybody leaves.
    RemoveAll,
}

/// Which people to list. Names and addresses are folded before they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonLookup {
    /// All of the directory.
    All,
    /// Those of this userName: one or none.
    UserName(String),
    /// Those of this externalId, exactly as written.
    ExternalId(String),
    /// Those of this displayName.
    DisplayName(String),
    /// Those who have this e-mail address.
    Email(String),
    /// The one of this SCIM id.
    ScimId(String),
}

/// Which groups to list. Names are folded before they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupLookup {
    /// All of the directory.
    All,
    /// Those of this displayName: one or none.
    DisplayName(String),
    /// Those of this externalId, exactly as written.
    ExternalId(String),
    /// The one of this SCIM id.
    ScimId(String),
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// How many there are on all pages.
    pub total: usize,
    /// Those of this page, by id.
    pub items: Vec<T>,
}

/// Why a write to the directory was refused.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No such directory is served.
    #[error("no such directory")]
    UnknownDirectory,
    /// No person or group has this id in this directory.
    #[error("no such resource")]
    NotFound,
    /// Another person of the directory has this userName.
    #[error("the userName is taken")]
    UserNameTaken,
    /// Another person of the directory has this address or id, by which its people are told apart.
    #[error("the {0} is taken")]
    IdentifierTaken(&'static str),
    /// Another group of the directory has this displayName.
    #[error("the displayName is taken")]
    GroupNameTaken,
    /// A member to be added is no person of the directory.
    #[error("`{0}` is no person of this directory")]
    UnknownMember(String),
    /// Something is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for DirectoryError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Store(cause.into())
    }
}

/// Why an edit was refused: by the editor, or by the directory.
#[derive(Debug, thiserror::Error)]
pub enum ModifyError<E> {
    /// The editor refused.
    #[error("the edit was refused")]
    Edit(E),
    /// The directory refused.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl<E> From<StoreError> for ModifyError<E> {
    fn from(cause: StoreError) -> Self {
        Self::Directory(cause.into())
    }
}

#[cfg(test)]
mod tests;
