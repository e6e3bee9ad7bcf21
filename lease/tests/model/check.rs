//! The recorder and the checker: what was acknowledged, what was forwarded after it, and whether all are of one mind in the end.

use crate::store::{Change, State, Store};
use portcullis_lease::Position;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct Record {
    /// Sessions that nothing may be forwarded for any more, and since when.
    over: BTreeMap<u64, u64>,
    acknowledged: Vec<(Position, Change)>,
    pub forwards: u64,
    pub violations: Vec<String>,
    found: BTreeSet<u64>,
}

impl Record {
    /// A 2xx leaves at this moment.
    pub fn acknowledge(&mut self, now: u64, position: Position, change: Change, store: &Store) {
        self.acknowledged.push((position, change));
        let Change::Deactivated(person) = change else { return };
        let mut then = State::default();
        let changes = store.changes.iter().take(usize::try_from(position.0).unwrap());
        changes.for_each(|change| then.apply(*change));
        for (id, session) in then.sessions {
            if session.person == person && !session.live {
                self.over.entry(id).or_insert(now);
            }
        }
    }

    /// A piece of a request goes to the application at this moment.
    pub fn forward(&mut self, now: u64, node: usize, session: u64) {
        self.forwards += 1;
        if let Some(since) = self.over.get(&session).filter(|since| **since <= now)
            && self.found.insert(session)
        {
            self.violations.push(format!(
                "node {node} forwarded for session {session} at {now} us, which was over since the 2xx at {since} us"
            ));
        }
    }

    pub fn acknowledgements(&self) -> usize {
        self.acknowledged.len()
    }

    /// Whether everything that was acknowledged is in the store, or was overtaken by a later change of the same person.
    pub fn lost(&self, store: &Store) -> Vec<String> {
        let mut lost = Vec::new();
        for (position, change) in &self.acknowledged {
            let until = usize::try_from(position.0).unwrap();
            let about = |other: &&Change| match (change, other) {
                (
                    Change::Deactivated(a) | Change::Reactivated(a),
                    Change::Deactivated(b) | Change::Reactivated(b),
                ) => a == b,
                _ => false,
            };
            let last = store.changes.iter().take(until).rfind(about);
            // Nobody is deactivated in the beginning.
            let holds = last == Some(change) || last.is_none() && matches!(change, Change::Reactivated(_));
            if store.changes.len() < until || !holds {
                lost.push(format!("{change:?} was acknowledged at {position:?} and is not there"));
            }
        }
        lost
    }
}
