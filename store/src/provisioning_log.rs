//! The provisioning log: what each key wrote, what that changed and ended, and what was refused; the newest entries, and no values.
//!
//! An entry of a write is part of the write. Wording is left to whoever reads it.

use crate::directory::Seen;
use crate::error::StoreError;
use crate::limits::{PAGE_LIMIT, PROVISIONING_ENTRIES_KEPT, PROVISIONING_TEXT_CHARS, sql_count};
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use rusqlite::Row;
use std::sync::{Arc, OnceLock};

/// Who writes, and what they call it.
#[derive(Clone, Debug)]
pub struct Provisioner {
    /// The key that was shown.
    pub key_id: String,
    /// What the administrator called it.
    pub key_name: String,
    /// The operation, such as `user.patch`.
    pub operation: String,
    /// Names of the attributes that changed, filled before the write is over.
    pub changed: Arc<OnceLock<Vec<String>>>,
    /// What it keeps beyond the schemas, filled before the write is over.
    pub seen: Arc<OnceLock<Seen>>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisioningEntry {
    /// Rises from entry to entry.
    pub number: i64,
    /// When, in unix seconds.
    pub at: i64,
    /// The directory.
    pub directory: String,
    /// The key.
    pub key_id: String,
    /// What the administrator called it.
    pub key_name: String,
    /// The operation, such as `user.patch`; of a refusal the method.
    pub operation: String,
    /// The SCIM id of the person or group; of a refusal the path.
    pub resource: String,
    /// What they are called today, while they are there.
    pub name: Option<String>,
    /// Names of the attributes that changed.
    pub changed: Vec<String>,
    /// How many people joined the group.
    pub joined: i64,
    /// How many people left it.
    pub departed: i64,
    /// How many sessions it ended.
    pub sessions_ended: i64,
    /// The status and the words of a refusal.
    pub refused: Option<(u16, String)>,
}

/// A request that was not done.
#[derive(Clone, Debug)]
pub struct RefusedProvisioning {
    /// The directory.
    pub directory: String,
    /// The key.
    pub key_id: String,
    /// What the administrator called it.
    pub key_name: String,
    /// The method.
    pub operation: String,
    /// The path, below the directory.
    pub resource: String,
    /// What it was answered with.
    pub status: u16,
    /// In words.
    pub reason: String,
}

impl Store {
    /// The same store, for one write to a directory that stands in the provisioning log.
    #[must_use]
    pub fn provisioned_by(&self, provisioner: Provisioner) -> Self {
        let mut store = self.clone();
        store.provisioner = Some(Arc::new(provisioner));
        store
    }

    /// Notes what was refused; loses that rather than delay the answer.
    pub fn note_refused_provisioning(&self, refused: RefusedProvisioning, now: i64) {
        let noted = self.write_unattended(move |transaction| {
            transaction.concerns_nobody = true;
            sql::run(
                transaction.connection,
                INSERT,
                (
                    now,
                    &refused.directory,
                    &refused.key_id,
                    &refused.key_name,
                    &refused.operation,
                    cut(&refused.resource),
                    "",
                    0,
                    0,
                    0,
                    Some(refused.status),
                    cut(&refused.reason),
                ),
            )?;
            forget_old(transaction)?;
            Ok(())
        });
        if let Err(cause) = noted {
            tracing::debug!(
                error = &cause as &dyn std::error::Error,
                "a refused provisioning request was not noted"
            );
        }
    }

    /// The newest entries, the newest first; of one directory, or about one resource, if they are named.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn provisioning_log(
        &self,
        directory: Option<&str>,
        resource: Option<&str>,
        most: usize,
    ) -> Result<Vec<ProvisioningEntry>, StoreError> {
        self.read(|connection| {
            Ok(sql::rows(
                connection,
                "SELECT l.id, l.at, l.directory, l.key_id, l.key_name, l.operation, l.resource, \
                 coalesce(p.user_name, g.display_name), l.changed, l.joined, l.departed, l.ended, l.status, l.reason \
                 FROM provisioning_log l LEFT JOIN persons p ON p.scim_id = l.resource \
                 LEFT JOIN groups g ON g.scim_id = l.resource \
                 WHERE ($1 IS NULL OR l.directory = $1) AND ($2 IS NULL OR l.resource = $2) ORDER BY l.id DESC LIMIT $3",
                (directory, resource, sql_count(most.min(PAGE_LIMIT))),
                read_entry,
            )?)
        })
    }
}

const INSERT: &str = "INSERT INTO provisioning_log (at, directory, key_id, key_name, operation, resource, changed, \
     joined, departed, ended, status, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// Notes a write that is about to succeed, if anybody is named who writes, and if it changes anything.
pub(crate) fn note(
    transaction: &WriteTransaction<'_>,
    provisioner: Option<&Provisioner>,
    (directory, scim_id): (&str, &str),
    now: i64,
) -> rusqlite::Result<()> {
    let Some(by) = provisioner else { return Ok(()) };
    let changed = by.changed.get().map(|names| names.join(" ")).unwrap_or_default();
    // A repeated write changes nothing; it shall cost no commit either.
    if changed.is_empty() && transaction.is_silent() {
        return Ok(());
    }
    sql::run(
        transaction.connection,
        INSERT,
        (
            now,
            directory,
            &by.key_id,
            &by.key_name,
            &by.operation,
            scim_id,
            cut(&changed),
            sql_count(transaction.members_joined),
            sql_count(transaction.members_left),
            sql_count(transaction.sessions_ended),
            None::<u16>,
            "",
        ),
    )?;
    forget_old(transaction)
}

fn forget_old(transaction: &WriteTransaction<'_>) -> rusqlite::Result<()> {
    let oldest =
        transaction.connection.last_insert_rowid().saturating_sub(sql_count(PROVISIONING_ENTRIES_KEPT));
    sql::run(transaction.connection, "DELETE FROM provisioning_log WHERE id <= $1", [oldest])?;
    Ok(())
}

/// A client chooses these texts, and how long they are.
fn cut(text: &str) -> String {
    text.chars().take(PROVISIONING_TEXT_CHARS).collect()
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<ProvisioningEntry> {
    let (changed, reason): (String, String) = (row.get(8)?, row.get(13)?);
    let status: Option<u16> = row.get(12)?;
    Ok(ProvisioningEntry {
        number: row.get(0)?,
        at: row.get(1)?,
        directory: row.get(2)?,
        key_id: row.get(3)?,
        key_name: row.get(4)?,
        operation: row.get(5)?,
        resource: row.get(6)?,
        name: row.get(7)?,
        changed: changed.split_whitespace().map(str::to_owned).collect(),
        joined: row.get(9)?,
        departed: row.get(10)?,
        sessions_ended: row.get(11)?,
        refused: status.map(|status| (status, reason)),
    })
}

#[cfg(test)]
mod tests;
