//! The SCIM service provider from outside: every request goes through `ScimSink::respond`, over a store of its own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail by a panic"
)]

mod any_body;
mod bulk;
mod cursors;
mod dialects;
mod directories;
mod discovery;
mod errors;
mod groups;
mod guides;
mod limits;
mod listing;
mod okta_spec;
mod rig;
mod users;
