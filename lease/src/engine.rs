//! What the protocol needs of a store: rows of members, one history of changes with a position, and a way to delete a row that did not
//! change. Each call is one transaction. How changes are written and read is left to the store itself.

use std::fmt;

/// A place in the history of changes. Positions count up by one in the order of commits, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub i64);

/// Names one life of one process. Made anew at each join, so that nobody is mistaken for a process of an older history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u128);

impl fmt::Display for MemberId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

/// Names one history of the store: another one begins when an older state is put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch(pub String);

/// One member as the store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which member.
    pub id: MemberId,
    /// Counts its renewals.
    pub renew: i64,
    /// The last change that it has applied.
    pub acked: Position,
}

/// What a join finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The history.
    pub epoch: Epoch,
    /// The last change when the row was inserted: what the member reads afterwards contains it.
    pub watermark: Position,
}

/// What a renewal finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The row was there, and counts up.
    Held {
        /// The last change.
        watermark: Position,
    },
    /// The row is gone.
    Fenced,
    /// The member has applied what is not in this history. Its row stays as it was.
    HistoryLost,
}

/// A store, as the protocol sees it. What a call that returned `Ok` did stays done, also when the store crashes.
pub trait Engine {
    /// Why a call failed. Whether it did anything is unknown then.
    type Error;

    /// Inserts a member's row, acknowledged up to the watermark of the moment, and deletes the row of its former life.
    ///
    /// # Errors
    /// When the store could not be asked.
    fn join(&mut self, id: MemberId, replaces: Option<MemberId>) -> Result<Joined, Self::Error>;

    /// Counts a row up and notes how far its member is, never less than before. Answers [`Renewed::HistoryLost`], and changes nothing, in
    /// another history than `epoch`, and when `acked` is beyond the watermark.
    ///
    /// # Errors
    /// When the store could not be asked.
    fn renew(&mut self, id: MemberId, acked: Position, epoch: &Epoch) -> Result<Renewed, Self::Error>;

    /// All rows.
    ///
    /// # Errors
    /// When the store could not be asked.
    fn members(&mut self) -> Result<Vec<Row>, Self::Error>;

    /// Deletes a row if its count is still this one.
    ///
    /// # Errors
    /// When the store could not be asked.
    fn fence(&mut self, id: MemberId, renew: i64) -> Result<(), Self::Error>;

    /// Deletes the row of a member that serves no more.
    ///
    /// # Errors
    /// When the store could not be asked.
    fn leave(&mut self, id: MemberId) -> Result<(), Self::Error>;
}
