//! What the configuration says of a directory beyond whose logins belong to it, and how that is stored. Obeying it is left to `person`,
//! `group` and `link`.

use rusqlite::{Result, Row};

/// The rules of a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryRules {
    /// What tells its people apart.
    pub unique_by: UniqueBy,
    /// By what a login finds its person.
    pub link_by: LinkBy,
    /// What a change of somebody's groups does to their sessions.
    pub on_group_change: OnGroupChange,
}

/// What two people of a directory never share, beside the userName.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UniqueBy {
    /// Nothing more.
    #[default]
    UserName,
    /// Any e-mail address.
    Email,
    /// The externalId.
    ExternalId,
}

/// By what a login finds its person: the `sub`, and the verified address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkBy {
    /// The externalId is the `sub`.
    pub external_id: bool,
    /// One of the e-mail addresses is the verified address.
    pub email: bool,
    /// The userName is the verified address.
    pub user_name: bool,
}

impl Default for LinkBy {
    fn default() -> Self {
        Self { external_id: true, email: true, user_name: true }
    }
}

/// What a change of somebody's groups does to their sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnGroupChange {
    /// Every open session and stream of theirs is decided again at once.
    #[default]
    Apply,
    /// Their sessions end: they log in again.
    Reauthenticate,
    /// It counts from their next login on.
    Ignore,
}

impl UniqueBy {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::UserName => "user_name",
            Self::Email => "email",
            Self::ExternalId => "external_id",
        }
    }
}

impl OnGroupChange {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Reauthenticate => "reauthenticate",
            Self::Ignore => "ignore",
        }
    }
}

/// The columns that [`read_rules`] reads, in their order.
pub(super) const RULES: &str =
    "unique_by, links_by_external_id, links_by_email, links_by_user_name, on_group_change";

/// A word that nobody knows, from a newer program, is taken for what is the default.
pub(super) fn read_rules(row: &Row<'_>, first: usize) -> Result<DirectoryRules> {
    let unique_by: String = row.get(first)?;
    let on_group_change: String = row.get(first + 4)?;
    Ok(DirectoryRules {
        unique_by: match unique_by.as_str() {
            "email" => UniqueBy::Email,
            "external_id" => UniqueBy::ExternalId,
            _ => UniqueBy::UserName,
        },
        link_by: LinkBy {
            external_id: row.get(first + 1)?,
            email: row.get(first + 2)?,
            user_name: row.get(first + 3)?,
        },
        on_group_change: match on_group_change.as_str() {
            "reauthenticate" => OnGroupChange::Reauthenticate,
            "ignore" => OnGroupChange::Ignore,
            _ => OnGroupChange::Apply,
        },
    })
}

#[cfg(test)]
mod tests;
