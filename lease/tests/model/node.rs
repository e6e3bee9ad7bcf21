//! One process of the model: a clock that drifts, a member, a writer, a copy of the state, and what is in flight. What reaches it, and
//! when, is left to the world.

use crate::random::Random;
use crate::store::{Change, State};
use portcullis_lease::{Awaited, Barrier, Member, Moment, Position, Terms};
use std::collections::BTreeMap;
use std::time::Duration;

/// A clock of its own: it began somewhere, and goes up to so much faster or slower as the terms allow.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset: u64,
    rate: u64,
}

impl Clock {
    pub fn drawn(random: &mut Random, terms: &Terms) -> Self {
        let drift = u64::from(terms.drift_percent) * 10;
        // The ends are where it goes wrong, if anywhere.
        let rate = match random.below(3) {
            0 => 1000 - drift,
            1 => 1000 + drift,
            _ => random.between(1000 - drift, 1000 + drift),
        };
        Self { offset: random.between(1, 1_000_000_000_000), rate }
    }

    pub fn at(self, true_time: u64) -> Moment {
        Moment(self.offset + true_time / 1000 * self.rate + true_time % 1000 * self.rate / 1000)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    pub session: u64,
    pub person: usize,
    pub dropped: bool,
    /// Pieces that are still to be forwarded.
    pub left: u64,
}

/// A write that its client waits for.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub change: Change,
    pub begun: Moment,
    pub committed: Option<Awaited>,
}

pub struct Node {
    /// Counts its lives: what was sent to an earlier one is not for this one.
    pub life: u64,
    pub clock: Clock,
    pub paused_until: u64,
    pub cut_off_until: u64,
    /// None for a sidecar, which writes and serves nobody.
    pub member: Option<Member>,
    pub barrier: Barrier,
    pub looked: Option<Moment>,
    pub copy: State,
    /// A state that was read before the row was inserted, by a driver that gets that wrong.
    pub early: Option<(State, Position)>,
    pub in_flight: BTreeMap<u64, InFlight>,
    pub writes: BTreeMap<u64, Write>,
}

impl Node {
    pub fn begin(random: &mut Random, serves: bool, terms: &Terms, patience_of_barrier: &Terms) -> Self {
        Self {
            life: 0,
            clock: Clock::drawn(random, terms),
            paused_until: 0,
            cut_off_until: 0,
            member: serves.then(|| Member::new(*terms)),
            barrier: Barrier::new(patience_of_barrier),
            looked: None,
            copy: State::default(),
            early: None,
            in_flight: BTreeMap::new(),
            writes: BTreeMap::new(),
        }
    }

    /// The same machine, another process.
    pub fn restart(&mut self, terms: &Terms, patience_of_barrier: &Terms) {
        self.life += 1;
        self.member = self.member.as_ref().map(|_| Member::new(*terms));
        self.barrier = Barrier::new(patience_of_barrier);
        (self.looked, self.early, self.paused_until) = (None, None, 0);
        self.copy = State::default();
        self.in_flight.clear();
        self.writes.clear();
    }

    pub fn lease_until(&self) -> Moment {
        self.member.as_ref().map_or(Moment::NEVER, Member::lease_until)
    }

    /// Puts changes in force that follow on what is in force already, and drops what they end.
    pub fn apply(&mut self, changes: &[(Position, Change)], drops: bool) {
        let Some(member) = &mut self.member else { return };
        for (position, change) in changes {
            if position.0 != member.position().0 + 1 {
                continue;
            }
            self.copy.apply(*change);
            if let (Change::Deactivated(person), true) = (change, drops) {
                let theirs = self.in_flight.values_mut().filter(|request| request.person == *person);
                theirs.for_each(|request| request.dropped = true);
            }
            member.applied(*position);
        }
    }

    pub fn drop_all(&mut self) {
        self.in_flight.values_mut().for_each(|request| request.dropped = true);
    }
}

/// How long a question of a writer may go unanswered.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
