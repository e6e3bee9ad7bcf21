//! The one thread that writes: it takes waiting writes together into one commit, hands the durable changes to the
//! follower in their order, and only then lets the writers go on. What a write does is left to the operations, what other
//! processes write to `others`.

use crate::change::{Change, Follower};
use crate::error::StoreError;
use crate::limits::{WRITE_QUEUE_LIMIT, WRITES_PER_COMMIT};
use crate::model::Seq;
use crate::transaction::WriteTransaction;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

mod others;

use others::Following;

/// How often it is looked whether another process wrote. A revocation on the command line is in force this much later.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The way to the writer thread; dropping it lets the thread finish what is queued, and waits for that.
pub(crate) struct Writer {
    queue: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

enum Command {
    Write(Box<dyn Job>),
    Follow(Arc<dyn Follower>, oneshot::Sender<Result<(), StoreError>>),
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
    pub(crate) fn start(connection: Connection) -> std::io::Result<Self> {
        let (queue, commands) = sync_channel(WRITE_QUEUE_LIMIT);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || serve(&connection, &commands))?;
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

fn serve(connection: &Connection, commands: &Receiver<Command>) {
    let mut following: Option<Following> = None;
    let mut put_back = None;
    let mut looking = Looking::default();
    loop {
        let command = put_back.take().map_or_else(|| next(commands, following.is_some()), Ok);
        if let Some(following) = &mut following {
            looking.look(following, connection);
        }
        match command {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(Command::Follow(new, reply)) => {
                let answer = Following::begin(new, connection).map(|begun| following = Some(begun));
                // Whoever asked may have gone: the follower stays.
                let _ = reply.send(answer);
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
                commit_together(connection, jobs, following.as_mut());
            }
        }
    }
}

/// What is to be done next, or that it is time to look. Where nobody follows, nobody needs to be told of others.
fn next(commands: &Receiver<Command>, following: bool) -> Result<Command, RecvTimeoutError> {
    if following {
        return commands.recv_timeout(LOOK_EVERY);
    }
    commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
}

/// When it was looked for what others wrote, and whether that could be seen.
#[derive(Default)]
struct Looking {
    last: Option<Instant>,
    blind: bool,
}

impl Looking {
    fn look(&mut self, following: &mut Following, connection: &Connection) {
        if self.last.is_some_and(|last| last.elapsed() < LOOK_EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let looked = following.look(connection);
        if let (Err(cause), false) = (&looked, self.blind) {
            tracing::error!(
                error = cause as &dyn std::error::Error,
                "what other processes write cannot be read"
            );
        }
        self.blind = looked.is_err();
    }
}

fn commit_together(connection: &Connection, mut jobs: Vec<Box<dyn Job>>, following: Option<&mut Following>) {
    match try_commit(connection, &mut jobs) {
        Ok(changes) => {
            if let Some(following) = following {
                following.tell(&changes, connection);
            }
            jobs.into_iter().for_each(|job| job.finish(Ok(())));
        }
        Err(cause) => {
            tracing::error!(error = &cause as &dyn std::error::Error, writes = jobs.len(), "commit failed");
            if !connection.is_autocommit()
                && let Err(cause) = connection.execute_batch("ROLLBACK")
            {
                tracing::error!(error = &cause as &dyn std::error::Error, "rollback failed");
            }
            // Refusals too: they may rest on a write of the same commit that is gone now.
            jobs.into_iter().for_each(|job| job.finish(Err(cause.clone())));
        }
    }
}

fn try_commit(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<Vec<(Seq, Change)>, StoreError> {
    let mut changes = Vec::new();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for job in jobs {
        connection.execute_batch("SAVEPOINT one_write")?;
        let mut transaction = WriteTransaction::new(connection);
        if job.run(&mut transaction) {
            changes.append(&mut transaction.into_changes());
        } else if connection.is_autocommit() {
            // A full disk or a read error undoes the whole transaction, the writes before this one included.
            return Err(StoreError::RolledBack);
        } else {
            connection.execute_batch("ROLLBACK TO one_write")?;
        }
        connection.execute_batch("RELEASE one_write")?;
    }
    connection.execute_batch("COMMIT").map_err(|cause| StoreError::Commit(Arc::new(cause)))?;
    Ok(changes)
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
mod tests;
