//! Reads people and groups as the provisioning client sees them: one, a page of a listing, or a stretch of a scan.

use super::stretches::{self, Kind};
use super::{GroupContent, GroupLookup, Page, PersonContent, PersonLookup, StoredGroup, StoredPerson};
use crate::error::StoreError;
use crate::fold::fold;
use crate::limits::{PAGE_LIMIT, sql_count};
use crate::model::{GroupId, PersonId};
use crate::snapshot;
use crate::sql;
use crate::store::Store;
use rusqlite::types::Type;
use rusqlite::{Connection, Result, Row};
use serde_json::{Map, Value};

impl Store {
    /// A person by SCIM id.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn person(
        &self,
        directory: &str,
        scim_id: &str,
    ) -> std::result::Result<Option<StoredPerson>, StoreError> {
        self.read(|connection| Ok(person(connection, directory, scim_id)?))
    }

    /// A page of people, in the order of their creation.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn list_persons(
        &self,
        directory: &str,
        which: &PersonLookup,
        offset: usize,
        limit: usize,
    ) -> std::result::Result<Page<StoredPerson>, StoreError> {
        let (condition, value) = match which {
            PersonLookup::All => return self.page_of_persons(directory, offset, limit),
            PersonLookup::UserName(name) => ("p.user_name_folded = $2", fold(name)),
            PersonLookup::ExternalId(id) => ("p.external_id = $2", id.clone()),
            PersonLookup::DisplayName(name) => ("p.display_name_folded = $2", fold(name)),
            PersonLookup::Email(email) => {
                ("p.id IN (SELECT person FROM person_emails WHERE email = $2)", fold(email))
            }
            PersonLookup::ScimId(id) => ("p.scim_id = $2", id.clone()),
        };
        let among = format!("persons p WHERE p.directory = {DIRECTORY} AND {condition}");
        self.read(|connection| {
            let mut items = sql::rows(
                connection,
                &format!("SELECT {PERSON} FROM {among} ORDER BY p.id LIMIT $3 OFFSET $4"),
                (directory, &value, sql_count(limit.min(PAGE_LIMIT)), sql_count(offset)),
                |row| read_person(row, directory),
            )?;
            items.iter_mut().try_for_each(|person| complete(connection, person))?;
            Ok(Page { total: count(connection, &among, directory, &value)?, items })
        })
    }

    fn page_of_persons(
        &self,
        directory: &str,
        offset: usize,
        limit: usize,
    ) -> std::result::Result<Page<StoredPerson>, StoreError> {
        self.read(|connection| {
            let spot = stretches::find(connection, directory, Kind::Person, offset)?;
            let mut items = sql::rows(
                connection,
                &format!(
                    "SELECT {PERSON} FROM persons p WHERE p.directory = {DIRECTORY} AND p.id >= $2 \
                     ORDER BY p.id LIMIT $3 OFFSET $4"
                ),
                (directory, spot.first_id, sql_count(limit.min(PAGE_LIMIT)), sql_count(spot.skipped)),
                |row| read_person(row, directory),
            )?;
            items.iter_mut().try_for_each(|person| complete(connection, person))?;
            Ok(Page { total: spot.total, items })
        })
    }

    /// The next people after one, in the order of their creation; all of them, without gaps or repeats, when each call
    /// goes on where the last ended.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn scan_persons(
        &self,
        directory: &str,
        after: PersonId,
        limit: usize,
    ) -> std::result::Result<Vec<StoredPerson>, StoreError> {
        self.read(|connection| {
            let mut items = sql::rows(
                connection,
                &format!(
                    "SELECT {PERSON} FROM persons p WHERE p.directory = {DIRECTORY} AND p.id > $2 ORDER BY p.id LIMIT $3"
                ),
                (directory, after, sql_count(limit.min(PAGE_LIMIT))),
                |row| read_person(row, directory),
            )?;
            items.iter_mut().try_for_each(|person| complete(connection, person))?;
            Ok(items)
        })
    }

    /// A group by SCIM id.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn group(
        &self,
        directory: &str,
        scim_id: &str,
    ) -> std::result::Result<Option<StoredGroup>, StoreError> {
        self.read(|connection| Ok(group(connection, directory, scim_id)?))
    }

    /// The members of a group: SCIM id and the name to show, in the order of their creation.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn group_members(&self, group: GroupId) -> std::result::Result<Vec<(String, String)>, StoreError> {
        self.read(|connection| {
            Ok(sql::rows(
                connection,
                "SELECT p.scim_id, coalesce(p.display_name, p.user_name) \
                 FROM groups g JOIN memberships m ON m.roster = g.roster JOIN persons p ON p.id = m.person_id \
                 WHERE g.id = $1 ORDER BY m.person_id",
                [group],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?)
        })
    }

    /// Whether a group has more members than so many.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn has_more_members(&self, group: GroupId, than: usize) -> std::result::Result<bool, StoreError> {
        let query = "SELECT 1 FROM groups g JOIN memberships m ON m.roster = g.roster WHERE g.id = $1 LIMIT 1 OFFSET $2";
        self.read(|connection| {
            Ok(sql::row(connection, query, (group, sql_count(than)), |_| Ok(()))?.is_some())
        })
    }

    /// A page of groups, in the order of their creation.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn list_groups(
        &self,
        directory: &str,
        which: &GroupLookup,
        offset: usize,
        limit: usize,
    ) -> std::result::Result<Page<StoredGroup>, StoreError> {
        let (condition, value) = match which {
            GroupLookup::All => return self.page_of_groups(directory, offset, limit),
            GroupLookup::DisplayName(name) => ("g.display_name_folded = $2", fold(name)),
            GroupLookup::ExternalId(id) => ("g.external_id = $2", id.clone()),
            GroupLookup::ScimId(id) => ("g.scim_id = $2", id.clone()),
        };
        let among = format!("groups g WHERE g.directory = {DIRECTORY} AND {condition}");
        self.read(|connection| {
            let items = sql::rows(
                connection,
                &format!("SELECT {GROUP} FROM {among} ORDER BY g.id LIMIT $3 OFFSET $4"),
                (directory, &value, sql_count(limit.min(PAGE_LIMIT)), sql_count(offset)),
                |row| read_group(row, directory),
            )?;
            Ok(Page { total: count(connection, &among, directory, &value)?, items })
        })
    }

    fn page_of_groups(
        &self,
        directory: &str,
        offset: usize,
        limit: usize,
    ) -> std::result::Result<Page<StoredGroup>, StoreError> {
        self.read(|connection| {
            let spot = stretches::find(connection, directory, Kind::Group, offset)?;
            let items = sql::rows(
                connection,
                &format!(
                    "SELECT {GROUP} FROM groups g WHERE g.directory = {DIRECTORY} AND g.id >= $2 \
                     ORDER BY g.id LIMIT $3 OFFSET $4"
                ),
                (directory, spot.first_id, sql_count(limit.min(PAGE_LIMIT)), sql_count(spot.skipped)),
                |row| read_group(row, directory),
            )?;
            Ok(Page { total: spot.total, items })
        })
    }

    /// The next groups after one, in the order of their creation.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn scan_groups(
        &self,
        directory: &str,
        after: GroupId,
        limit: usize,
    ) -> std::result::Result<Vec<StoredGroup>, StoreError> {
        self.read(|connection| {
            Ok(sql::rows(
                connection,
                &format!(
                    "SELECT {GROUP} FROM groups g WHERE g.directory = {DIRECTORY} AND g.id > $2 ORDER BY g.id LIMIT $3"
                ),
                (directory, after, sql_count(limit.min(PAGE_LIMIT))),
                |row| read_group(row, directory),
            )?)
        })
    }
}

const DIRECTORY: &str = "(SELECT id FROM directories WHERE name = $1 AND served = 1)";
pub(super) const PERSON: &str = "p.id, p.scim_id, p.user_name, p.external_id, p.display_name, p.active, p.document, p.version, \
     p.created_at, p.updated_at";
pub(super) const GROUP: &str =
    "g.id, g.scim_id, g.display_name, g.external_id, g.document, g.version, g.created_at, g.updated_at";

/// A person inside a read or a write.
pub(super) fn person(
    connection: &Connection,
    directory: &str,
    scim_id: &str,
) -> Result<Option<StoredPerson>> {
    let person = sql::row(
        connection,
        &format!("SELECT {PERSON} FROM persons p WHERE p.directory = {DIRECTORY} AND p.scim_id = $2"),
        (directory, scim_id),
        |row| read_person(row, directory),
    )?;
    let Some(mut person) = person else { return Ok(None) };
    complete(connection, &mut person)?;
    Ok(Some(person))
}

/// A group inside a read or a write.
pub(super) fn group(connection: &Connection, directory: &str, scim_id: &str) -> Result<Option<StoredGroup>> {
    sql::row(
        connection,
        &format!("SELECT {GROUP} FROM groups g WHERE g.directory = {DIRECTORY} AND g.scim_id = $2"),
        (directory, scim_id),
        |row| read_group(row, directory),
    )
}

fn count(connection: &Connection, among: &str, directory: &str, value: &str) -> Result<usize> {
    let count: i64 =
        sql::row(connection, &format!("SELECT count(*) FROM {among}"), (directory, value), |row| row.get(0))?
            .unwrap_or(0);
    Ok(usize::try_from(count).unwrap_or(0))
}

fn read_document(row: &Row<'_>, column: usize) -> Result<Map<String, Value>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|cause| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, cause.into()))
}

pub(super) fn read_person(row: &Row<'_>, directory: &str) -> Result<StoredPerson> {
    Ok(StoredPerson {
        id: row.get(0)?,
        scim_id: row.get(1)?,
        directory: directory.into(),
        content: PersonContent {
            user_name: row.get(2)?,
            external_id: row.get(3)?,
            emails: Vec::new(),
            display_name: row.get(4)?,
            active: row.get(5)?,
            document: read_document(row, 6)?,
        },
        version: row.get(7)?,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
        groups: Vec::new(),
    })
}

/// Adds what stands in other tables.
pub(super) fn complete(connection: &Connection, person: &mut StoredPerson) -> Result<()> {
    person.content.emails = snapshot::emails_of(connection, person.id)?;
    person.groups = sql::rows(
        connection,
        "SELECT g.scim_id, g.display_name FROM memberships m JOIN groups g ON g.roster = m.roster \
         WHERE m.person_id = $1 ORDER BY g.id",
        [person.id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(())
}

pub(super) fn read_group(row: &Row<'_>, directory: &str) -> Result<StoredGroup> {
    Ok(StoredGroup {
        id: row.get(0)?,
        scim_id: row.get(1)?,
        directory: directory.into(),
        content: GroupContent {
            display_name: row.get(2)?,
            external_id: row.get(3)?,
            document: read_document(row, 4)?,
        },
        version: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}
