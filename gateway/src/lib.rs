//! The gateway: an identity-aware reverse proxy.
//!
//! The modules stand in the order in which a request meets them; `ARCHITECTURE.md` tells the three walks.

pub mod config;
pub mod host;

mod socket;
mod route;
