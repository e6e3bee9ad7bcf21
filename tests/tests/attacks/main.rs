//! Attack cases against the real program: raw bytes go in over TLS, and an upstream that records raw bytes tells what came out
//! at the other end, or that nothing did. Each test is named after its case; `ledger` lists all cases and where each stands.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    reason = "test code"
)]

mod frames;
mod ledger;
mod rig;
mod scripted;
mod wire;

mod path;
mod property;

mod host;

mod identity;

mod floods;
mod framing;

mod surface;
