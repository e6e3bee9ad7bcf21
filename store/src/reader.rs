//! The connections that only read; each read is short, synchronous, and sees one state of the database.

use crate::limits::READERS;
use rusqlite::Connection;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A few connections that take turns.
pub(crate) struct Readers {
    connections: Vec<Mutex<Connection>>,
    turn: AtomicUsize,
}

impl Readers {
    pub(crate) fn open<E>(mut open: impl FnMut() -> Result<Connection, E>) -> Result<Self, E> {
        let connections = (0..READERS).map(|_| open().map(Mutex::new)).collect::<Result<_, E>>()?;
        Ok(Self { connections, turn: AtomicUsize::new(0) })
    }

    /// Runs a read in a transaction of its own, so that all its statements see the same state.
    pub(crate) fn read<T, E: From<rusqlite::Error>>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(connection) = self.connections.get(turn % READERS) else {
            return Err(rusqlite::Error::InvalidQuery.into());
        };
        // A panic in another read leaves nothing behind: its transaction was rolled back when it unwound.
        let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.unchecked_transaction()?;
        let answer = read(&transaction)?;
        transaction.commit()?;
        Ok(answer)
    }
}
