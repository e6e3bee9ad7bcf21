//! The SCIM 2.0 service provider (RFC 7643, RFC 7644): takes what a provisioning client pushes and answers in its language.
//!
//! Sockets, TLS and the collecting of a body are left to the gateway; what lasts, and what a change does to live sessions, to the
//! store.

pub mod filter;
pub mod limits;

mod clean;
mod patch;
mod rejection;
mod schema;
