//! What other processes wrote to the same database, such as the command line beside a running gateway: read from the events that they
//! left, and told to the follower like what was written here. What cannot be told by itself is told by the whole state.

use crate::access_request;
use crate::change::{Change, Follower};
use crate::error::StoreError;
use crate::limits::{FOREIGN_EVENTS_AT_ONCE, sql_count};
use crate::model::{Seq, SessionId};
use crate::purpose;
use crate::service_token;
use crate::snapshot;
use crate::sql;
use rusqlite::Connection;
use std::sync::Arc;

/// The follower, and how far it was told.
pub(super) struct Following {
    follower: Arc<dyn Follower>,
    applied: Seq,
    /// Something of others could not be read when it was its turn.
    missed: bool,
}

impl Following {
    /// Begins with the whole state.
    pub(super) fn begin(follower: Arc<dyn Follower>, connection: &Connection) -> Result<Self, StoreError> {
        let snapshot = snapshot::take(connection)?;
        let applied = snapshot.seq;
        follower.load(snapshot);
        Ok(Self { follower, applied, missed: false })
    }

    /// Tells what was committed here, and before it what others committed since the last time. What is committed is told whatever
    /// happens; if others cannot be read now, everything is at the next look.
    pub(super) fn tell(&mut self, changes: &[(Seq, Change)], connection: &Connection) {
        let Some((first, _)) = changes.first() else { return };
        if let Err(cause) = self.catch_up(Seq(first.0 - 1), connection) {
            tracing::error!(
                error = &cause as &dyn std::error::Error,
                "what other processes wrote cannot be read"
            );
            self.missed = true;
        }
        for (seq, change) in changes {
            // The whole state may have been told meanwhile, with these in it.
            if *seq > self.applied {
                self.follower.apply(*seq, change);
                self.applied = *seq;
            }
        }
    }

    /// Tells what others have committed by now.
    pub(super) fn look(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.missed {
            return self.tell_whole(connection);
        }
        let newest = snapshot::watermark(connection)?;
        if newest < self.applied {
            tracing::error!(
                newest = newest.0,
                applied = self.applied.0,
                "the store lost changes that were acknowledged: an older state was put in its place"
            );
            return self.tell_whole(connection);
        }
        self.catch_up(newest, connection)
    }

    fn catch_up(&mut self, until: Seq, connection: &Connection) -> Result<(), StoreError> {
        while self.applied < until {
            let events = events(connection, self.applied, until)?;
            if events.is_empty() {
                return self.tell_whole(connection);
            }
            for event in events {
                // Events are dropped from the oldest on: one that is missing says nothing any more.
                if event.seq.0 != self.applied.0 + 1 {
                    return self.tell_whole(connection);
                }
                match event.change(connection)? {
                    Told::Change(change) => self.follower.apply(event.seq, &change),
                    Told::Nothing => {}
                    Told::Whole => return self.tell_whole(connection),
                }
                self.applied = event.seq;
            }
        }
        Ok(())
    }

    fn tell_whole(&mut self, connection: &Connection) -> Result<(), StoreError> {
        tracing::warn!("another process changed the store; the whole state is read again");
        let snapshot = snapshot::take(connection)?;
        self.applied = snapshot.seq;
        self.follower.load(snapshot);
        self.missed = false;
        Ok(())
    }
}

/// What another process left of a change.
struct Event {
    seq: Seq,
    kind: String,
    subject: String,
}

/// What is to be told of it.
enum Told {
    Change(Change),
    /// Nobody keeps a copy of it.
    Nothing,
    /// It cannot be told by itself.
    Whole,
}

impl Event {
    /// The state is the one of now, which may be later than the event: what came between is told once more.
    fn change(&self, connection: &Connection) -> rusqlite::Result<Told> {
        Ok(match self.kind.as_str() {
            "key" => Told::Nothing,
            "service_token" => service_token::one(connection, &self.subject)?
                .map_or(Told::Nothing, |record| Told::Change(Change::ServiceToken(Arc::new(record)))),
            "access" => access_request::one(connection, &self.subject)?
                .map_or(Told::Nothing, |request| Told::Change(Change::Access(Arc::new(request)))),
            "purposes" => match SessionId::from_hex(&self.subject) {
                Some(session) => Told::Change(Change::Purposes(purpose::of(connection, session)?)),
                None => Told::Whole,
            },
            _ => Told::Whole,
        })
    }
}

fn events(connection: &Connection, after: Seq, until: Seq) -> rusqlite::Result<Vec<Event>> {
    sql::rows(
        connection,
        "SELECT seq, kind, subject FROM events WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3",
        (after, until, sql_count(FOREIGN_EVENTS_AT_ONCE)),
        |row| Ok(Event { seq: row.get(0)?, kind: row.get(1)?, subject: row.get(2)? }),
    )
}
