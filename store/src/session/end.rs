//! Ends sessions for good: the row keeps its reason, loses its secrets, and is never live again.

use super::{EndWhat, used};
use crate::access_request;
use crate::change::Change;
use crate::error::StoreError;
use crate::limits;
use crate::model::{EndReason, PersonId, SessionId};
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use rusqlite::{Connection, Result};

impl Store {
    /// Ends sessions, with the application sessions that are part of them; how many of those that were named ended.
    ///
    /// # Errors
    /// [`StoreError`] when the end could not be made to last.
    pub async fn end_sessions(
        &self,
        what: EndWhat,
        reason: EndReason,
        now: i64,
    ) -> std::result::Result<usize, StoreError> {
        self.write(move |transaction| {
            let sessions = match what {
                EndWhat::Session(id) => vec![id],
                // In this transaction: a use that another process notes comes before the look, or after the end.
                EndWhat::Unused { sessions, since } => unused(transaction.connection, sessions, since)?,
                EndWhat::Person(person) => of_person(transaction.connection, person)?,
                EndWhat::Subject { provider, subject } => sql::rows(
                    transaction.connection,
                    "SELECT id FROM sessions WHERE provider = $1 AND subject = $2 AND end_reason IS NULL",
                    (provider, subject),
                    |row| row.get(0),
                )?,
                EndWhat::ApplicationSession(id) => return Ok(end_application(transaction, id, reason, now)?),
            };
            Ok(end(transaction, &sessions, reason, now)?)
        })
        .await
    }
}

/// The live sessions of a person.
pub(crate) fn of_person(connection: &Connection, person: PersonId) -> Result<Vec<SessionId>> {
    sql::rows(
        connection,
        "SELECT id FROM sessions WHERE person = $1 AND end_reason IS NULL",
        [person],
        |row| row.get(0),
    )
}

/// Those of the first sessions, up to a limit, that live and were last used at `since` or before.
fn unused(connection: &Connection, mut sessions: Vec<SessionId>, since: i64) -> Result<Vec<SessionId>> {
    sessions.truncate(limits::UNUSED_PER_WRITE);
    let mut unused = Vec::new();
    for id in sessions {
        if used::last_use(connection, id)?.is_some_and(|at| at <= since) {
            unused.push(id);
        }
    }
    Ok(unused)
}

/// Ends those of the sessions that are live, and says so in one change; how many they were. A deactivation or deletion also
/// takes over from a sign-out, which lets the last answers be delivered.
pub(crate) fn end(
    transaction: &mut WriteTransaction<'_>,
    sessions: &[SessionId],
    reason: EndReason,
    now: i64,
) -> Result<usize> {
    let mut over = Vec::new();
    let mut parts = Vec::new();
    for id in sessions {
        let ended = sql::run(
            transaction.connection,
            "UPDATE sessions SET end_reason = $1, ended_at = $2, sealed = NULL, refresh = NULL WHERE id = $3 \
             AND (end_reason IS NULL OR (end_reason = 'signed_out' AND $1 IN ('deactivated', 'deleted')))",
            (reason, now, id),
        )?;
        if ended == 0 {
            continue;
        }
        over.push(*id);
        if matches!(reason, EndReason::Deactivated | EndReason::Deleted) {
            access_request::end_of_session(transaction, *id, reason, now)?;
        }
        parts.append(&mut sql::rows(
            transaction.connection,
            "UPDATE application_sessions SET end_reason = $1, ended_at = $2 \
             WHERE parent = $3 AND end_reason IS NULL RETURNING id",
            (reason, now, id),
            |row| row.get(0),
        )?);
    }
    let count = over.len();
    transaction.sessions_ended += count;
    if count > 0 {
        over.append(&mut parts);
        transaction.emit(Change::SessionsEnded { sessions: over, reason }, now)?;
    }
    Ok(count)
}

/// Ends one application session, if it is live; how many that were.
pub(super) fn end_application(
    transaction: &mut WriteTransaction<'_>,
    id: SessionId,
    reason: EndReason,
    now: i64,
) -> Result<usize> {
    let ended = sql::run(
        transaction.connection,
        "UPDATE application_sessions SET end_reason = $1, ended_at = $2 WHERE id = $3 AND end_reason IS NULL",
        (reason, now, id),
    )?;
    if ended > 0 {
        transaction.emit(Change::SessionsEnded { sessions: vec![id], reason }, now)?;
    }
    Ok(ended)
}
