//! The side that writes: whether a change is in force in every process, and whose lease is over by now. Reading the rows, fencing them and
//! giving up in time are left to the driver.

use crate::engine::{MemberId, Position, Row};
use crate::terms::{Moment, Terms};
use std::collections::BTreeMap;
use std::time::Duration;

/// What one writer has seen of the members.
#[derive(Debug)]
pub struct Barrier {
    fenced_after: Duration,
    seen: BTreeMap<MemberId, Seen>,
    /// How many looks were asked for, and the number of the last one that was taken in.
    looks: u64,
    taken_in: u64,
}

/// A look at all rows that was asked for. Answers may come late and out of order: each counts for what it is.
#[derive(Debug)]
pub struct Look(u64);

/// A change that must be in force everywhere. Only looks that were asked for afterwards speak of it: an earlier one may lack a member
/// who joined before the change and has not applied it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    position: Position,
    after: u64,
}

impl Awaited {
    /// The position of the change.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

#[derive(Debug)]
struct Seen {
    renew: i64,
    acked: Position,
    /// Since when the row stood at this count, as far as this writer can say.
    since: Moment,
}

/// A row whose lease is over, if it still has this count when it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Whose row.
    pub id: MemberId,
    /// The count.
    pub renew: i64,
}

impl Barrier {
    /// Of a writer that has seen nobody yet.
    #[must_use]
    pub fn new(terms: &Terms) -> Self {
        Self { fenced_after: terms.fenced_after(), seen: BTreeMap::new(), looks: 0, taken_in: 0 }
    }

    /// A change was committed, or stands in the transaction that the next look is part of.
    #[must_use]
    pub fn awaits(&self, position: Position) -> Awaited {
        Awaited { position, after: self.looks }
    }

    /// All rows are asked for now.
    pub fn look(&mut self) -> Look {
        self.looks += 1;
        Look(self.looks)
    }

    /// Takes in all rows. `now` is a moment after the store has answered: a row may have been renewed until then.
    pub fn observe(&mut self, look: &Look, now: Moment, rows: &[Row]) {
        if look.0 <= self.taken_in {
            return;
        }
        self.taken_in = look.0;
        let before = std::mem::take(&mut self.seen);
        for row in rows {
            let unchanged = before.get(&row.id).filter(|seen| seen.renew == row.renew);
            let since = unchanged.map_or(now, |seen| seen.since);
            self.seen.insert(row.id, Seen { renew: row.renew, acked: row.acked, since });
        }
    }

    /// Whether a change is in force in every process, `own` apart.
    #[must_use]
    pub fn is_passed(&self, change: Awaited, own: Option<MemberId>) -> bool {
        self.taken_in > change.after && self.lagging(change.position, own).next().is_none()
    }

    /// Those whom a change waits for.
    #[must_use]
    pub fn waits_for(&self, change: Awaited, own: Option<MemberId>) -> Vec<MemberId> {
        self.lagging(change.position, own).map(|(id, _)| *id).collect()
    }

    /// Those of them whose lease is over. Once their rows are deleted, nothing waits for them.
    #[must_use]
    pub fn overdue(&self, now: Moment, change: Awaited, own: Option<MemberId>) -> Vec<Overdue> {
        self.lagging(change.position, own)
            .filter(|(_, seen)| now.since(seen.since) >= self.fenced_after)
            .map(|(id, seen)| Overdue { id: *id, renew: seen.renew })
            .collect()
    }

    fn lagging(&self, change: Position, own: Option<MemberId>) -> impl Iterator<Item = (&MemberId, &Seen)> {
        self.seen.iter().filter(move |(id, seen)| Some(**id) != own && seen.acked < change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    fn row(id: u128, renew: i64, acked: i64) -> Row {
        Row { id: MemberId(id), renew, acked: Position(acked) }
    }

    fn observe(barrier: &mut Barrier, at: u64, rows: &[Row]) {
        let look = barrier.look();
        barrier.observe(&look, Moment(at), rows);
    }

    #[test]
    fn a_change_is_in_force_when_all_others_have_acknowledged_it_or_are_gone() {
        let mut barrier = Barrier::new(&Terms::default());
        let (eighth, ninth) = (barrier.awaits(Position(8)), barrier.awaits(Position(9)));
        observe(&mut barrier, S, &[row(1, 5, 8), row(2, 1, 8), row(3, 1, 8)]);
        assert!(barrier.is_passed(eighth, None));
        observe(&mut barrier, S, &[row(1, 5, 8), row(2, 2, 9), row(3, 1, 8)]);
        assert!(!barrier.is_passed(ninth, Some(MemberId(1))));
        observe(&mut barrier, S, &[row(1, 5, 8), row(2, 2, 9)]);
        assert!(barrier.is_passed(ninth, Some(MemberId(1))));
        assert!(!barrier.is_passed(ninth, None));
    }

    #[test]
    fn only_a_look_that_was_asked_for_after_the_change_speaks_of_it() {
        let mut barrier = Barrier::new(&Terms::default());
        let early = barrier.look();
        let change = barrier.awaits(Position(9));
        assert!(!barrier.is_passed(change, None), "nobody looked");
        barrier.observe(&early, Moment(S), &[]);
        assert!(!barrier.is_passed(change, None), "somebody may have joined since");
        observe(&mut barrier, 2 * S, &[row(1, 5, 8)]);
        assert!(!barrier.is_passed(change, None));
        barrier.observe(&early, Moment(3 * S), &[]);
        assert!(!barrier.is_passed(change, None), "what comes late is no news");
        observe(&mut barrier, 3 * S, &[]);
        assert!(barrier.is_passed(change, None));
    }

    #[test]
    fn only_a_row_that_stood_still_for_longer_than_a_lease_is_overdue() {
        let mut barrier = Barrier::new(&Terms::default());
        let change = barrier.awaits(Position(9));
        let overdue = |barrier: &Barrier, at| barrier.overdue(Moment(at), change, None);
        observe(&mut barrier, S, &[row(1, 5, 8), row(2, 5, 9)]);
        assert!(overdue(&barrier, 11_399_999).is_empty());
        assert_eq!(overdue(&barrier, 11_400_000), [Overdue { id: MemberId(1), renew: 5 }]);
        observe(&mut barrier, 8 * S, &[row(1, 6, 8)]);
        assert!(overdue(&barrier, 11_400_000).is_empty(), "it was renewed meanwhile");
        observe(&mut barrier, 18 * S, &[row(1, 6, 8)]);
        assert_eq!(overdue(&barrier, 18_400_000).len(), 1);
        observe(&mut barrier, 19 * S, &[row(1, 7, 9)]);
        assert!(overdue(&barrier, 60 * S).is_empty(), "nobody waits for it");
    }
}
