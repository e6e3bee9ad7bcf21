//! A store that is only looked at, as it is at one moment: for whoever asks about people beside a running gateway, or without one.
//! Nothing is written, made or migrated here; following changes is left to [`Store`](crate::Store).

use crate::access_request::{self, AccessRequest};
use crate::directory::{self, Directory};
use crate::error::StoreError;
use crate::fold::fold;
use crate::migrate;
use crate::model::{FormerGroupName, Group, GroupId, Person, PersonId, SessionRecord};
use crate::open::OpenError;
use crate::service_token::{self, ServiceTokenRecord};
use crate::session::{SESSION, read_session};
use crate::snapshot::{self, PERSON_COLUMNS, read_person};
use crate::sql;
use rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::iter::Peekable;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a statement waits for another process that is about to replace the log.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A store at one moment. Whatever is read from it belongs together; while it is held, the write-ahead log grows.
pub struct StoreLook {
    connection: Connection,
}

impl fmt::Debug for StoreLook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StoreLook").finish_non_exhaustive()
    }
}

impl StoreLook {
    /// Opens an existing store of this program's schema for reading.
    ///
    /// # Errors
    /// [`OpenError`] when there is none, or it is another program's, or its schema is another.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let absent = || io::Error::from(io::ErrorKind::NotFound);
        if !path.is_file() {
            return Err(OpenError::File { path: path.to_owned(), source: absent() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; BEGIN")?;
        // The first read is what fixes the moment.
        migrate::expect_newest(&connection)?;
        Ok(Self { connection })
    }

    /// The directories that are served.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read; so with everything here.
    pub fn directories(&self) -> Result<Vec<Directory>, StoreError> {
        Ok(directory::all_served(&self.connection)?)
    }

    /// The groups of the served directories.
    ///
    /// # Errors
    /// As above.
    pub fn groups(&self) -> Result<Vec<Arc<Group>>, StoreError> {
        Ok(snapshot::groups(&self.connection)?)
    }

    /// The names that groups bore until a while ago.
    ///
    /// # Errors
    /// As above.
    pub fn former_group_names(&self) -> Result<Vec<FormerGroupName>, StoreError> {
        Ok(snapshot::former_group_names(&self.connection)?)
    }

    /// Shows every person of the served directories, one after another: they may be many.
    ///
    /// # Errors
    /// As above.
    pub fn each_person(&self, mut show: impl FnMut(Person)) -> Result<(), StoreError> {
        let connection = &self.connection;
        let mut emails =
            connection.prepare_cached("SELECT person, email FROM person_emails ORDER BY person, position")?;
        let mut emails = emails.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.peekable();
        // Groups are few beside memberships: which roster is whose is not asked of the store for each of them.
        let rosters = sql::rows(connection, "SELECT roster, id FROM groups", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, GroupId>(1)?))
        })?;
        let rosters: HashMap<i64, GroupId> = rosters.into_iter().collect();
        let mut memberships =
            connection.prepare_cached("SELECT person_id, roster FROM memberships ORDER BY person_id")?;
        let mut memberships = memberships
            .query_map([], |row| Ok((row.get::<_, PersonId>(0)?, rosters.get(&row.get(1)?).copied())))?
            .peekable();
        let mut persons = connection.prepare_cached(&format!(
            "SELECT {PERSON_COLUMNS} FROM persons p JOIN directories d ON d.id = p.directory \
             WHERE d.served = 1 ORDER BY p.id"
        ))?;
        for person in persons.query_map([], read_person)? {
            let mut person = person?;
            person.emails = of_person(&mut emails, person.id)?;
            let in_force = of_person(&mut memberships, person.id)?.into_iter().flatten();
            person.groups = in_force.collect();
            person.groups.sort_unstable();
            show(person);
        }
        Ok(())
    }

    /// Whoever somebody could mean by a text: a userName or an e-mail address in any case, the provisioning client's id, or ours.
    ///
    /// # Errors
    /// As above.
    pub fn persons_called(&self, text: &str) -> Result<Vec<Person>, StoreError> {
        let ids = sql::rows(
            &self.connection,
            "SELECT p.id FROM persons p JOIN directories d ON d.id = p.directory \
             WHERE d.served = 1 AND (p.external_id = $1 OR p.scim_id = $1 OR p.user_name_folded = $2) \
             UNION SELECT p.id FROM person_emails e JOIN persons p ON p.id = e.person \
             JOIN directories d ON d.id = p.directory WHERE d.served = 1 AND e.email = $2 ORDER BY 1",
            (text, fold(text)),
            |row| row.get::<_, PersonId>(0),
        )?;
        let person = |id| Ok(snapshot::person(&self.connection, id)?);
        ids.into_iter().filter_map(|id| person(id).transpose()).collect()
    }

    /// The sessions that have not ended, the newest first.
    ///
    /// # Errors
    /// As above.
    pub fn sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        let query = format!("{SESSION} WHERE end_reason IS NULL ORDER BY begun_at DESC, id");
        Ok(sql::rows(&self.connection, &query, [], read_session)?)
    }

    /// The tokens of services, also those that were revoked.
    ///
    /// # Errors
    /// As above.
    pub fn service_tokens(&self) -> Result<Vec<Arc<ServiceTokenRecord>>, StoreError> {
        service_token::all(&self.connection)
    }

    /// What was granted and is not known to be over.
    ///
    /// # Errors
    /// As above.
    pub fn grants(&self) -> Result<Vec<Arc<AccessRequest>>, StoreError> {
        Ok(access_request::granted(&self.connection)?)
    }
}

/// Takes the values of one person out of a scan in the order of people, and steps over those of people before.
fn of_person<T>(
    scan: &mut Peekable<impl Iterator<Item = rusqlite::Result<(PersonId, T)>>>,
    person: PersonId,
) -> rusqlite::Result<Vec<T>> {
    let mut values = Vec::new();
    while let Some(next) = scan.next_if(|next| next.as_ref().map_or(true, |(owner, _)| *owner <= person)) {
        let (owner, value) = next?;
        if owner == person {
            values.push(value);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
