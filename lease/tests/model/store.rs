//! A store in memory: one engine under the protocol, and what a model of a directory keeps in it. Being slow, lossy and absent is left
//! to the world.

use portcullis_lease::conformance::Movable;
use portcullis_lease::{Engine, Epoch, Joined, MemberId, Position, Renewed, Row};
use std::collections::BTreeMap;
use std::convert::Infallible;

pub const PEOPLE: usize = 5;

/// One security-relevant change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Deactivated(usize),
    Reactivated(usize),
    Begun { session: u64, person: usize },
}

/// The state that follows from all changes up to a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub inactive: [bool; PEOPLE],
    pub sessions: BTreeMap<u64, Session>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub person: usize,
    pub live: bool,
}

impl State {
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Deactivated(person) => {
                self.inactive[person] = true;
                let theirs = self.sessions.values_mut().filter(|session| session.person == person);
                theirs.for_each(|session| session.live = false);
            }
            Change::Reactivated(person) => self.inactive[person] = false,
            Change::Begun { session, person } => {
                self.sessions.insert(session, Session { person, live: true });
            }
        }
    }

    pub fn admits(&self, session: u64) -> bool {
        self.sessions.get(&session).is_some_and(|it| it.live && !self.inactive[it.person])
    }
}

#[derive(Clone, Debug, Default)]
pub struct Store {
    history: u64,
    pub changes: Vec<Change>,
    pub state: State,
    members: BTreeMap<MemberId, (i64, Position)>,
    /// What a crash leaves of the members where renewals are not durable.
    flushed: BTreeMap<MemberId, (i64, Position)>,
}

impl Store {
    pub fn watermark(&self) -> Position {
        Position(i64::try_from(self.changes.len()).unwrap())
    }

    pub fn epoch(&self) -> Epoch {
        Epoch(self.history.to_string())
    }

    /// Commits a change, unless it changes nothing or must not be; the watermark afterwards.
    pub fn write(&mut self, change: Change) -> Position {
        let changes = match change {
            Change::Deactivated(person) => !self.state.inactive[person],
            Change::Reactivated(person) => self.state.inactive[person],
            Change::Begun { person, .. } => !self.state.inactive[person],
        };
        if changes {
            self.changes.push(change);
            self.state.apply(change);
        }
        self.watermark()
    }

    pub fn after(&self, position: Position) -> Vec<(Position, Change)> {
        let numbered = self.changes.iter().enumerate();
        let numbered = numbered.map(|(index, change)| (Position(i64::try_from(index).unwrap() + 1), *change));
        numbered.filter(|(at, _)| *at > position).collect()
    }

    pub fn flush_renewals(&mut self) {
        self.flushed = self.members.clone();
    }

    /// The members of before the last flush are back.
    pub fn forget_renewals(&mut self) {
        self.members = self.flushed.clone();
    }
}

impl Engine for Store {
    type Error = Infallible;

    fn join(&mut self, id: MemberId, replaces: Option<MemberId>) -> Result<Joined, Infallible> {
        if let Some(former) = replaces {
            self.members.remove(&former);
        }
        self.members.insert(id, (0, self.watermark()));
        Ok(Joined { epoch: self.epoch(), watermark: self.watermark() })
    }

    fn renew(&mut self, id: MemberId, acked: Position, epoch: &Epoch) -> Result<Renewed, Infallible> {
        let (watermark, own) = (self.watermark(), self.epoch());
        let Some(row) = self.members.get_mut(&id) else { return Ok(Renewed::Fenced) };
        if *epoch != own || acked > watermark {
            return Ok(Renewed::HistoryLost);
        }
        *row = (row.0 + 1, row.1.max(acked));
        Ok(Renewed::Held { watermark })
    }

    fn members(&mut self) -> Result<Vec<Row>, Infallible> {
        let rows =
            self.members.iter().map(|(id, (renew, acked))| Row { id: *id, renew: *renew, acked: *acked });
        Ok(rows.collect())
    }

    fn fence(&mut self, id: MemberId, renew: i64) -> Result<(), Infallible> {
        self.members.retain(|own, row| *own != id || row.0 != renew);
        Ok(())
    }

    fn leave(&mut self, id: MemberId) -> Result<(), Infallible> {
        self.members.remove(&id);
        Ok(())
    }
}

impl Movable for Store {
    fn commit(&mut self) -> Position {
        self.changes.push(Change::Reactivated(0));
        self.watermark()
    }

    fn replace_history(&mut self) {
        self.history += 1;
    }
}
