//! Which directories are served, as the configuration says.

use super::{Directory, DirectoryError};
use crate::error::StoreError;
use crate::limits::{self, within};
use crate::link;
use crate::model::{DirectoryName, EndReason, SessionId};
use crate::session::end;
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use rusqlite::{Connection, Row};

impl Store {
    /// Says which directories are served, and at which provider their people log in; for the serving process alone,
    /// before it follows the feed. A directory that is named no more keeps its rows, but is not served: sessions of its
    /// people end, and so do those of a directory that came to another provider.
    ///
    /// # Errors
    /// [`DirectoryError`] when a name is too long or the store failed; nothing is changed then.
    pub async fn declare_directories(
        &self,
        directories: &[Directory],
        now: i64,
    ) -> Result<(), DirectoryError> {
        for directory in directories {
            within("directory name", directory.name.len(), limits::NAME_BYTES)?;
            within("provider", directory.identity_provider.len(), limits::NAME_BYTES)?;
        }
        let directories = directories.to_vec();
        self.write(move |transaction| Ok(declare(transaction, &directories, now)?)).await
    }

    /// The directories that are served.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn directories(&self) -> Result<Vec<Directory>, StoreError> {
        self.read(|connection| {
            Ok(sql::rows(
                connection,
                "SELECT name, identity_provider FROM directories WHERE served = 1 ORDER BY id",
                [],
                |row| Ok(Directory { name: row.get(0)?, identity_provider: row.get(1)? }),
            )?)
        })
    }
}

fn declare(
    transaction: &mut WriteTransaction<'_>,
    directories: &[Directory],
    now: i64,
) -> rusqlite::Result<()> {
    let connection = transaction.connection;
    let former = sql::rows(
        connection,
        "SELECT name, identity_provider FROM directories WHERE served = 1",
        [],
        |row| Ok(Directory { name: row.get(0)?, identity_provider: row.get(1)? }),
    )?;
    sql::run(connection, "UPDATE directories SET served = 0", [])?;
    for directory in directories {
        sql::run(
            connection,
            "INSERT INTO directories (name, identity_provider, served) VALUES ($1, $2, 1) \
             ON CONFLICT (name) DO UPDATE SET identity_provider = excluded.identity_provider, served = 1",
            (&*directory.name, &directory.identity_provider),
        )?;
    }
    let stranded: Vec<SessionId> = sql::rows(
        connection,
        "SELECT s.id FROM sessions s JOIN persons p ON p.id = s.person JOIN directories d ON d.id = p.directory \
         WHERE s.end_reason IS NULL AND (d.served = 0 OR d.identity_provider <> s.provider)",
        [],
        |row| row.get(0),
    )?;
    end::end(transaction, &stranded, EndReason::Revoked, now)?;
    for directory in directories.iter().filter(|directory| !former.contains(directory)) {
        link::relink_unlinked(transaction, &directory.identity_provider, now)?;
    }
    Ok(())
}

/// A served directory, as the other operations need it.
pub(super) struct Served {
    pub(super) row: i64,
    pub(super) name: DirectoryName,
    pub(super) identity_provider: String,
}

/// Finds a served directory by its name.
pub(super) fn served(connection: &Connection, name: &str) -> Result<Served, DirectoryError> {
    sql::row(
        connection,
        "SELECT id, name, identity_provider FROM directories WHERE name = $1 AND served = 1",
        [name],
        |row: &Row<'_>| Ok(Served { row: row.get(0)?, name: row.get(1)?, identity_provider: row.get(2)? }),
    )?
    .ok_or(DirectoryError::UnknownDirectory)
}
