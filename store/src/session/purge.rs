//! Forgets what is too old to matter: sessions whose time is over, names that groups bore long ago, old events.

use crate::access_request;
use crate::change::Change;
use crate::error::StoreError;
use crate::limits::{EVENTS_KEPT, FORMER_GROUP_NAME_S, PURGE_BATCH, sql_count};
use crate::model::{EndReason, SessionId};
use crate::snapshot;
use crate::spent;
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;

impl Store {
    /// Forgets sessions that have expired, names that groups left longer ago than any session lasts, requests for access that are
    /// long over, and events beyond those that are kept, a batch of each at most; how many sessions went. Their change has the reason `Expired`.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be removed; the next purge takes them.
    pub async fn purge_expired(&self, now: i64) -> Result<usize, StoreError> {
        self.write(move |transaction| {
            transaction.concerns_nobody = true;
            forget_group_names(transaction, now)?;
            drop_events(transaction)?;
            access_request::purge(transaction, now)?;
            spent::forget(transaction, now)?;
            Ok(purge(transaction, now)?)
        })
        .await
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

fn forget_group_names(transaction: &mut WriteTransaction<'_>, now: i64) -> rusqlite::Result<()> {
    let last: Option<i64> = sql::row(
        transaction.connection,
        "SELECT max(left_at) FROM \
         (SELECT left_at FROM former_group_names WHERE left_at < $1 ORDER BY left_at LIMIT $2) AS oldest",
        (now.saturating_sub(FORMER_GROUP_NAME_S), sql_count(PURGE_BATCH)),
        |row| row.get(0),
    )?
    .flatten();
    let Some(until) = last else { return Ok(()) };
    sql::run(transaction.connection, "DELETE FROM former_group_names WHERE left_at <= $1", [until])?;
    transaction.emit(Change::GroupNamesForgotten { until }, now)
}

fn drop_events(transaction: &WriteTransaction<'_>) -> rusqlite::Result<usize> {
    let newest = snapshot::watermark(transaction.connection)?;
    sql::run(
        transaction.connection,
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq <= $1 ORDER BY seq LIMIT $2)",
        (newest.0.saturating_sub(sql_count(EVENTS_KEPT)), sql_count(PURGE_BATCH)),
    )
}
