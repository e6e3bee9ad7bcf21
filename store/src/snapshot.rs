//! Reads the state that a follower starts from: sessions, their people, groups; keeping it current is left to the follower.

use crate::access_request;
use crate::change::Snapshot;
use crate::error::StoreError;
use crate::model::{FormerGroupName, Group, GroupId, Person, PersonId, Seq};
use crate::purpose;
use crate::service_token;
use crate::session::{read_application_session, read_session};
use crate::sql;
use rusqlite::{Connection, Row};
use std::sync::Arc;

/// Reads the state in a transaction of its own.
pub(crate) fn take(connection: &Connection) -> Result<Snapshot, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let snapshot = read(&transaction)?;
    transaction.commit()?;
    Ok(snapshot)
}

/// Reads the state inside a transaction.
pub(crate) fn read(connection: &Connection) -> Result<Snapshot, StoreError> {
    Ok(Snapshot {
        seq: watermark(connection)?,
        persons: persons(connection)?,
        groups: groups(connection)?,
        former_group_names: former_group_names(connection)?,
        sessions: sql::rows(connection, &format!("{} ORDER BY id", crate::session::SESSION), [], |row| {
            read_session(row).map(Arc::new)
        })?,
        application_sessions: sql::rows(
            connection,
            &format!("{} ORDER BY id", crate::session::APPLICATION_SESSION),
            [],
            |row| read_application_session(row).map(Arc::new),
        )?,
        service_tokens: service_token::all::<StoreError>(connection)?,
        purposes: purpose::all(connection)?,
        grants: access_request::granted(connection)?,
    })
}

/// The position of the last change.
pub(crate) fn watermark(connection: &Connection) -> rusqlite::Result<Seq> {
    sql::row(connection, "SELECT seq FROM watermark", [], |row| row.get(0))?
        .ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// A person's row without its lists, from a query that selects [`PERSON_COLUMNS`] first.
pub(crate) fn read_person(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person {
        id: row.get(0)?,
        scim_id: row.get(1)?,
        directory: row.get(2)?,
        user_name: row.get(3)?,
        external_id: row.get(4)?,
        display_name: row.get(5)?,
        active: row.get(6)?,
        emails: Vec::new(),
        groups: Box::default(),
        document: row.get(7)?,
    })
}

/// What [`read_person`] reads, of `persons p` and `directories d`.
pub(crate) const PERSON_COLUMNS: &str =
    "p.id, p.scim_id, d.name, p.user_name, p.external_id, p.display_name, p.active, p.document";

/// Those who have sessions, each read by themselves: they are few beside all people of a directory.
fn persons(connection: &Connection) -> rusqlite::Result<Vec<Arc<Person>>> {
    let persons = sql::rows(
        connection,
        &format!(
            "SELECT {PERSON_COLUMNS} FROM (SELECT DISTINCT person FROM sessions WHERE person IS NOT NULL) s \
             JOIN persons p ON p.id = s.person JOIN directories d ON d.id = p.directory \
             WHERE d.served = 1 ORDER BY p.id"
        ),
        [],
        read_person,
    )?;
    persons.into_iter().map(|person| complete(connection, person).map(Arc::new)).collect()
}

const GROUP: &str = "SELECT g.id, g.scim_id, d.name, g.display_name, g.external_id \
     FROM groups g JOIN directories d ON d.id = g.directory";

fn read_group(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        id: row.get(0)?,
        scim_id: row.get(1)?,
        directory: row.get(2)?,
        display_name: row.get(3)?,
        external_id: row.get(4)?,
    })
}

pub(crate) fn groups(connection: &Connection) -> rusqlite::Result<Vec<Arc<Group>>> {
    sql::rows(connection, &format!("{GROUP} WHERE d.served = 1 ORDER BY g.id"), [], |row| {
        read_group(row).map(Arc::new)
    })
}

/// One group as decisions see it.
pub(crate) fn group(connection: &Connection, id: GroupId) -> rusqlite::Result<Option<Group>> {
    sql::row(connection, &format!("{GROUP} WHERE g.id = $1"), [id], read_group)
}

pub(crate) fn former_group_names(connection: &Connection) -> rusqlite::Result<Vec<FormerGroupName>> {
    sql::rows(
        connection,
        "SELECT d.name, f.name, f.left_at FROM former_group_names f JOIN directories d ON d.id = f.directory \
         WHERE d.served = 1 ORDER BY d.name, f.name",
        [],
        |row| Ok(FormerGroupName { directory: row.get(0)?, name: row.get(1)?, left_at: row.get(2)? }),
    )
}

/// One person as decisions see them, with e-mails and groups.
pub(crate) fn person(connection: &Connection, id: PersonId) -> rusqlite::Result<Option<Person>> {
    let person = sql::row(
        connection,
        &format!(
            "SELECT {PERSON_COLUMNS} FROM persons p JOIN directories d ON d.id = p.directory WHERE p.id = $1"
        ),
        [id],
        read_person,
    )?;
    person.map(|person| complete(connection, person)).transpose()
}

/// Adds what stands in other tables.
fn complete(connection: &Connection, mut person: Person) -> rusqlite::Result<Person> {
    person.emails = emails_of(connection, person.id)?;
    person.groups = sql::rows(
        connection,
        "SELECT g.id FROM memberships m JOIN groups g ON g.roster = m.roster WHERE m.person_id = $1 ORDER BY g.id",
        [person.id],
        |row| row.get::<_, GroupId>(0),
    )?
    .into_boxed_slice();
    Ok(person)
}

/// The e-mail addresses of a person, in the order received.
pub(crate) fn emails_of(connection: &Connection, id: PersonId) -> rusqlite::Result<Vec<String>> {
    sql::rows(
        connection,
        "SELECT email FROM person_emails WHERE person = $1 ORDER BY position",
        [id],
        |row| row.get(0),
    )
}

#[cfg(test)]
mod tests;
