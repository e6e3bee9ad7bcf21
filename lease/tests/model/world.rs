//! Everything outside the processes: true time, the wire, the store's health, the provisioning client, people who ask, and faults. The
//! protocol is driven here as a real driver drives it, but for the weakness that a run has.

use crate::check::Record;
use crate::node::{InFlight, LOOK_TIMEOUT, Node, Write};
use crate::random::Random;
use crate::store::{Change, PEOPLE, State, Store};
use crate::weather::{Weakness, Weather};
use portcullis_lease::{
    Engine, Epoch, Join, Joined, Load, Look, Member, MemberId, Overdue, Position, Reaction, Renewal, Renewed,
    Row, Step, Streams, Terms,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const MS: u64 = 1_000;
const S: u64 = 1_000_000;
/// Three that serve and write, and one that only writes.
const SERVING: usize = 3;
const NODES: usize = 4;
/// Faults end here, then everything must come to rest.
pub const STORMY: u64 = 90 * S;
pub const END: u64 = STORMY + 80 * S;
/// The last logins.
const QUIET: u64 = END - 20 * S;

enum Event {
    Tick(usize, u64),
    AtStore(usize, u64, Call),
    AtNode(usize, u64, Answer),
    Asked(usize),
    Piece(usize, u64, u64),
    Login(usize),
    Push(usize),
    Pushed { node: usize, number: u64, change: Change },
    Unanswered(usize, u64),
    Pause,
    Restart,
    Partition,
    Crash,
    Flush,
}

enum Call {
    Join(Join, Option<(State, Position)>),
    /// A driver that gets the order wrong: reads first.
    ReadThenJoin(Join),
    Load(Load),
    /// With how long the answer takes, where that is settled.
    Renew(Renewal, Option<u64>),
    Look(Look),
    Fence(Overdue),
    Commit(u64, Change),
}

enum Answer {
    Joined(Join, MemberId, Joined, Option<(State, Position)>),
    Loaded(Load, Position, Epoch, State),
    Renewed(Renewal, Renewed, Vec<(Position, Change)>),
    Rows(Look, Vec<Row>),
    Committed(u64, Position),
}

/// What the provisioning client wants of one person, until it has its 2xx.
#[derive(Clone, Copy)]
struct Wanted {
    number: u64,
    change: Change,
    acknowledged: bool,
}

pub struct World {
    now: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    random: Random,
    weather: Weather,
    weakness: Weakness,
    terms: Terms,
    believed: Terms,
    pub store: Store,
    store_up_at: u64,
    nodes: Vec<Node>,
    wanted: Vec<Wanted>,
    numbers: u64,
    pub record: Record,
}

impl World {
    pub fn new(seed: u64, weakness: Weakness, terms: Terms) -> Self {
        let mut random = Random::new(seed);
        let weather = Weather::drawn(&mut random);
        let mut believed = terms;
        if weakness == Weakness::EarlyFence {
            believed.lease /= 2;
        }
        let nodes =
            (0..NODES).map(|node| Node::begin(&mut random, node < SERVING, &terms, &believed)).collect();
        let wanted = (0..PEOPLE)
            .map(|person| Wanted { number: 0, change: Change::Reactivated(person), acknowledged: true })
            .collect();
        let mut world = Self {
            now: 0,
            order: 0,
            queue: BinaryHeap::new(),
            events: Vec::new(),
            random,
            weather,
            weakness,
            terms,
            believed,
            store: Store::default(),
            store_up_at: 0,
            nodes,
            wanted,
            numbers: 0,
            record: Record::default(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for node in 0..NODES {
            self.at(1, Event::Tick(node, 0));
            self.soon(200 * MS, Event::Login(node % SERVING));
        }
        (0..SERVING).for_each(|node| self.soon(S, Event::Asked(node)));
        (0..PEOPLE).for_each(|person| self.soon(5 * S, Event::Push(person)));
        let weather = self.weather;
        self.soon(weather.pause_every_ms * MS, Event::Pause);
        self.soon(weather.restart_every_ms * MS, Event::Restart);
        self.soon(weather.partition_every_ms * MS, Event::Partition);
        self.soon(weather.crash_every_ms * MS, Event::Crash);
        if self.weakness == Weakness::RenewalsLost {
            self.soon(5 * S, Event::Flush);
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((time, self.order, self.events.len())));
        self.events.push(Some(event));
    }

    /// Within twice a mean time.
    fn soon(&mut self, mean: u64, event: Event) {
        let after = self.random.between(1, 2 * mean);
        self.at(self.now + after, event);
    }

    /// Runs to the end, or to the first violation.
    pub fn run(&mut self) {
        while let Some(Reverse((time, _, index))) = self.queue.pop() {
            if time > END || !self.record.violations.is_empty() {
                return;
            }
            self.now = time;
            let event = self.events[index].take().unwrap();
            if let Some(resumes) = self.paused(&event) {
                // Whatever waited comes at once, in any order.
                let jitter = self.random.between(0, 2 * MS);
                self.at(resumes + jitter, event);
            } else {
                self.happen(event);
            }
        }
    }

    fn paused(&self, event: &Event) -> Option<u64> {
        let (Event::Tick(node, _)
        | Event::AtNode(node, ..)
        | Event::Piece(node, ..)
        | Event::Pushed { node, .. }) = event
        else {
            return None;
        };
        Some(self.nodes[*node].paused_until).filter(|until| *until > self.now)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick(node, life) => self.tick(node, life),
            Event::AtStore(node, life, call) => self.at_store(node, life, call),
            Event::AtNode(node, life, answer) if self.nodes[node].life == life => self.answered(node, answer),
            Event::AtNode(..) => {}
            Event::Asked(node) => self.asked(node),
            Event::Piece(node, life, request) if self.nodes[node].life == life => self.piece(node, request),
            Event::Piece(..) => {}
            Event::Login(node) => self.login(node),
            Event::Push(person) => self.push(person),
            Event::Pushed { node, number, change } => self.begin_write(node, number, change),
            Event::Unanswered(person, number) => {
                if self.wanted[person].number == number && !self.wanted[person].acknowledged {
                    self.send_push(person);
                }
            }
            Event::Pause | Event::Restart | Event::Partition | Event::Crash | Event::Flush => {
                self.fault(&event);
            }
        }
    }

    // Faults.

    fn fault(&mut self, event: &Event) {
        if self.now >= STORMY {
            return;
        }
        let (node, weather) = (self.random.below(NODES), self.weather);
        let span = self.random.between(100 * MS, 25 * S);
        match event {
            Event::Pause => {
                self.nodes[node].paused_until = self.now + span;
                self.soon(weather.pause_every_ms * MS, Event::Pause);
            }
            Event::Restart => {
                self.nodes[node].restart(&self.terms, &self.believed);
                let life = self.nodes[node].life;
                let begins = self.now + self.random.between(50 * MS, 3 * S);
                self.nodes[node].paused_until = begins;
                self.at(begins, Event::Tick(node, life));
                self.soon(weather.restart_every_ms * MS, Event::Restart);
            }
            Event::Partition => {
                self.nodes[node].cut_off_until = self.now + span;
                self.soon(weather.partition_every_ms * MS, Event::Partition);
            }
            Event::Crash => {
                self.store_up_at = self.now + span / 4;
                if self.weakness == Weakness::RenewalsLost {
                    self.store.forget_renewals();
                }
                self.soon(weather.crash_every_ms * MS, Event::Crash);
            }
            _ => {
                self.store.flush_renewals();
                self.soon(8 * S, Event::Flush);
            }
        }
    }

    // The wire between processes and the store.

    /// How long a message takes, unless it is lost.
    fn passage(&mut self, node: usize) -> Option<u64> {
        let (loss, late) = if self.now < STORMY { (self.weather.loss, self.weather.late) } else { (0, 0) };
        let cut_off = self.nodes[node].cut_off_until > self.now;
        if cut_off || self.random.happens(loss) {
            return None;
        }
        Some(if self.random.happens(late) {
            self.random.between(500 * MS, 12 * S)
        } else {
            self.random.between(MS / 5, 8 * MS)
        })
    }

    fn ask(&mut self, node: usize, call: Call) {
        let life = self.nodes[node].life;
        if let Some(after) = self.passage(node) {
            self.at(self.now + after, Event::AtStore(node, life, call));
        }
    }

    fn at_store(&mut self, node: usize, life: u64, call: Call) {
        if self.store_up_at > self.now {
            return;
        }
        let settled = if let Call::Renew(_, settled) = &call { *settled } else { None };
        let Some(answer) = self.serve(node, life, call) else { return };
        // A crash between the commit and the answer leaves whoever asked in the dark.
        if let Some(after) = settled.or_else(|| self.passage(node)) {
            self.at(self.now + after, Event::AtNode(node, life, answer));
        }
    }

    fn serve(&mut self, node: usize, life: u64, call: Call) -> Option<Answer> {
        let store = &mut self.store;
        Some(match call {
            Call::Join(join, early) => {
                let id = MemberId(u128::from(self.random.next()));
                let Ok(joined) = store.join(id, join.replaces);
                Answer::Joined(join, id, joined, early)
            }
            Call::ReadThenJoin(join) => {
                let early = (store.state.clone(), store.watermark());
                let after = self.random.between(MS, 400 * MS);
                self.at(self.now + after, Event::AtStore(node, life, Call::Join(join, Some(early))));
                return None;
            }
            Call::Load(load) => Answer::Loaded(load, store.watermark(), store.epoch(), store.state.clone()),
            Call::Renew(renewal, _) => {
                let Ok(renewed) = store.renew(renewal.member, renewal.acked, &renewal.epoch);
                let changes = store.after(renewal.acked);
                Answer::Renewed(renewal, renewed, changes)
            }
            Call::Look(look) => {
                let Ok(rows) = store.members();
                Answer::Rows(look, rows)
            }
            Call::Fence(overdue) => {
                let Ok(()) = store.fence(overdue.id, overdue.renew);
                return None;
            }
            Call::Commit(number, change) => Answer::Committed(number, store.write(change)),
        })
    }

    // A process at work.

    fn tick(&mut self, node: usize, life: u64) {
        if self.nodes[node].life != life {
            return;
        }
        self.drive(node);
        self.look(node);
        let after = self.random.between(5 * MS, 60 * MS);
        self.at(self.now + after, Event::Tick(node, life));
    }

    fn drive(&mut self, node: usize) {
        loop {
            let own = &mut self.nodes[node];
            let now = own.clock.at(self.now);
            let Some(member) = &mut own.member else { return };
            if self.weakness == Weakness::FromReply && matches!(member.clone().next(now), Step::Renew(_)) {
                return self.renew_by_the_answer(node);
            }
            match member.next(now) {
                Step::Wait(_) => return,
                Step::Join(join) if self.weakness == Weakness::SnapshotFirst => {
                    self.ask(node, Call::ReadThenJoin(join));
                }
                Step::Join(join) => self.ask(node, Call::Join(join, None)),
                Step::Load(load) => match own.early.take() {
                    Some((state, said)) => {
                        let epoch = self.store.epoch();
                        self.load(node, load, said, &epoch, state);
                    }
                    None => self.ask(node, Call::Load(load)),
                },
                Step::Renew(renewal) => self.ask(node, Call::Renew(renewal, None)),
            }
        }
    }

    /// A driver that takes the moment of the answer for that of the question. When that will be is known here alone.
    fn renew_by_the_answer(&mut self, node: usize) {
        let (there, back) = (self.passage(node), self.passage(node));
        let answered = self.now + there.unwrap_or(0) + back.unwrap_or(0);
        let own = &mut self.nodes[node];
        let (life, believed) = (own.life, own.clock.at(answered));
        let Some(Step::Renew(renewal)) = own.member.as_mut().map(|member| member.next(believed)) else {
            return;
        };
        if let (Some(there), Some(back)) = (there, back) {
            self.at(self.now + there, Event::AtStore(node, life, Call::Renew(renewal, Some(back))));
        }
    }

    fn load(&mut self, node: usize, load: Load, position: Position, epoch: &Epoch, state: State) {
        let keeps = self.weakness == Weakness::KeepInFlight;
        let own = &mut self.nodes[node];
        if own.member.as_mut().is_some_and(|member| member.loaded(load, position, epoch)) {
            if !keeps {
                own.drop_all();
            }
            own.copy = state;
        }
    }

    fn answered(&mut self, node: usize, answer: Answer) {
        let own = &mut self.nodes[node];
        let now = own.clock.at(self.now);
        match answer {
            Answer::Joined(join, id, joined, early) => {
                own.early = early.map(|(state, _)| (state, joined.watermark));
                if let Some(member) = &mut own.member {
                    member.joined(&join, id, joined);
                }
            }
            Answer::Loaded(load, position, epoch, state) => self.load(node, load, position, &epoch, state),
            Answer::Renewed(renewal, renewed, changes) => {
                let Some(member) = &mut own.member else { return };
                if member.renewed(&renewal, renewed) == Reaction::Behind {
                    own.apply(&changes, self.weakness != Weakness::AckBeforeDrop);
                }
            }
            Answer::Rows(look, rows) => {
                own.looked = None;
                own.barrier.observe(&look, now, &rows);
                self.conclude(node);
            }
            Answer::Committed(number, position) => self.committed(node, number, position),
        }
        self.drive(node);
    }

    // Writing.

    fn begin_write(&mut self, node: usize, number: u64, change: Change) {
        let begun = self.nodes[node].clock.at(self.now);
        self.nodes[node].writes.insert(number, Write { change, begun, committed: None });
        self.ask(node, Call::Commit(number, change));
    }

    fn committed(&mut self, node: usize, number: u64, position: Position) {
        let own = &mut self.nodes[node];
        if let Some(member) = &mut own.member {
            member.nudge();
        }
        let Some(write) = own.writes.get_mut(&number) else { return };
        write.committed = Some(own.barrier.awaits(position));
        if self.weakness == Weakness::NoBarrier {
            self.finish(node, number, position);
        }
    }

    fn look(&mut self, node: usize) {
        let own = &mut self.nodes[node];
        let now = own.clock.at(self.now);
        let patience = self.terms.patience;
        own.writes.retain(|_, write| now.since(write.begun) < patience);
        let unanswered = own.looked.is_some_and(|asked| now.since(asked) < LOOK_TIMEOUT);
        if own.writes.values().all(|write| write.committed.is_none()) || unanswered {
            return;
        }
        own.looked = Some(now);
        let look = own.barrier.look();
        self.ask(node, Call::Look(look));
    }

    /// Rows were seen: finishes what they say is in force, fences what they say is over.
    fn conclude(&mut self, node: usize) {
        let own = &self.nodes[node];
        let now = own.clock.at(self.now);
        let id = own.member.as_ref().and_then(Member::id);
        let mut fences = Vec::new();
        let mut done = Vec::new();
        for (number, write) in &own.writes {
            let Some(change) = write.committed else { continue };
            let here = own.member.as_ref().is_none_or(|member| member.position() >= change.position());
            if here && own.barrier.is_passed(change, id) {
                done.push((*number, change.position()));
            }
            fences.extend(own.barrier.overdue(now, change, id));
        }
        done.into_iter().for_each(|(number, position)| self.finish(node, number, position));
        fences.into_iter().for_each(|overdue| self.ask(node, Call::Fence(overdue)));
    }

    /// The 2xx leaves; the client is told a little later.
    fn finish(&mut self, node: usize, number: u64, position: Position) {
        let Some(write) = self.nodes[node].writes.remove(&number) else { return };
        let (Change::Deactivated(person) | Change::Reactivated(person)) = write.change else { return };
        self.record.acknowledge(self.now, position, write.change, &self.store);
        if self.wanted[person].number == number {
            self.wanted[person].acknowledged = true;
        }
    }

    // The provisioning client.

    fn push(&mut self, person: usize) {
        if self.wanted[person].acknowledged && self.now < STORMY {
            self.numbers += 1;
            let change = match self.wanted[person].change {
                Change::Deactivated(_) => Change::Reactivated(person),
                _ => Change::Deactivated(person),
            };
            self.wanted[person] = Wanted { number: self.numbers, change, acknowledged: false };
            self.send_push(person);
        }
        self.soon(4 * S, Event::Push(person));
    }

    fn send_push(&mut self, person: usize) {
        let Wanted { number, change, .. } = self.wanted[person];
        let node = self.random.below(NODES);
        let after = self.random.between(MS, 20 * MS);
        self.at(self.now + after, Event::Pushed { node, number, change });
        // It gives up in a while, or is told to come again, and does.
        let patience = self.random.between(3 * S, 50 * S);
        self.at(self.now + patience, Event::Unanswered(person, number));
    }

    // People.

    fn login(&mut self, node: usize) {
        self.numbers += 1;
        let change = Change::Begun { session: self.numbers, person: self.random.below(PEOPLE) };
        self.ask(node, Call::Commit(self.numbers, change));
        if self.now < QUIET {
            self.soon(S, Event::Login(node));
        }
    }

    fn asked(&mut self, node: usize) {
        self.soon(60 * MS, Event::Asked(node));
        let own = &self.nodes[node];
        // What comes to a process that stands still waits in its queue; enough of that is in flight already.
        if own.paused_until > self.now {
            return;
        }
        let live: Vec<u64> = own.copy.sessions.keys().rev().take(40).copied().collect();
        if live.is_empty() {
            return;
        }
        let session = live[self.random.below(live.len())];
        let serving = own.clock.at(self.now) < own.lease_until();
        if !serving || !own.copy.admits(session) {
            return;
        }
        let person = own.copy.sessions[&session].person;
        let left = if self.random.happens(2_000) { self.random.between(10, 60) } else { 1 };
        self.numbers += 1;
        let number = self.numbers;
        self.nodes[node].in_flight.insert(number, InFlight { session, person, dropped: false, left });
        self.next_piece(node, number);
    }

    fn next_piece(&mut self, node: usize, number: u64) {
        let life = self.nodes[node].life;
        let after = self.random.between(MS / 10, 500 * MS);
        self.at(self.now + after, Event::Piece(node, life, number));
    }

    /// The forward point: the last look, and then the byte, with nothing between.
    fn piece(&mut self, node: usize, number: u64) {
        let own = &mut self.nodes[node];
        let now = own.clock.at(self.now);
        let streams = self.terms.streams(now, own.lease_until());
        let Some(request) = own.in_flight.get_mut(&number) else { return };
        let checked = self.weakness != Weakness::NoForwardCheck;
        if request.dropped || checked && streams == Streams::Over {
            own.in_flight.remove(&number);
            return;
        }
        if checked && streams == Streams::Frozen {
            return self.next_piece(node, number);
        }
        request.left -= 1;
        let (session, left) = (request.session, request.left);
        self.record.forward(self.now, node, session);
        if left > 0 {
            return self.next_piece(node, number);
        }
        self.nodes[node].in_flight.remove(&number);
    }

    /// What is not as it must be when all has come to rest.
    pub fn unrest(&self) -> Vec<String> {
        let mut unrest = self.record.lost(&self.store);
        for (number, node) in self.nodes.iter().enumerate().take(SERVING) {
            if node.clock.at(self.now) >= node.lease_until() {
                unrest.push(format!("node {number} does not serve"));
            } else if node.copy != self.store.state {
                unrest.push(format!("node {number} is of another mind than the store"));
            }
        }
        let owed = self.wanted.iter().filter(|wanted| !wanted.acknowledged);
        unrest.extend(owed.map(|wanted| format!("{:?} was never acknowledged", wanted.change)));
        unrest
    }
}
