//! The error that any operation on the store can end with; refusals that belong to one operation stand beside it.

use std::sync::Arc;

/// The store could not do what it was asked. Nothing was acknowledged: the caller must deny.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many writes wait already; a later repeat can succeed.
    #[error("too many writes are waiting")]
    Busy,
    /// The writer thread is gone.
    #[error("the writer of the store has stopped")]
    Stopped,
    /// The operation itself panicked, and was rolled back.
    #[error("the operation broke off and was rolled back")]
    BrokeOff,
    /// A statement failed.
    #[error("the database refused a statement")]
    Statement(#[source] Arc<rusqlite::Error>),
    /// The database undid the whole transaction, as it does when the disk is full.
    #[error("the database rolled the transaction back")]
    RolledBack,
    /// The commit failed, or its outcome is unknown.
    #[error("the database did not confirm the commit")]
    Commit(#[source] Arc<rusqlite::Error>),
    /// The change is durable, but not known to be in force in every process that serves; a later repeat can find that it is.
    #[error("the change is stored, and not yet in force in every process")]
    NotEverywhere,
    /// It was judged under a lease that is over; nothing was written.
    #[error("the lease under which this was judged is over")]
    Unleased,
    /// What is stored cannot be read as what it should be.
    #[error("stored {0} cannot be read")]
    Unreadable(&'static str),
    /// No random bytes could be had.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl From<rusqlite::Error> for StoreError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Statement(Arc::new(cause))
    }
}
