//! Which attributes stand in the documents of a directory that no schema of the sink names: noted in the transaction that keeps them, so
//! that they can be published. Which are such is told by whoever writes.

use super::DirectoryError;
use crate::error::StoreError;
use crate::limits::{SEEN_ATTRIBUTES, SEEN_PATH_BYTES, TooLong, within};
use crate::provisioning_log::Provisioner;
use crate::sql;
use crate::store::Store;
use rusqlite::{Connection, Row};

/// What a write keeps beyond the schemas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What was there before, or may not be refused: where there is no room for it, it is kept and not published.
    pub kept: Vec<SeenAttribute>,
    /// What the write itself brings: where there is no room for it, the write is refused.
    pub brought: Vec<SeenAttribute>,
}

/// One attribute of a document. Where it was seen in several forms, it is there several times.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenAttribute {
    /// Of what.
    pub seen_in: SeenIn,
    /// The schema: the resource's own, or that of an extension.
    pub urn: String,
    /// Its name below the schema, and those of what it is a part of before it.
    pub path: Vec<String>,
    /// What its values are.
    pub holds: Holds,
    /// Whether it was a list of them.
    pub many: bool,
}

/// Of what an attribute is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeenIn {
    /// A person.
    Person,
    /// A group.
    Group,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holds {
    /// A text.
    Text,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// Another number.
    Decimal,
    /// Something with parts.
    Complex,
}

impl SeenAttribute {
    /// Bytes of the names of its path.
    #[must_use]
    pub fn path_bytes(&self) -> usize {
        self.path.iter().map(String::len).sum()
    }
}

impl SeenIn {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Group => "group",
        }
    }
}

impl Holds {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Complex => "complex",
        }
    }

    fn from_stored(word: &str) -> Self {
        match word {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "decimal" => Self::Decimal,
            "complex" => Self::Complex,
            _ => Self::Text,
        }
    }
}

impl Store {
    /// What was seen in the documents of a served directory.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn seen_attributes(&self, directory: &str) -> Result<Vec<SeenAttribute>, StoreError> {
        self.read(|connection| {
            Ok(sql::rows(
                connection,
                "SELECT s.seen_in, s.urn, s.path, s.holds, s.many FROM seen_attributes s \
                 JOIN directories d ON d.id = s.directory WHERE d.name = $1 AND d.served = 1 \
                 ORDER BY s.seen_in DESC, s.urn, s.path, s.holds, s.many",
                [directory],
                read,
            )?)
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<SeenAttribute> {
    let (seen_in, path, holds): (String, String, String) = (row.get(0)?, row.get(2)?, row.get(3)?);
    Ok(SeenAttribute {
        seen_in: if seen_in == SeenIn::Group.as_str() { SeenIn::Group } else { SeenIn::Person },
        urn: row.get(1)?,
        path: serde_json::from_str(&path).unwrap_or_default(),
        holds: Holds::from_stored(&holds),
        many: row.get(4)?,
    })
}

/// Notes what a write has seen. Mostly all of it is known.
pub(super) fn learn(
    connection: &Connection,
    by: Option<&Provisioner>,
    directory: i64,
) -> Result<(), DirectoryError> {
    let Some(seen) = by.and_then(|by| by.seen.get()) else { return Ok(()) };
    for attribute in &seen.kept {
        match note(connection, directory, attribute) {
            // Nor is there room for any other that is not known.
            Err(DirectoryError::TooLong(it)) if it.limit == SEEN_ATTRIBUTES => break,
            Err(DirectoryError::TooLong(_)) => {}
            noted => noted?,
        }
    }
    seen.brought.iter().try_for_each(|attribute| note(connection, directory, attribute))
}

fn note(connection: &Connection, directory: i64, attribute: &SeenAttribute) -> Result<(), DirectoryError> {
    within("the name of an attribute", attribute.path_bytes().max(attribute.urn.len()), SEEN_PATH_BYTES)?;
    let path = serde_json::to_string(&attribute.path).map_err(|_| StoreError::Unreadable("attribute"))?;
    let row = (
        directory,
        attribute.seen_in.as_str(),
        &attribute.urn,
        &path,
        attribute.holds.as_str(),
        attribute.many,
    );
    let known = "SELECT 1 FROM seen_attributes WHERE directory = $1 AND seen_in = $2 AND urn = $3 AND path = $4 \
         AND holds = $5 AND many = $6";
    if sql::row(connection, known, row, |_| Ok(()))?.is_some() {
        return Ok(());
    }
    let count: i64 = sql::row(
        connection,
        "SELECT count(*) FROM seen_attributes WHERE directory = $1",
        [directory],
        |row| row.get(0),
    )?
    .unwrap_or(0);
    if usize::try_from(count).unwrap_or(usize::MAX) >= SEEN_ATTRIBUTES {
        let field = "the list of attributes that this directory has beyond the standard ones";
        return Err(TooLong { field, limit: SEEN_ATTRIBUTES }.into());
    }
    sql::run(
        connection,
        "INSERT INTO seen_attributes (directory, seen_in, urn, path, holds, many) VALUES ($1, $2, $3, $4, $5, $6)",
        row,
    )?;
    Ok(())
}
