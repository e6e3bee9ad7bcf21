//! Forgets sessions whose time is over, ended before or not.

use crate::change::Change;
use crate::error::StoreError;
use crate::limits::{PURGE_BATCH, sql_count};
use crate::model::{EndReason, SessionId};
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;

impl Store {
    /// Forgets sessions that have expired, a batch of them at most; how many rows went. Their change has the reason
    /// `Expired`.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be removed; the next purge takes them.
    pub async fn purge_expired(&self, now: i64) -> Result<usize, StoreError> {
        self.write(move |transaction| Ok(purge(transaction, now)?)).await
    }
}

fn purge(transaction: &mut WriteTransaction<'_>, now: i64) -> rusqlite::Result<usize> {
    let batch = sql_count(PURGE_BATCH);
    let connection = transaction.connection;
    let sessions: Vec<SessionId> = sql::rows(
        connection,
        "SELECT id FROM sessions WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2",
        (now, batch),
        |row| row.get(0),
    )?;
    // No application session outlives its parent, so the parts go first and by themselves.
    let mut gone: Vec<SessionId> = sql::rows(
        connection,
        "DELETE FROM application_sessions WHERE id IN \
         (SELECT id FROM application_sessions WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2) RETURNING id",
        (now, batch),
        |row| row.get(0),
    )?;
    for id in sessions {
        gone.append(&mut sql::rows(
            connection,
            "DELETE FROM application_sessions WHERE parent = $1 RETURNING id",
            [id],
            |row| row.get(0),
        )?);
        sql::run(connection, "DELETE FROM sessions WHERE id = $1", [id])?;
        gone.push(id);
    }
    let count = gone.len();
    if count > 0 {
        transaction.emit(Change::SessionsEnded { sessions: gone, reason: EndReason::Expired }, now)?;
    }
    Ok(count)
}
