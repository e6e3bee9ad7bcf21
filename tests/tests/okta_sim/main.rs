//! The Okta simulator, asked over plain sockets: it must itself be right before the gateway is judged by it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code: a surprise must stop the test, loudly and at once"
)]

mod wire;

mod sign_in;
mod tokens;

mod outside;

mod users_api;

mod scim;
mod sink;

mod admin;
mod faults;
