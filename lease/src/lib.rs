//! The lease protocol: which process may serve now, and when a change is in force in every process. Pure: time and answers come in,
//! what to ask comes out; reading clocks, talking to a store and cutting streams are left to whoever drives it.
//!
//! Several processes serve from one store. Each is a [`Member`]: it has a row there, renews it, applies every change in its order,
//! and says how far it is. It may serve until its lease ends on its own clock, counted from the moment at which it *sent* the last renewal
//! that was answered. Whoever writes holds a [`Barrier`]: a change is in force when every member has acknowledged it, is gone, or was seen
//! with an unchanged row for so long, on the writer's own clock, that its lease is over; such a row is then deleted, and its owner finds
//! that it was fenced. What the two need of a store is an [`Engine`].
//!
//! The model in `tests/model` drives this code through delays, losses, pauses, crashes and drifting clocks, and looks for
//! anything that is forwarded for somebody whose deactivation was acknowledged.

mod barrier;
mod engine;
mod member;
mod terms;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use barrier::{Awaited, Barrier, Look, Overdue};
pub use engine::{Engine, Epoch, Joined, MemberId, Position, Renewed, Row};
pub use member::{Join, Load, Loss, Member, Reaction, Renewal, Step};
pub use terms::{Moment, Streams, Terms};
