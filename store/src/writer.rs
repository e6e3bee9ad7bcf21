//! The one thread that writes: it takes waiting writes together into one commit, hands the durable changes to the
//! follower in their order, and lets the writers go on once they are in force in every process. What a write does is left to
//! the operations, the other processes to `membership` and `parked`.

use crate::change::{Change, Follower};
use crate::error::StoreError;
use crate::limits::{WRITE_QUEUE_LIMIT, WRITES_PER_COMMIT};
use crate::model::Seq;
use crate::transaction::WriteTransaction;
use portcullis_lease::{Awaited, Terms};
use rusqlite::Connection;
use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

mod membership;
mod parked;
mod told;

pub(crate) use membership::Means;
use membership::Membership;
use parked::{LOOK_EVERY, Own, Parked, Weight};

/// The way to the writer thread; dropping it lets the thread finish what is queued, and waits for that.
pub(crate) struct Writer {
    queue: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

enum Command {
    Write(Box<dyn Job>),
    Follow(Arc<dyn Follower>, oneshot::Sender<Result<(), StoreError>>),
    Leave(oneshot::Sender<()>),
}

/// A queued write, whatever it answers with.
trait Job: Send {
    /// Does the write and keeps its answer; false when it must be rolled back.
    fn run(&mut self, transaction: &mut WriteTransaction<'_>) -> bool;
    /// Hands the answer over, or the reason why the whole commit failed.
    fn finish(self: Box<Self>, commit: Result<(), StoreError>);
}

struct Write<F, T, E> {
    operation: Option<F>,
    answer: Option<Result<T, E>>,
    reply: Option<oneshot::Sender<Result<T, E>>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, means: Means) -> std::io::Result<Self> {
        let (queue, commands) = sync_channel(WRITE_QUEUE_LIMIT);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || Serving::new(connection, means).serve(&commands))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a write and waits for it: it is durable and applied when this returns `Ok`. A caller that stops waiting
    /// does not take the write back.
    pub(crate) async fn write<F, T, E>(&self, operation: F) -> Result<T, E>
    where
        F: FnOnce(&mut WriteTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let write = Write { operation: Some(operation), answer: None, reply: Some(reply) };
        self.send(Command::Write(Box::new(write)))?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Stopped.into()))
    }

    /// Queues a write that nobody waits for. It may be lost when the queue is full.
    pub(crate) fn write_unattended<F>(&self, operation: F) -> Result<(), StoreError>
    where
        F: FnOnce(&mut WriteTransaction<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        self.send(Command::Write(Box::new(Write { operation: Some(operation), answer: None, reply: None })))
    }

    pub(crate) async fn follow(&self, follower: Arc<dyn Follower>) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Follow(follower, reply))?;
        answer.await.unwrap_or(Err(StoreError::Stopped))
    }

    pub(crate) async fn leave(&self) {
        let (reply, left) = oneshot::channel();
        if self.send(Command::Leave(reply)).is_ok() {
            // A thread that is gone follows nothing.
            let _ = left.await;
        }
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Stopped)?;
        queue.try_send(command).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Stopped,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        // The last owner may be the follower, dropped on the writer thread itself, which cannot wait for its own end.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread of the store had panicked");
        }
    }
}

/// What the thread holds.
struct Serving {
    connection: Connection,
    store: PathBuf,
    following: Following,
    parked: Parked,
    kept: Instant,
}

/// Whether somebody follows. Where nobody does, nobody needs to be told of others.
enum Following {
    Nobody(Option<Means>),
    Somebody(Box<Membership>),
}

/// What came of one write of a commit.
enum Done {
    Refused,
    Written(Weight),
}

impl Serving {
    fn new(connection: Connection, means: Means) -> Self {
        let store = means.store.clone();
        let following = Following::Nobody(Some(means));
        Self { connection, store, following, parked: Parked::new(Terms::default()), kept: Instant::now() }
    }

    fn serve(mut self, commands: &Receiver<Command>) {
        let mut put_back = None;
        loop {
            let command = put_back.take().map_or_else(|| self.next(commands), Ok);
            self.keep();
            match command {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Ok(Command::Follow(new, reply)) => {
                    // Whoever asked may have gone: the follower stays.
                    let _ = reply.send(self.follow(new));
                }
                Ok(Command::Leave(reply)) => {
                    self.leave();
                    let _ = reply.send(());
                }
                Ok(Command::Write(first)) => {
                    let mut jobs = vec![first];
                    while jobs.len() < WRITES_PER_COMMIT && put_back.is_none() {
                        match commands.try_recv() {
                            Ok(Command::Write(job)) => jobs.push(job),
                            Ok(other) => put_back = Some(other),
                            Err(_) => break,
                        }
                    }
                    self.commit_together(jobs);
                }
            }
        }
        self.parked.give_up();
        self.leave();
    }

    /// What is to be done next, or that it is time to look.
    fn next(&self, commands: &Receiver<Command>) -> Result<Command, RecvTimeoutError> {
        match self.pace() {
            Some(pace) => commands.recv_timeout(pace),
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn pace(&self) -> Option<Duration> {
        match &self.following {
            _ if !self.parked.is_empty() => Some(LOOK_EVERY),
            Following::Somebody(membership) => Some(membership.pace()),
            Following::Nobody(_) => None,
        }
    }

    fn keep(&mut self) {
        if self.pace().is_none_or(|pace| self.kept.elapsed() < pace) {
            return;
        }
        self.kept = Instant::now();
        if let Following::Somebody(membership) = &mut self.following {
            membership.keep(&self.connection);
        }
        let own = self.own();
        self.parked.keep(&self.connection, &self.store, own);
    }

    fn own(&self) -> Own {
        match &self.following {
            Following::Somebody(membership) => {
                Own { id: membership.id(), position: Some(membership.position()) }
            }
            Following::Nobody(_) => Own::default(),
        }
    }

    fn follow(&mut self, follower: Arc<dyn Follower>) -> Result<(), StoreError> {
        self.leave();
        let Following::Nobody(means) = &mut self.following else { return Err(StoreError::Stopped) };
        let means = means.take().ok_or(StoreError::Stopped)?;
        let mut membership = Membership::new(means, follower);
        let begun = membership.begin(&self.connection);
        self.following = match begun {
            Ok(()) => Following::Somebody(Box::new(membership)),
            Err(_) => Following::Nobody(Some(membership.end())),
        };
        begun
    }

    fn leave(&mut self) {
        self.following = match std::mem::replace(&mut self.following, Following::Nobody(None)) {
            Following::Somebody(membership) => Following::Nobody(Some(membership.end())),
            nobody @ Following::Nobody(_) => nobody,
        };
    }

    fn commit_together(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        match self.try_commit(&mut jobs) {
            Ok((changes, done, change)) => {
                if let Following::Somebody(membership) = &mut self.following {
                    membership.tell(&changes, &self.connection);
                }
                let own = self.own();
                for (job, done) in jobs.into_iter().zip(done) {
                    match done {
                        Done::Refused => job.finish(Ok(())),
                        Done::Written(weight) => self.parked.take(job, change, weight, own),
                    }
                }
            }
            Err(cause) => {
                tracing::error!(
                    error = &cause as &dyn std::error::Error,
                    because = cause.source().map(tracing::field::display),
                    writes = jobs.len(),
                    "commit failed"
                );
                if !self.connection.is_autocommit()
                    && let Err(cause) = self.connection.execute_batch("ROLLBACK")
                {
                    tracing::error!(error = &cause as &dyn std::error::Error, "rollback failed");
                }
                // Refusals too: they may rest on a write of the same commit that is gone now.
                jobs.into_iter().for_each(|job| job.finish(Err(cause.clone())));
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "taken apart at once, by its one caller")]
    fn try_commit(
        &mut self,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<(Vec<(Seq, Change)>, Vec<Done>, Awaited), StoreError> {
        let (mut changes, mut done) = (Vec::new(), Vec::new());
        let connection = &self.connection;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for job in jobs {
            connection.execute_batch("SAVEPOINT one_write")?;
            let mut transaction = WriteTransaction::new(connection);
            if job.run(&mut transaction) {
                let concerns_nobody = transaction.concerns_nobody;
                let mut own = transaction.into_changes();
                done.push(Done::Written(weight(&own, concerns_nobody)));
                changes.append(&mut own);
            } else if connection.is_autocommit() {
                // A full disk or a read error undoes the whole transaction, the writes before this one included.
                return Err(StoreError::RolledBack);
            } else {
                connection.execute_batch("ROLLBACK TO one_write")?;
                done.push(Done::Refused);
            }
            connection.execute_batch("RELEASE one_write")?;
        }
        let change = self.parked.settle(connection)?;
        connection.execute_batch("COMMIT").map_err(|cause| StoreError::Commit(Arc::new(cause)))?;
        Ok((changes, done, change))
    }
}

/// What nobody follows waits for nobody. Any other write that changed nothing may be the repeat of one that was not in force everywhere when it was given up.
fn weight(changes: &[(Seq, Change)], concerns_nobody: bool) -> Weight {
    if changes.is_empty() && concerns_nobody {
        return Weight::Nothing;
    }
    let adds = !changes.is_empty() && changes.iter().all(|(_, change)| change.adds_rights());
    if adds { Weight::Adds } else { Weight::MayTake }
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: FnOnce(&mut WriteTransaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, transaction: &mut WriteTransaction<'_>) -> bool {
        let Some(operation) = self.operation.take() else { return false };
        // An edit handed in by a caller may panic; the writes of others must not suffer from it. What it leaves
        // behind is rolled back with its savepoint.
        let answer = catch_unwind(AssertUnwindSafe(|| operation(transaction)))
            .unwrap_or_else(|_| Err(StoreError::BrokeOff.into()));
        let done = answer.is_ok();
        self.answer = Some(answer);
        done
    }

    fn finish(mut self: Box<Self>, commit: Result<(), StoreError>) {
        let answer = match commit {
            Ok(()) => self.answer.take().unwrap_or_else(|| Err(StoreError::Stopped.into())),
            Err(cause) => Err(cause.into()),
        };
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have gone; the write stands.
            let _ = reply.send(answer);
        }
    }
}

#[cfg(test)]
mod several;
#[cfg(test)]
mod tests;
