//! What goes wrong in a run, how often, and which part of the protocol is left out. Making it happen is left to the world.

use crate::random::Random;

/// A part of the protocol that a driver gets wrong. Each must be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// The protocol as it is.
    None,
    /// The 2xx follows the commit; members are told and not waited for.
    NoBarrier,
    /// A change is acknowledged while what it ends goes on.
    AckBeforeDrop,
    /// The writer believes in half a lease.
    EarlyFence,
    /// Only the decision looks at the lease, and what was decided is forwarded.
    NoForwardCheck,
    /// The state is read before the row is inserted.
    SnapshotFirst,
    /// Whoever was fenced keeps what was in flight.
    KeepInFlight,
    /// A crash of the store takes renewals back.
    RenewalsLost,
    /// The lease counts from the answer.
    FromReply,
}

pub const WEAKNESSES: [Weakness; 8] = [
    Weakness::NoBarrier,
    Weakness::AckBeforeDrop,
    Weakness::EarlyFence,
    Weakness::NoForwardCheck,
    Weakness::SnapshotFirst,
    Weakness::KeepInFlight,
    Weakness::RenewalsLost,
    Weakness::FromReply,
];

/// How often things go wrong: each number is a mean time between two of them, in milliseconds, or so many in ten thousand.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Messages that are lost, in ten thousand.
    pub loss: u64,
    /// Messages that take seconds, in ten thousand.
    pub late: u64,
    pub pause_every_ms: u64,
    pub restart_every_ms: u64,
    pub partition_every_ms: u64,
    pub crash_every_ms: u64,
}

impl Weather {
    /// A weather of its own for each run, from calm to awful.
    pub fn drawn(random: &mut Random) -> Self {
        let calm = random.between(1, 6);
        Self {
            loss: random.between(0, 500) / calm,
            late: random.between(0, 300) / calm,
            pause_every_ms: random.between(8_000, 20_000) * calm,
            restart_every_ms: random.between(15_000, 40_000) * calm,
            partition_every_ms: random.between(8_000, 20_000) * calm,
            crash_every_ms: random.between(15_000, 40_000) * calm,
        }
    }
}
