//! Which directories are served, as the configuration says.

use super::rules::{RULES, read_rules};
use super::{Directory, DirectoryError, DirectoryRules};
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
        self.read(|connection| Ok(all_served(connection)?))
    }
}

fn declare(
    transaction: &mut WriteTransaction<'_>,
    directories: &[Directory],
    now: i64,
) -> rusqlite::Result<()> {
    let connection = transaction.connection;
    let former = all_served(connection)?;
    sql::run(connection, "UPDATE directories SET served = 0", [])?;
    for directory in directories {
        let rules = &directory.rules;
        sql::run(
            connection,
            "INSERT INTO directories (name, identity_provider, served, unique_by, links_by_external_id, links_by_email, \
             links_by_user_name, on_group_change) VALUES ($1, $2, 1, $3, $4, $5, $6, $7) \
             ON CONFLICT (name) DO UPDATE SET identity_provider = excluded.identity_provider, served = 1, \
             unique_by = excluded.unique_by, links_by_external_id = excluded.links_by_external_id, \
             links_by_email = excluded.links_by_email, links_by_user_name = excluded.links_by_user_name, \
             on_group_change = excluded.on_group_change",
            (
                &*directory.name,
                &directory.identity_provider,
                rules.unique_by.as_str(),
                rules.link_by.external_id,
                rules.link_by.email,
                rules.link_by.user_name,
                rules.on_group_change.as_str(),
            ),
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
    pub(super) rules: DirectoryRules,
}

/// The directories that are served, in the order in which they were first named.
pub(crate) fn all_served(connection: &Connection) -> rusqlite::Result<Vec<Directory>> {
    sql::rows(
        connection,
        &format!("SELECT name, identity_provider, {RULES} FROM directories WHERE served = 1 ORDER BY id"),
        [],
        |row| Ok(Directory { name: row.get(0)?, identity_provider: row.get(1)?, rules: read_rules(row, 2)? }),
    )
}

/// Finds a served directory by its name.
pub(super) fn served(connection: &Connection, name: &str) -> Result<Served, DirectoryError> {
    sql::row(
        connection,
        &format!(
            "SELECT id, name, identity_provider, {RULES} FROM directories WHERE name = $1 AND served = 1"
        ),
        [name],
        |row: &Row<'_>| {
            let (name, identity_provider) = (row.get(1)?, row.get(2)?);
            Ok(Served { row: row.get(0)?, name, identity_provider, rules: read_rules(row, 3)? })
        },
    )?
    .ok_or(DirectoryError::UnknownDirectory)
}
