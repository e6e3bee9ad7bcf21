//! Where policies name what only a directory, a provider or the store can know: groups, users, service tokens. Whether anybody bears such
//! a name is left to `unborne`, which asks while the gateway runs.

use std::fmt;
use std::path::{Path, PathBuf};

use portcullis_policy::{Selector, Subject};

/// One name in one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// What is named.
    pub named: Named,
    /// Whose rule it is, such as "policy `engineering`".
    pub owner: String,
    /// The file, when it is not the configuration itself.
    pub file: Option<PathBuf>,
    /// The line of the rule.
    pub line: usize,
}

/// What can be named without being known to the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A group, by name.
    Group(String),
    /// A group, by one of its ids.
    GroupId(String),
    /// A user of a provider.
    User(Subject),
    /// A service token.
    ServiceToken(String),
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.owner)?;
        if let Some(file) = &self.file {
            write!(f, " in `{}`", file.display())?;
        }
        write!(f, ", line {}", self.line)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "the group `{name}`"),
            Self::GroupId(id) => write!(f, "the group with the id `{id}`"),
            Self::User(user) => write!(f, "the user `{}` of `{}`", user.subject, user.identity_provider),
            Self::ServiceToken(name) => write!(f, "the service token `{name}`"),
        }
    }
}

/// What one rule names.
pub(super) fn of(selector: &Selector, owner: &str, file: Option<&Path>, line: usize) -> Vec<Mention> {
    let named: Vec<Named> = match selector {
        Selector::Group(names) => names.iter().cloned().map(Named::Group).collect(),
        Selector::GroupId(ids) => ids.iter().cloned().map(Named::GroupId).collect(),
        Selector::Subject(users) => users.iter().cloned().map(Named::User).collect(),
        Selector::ServiceToken(names) => names.iter().cloned().map(Named::ServiceToken).collect(),
        _ => Vec::new(),
    };
    let mention = |named| Mention { named, owner: owner.to_owned(), file: file.map(Path::to_owned), line };
    named.into_iter().map(mention).collect()
}
