//! The side that serves: joins, renews, says how far it has applied, and knows until when it may serve. What is asked of the store, and
//! what is applied and dropped, is left to the driver.

use crate::engine::{Epoch, Joined, MemberId, Position, Renewed};
use crate::terms::{Moment, Terms};
use std::time::Duration;

/// How long after a failure the store is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// One process that serves from a store.
#[derive(Clone, Debug)]
pub struct Member {
    terms: Terms,
    identity: Option<Identity>,
    /// The row of a former life, which is worth nothing any more.
    former: Option<MemberId>,
    applied: Position,
    acked: Position,
    lease_until: Moment,
    /// When the question under way was sent; one at a time, loading apart.
    asked: Option<Moment>,
    /// The load under way, and when it began.
    loading: Option<(u64, Moment)>,
    loads: u64,
    /// When the last renewal was sent, or the row was inserted.
    renewed: Moment,
    /// No question before this moment: the store has just failed.
    rest_until: Moment,
    nudged: bool,
}

#[derive(Clone, Debug)]
struct Identity {
    id: MemberId,
    epoch: Epoch,
    joined_at: Position,
    loaded: bool,
}

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Insert a row under a new id, then say [`Member::joined`].
    Join(Join),
    /// Read the whole state, after the row was inserted, then ask [`Member::loaded`] whether it counts. Everything in flight is dropped before
    /// the state is replaced.
    Load(Load),
    /// Renew the row, then say [`Member::renewed`].
    Renew(Renewal),
    /// Nothing before this moment.
    Wait(Moment),
}

/// A join that was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Join {
    /// The row to be deleted with it.
    pub replaces: Option<MemberId>,
    sent: Moment,
}

/// A read of the whole state that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load(u64);

/// A renewal that was sent. It knows when: the lease counts from there.
#[derive(Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Whose row.
    pub member: MemberId,
    /// How far it has applied.
    pub acked: Position,
    /// In which history.
    pub epoch: Epoch,
    sent: Moment,
}

/// What an answer of the store means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// All is as it was.
    Nothing,
    /// There are changes that were not applied: read and apply them, in their order, and say [`Member::applied`].
    Behind,
    /// The lease is over and the row worth nothing. Nothing may pass until the member has joined and loaded again.
    Lost(Loss),
}

/// Why a member lost its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A writer waited for it and found its lease over.
    Fenced,
    /// The store holds another history than the one that was applied: changes that were acknowledged are gone.
    History,
}

impl Member {
    /// A process that has not joined yet.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            identity: None,
            former: None,
            applied: Position(0),
            acked: Position(0),
            lease_until: Moment::NEVER,
            asked: None,
            loading: None,
            loads: 0,
            renewed: Moment::NEVER,
            rest_until: Moment::NEVER,
            nudged: false,
        }
    }

    /// What is to be asked now. An answer that does not come is asked for again after a while.
    pub fn next(&mut self, now: Moment) -> Step {
        let Some(identity) = &self.identity else { return self.join(now) };
        if !identity.loaded && self.loading.is_none_or(|(_, began)| now.since(began) >= self.terms.lease) {
            self.loads += 1;
            self.loading = Some((self.loads, now));
            return Step::Load(Load(self.loads));
        }
        let due = if self.is_nudged() { now } else { self.renewed.plus(self.terms.renew_every) };
        if let Some(wait) = self.not_before(now, due) {
            return Step::Wait(wait);
        }
        let acked = if identity.loaded { self.applied } else { self.acked };
        let renewal = Renewal { member: identity.id, acked, epoch: identity.epoch.clone(), sent: now };
        (self.asked, self.renewed, self.nudged) = (Some(now), now, false);
        Step::Renew(renewal)
    }

    fn join(&mut self, now: Moment) -> Step {
        if let Some(wait) = self.not_before(now, now) {
            return Step::Wait(wait);
        }
        self.asked = Some(now);
        Step::Join(Join { replaces: self.former, sent: now })
    }

    fn is_nudged(&self) -> bool {
        self.nudged || self.identity.as_ref().is_some_and(|it| it.loaded) && self.acked < self.applied
    }

    /// Until when to wait with a question that is due at a moment, if at all.
    fn not_before(&self, now: Moment, due: Moment) -> Option<Moment> {
        let answered = self.asked.map_or(Moment::NEVER, |asked| asked.plus(self.terms.renew_every));
        let earliest = due.max(answered).max(self.rest_until);
        (now < earliest).then_some(earliest)
    }

    /// Something may have changed in the store: it is asked at once.
    pub fn nudge(&mut self) {
        self.nudged = true;
    }

    /// The question under way failed, whatever it was. It is asked again in a moment.
    pub fn failed(&mut self, now: Moment) {
        self.asked = None;
        self.loading = None;
        self.rest_until = now.plus(RETRY_AFTER);
    }

    /// The row was inserted.
    pub fn joined(&mut self, join: &Join, id: MemberId, found: Joined) {
        if self.identity.is_some() {
            // The answer to a join that was thought to be lost: its row is nobody's, and will be fenced.
            return;
        }
        (self.asked, self.former) = (None, None);
        self.acked = found.watermark;
        self.renewed = join.sent;
        self.lease_until = join.sent.plus(self.terms.held_for());
        self.identity = Some(Identity { id, epoch: found.epoch, joined_at: found.watermark, loaded: false });
    }

    /// The whole state was read at a position. Whether it counts: if so, the driver drops what is in flight and puts it in force before it does
    /// anything else.
    #[must_use]
    pub fn loaded(&mut self, load: Load, position: Position, epoch: &Epoch) -> bool {
        let Some(identity) = &mut self.identity else { return false };
        if self.loading.is_none_or(|(number, _)| number != load.0) {
            return false;
        }
        self.loading = None;
        // A state from before the row may lack a change whose writer has not seen the row.
        if identity.epoch != *epoch || position < identity.joined_at {
            self.lose();
            return false;
        }
        identity.loaded = true;
        self.applied = position;
        true
    }

    /// The store answered a renewal.
    pub fn renewed(&mut self, renewal: &Renewal, answer: Renewed) -> Reaction {
        let Some(identity) = self.identity.as_ref().filter(|own| own.id == renewal.member) else {
            return Reaction::Nothing;
        };
        self.asked = None;
        match answer {
            Renewed::Held { watermark } if watermark >= renewal.acked => {
                self.lease_until = self.lease_until.max(renewal.sent.plus(self.terms.held_for()));
                self.acked = self.acked.max(renewal.acked);
                let behind = identity.loaded && self.applied < watermark;
                if behind { Reaction::Behind } else { Reaction::Nothing }
            }
            Renewed::Held { .. } | Renewed::HistoryLost => {
                self.lose();
                Reaction::Lost(Loss::History)
            }
            Renewed::Fenced => {
                self.lose();
                Reaction::Lost(Loss::Fenced)
            }
        }
    }

    /// All changes up to a position are in force here, and what they end is dropped.
    pub fn applied(&mut self, position: Position) {
        self.applied = self.applied.max(position);
    }

    /// The state can no longer be told from changes: it is loaded again under a new identity.
    pub fn lose(&mut self) {
        self.former = self.identity.take().map(|identity| identity.id).or(self.former);
        self.lease_until = Moment::NEVER;
        (self.asked, self.loading) = (None, None);
    }

    /// This process serves no more. The row that is to be deleted.
    pub fn leave(&mut self) -> Option<MemberId> {
        self.lose();
        self.former.take()
    }

    /// Until when this process may serve; never, while it has no state to serve by.
    #[must_use]
    pub fn lease_until(&self) -> Moment {
        let loaded = self.identity.as_ref().is_some_and(|identity| identity.loaded);
        if loaded { self.lease_until } else { Moment::NEVER }
    }

    /// The last change that is in force here.
    #[must_use]
    pub fn position(&self) -> Position {
        self.applied
    }

    /// The row, while there is one.
    #[must_use]
    pub fn id(&self) -> Option<MemberId> {
        self.identity.as_ref().map(|identity| identity.id)
    }

    /// The history that is followed.
    #[must_use]
    pub fn epoch(&self) -> Option<&Epoch> {
        self.identity.as_ref().map(|identity| &identity.epoch)
    }
}

#[cfg(test)]
mod tests;
