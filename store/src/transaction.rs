//! One write inside the writer's transaction: the connection, and the changes that it adds to the feed. Committing
//! and delivering them is left to `writer`.

use crate::change::Change;
use crate::model::Seq;
use crate::sql;
use rusqlite::Connection;

/// A write that is under way.
pub(crate) struct WriteTransaction<'c> {
    pub(crate) connection: &'c Connection,
    changes: Vec<(Seq, Change)>,
    /// Whether it has nothing to do with anybody's rights, unless it emits a change.
    pub(crate) concerns_nobody: bool,
    /// Sessions that it ended, for the provisioning log.
    pub(crate) sessions_ended: usize,
    /// People whom it put into groups, and took out of them, for the same.
    pub(crate) members_joined: usize,
    pub(crate) members_left: usize,
}

impl<'c> WriteTransaction<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            changes: Vec::new(),
            concerns_nobody: false,
            sessions_ended: 0,
            members_joined: 0,
            members_left: 0,
        }
    }

    /// Takes the next position of the feed for a change and writes its event. The position goes with the write: a
    /// write that is rolled back leaves no gap.
    pub(crate) fn emit(&mut self, change: Change, at: i64) -> rusqlite::Result<()> {
        let seq = sql::row(self.connection, "UPDATE watermark SET seq = seq + 1 RETURNING seq", [], |row| {
            row.get(0)
        })?
        .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        sql::run(
            self.connection,
            "INSERT INTO events (seq, kind, subject, payload, at) VALUES ($1, $2, $3, $4, $5)",
            (seq, change.kind(), change.subject(), change.payload_text(), at),
        )?;
        self.changes.push((seq, change));
        Ok(())
    }

    /// Whether anything was said to have changed.
    pub(crate) fn is_silent(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn into_changes(self) -> Vec<(Seq, Change)> {
        self.changes
    }
}
