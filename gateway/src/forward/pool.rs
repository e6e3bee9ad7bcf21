//! Connections to endpoints: kept while idle, last in first out, one pool for each worker and endpoint. A connection serves one
//! request at a time, over HTTP/2 too, so that cutting it concerns nobody else.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ForwardError;
use super::activity::Activity;
use super::balance::{Balance, Draw};
use super::clock::in_ms;
use super::fleet::Fleet;
use super::held::Held;
use super::lease::Lease;
use super::share::Shares;
use super::stream::RequestBody;
use super::sweeper::{self, Sweeper};
use super::wire::{self, Sender};
use crate::config::Config;
use crate::live::{Dropped, Passage};

/// How long a connection is kept without use, in milliseconds: below the five seconds after which common servers close theirs.
const KEEP_IDLE_MS: u64 = 4_000;
/// How many idle connections a worker keeps for one endpoint: as many as a burst needs, or the next one would open them anew.
const MAX_IDLE: usize = 1_024;

/// What one person may have under way with an application unless it is configured: a tenth of its connections, within these.
const LEAST_SHARE: usize = 16;
const USUAL_SHARE: usize = 256;

/// How many connections a worker may have to the endpoints of one application.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Open connections to one upstream.
    connections: usize,
    /// What a client must send of a body on average, in bytes a second.
    pub(super) minimum_rate: u64,
    /// Exchanges of one person with one application, over all workers.
    pub(super) of_person: usize,
}

impl Bounds {
    /// The share of one worker and one application, of `borne` connections to upstreams that the process can bear.
    pub(crate) fn of_worker(config: &Config, borne: usize) -> Self {
        let of_upstream = config.limits.upstream_connections.min(borne / config.applications.len().max(1));
        let connections = of_upstream.div_ceil(config.server.workers.max(1)).max(1);
        let of_person = config.limits.upstream_connections_per_person;
        let of_person = of_person.unwrap_or_else(|| (of_upstream / 10).clamp(LEAST_SHARE, USUAL_SHARE));
        Self { connections, minimum_rate: config.limits.minimum_rate, of_person }
    }
}

/// The pools of one worker.
#[derive(Debug)]
pub(crate) struct Upstreams(pub(super) Arc<Pools>);

#[derive(Debug)]
pub(super) struct Pools {
    pub(super) sweeper: Sweeper,
    /// By the number of the application.
    pub(super) groups: Vec<Group>,
    pub(super) bounds: Bounds,
    pub(super) shares: Arc<Shares>,
}

/// The pools of one application.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) balance: Arc<Balance>,
    pub(super) draw: Draw,
    /// Connections that are open, idle ones and those of configurations before this one included.
    open: Arc<AtomicUsize>,
    /// Idle connections, by the number of the endpoint.
    idle: Vec<Mutex<Vec<Idle>>>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: Sender<RequestBody>,
    pub(super) activity: Arc<Activity>,
    _counted: Counted,
}

/// A connection between two uses. It stays under the passage that used it last until it is used again.
#[derive(Debug)]
struct Idle {
    since_ms: u64,
    held: Held,
}

/// One open connection, counted out when it closes.
#[derive(Debug)]
struct Counted {
    pools: Arc<Pools>,
    open: Arc<AtomicUsize>,
    number: Option<usize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
        if let Some(number) = self.number {
            self.pools.sweeper.leave(number);
        }
    }
}

impl Idle {
    /// Whether it is of no use any more. One on which the tail of an upload still moves may stay for as long as that moves.
    fn is_over(&self, now_ms: u64, patience: Duration) -> bool {
        let idle_ms = now_ms.saturating_sub(self.since_ms);
        let spent = idle_ms >= KEEP_IDLE_MS && (idle_ms >= in_ms(patience) || self.held.is_silent());
        spent || !self.held.is_ready()
    }
}

impl Upstreams {
    /// Of one worker; connections that it opened `before` go on, and count.
    pub(crate) fn new(fleet: &Fleet, bounds: Bounds, before: Option<&Self>) -> Self {
        let open_before = |balance: &Arc<Balance>| {
            let groups = before.map(|before| before.0.groups.as_slice()).unwrap_or_default();
            let name = &balance.application().name;
            groups
                .iter()
                .find(|group| group.balance.application().name == *name)
                .map(|group| group.open.clone())
        };
        let group = |balance: &Arc<Balance>| Group {
            balance: balance.clone(),
            draw: Draw::new(Arc::as_ptr(balance) as u64),
            open: open_before(balance).unwrap_or_default(),
            idle: balance.endpoints().iter().map(|_| Mutex::default()).collect(),
        };
        let groups = fleet.balances().iter().map(group).collect();
        Self(Arc::new(Pools { sweeper: Sweeper::default(), groups, bounds, shares: fleet.shares().clone() }))
    }
}

impl Pools {
    /// A connection to one endpoint of an application, tied to the passage: a kept one, or a new one when there is none or
    /// `fresh` is asked for.
    pub(super) async fn lease(
        self: &Arc<Self>,
        group_number: usize,
        endpoint: usize,
        passage: &Arc<Passage>,
    ) -> Result<Lease, ForwardError> {
        let group = self.groups.get(group_number).ok_or(ForwardError::NoUpstream)?;
        let (held, kept) = match group.take_idle(endpoint, passage)? {
            Some(held) => (held, true),
            None => (Held::new(self.open(group_number, endpoint).await?, passage)?, false),
        };
        let in_flight = group.balance.begin(endpoint);
        Ok(Lease::new(self.clone(), (group_number, endpoint), held, in_flight, kept))
    }

    async fn open(
        self: &Arc<Self>,
        group_number: usize,
        endpoint: usize,
    ) -> Result<Connection, ForwardError> {
        let group = self.groups.get(group_number).ok_or(ForwardError::NoUpstream)?;
        let upstream = &group.balance.application().upstream;
        let configured = upstream.endpoints.get(endpoint).ok_or(ForwardError::NoUpstream)?;
        let state = group.balance.endpoints().get(endpoint).ok_or(ForwardError::NoUpstream)?;
        let name = || configured.url.clone();
        let before = group.open.fetch_add(1, Ordering::AcqRel);
        let mut counted = Counted { pools: self.clone(), open: group.open.clone(), number: None };
        if before >= self.bounds.connections && !group.close_one_idle() {
            return Err(ForwardError::Busy(name()));
        }
        let connecting = async {
            let (wire, cutter) = wire::connect(configured, &state.addresses, upstream).await?;
            let sender = wire::speak(wire, configured.protocol).await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((sender, cutter))
        };
        let (sender, cutter) = wire::within(upstream.connect_timeout, connecting)
            .await
            .ok_or_else(|| ForwardError::ConnectTimeout(name(), upstream.connect_timeout))?
            .map_err(|error| ForwardError::Unreachable(name(), error))?;
        // Before anything is timed: while nothing was open, the worker's time stood still.
        sweeper::start(self);
        let activity = Arc::new(Activity::new(self.sweeper.clock.clone(), cutter));
        counted.number = Some(self.sweeper.enter(activity.clone()));
        Ok(Connection { sender, activity, _counted: counted })
    }

    /// Takes a connection back whose answer is whole.
    pub(super) fn keep(&self, (group, endpoint): (usize, usize), held: Held) {
        held.activity().rest();
        let Some(group) = self.groups.get(group) else { return };
        let Some(mut idle) = group.idle(endpoint) else { return };
        if idle.len() < MAX_IDLE {
            idle.push(Idle { since_ms: self.sweeper.clock.ms(), held });
        }
    }

    /// Closes what was idle for too long, or was closed by the other side.
    pub(super) fn close_idle(&self) {
        let now = self.sweeper.clock.ms();
        for group in &self.groups {
            let patience = group.balance.application().upstream.idle_timeout;
            for idle in (0..group.idle.len()).filter_map(|endpoint| group.idle(endpoint)) {
                // Closed after the lock is let go of.
                let mut idle = idle;
                let closed: Vec<Idle> = idle.extract_if(.., |kept| kept.is_over(now, patience)).collect();
                drop(idle);
                drop(closed);
            }
        }
    }
}

impl Group {
    fn idle(&self, endpoint: usize) -> Option<MutexGuard<'_, Vec<Idle>>> {
        self.idle.get(endpoint).map(|idle| idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes room for a connection to another endpoint.
    fn close_one_idle(&self) -> bool {
        let oldest = |mut idle: MutexGuard<'_, Vec<Idle>>| (!idle.is_empty()).then(|| idle.remove(0));
        (0..self.idle.len()).any(|endpoint| self.idle(endpoint).and_then(oldest).is_some())
    }

    fn take_idle(&self, endpoint: usize, passage: &Arc<Passage>) -> Result<Option<Held>, Dropped> {
        // Taken out of the lock before it is looked at: what cannot be used again is closed here.
        while let Some(kept) = self.idle(endpoint).and_then(|mut idle| idle.pop()) {
            if let Some(held) = kept.held.pass_on(passage)? {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }
}
