//! How requests for access come to an end by themselves: the time is over, nobody answered, or the person is gone. Ends that
//! somebody wants stand beside the other answers.

use super::answer::replace;
use super::{AccessRequest, AccessState, REQUEST, read_request};
use crate::limits::{self, PURGE_BATCH, sql_count};
use crate::model::{EndReason, PersonId, SessionId};
use crate::sql;
use crate::transaction::WriteTransaction;
use rusqlite::{Connection, Params, Result};

/// What the requests of a person can be found by.
pub(crate) struct Theirs<'a> {
    /// The identity provider that their directory belongs to.
    pub(crate) provider: &'a str,
    pub(crate) person: PersonId,
    /// Their `sub`, where the directory knows it.
    pub(crate) subject: Option<&'a str>,
    /// Folded.
    pub(crate) addresses: &'a [String],
}

/// Ends whatever waits or is in force for a person who was deactivated or deleted.
pub(crate) fn end_of_person(
    transaction: &mut WriteTransaction<'_>,
    theirs: &Theirs<'_>,
    reason: EndReason,
    now: i64,
) -> Result<()> {
    let connection = transaction.connection;
    let mut open = open(connection, "person = $1", [theirs.person])?;
    if let Some(subject) = theirs.subject {
        open.extend(self::open(connection, "provider = $1 AND subject = $2", (theirs.provider, subject))?);
    }
    for address in theirs.addresses {
        open.extend(self::open(connection, "provider = $1 AND email = $2", (theirs.provider, address))?);
    }
    end(transaction, open, reason, now)
}

/// Ends whatever waits or is in force for the subject of a session that ended because its person is gone.
pub(crate) fn end_of_session(
    transaction: &mut WriteTransaction<'_>,
    session: SessionId,
    reason: EndReason,
    now: i64,
) -> Result<()> {
    let whose: Option<(String, String)> = sql::row(
        transaction.connection,
        "SELECT provider, subject FROM sessions WHERE id = $1",
        [session],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((provider, subject)) = whose else { return Ok(()) };
    let open = open(transaction.connection, "provider = $1 AND subject = $2", (provider, subject))?;
    end(transaction, open, reason, now)
}

fn open(connection: &Connection, whose: &str, params: impl Params) -> Result<Vec<AccessRequest>> {
    let query = format!("{REQUEST} WHERE {whose} AND state IN ('waiting', 'granted')");
    sql::rows(connection, &query, params, read_request)
}

fn end(
    transaction: &mut WriteTransaction<'_>,
    mut open: Vec<AccessRequest>,
    reason: EndReason,
    now: i64,
) -> Result<()> {
    open.sort_by(|one, other| one.id.cmp(&other.id));
    open.dedup_by(|one, other| one.id == other.id);
    for request in open {
        let ended_by = Some(reason.as_str().to_owned());
        replace(
            transaction,
            AccessRequest { state: over(request.state), ended_by, ended_at: Some(now), ..request },
            now,
        )?;
    }
    Ok(())
}

/// What becomes of a request that ends.
fn over(state: AccessState) -> AccessState {
    match state {
        AccessState::Granted | AccessState::Ended => AccessState::Ended,
        AccessState::Waiting | AccessState::Refused | AccessState::Withdrawn => AccessState::Withdrawn,
    }
}

/// Closes what has run out, and forgets what has been over for long; a batch of each at most.
pub(crate) fn purge(transaction: &mut WriteTransaction<'_>, now: i64) -> Result<()> {
    let connection = transaction.connection;
    let batch = sql_count(PURGE_BATCH);
    let run_out: Vec<AccessRequest> = sql::rows(
        connection,
        &format!(
            "{REQUEST} WHERE (state = 'granted' AND until <= $1) OR (state = 'waiting' AND asked_at <= $2) \
             ORDER BY asked_at, id LIMIT $3"
        ),
        (now, now.saturating_sub(limits::REQUEST_WAITS_S), batch),
        read_request,
    )?;
    for request in run_out {
        let ended_at = request.until.or(Some(now));
        replace(transaction, AccessRequest { state: over(request.state), ended_at, ..request }, now)?;
    }
    sql::run(
        connection,
        "DELETE FROM access_requests WHERE id IN (SELECT id FROM access_requests \
         WHERE state IN ('refused', 'withdrawn', 'ended') AND coalesce(ended_at, decided_at, asked_at) <= $1 LIMIT $2)",
        (now.saturating_sub(limits::REQUEST_KEPT_S), batch),
    )?;
    Ok(())
}

/// Makes room for another request of a subject: of those that are over, the oldest go.
pub(super) fn forget_oldest(connection: &Connection, provider: &str, subject: &str) -> Result<usize> {
    sql::run(
        connection,
        "DELETE FROM access_requests WHERE state IN ('refused', 'withdrawn', 'ended') AND id IN \
         (SELECT id FROM access_requests WHERE provider = $1 AND subject = $2 \
          ORDER BY state IN ('waiting', 'granted') DESC, asked_at DESC, id DESC LIMIT -1 OFFSET $3)",
        (provider, subject, sql_count(limits::REQUESTS_KEPT_PER_SUBJECT - 1)),
    )
}
