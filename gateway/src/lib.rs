//! The gateway: an identity-aware reverse proxy.
//!
//! The modules stand in the order in which things happen; `ARCHITECTURE.md` tells the three walks.

pub mod cli;
pub mod config;
pub mod decision_log;
pub mod log;
pub mod serve;

// A request's way through.
mod admission;
mod assemble;
mod authorize;
mod body;
mod circumstances;
mod client_address;
mod cookies;
mod cors;
mod country;
mod credential;
mod descriptors;
mod forward;
mod forwarded;
mod gate;
mod gateway;
mod gather;
mod host;
mod identity_headers;
mod in_use;
mod listen;
mod metrics;
mod pipeline;
mod proxy_protocol;
mod reload;
mod request_id;
mod respond;
mod route;
mod session;
mod socket;
#[cfg(feature = "otel")]
mod telemetry;
mod tls;
mod trace_context;
mod upkeep;
mod verify;

// What is true now.
mod assertion;
mod causes;
mod limit;
mod live;
mod seal;

// What we ask of others, and what comes of it.
mod acme;
mod evaluation;
mod web_client;

// Our own endpoints.
mod access;
mod errand;
mod form;
mod inner;
mod login;
mod page_address;
mod query;
mod scim;
pub mod sidecar;
mod terminal;

// What must hold for any bytes.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
