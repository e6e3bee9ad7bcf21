//! When sessions were last used, as the processes that saw it have noted. When to note, and what is too long ago, is left to the gateway.

use crate::error::StoreError;
use crate::limits::USE_AHEAD_S;
use crate::model::SessionId;
use crate::reader::Readers;
use crate::sql;
use crate::store::Store;
use rusqlite::Connection;
use std::fmt;
use std::sync::Arc;

/// Uses of sessions that one note holds at most; the next note takes the rest.
pub(super) const USES_PER_NOTE: usize = 10_000;

impl Store {
    /// Notes when sessions were last used, the first of the list up to a limit; how many were taken. No change of the
    /// feed: whoever wants to know asks. Of several processes that note uses of one session, the newest use counts; but none that lies too
    /// far ahead of `now` (`limits::USE_AHEAD_S`), which no true one would ever replace.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be noted.
    pub async fn note_uses(&self, mut uses: Vec<(SessionId, i64)>, now: i64) -> Result<usize, StoreError> {
        uses.truncate(USES_PER_NOTE);
        let ahead = now.saturating_add(USE_AHEAD_S);
        self.write(move |transaction| {
            transaction.concerns_nobody = true;
            for (id, at) in &uses {
                let query = "UPDATE sessions SET used_at = $1 \
                             WHERE id = $2 AND end_reason IS NULL AND (used_at IS NULL OR used_at < $1 OR used_at > $3)";
                sql::run(transaction.connection, query, (at, id, ahead))?;
            }
            Ok(uses.len())
        })
        .await
    }
}

/// Tells when sessions were last used. It reads and no more.
#[derive(Clone)]
pub struct LastUses(Arc<Readers>);

impl fmt::Debug for LastUses {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("LastUses")
    }
}

impl LastUses {
    pub(crate) fn new(readers: Arc<Readers>) -> Self {
        Self(readers)
    }

    /// When a live session was last used by any process on this store, as far as that was noted, or when it began.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn of(&self, id: SessionId) -> Result<Option<i64>, StoreError> {
        self.0.read(|connection| Ok(last_use(connection, id)?))
    }
}

pub(super) fn last_use(connection: &Connection, id: SessionId) -> rusqlite::Result<Option<i64>> {
    let query = "SELECT coalesce(used_at, begun_at) FROM sessions WHERE id = $1 AND end_reason IS NULL";
    sql::row(connection, query, [id], |row| row.get(0))
}
