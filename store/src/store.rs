//! The store as its users hold it: one value, cheap to clone. Its operations stand in the files of their subjects.

use crate::change::{Follower, Snapshot};
use crate::error::StoreError;
use crate::lease::Lease;
use crate::model::Seq;
use crate::provisioning_log::Provisioner;
use crate::reader::Readers;
use crate::session::LastUses;
use crate::snapshot;
use crate::sql;
use crate::transaction::WriteTransaction;
use crate::writer::Writer;
use rusqlite::Connection;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything that must last.
///
/// Reads are short and synchronous. Writes are queued to one thread; one that returned `Ok` is durable, and applied to
/// the follower. The last clone to be dropped waits for the writes that are still queued.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// In whose name directories are written, for the provisioning log.
    pub(crate) provisioner: Option<Arc<Provisioner>>,
    /// How often the lease had begun anew when it was judged what is to be written, where that counts.
    judged_under: Option<u64>,
}

struct Inner {
    path: PathBuf,
    writer: Writer,
    readers: Arc<Readers>,
    lease: Arc<Lease>,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Store {
    pub(crate) fn new(path: PathBuf, writer: Writer, readers: Readers, lease: Arc<Lease>) -> Self {
        Self {
            inner: Arc::new(Inner { path, writer, readers: Arc::new(readers), lease }),
            provisioner: None,
            judged_under: None,
        }
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Sets the one follower: it is given the whole state now, and every later change in its order, after the commit
    /// and before the writer is answered, whichever process that is. From now on this process may serve while its
    /// [lease](Self::lease) lasts, and writers wait for it.
    ///
    /// # Errors
    /// [`StoreError`] when the state could not be read; nobody follows then.
    pub async fn follow(&self, follower: Arc<dyn Follower>) -> Result<(), StoreError> {
        self.inner.writer.follow(follower).await
    }

    /// Ends what [`Self::follow`] began. Whoever leaves serves nobody any more, and is waited for by nobody.
    pub async fn leave(&self) {
        self.inner.writer.leave().await;
    }

    /// Until when this process may serve.
    #[must_use]
    pub fn lease(&self) -> Arc<Lease> {
        self.inner.lease.clone()
    }

    /// The same store, for what is judged from now on by what this process has in memory: it writes only while the lease of this moment
    /// lasts. A write that finds the lease over, or a new one, ends with [`StoreError::Unleased`].
    #[must_use]
    pub fn while_leased(&self) -> Self {
        Self { judged_under: Some(self.inner.lease.lapses()), ..self.clone() }
    }

    /// The whole state at this moment. It takes a second or so per million people.
    ///
    /// # Errors
    /// [`StoreError`] when the state could not be read.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.read(snapshot::read)
    }

    /// The position of the last change.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn watermark(&self) -> Result<Seq, StoreError> {
        self.read(|connection| Ok(snapshot::watermark(connection)?))
    }

    /// The name of this history: made with the store, and new when an older state is restored over it.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn epoch(&self) -> Result<String, StoreError> {
        self.read(|connection| {
            sql::row(connection, "SELECT uuid FROM store_epoch", [], |row| row.get(0))?
                .ok_or(StoreError::Unreadable("epoch"))
        })
    }

    /// What tells of each session when it was last used, whoever noted that. The follower may hold it: it does not keep the writer alive.
    #[must_use]
    pub fn last_uses(&self) -> LastUses {
        LastUses::new(self.inner.readers.clone())
    }

    pub(crate) fn read<T, E: From<rusqlite::Error>>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inner.readers.read(read)
    }

    pub(crate) async fn write<F, T, E>(&self, operation: F) -> Result<T, E>
    where
        F: FnOnce(&mut WriteTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some(judged_under) = self.judged_under else { return self.inner.writer.write(operation).await };
        let lease = self.lease();
        // Looked at inside the transaction: from here to the commit nobody else writes.
        let judged = move |transaction: &mut WriteTransaction<'_>| {
            if lease.holds() && lease.lapses() == judged_under {
                operation(transaction)
            } else {
                Err(StoreError::Unleased.into())
            }
        };
        self.inner.writer.write(judged).await
    }

    pub(crate) fn write_unattended<F>(&self, operation: F) -> Result<(), StoreError>
    where
        F: FnOnce(&mut WriteTransaction<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        self.inner.writer.write_unattended(operation)
    }
}
