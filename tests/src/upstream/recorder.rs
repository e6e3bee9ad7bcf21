//! Remembers every byte an upstream received or sent, whose it was and when. It decides nothing; tests ask it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::Keep;

/// Which way a chunk went, seen from the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the gateway; `at` is the kernel's time of arrival.
    Received,
    /// Towards the gateway; `at` is the moment before the write.
    Sent,
}

/// One run of bytes of one request, or of the tunnel it became.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Received or sent.
    pub direction: Direction,
    /// The e-mail in the identity header of the request, lower case; `None` for bytes of no complete request head.
    pub person: Option<Arc<str>>,
    /// Number of the connection, counted from 1.
    pub connection: u64,
    /// The request target, as received.
    pub path: Arc<str>,
    /// When, on the monotonic clock.
    pub at: Instant,
    /// How many bytes.
    pub len: usize,
    /// The bytes, when the recorder keeps them.
    pub bytes: Option<Bytes>,
}

/// Whose request bytes belong to.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) person: Option<Arc<str>>,
    pub(crate) path: Arc<str>,
}

impl Owner {
    /// For bytes before a complete head.
    pub(crate) fn nobody() -> Self {
        Self { person: None, path: Arc::from("") }
    }
}

/// The record, shared by all connections of one upstream.
#[derive(Debug, Clone)]
pub struct Recorder {
    keep: Keep,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    connections: u64,
    chunks: Vec<Chunk>,
}

impl Recorder {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { keep, state: Arc::default() }
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.with(|state| {
            state.connections += 1;
            state.connections
        })
    }

    pub(crate) fn note(
        &self,
        direction: Direction,
        owner: &Owner,
        connection: u64,
        at: Instant,
        bytes: &[u8],
    ) {
        if self.keep == Keep::Nothing {
            return;
        }
        let kept = (self.keep == Keep::Bytes).then(|| Bytes::copy_from_slice(bytes));
        let chunk = Chunk {
            direction,
            person: owner.person.clone(),
            connection,
            path: Arc::clone(&owner.path),
            at,
            len: bytes.len(),
            bytes: kept,
        };
        self.with(|state| state.chunks.push(chunk));
    }

    /// How many bytes of `person` arrived later than `instant`. The promise of a deactivation is that this is zero.
    #[must_use]
    pub fn bytes_after(&self, person: &str, instant: Instant) -> u64 {
        self.received_after(person, instant).iter().map(|chunk| chunk.len as u64).sum()
    }

    /// The chunks behind [`Recorder::bytes_after`], to say which ones they were.
    #[must_use]
    pub fn received_after(&self, person: &str, instant: Instant) -> Vec<Chunk> {
        self.select(|c| c.direction == Direction::Received && is(c, person) && c.at > instant)
    }

    /// What was sent to `person` later than `instant`: the upstream may write until it learns that it was cut off.
    #[must_use]
    pub fn sent_after(&self, person: &str, instant: Instant) -> Vec<Chunk> {
        self.select(|c| c.direction == Direction::Sent && is(c, person) && c.at > instant)
    }

    /// Everything of one person, in the order in which it was noted.
    #[must_use]
    pub fn of(&self, person: &str) -> Vec<Chunk> {
        self.select(|c| is(c, person))
    }

    /// Received bytes that belong to no complete request head, or to a request without an identity header.
    #[must_use]
    pub fn unattributed(&self) -> Vec<Chunk> {
        self.select(|c| c.direction == Direction::Received && c.person.is_none())
    }

    /// Everything.
    #[must_use]
    pub fn all(&self) -> Vec<Chunk> {
        self.select(|_| true)
    }

    /// The raw bytes received on one connection, in order; empty when bytes are not kept.
    #[must_use]
    pub fn raw_received(&self, connection: u64) -> Vec<u8> {
        let chunks = self.select(|c| c.direction == Direction::Received && c.connection == connection);
        chunks.into_iter().filter_map(|chunk| chunk.bytes).flatten().collect()
    }

    /// The raw bytes received on all connections whose chunks satisfy `path`, for tests that look for one forged byte.
    #[must_use]
    pub fn raw_received_for(&self, path: &str) -> Vec<u8> {
        let chunks = self.select(|c| c.direction == Direction::Received && c.path.as_ref() == path);
        chunks.into_iter().filter_map(|chunk| chunk.bytes).flatten().collect()
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.with(|state| state.connections)
    }

    /// Forgets the chunks; connections keep their numbers.
    pub fn clear(&self) {
        self.with(|state| state.chunks.clear());
    }

    fn select(&self, wanted: impl Fn(&Chunk) -> bool) -> Vec<Chunk> {
        self.with(|state| state.chunks.iter().filter(|chunk| wanted(chunk)).cloned().collect())
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is(chunk: &Chunk, person: &str) -> bool {
    chunk.person.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(person))
}
