//! Sessions as the gateway asks for them: what it hands in, and why it may be refused. Whom a session belongs to is
//! left to `link`.

use crate::error::StoreError;
use crate::limits::TooLong;
use crate::model::{PersonId, SessionId};

/// A login that succeeded, about to become a session.
#[derive(Clone)]
pub struct NewSession {
    /// The SHA-256 of the token in the cookie.
    pub id: SessionId,
    /// The identity provider's configured name.
    pub provider: String,
    /// The `sub` at that provider.
    pub subject: String,
    /// The e-mail address, only if the provider says that it is verified.
    pub email: Option<String>,
    /// The name to show.
    pub display_name: Option<String>,
    /// Names of groups, from the claim or the provider's API.
    pub groups: Vec<String>,
    /// The other claims, as JSON.
    pub claims_json: String,
    /// When the person proved who they are, in unix seconds.
    pub authenticated_at: i64,
    /// The present, in unix seconds.
    pub now: i64,
    /// When the session will be over, in unix seconds.
    pub expires_at: i64,
    /// Tokens of the provider, sealed by the caller.
    pub sealed: Option<Vec<u8>>,
}

/// Whether somebody who stands in no directory may have a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioning {
    /// Only people of a directory.
    Required,
    /// Others too.
    Optional,
}

/// Why no session began.
#[derive(Debug, thiserror::Error)]
pub enum BeginSessionError {
    /// The person is deactivated.
    #[error("the person is deactivated")]
    Deactivated,
    /// The person stands in no directory, or in no certain way.
    #[error("the person is not provisioned")]
    NotProvisioned,
    /// Something in the login is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A session about to be carried over to an application's host.
#[derive(Clone, Debug)]
pub struct NewApplicationSession {
    /// The SHA-256 of the token in that host's cookie.
    pub id: SessionId,
    /// The session that it is part of.
    pub parent: SessionId,
    /// The application's host.
    pub host: String,
    /// The present, in unix seconds.
    pub now: i64,
    /// When it will be over, in unix seconds; cut to the end of the parent.
    pub expires_at: i64,
}

/// Why no application session began.
#[derive(Debug, thiserror::Error)]
pub enum BeginApplicationSessionError {
    /// The session it would be part of ended, expired, or never was.
    #[error("the session has ended")]
    ParentEnded,
    /// The host is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which sessions to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndWhat {
    /// One session, everywhere.
    Session(SessionId),
    /// One application session alone.
    ApplicationSession(SessionId),
    /// All sessions of a person of a directory.
    Person(PersonId),
    /// All sessions of a `sub` of a provider.
    Subject {
        /// The identity provider's configured name.
        provider: String,
        /// The `sub` at that provider.
        subject: String,
    },
}
