//! The SCIM 2.0 service provider (RFC 7643, RFC 7644): takes what a provisioning client pushes and answers in its language.
//!
//! Sockets, TLS and the collecting of a body are left to the gateway; what lasts, and what a change does to live sessions, to the
//! store.

// The walk of a request.
mod answer;
mod authenticate;
mod request;
mod route;
mod sink;

// Its operations.
mod bulk;
mod discovery;
mod groups;
mod list_query;
mod listing;
mod members;
mod projection;
mod provisioning_log;
mod rejection;
mod rules;
mod search;
mod users;

// Resources as documents.
mod beyond;
mod clean;
mod group;
pub mod limits;
mod patch;
mod schema;
mod user;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

use portcullis_filter as filter;

pub use limits::MAX_BODY_BYTES;
pub use provisioning_log::TARGET as PROVISIONING_LOG_TARGET;
pub use rules::{AttributeError, RequiredAttribute, UserRules};
pub use schema::user_case_exact;
pub use sink::{DirectorySettings, ScimSink};
