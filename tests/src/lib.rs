//! Everything the tests need around the gateway: an Okta, an upstream, a browser, and the harness that starts the real
//! program between them. The tests themselves live in `tests/`; nothing here is part of the product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "test code: a surprise must stop the test, loudly and at once"
)]

mod arrival;
pub mod bench;
pub mod browser;
pub mod country_file;
pub mod demo;
pub mod faults;
pub mod handshake;
pub mod harness;
pub mod http2_upstream;
pub mod okta;
pub mod outside;
pub mod people;
pub mod upstream;
