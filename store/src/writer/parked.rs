//! Writes that are committed and wait until they are in force in every process that serves. Alone, nothing ever waits here. The rule is
//! left to `portcullis_lease`.

use super::Job;
use super::membership::remove_ended;
use crate::engine::{self, Sqlite};
use crate::error::StoreError;
use crate::lease;
use crate::limits::PARKED_WRITES;
use crate::snapshot;
use portcullis_lease::{Awaited, Barrier, Engine, MemberId, Moment, Position, Terms};
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// How often it is looked whether something is in force by now.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long what only adds rights is waited for: nobody is let in too long when it comes late somewhere.
const BRIEFLY: Duration = Duration::from_secs(1);

/// What waits, and what this process has seen of the members.
pub(super) struct Parked {
    terms: Terms,
    barrier: Barrier,
    waiting: Vec<Waiting>,
}

struct Waiting {
    change: Awaited,
    since: Moment,
    weight: Weight,
    job: Box<dyn Job>,
}

/// What a write does to the rights of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It has nothing to do with them, whoever repeats it: done when it is committed.
    Nothing,
    /// It adds some.
    Adds,
    /// It may take some away, or makes sure that it was done.
    MayTake,
}

/// This process, if it serves: its row, and the last change that is in force here.
#[derive(Clone, Copy, Default)]
pub(super) struct Own {
    pub(super) id: Option<MemberId>,
    pub(super) position: Option<Position>,
}

impl Parked {
    pub(super) fn new(terms: Terms) -> Self {
        Self { terms, barrier: Barrier::new(&terms), waiting: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Inside the transaction of some writes, at its end: what they will wait for, by the members of that moment. Whoever joins after the
    /// commit reads them with the whole state.
    pub(super) fn settle(&mut self, connection: &Connection) -> rusqlite::Result<Awaited> {
        let position = Position(snapshot::watermark(connection)?.0);
        let change = self.barrier.awaits(position);
        self.observe(connection)?;
        Ok(change)
    }

    /// A write that was committed: it is finished when it is in force everywhere, which may be now.
    pub(super) fn take(&mut self, job: Box<dyn Job>, change: Awaited, weight: Weight, own: Own) {
        if weight == Weight::Nothing || self.is_in_force(change, own) {
            job.finish(Ok(()));
        } else if self.waiting.len() >= PARKED_WRITES {
            job.finish(given_up(weight));
        } else {
            self.waiting.push(Waiting { change, since: lease::now(), weight, job });
        }
    }

    /// Finishes what is in force by now or was waited for long enough, and fences those whose lease is over.
    pub(super) fn keep(&mut self, connection: &Connection, store: &Path, own: Own) {
        if self.waiting.is_empty() {
            return;
        }
        if let Err(cause) = self.observe(connection).and_then(|()| self.fence(connection, store, own)) {
            tracing::warn!(%cause, "whether a change is in force everywhere cannot be read");
        }
        let now = lease::now();
        for waiting in std::mem::take(&mut self.waiting) {
            let waited = now.since(waiting.since);
            let patience = if waiting.weight == Weight::Adds { BRIEFLY } else { self.terms.patience };
            if self.is_in_force(waiting.change, own) {
                waiting.job.finish(Ok(()));
            } else if waited >= patience {
                waiting.job.finish(given_up(waiting.weight));
            } else {
                self.waiting.push(waiting);
            }
        }
    }

    /// The writer ends: whatever waits is not known to be in force.
    pub(super) fn give_up(&mut self) {
        for waiting in self.waiting.drain(..) {
            waiting.job.finish(given_up(waiting.weight));
        }
    }

    fn is_in_force(&self, change: Awaited, own: Own) -> bool {
        let here = own.position.is_none_or(|position| position >= change.position());
        here && self.barrier.is_passed(change, own.id)
    }

    fn observe(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let look = self.barrier.look();
        let rows = engine::rows(connection)?;
        self.barrier.observe(&look, lease::now(), &rows);
        Ok(())
    }

    fn fence(&self, connection: &Connection, store: &Path, own: Own) -> rusqlite::Result<()> {
        let mut engine = Sqlite(connection);
        // What waits for the last change waits for everybody.
        let Some(last) = self.waiting.iter().map(|waiting| waiting.change).max_by_key(Awaited::position)
        else {
            return Ok(());
        };
        remove_ended(&mut engine, store, self.barrier.waits_for(last, own.id).into_iter());
        for overdue in self.barrier.overdue(lease::now(), last, own.id) {
            tracing::warn!(
                member = %overdue.id,
                "a process that serves has not renewed its lease; it is fenced, and drops what is open when it goes on"
            );
            engine.fence(overdue.id, overdue.renew)?;
        }
        Ok(())
    }
}

fn given_up(weight: Weight) -> Result<(), StoreError> {
    if weight != Weight::MayTake { Ok(()) } else { Err(StoreError::NotEverywhere) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::testing::Folder;
    use crate::transaction::WriteTransaction;
    use std::sync::mpsc::{Receiver, Sender, channel};

    struct Told(Sender<Result<(), StoreError>>);

    impl Job for Told {
        fn run(&mut self, _: &mut WriteTransaction<'_>) -> bool {
            true
        }

        fn finish(self: Box<Self>, commit: Result<(), StoreError>) {
            self.0.send(commit).unwrap();
        }
    }

    /// A store with a member that has acknowledged nothing since the last change, and writes that wait for it.
    struct Rig {
        folder: Folder,
        connection: Connection,
        parked: Parked,
    }

    impl Rig {
        fn new(patience: Duration) -> Self {
            let folder = Folder::new();
            drop(Store::open(&folder.database()).unwrap());
            let connection = Connection::open(folder.database()).unwrap();
            Sqlite(&connection).join(MemberId(1), None).unwrap();
            connection.execute_batch("UPDATE watermark SET seq = seq + 1").unwrap();
            let parked = Parked::new(Terms { patience, ..Terms::default() });
            Self { folder, connection, parked }
        }

        fn write(&mut self, weight: Weight) -> Receiver<Result<(), StoreError>> {
            let (sender, receiver) = channel();
            let change = self.parked.settle(&self.connection).unwrap();
            self.parked.take(Box::new(Told(sender)), change, weight, Own::default());
            receiver
        }

        fn keep(&mut self) {
            self.parked.keep(&self.connection, &self.folder.database(), Own::default());
        }
    }

    #[test]
    fn a_write_waits_until_all_who_serve_have_applied_it() {
        let mut rig = Rig::new(Duration::from_secs(100));
        let told = rig.write(Weight::MayTake);
        rig.keep();
        assert!(told.try_recv().is_err(), "acknowledged over a member that has not applied it");
        let epoch = engine::epoch(&rig.connection).unwrap();
        Sqlite(&rig.connection).renew(MemberId(1), Position(1), &epoch).unwrap();
        rig.keep();
        assert!(told.try_recv().unwrap().is_ok());
        assert!(rig.write(Weight::MayTake).try_recv().unwrap().is_ok(), "nobody lags now");
    }

    #[test]
    fn what_may_take_rights_is_never_acknowledged_by_the_end_of_patience() {
        let mut rig = Rig::new(Duration::ZERO);
        let (takes, adds) = (rig.write(Weight::MayTake), rig.write(Weight::Adds));
        rig.keep();
        assert!(matches!(takes.try_recv(), Ok(Err(StoreError::NotEverywhere))));
        assert!(adds.try_recv().is_err(), "it has a patience of its own");
        rig.parked.give_up();
        assert!(adds.try_recv().unwrap().is_ok());
    }

    #[test]
    fn what_concerns_nobodys_rights_waits_for_nobody_and_takes_no_place() {
        let mut rig = Rig::new(Duration::from_secs(100));
        for _ in 0..=PARKED_WRITES {
            assert!(rig.write(Weight::Nothing).try_recv().unwrap().is_ok());
        }
        assert!(rig.parked.is_empty());
        assert!(rig.write(Weight::MayTake).try_recv().is_err(), "there is room for a deactivation");
    }

    #[test]
    fn a_process_that_is_not_where_the_store_is_acknowledges_nothing() {
        let mut rig = Rig::new(Duration::from_secs(100));
        Sqlite(&rig.connection).leave(MemberId(1)).unwrap();
        let (sender, told) = channel();
        let change = rig.parked.settle(&rig.connection).unwrap();
        let behind = Own { id: Some(MemberId(2)), position: Some(Position(0)) };
        rig.parked.take(Box::new(Told(sender)), change, Weight::MayTake, behind);
        assert!(told.try_recv().is_err());
        rig.parked.keep(
            &rig.connection,
            &rig.folder.database(),
            Own { position: Some(Position(1)), ..behind },
        );
        assert!(told.try_recv().unwrap().is_ok());
    }

    #[test]
    fn one_write_more_than_may_wait_is_told_at_once() {
        let mut rig = Rig::new(Duration::from_secs(100));
        let waiting: Vec<_> = (0..PARKED_WRITES).map(|_| rig.write(Weight::MayTake)).collect();
        assert!(waiting.iter().all(|told| told.try_recv().is_err()));
        let refused = rig.write(Weight::MayTake);
        assert!(matches!(refused.try_recv(), Ok(Err(StoreError::NotEverywhere))));
    }
}
