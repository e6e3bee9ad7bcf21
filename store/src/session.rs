//! Sessions as the gateway asks for them: what it hands in, and why it may be refused. Whom a session belongs to is
//! left to `link`.

mod begin;
pub(crate) mod end;
mod purge;

use crate::error::StoreError;
use crate::limits::TooLong;
use crate::model::{ApplicationSessionRecord, PersonId, SessionId, SessionRecord};
use crate::sql;
use crate::store::Store;
use rusqlite::Row;
use rusqlite::types::Type;

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
    /// Addresses that the login claims without proof: an unverified e-mail address, the `preferred_username`. They
    /// never link the session to a person; they refuse it, or end it, when one is a deactivated person's.
    pub claimed: Vec<String>,
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

impl From<rusqlite::Error> for BeginSessionError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Store(cause.into())
    }
}

impl From<rusqlite::Error> for BeginApplicationSessionError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Store(cause.into())
    }
}

/// A query for sessions, to be read by [`read_session`].
pub(crate) const SESSION: &str = "SELECT id, provider, subject, email, display_name, group_names, claims, \
     authenticated_at, begun_at, expires_at, person, end_reason FROM sessions";

/// A query for application sessions, to be read by [`read_application_session`].
pub(crate) const APPLICATION_SESSION: &str =
    "SELECT id, parent, host, begun_at, expires_at, end_reason FROM application_sessions";

pub(crate) fn read_session(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    let groups: String = row.get(5)?;
    Ok(SessionRecord {
        id: row.get(0)?,
        provider: row.get(1)?,
        subject: row.get(2)?,
        email: row.get(3)?,
        display_name: row.get(4)?,
        groups: serde_json::from_str(&groups)
            .map_err(|cause| rusqlite::Error::FromSqlConversionFailure(5, Type::Text, cause.into()))?,
        claims_json: row.get(6)?,
        authenticated_at: row.get(7)?,
        begun_at: row.get(8)?,
        expires_at: row.get(9)?,
        person: row.get(10)?,
        ended: row.get(11)?,
    })
}

pub(crate) fn read_application_session(row: &Row<'_>) -> rusqlite::Result<ApplicationSessionRecord> {
    Ok(ApplicationSessionRecord {
        id: row.get(0)?,
        parent: row.get(1)?,
        host: row.get(2)?,
        begun_at: row.get(3)?,
        expires_at: row.get(4)?,
        ended: row.get(5)?,
    })
}

impl Store {
    /// A session, live or ended, until it is forgotten.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn session(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.read(|connection| {
            Ok(sql::row(connection, &format!("{SESSION} WHERE id = $1"), [id], read_session)?)
        })
    }

    /// What the caller sealed with a live session. An ended session has lost it.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn sealed(&self, id: SessionId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|connection| {
            Ok(sql::row(
                connection,
                "SELECT sealed FROM sessions WHERE id = $1 AND end_reason IS NULL",
                [id],
                |row| row.get(0),
            )?
            .flatten())
        })
    }
}

#[cfg(test)]
mod tests;
