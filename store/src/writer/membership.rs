//! This process as a member of those that serve from the store: drives the lease protocol, and keeps the follower at the state of the
//! store, whoever wrote it. The protocol itself is left to `portcullis_lease`, what an event means to `told`.

use super::told::{self, Told};
use crate::change::{Change, Follower};
use crate::engine::{self, Sqlite};
use crate::error::StoreError;
use crate::lease::{self, Lease};
use crate::life::{self, SignOfLife};
use crate::model::Seq;
use crate::snapshot;
use crate::sql;
use portcullis_lease::{Engine, Join, Load, Loss, Member, MemberId, Position, Reaction, Step, Terms};
use rusqlite::Connection;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whether another process wrote, while others do.
const EAGER: Duration = Duration::from_millis(4);
/// The same, when nobody else has written for a while.
const LAZY: Duration = Duration::from_millis(25);
/// How long after a write of another process the next one is waited for eagerly.
const EAGER_FOR: Duration = Duration::from_secs(30);

/// What a process is made a member of the store with.
pub(crate) struct Means {
    /// Rows of members are written over a connection of their own. It does not wait for the disk: a power cut that takes such a row back has
    /// ended its process too.
    pub(crate) connection: Connection,
    /// The database file.
    pub(crate) store: PathBuf,
    /// What is told of the lease.
    pub(crate) lease: Arc<Lease>,
}

/// The follower, how far it was told, and the right to serve by it.
pub(super) struct Membership {
    means: Means,
    member: Member,
    follower: Arc<dyn Follower>,
    sign: Option<SignOfLife>,
    /// SQLite's count of commits by other connections, when all of them had been told.
    seen: Option<i64>,
    others_wrote: Option<Instant>,
    troubled: bool,
}

impl Membership {
    pub(super) fn new(means: Means, follower: Arc<dyn Follower>) -> Self {
        let (member, sign) = (Member::new(Terms::default()), None);
        Self { means, member, follower, sign, seen: None, others_wrote: None, troubled: false }
    }

    /// Joins, and begins with the whole state.
    pub(super) fn begin(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let begun = self.take_steps(connection);
        self.publish();
        begun
    }

    /// Serves no more. What it was made with, for another follower.
    pub(super) fn end(mut self) -> Means {
        self.leave();
        self.means
    }

    pub(super) fn id(&self) -> Option<MemberId> {
        self.member.id()
    }

    /// The last change that is in force here.
    pub(super) fn position(&self) -> Position {
        self.member.position()
    }

    /// How long to wait before the next look.
    pub(super) fn pace(&self) -> Duration {
        let eager = self.others_wrote.is_some_and(|at| at.elapsed() < EAGER_FOR);
        if eager { EAGER } else { LAZY }
    }

    /// Tells what was committed here, and before it what others committed since the last time. What is committed is told whatever
    /// happens; if others cannot be read now, this process serves no more until the whole state was.
    pub(super) fn tell(&mut self, changes: &[(Seq, Change)], connection: &Connection) {
        let Some((first, _)) = changes.first() else { return };
        if self.member.id().is_none() {
            // The state that is read next contains them.
            return;
        }
        if let Err(cause) = self.catch_up(Position(first.0 - 1), connection) {
            tracing::error!(
                error = &cause as &dyn std::error::Error,
                "what other processes wrote cannot be read"
            );
            self.lose();
        }
        for (seq, change) in changes {
            // The whole state may have been told meanwhile, with these in it.
            if seq.0 > self.member.position().0 {
                self.follower.apply(*seq, change);
                self.member.applied(Position(seq.0));
            }
        }
    }

    /// Does what is due: tells what others wrote, renews, and joins again after a loss.
    pub(super) fn keep(&mut self, connection: &Connection) {
        let kept = self.look(connection).and_then(|()| self.take_steps(connection));
        if let Err(cause) = &kept {
            self.member.failed(lease::now());
            if !self.troubled {
                tracing::error!(
                    error = cause as &dyn std::error::Error,
                    because = cause.source().map(tracing::field::display),
                    "the store cannot be followed; without it this process serves until its lease is over"
                );
            }
        }
        self.troubled = kept.is_err();
        self.publish();
    }

    /// Gives the row up: writers wait for this process no more.
    pub(super) fn leave(&mut self) {
        let own = self.member.leave();
        self.publish();
        let Some(own) = own else { return };
        if let Err(cause) = Sqlite(&self.means.connection).leave(own) {
            tracing::warn!(%cause, "the row of this process stays until another finds that it has ended");
        }
        self.sign = None;
    }

    fn publish(&self) {
        self.means.lease.publish(self.member.lease_until());
    }

    fn lose(&mut self) {
        self.member.lose();
        self.publish();
    }

    fn take_steps(&mut self, connection: &Connection) -> Result<(), StoreError> {
        loop {
            match self.member.next(lease::now()) {
                Step::Wait(_) => return Ok(()),
                Step::Join(join) => self.join(&join)?,
                Step::Load(load) => self.load(load, connection)?,
                Step::Renew(renewal) => {
                    let mut engine = Sqlite(&self.means.connection);
                    let answer = engine.renew(renewal.member, renewal.acked, &renewal.epoch)?;
                    match self.member.renewed(&renewal, answer) {
                        Reaction::Nothing => {}
                        Reaction::Behind => self.look(connection)?,
                        Reaction::Lost(loss) => {
                            self.publish();
                            tell_loss(loss);
                        }
                    }
                }
            }
        }
    }

    fn join(&mut self, join: &Join) -> Result<(), StoreError> {
        let id = engine::new_id().ok_or(StoreError::NoRandomness)?;
        // Without the sign this process is waited for as long as its lease, and that is all.
        let sign = SignOfLife::give(&self.means.store, id).ok();
        let mut engine = Sqlite(&self.means.connection);
        let found = engine.join(id, join.replaces)?;
        self.sign = sign;
        self.member.joined(join, id, found);
        let others = engine.members()?;
        remove_ended(
            &mut engine,
            &self.means.store,
            others.iter().map(|row| row.id).filter(|other| *other != id),
        );
        Ok(())
    }

    fn load(&mut self, load: Load, connection: &Connection) -> Result<(), StoreError> {
        let transaction = connection.unchecked_transaction()?;
        let (snapshot, epoch) = (snapshot::read(&transaction)?, engine::epoch(&transaction)?);
        transaction.commit()?;
        if self.member.loaded(load, Position(snapshot.seq.0), &epoch) {
            // Dropping what is in flight is the first that a follower does.
            self.follower.load(snapshot);
            self.seen = None;
        }
        Ok(())
    }

    /// Tells what others have committed by now.
    fn look(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.member.id().is_none() {
            return Ok(());
        }
        let version = sql::row(connection, "PRAGMA data_version", [], |row| row.get::<_, i64>(0))?;
        if version == self.seen {
            return Ok(());
        }
        let newest = Position(snapshot::watermark(connection)?.0);
        if newest < self.member.position() {
            tell_loss(Loss::History);
            self.lose();
            return Ok(());
        }
        self.catch_up(newest, connection)?;
        self.seen = version;
        Ok(())
    }

    fn catch_up(&mut self, until: Position, connection: &Connection) -> Result<(), StoreError> {
        while self.member.position() < until {
            self.others_wrote = Some(Instant::now());
            let events = told::events(connection, Seq(self.member.position().0), Seq(until.0))?;
            if events.is_empty() {
                return self.tell_whole(connection);
            }
            for event in events {
                // Events are dropped from the oldest on: one that is missing says nothing any more.
                if event.seq.0 != self.member.position().0 + 1 {
                    return self.tell_whole(connection);
                }
                match event.change(connection)? {
                    Told::Change(change) => self.follower.apply(event.seq, &change),
                    Told::Nothing => {}
                    Told::Whole => return self.tell_whole(connection),
                }
                self.member.applied(Position(event.seq.0));
            }
        }
        Ok(())
    }

    fn tell_whole(&mut self, connection: &Connection) -> Result<(), StoreError> {
        tracing::warn!("another process changed the store; the whole state is read again");
        let snapshot = snapshot::take(connection)?;
        let position = Position(snapshot.seq.0);
        self.follower.load(snapshot);
        self.member.applied(position);
        Ok(())
    }
}

/// Deletes the rows of those who have certainly ended.
pub(super) fn remove_ended(engine: &mut Sqlite<'_>, store: &Path, members: impl Iterator<Item = MemberId>) {
    for id in members.filter(|id| life::has_ended(store, *id)) {
        match engine.leave(id) {
            Ok(()) => life::bury(store, id),
            Err(cause) => tracing::warn!(%cause, "the row of a process that has ended cannot be deleted"),
        }
    }
}

fn tell_loss(loss: Loss) {
    match loss {
        Loss::Fenced => tracing::warn!(
            "this process stood still for longer than its lease; it drops what is open and begins anew"
        ),
        Loss::History => tracing::error!(
            "the store lost changes that were acknowledged: an older state was put in its place"
        ),
    }
}
