//! Ways to an upstream, on the real program: every kind of socket, several endpoints, what is sent again and what never is, how long
//! and how much; and that a deactivation cuts each kind. Headers are tested in `headers`, raw bytes in `attacks`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "test code"
)]

mod choice;
mod halves;
mod kinds;
mod limits;
mod paper;
mod reloads;
mod rig;
mod shares;
mod tails;
