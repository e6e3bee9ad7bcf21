//! Sessions as the gateway asks for them: what it hands in, and why it may be refused. Whom a session belongs to is
//! left to `link`.

mod begin;
pub(crate) mod end;
mod purge;
mod renew;
mod used;

use crate::error::StoreError;
use crate::limits::TooLong;
use crate::model::{ApplicationSessionRecord, PersonId, Profile, SessionId, SessionRecord};
use crate::sql;
use crate::store::Store;
use rusqlite::Row;
use rusqlite::types::Type;
use std::sync::Arc;

pub use used::LastUses;

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
    /// The refresh token, sealed by the caller; none for a session that is not renewed.
    pub refresh: Option<Vec<u8>>,
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

/// What the provider says anew of the person of a live session.
#[derive(Clone)]
pub struct Renewal {
    /// The session.
    pub id: SessionId,
    /// As at the login: only if the provider says that it is verified.
    pub email: Option<String>,
    /// Addresses that are claimed without proof, as at the login. They join those that were claimed before.
    pub claimed: Vec<String>,
    /// The name to show.
    pub display_name: Option<String>,
    /// Names of groups, from the claim or the provider's API; where nothing was said of them, those that are known stay, as old as they are.
    pub groups: Option<Vec<String>>,
    /// The other claims, as JSON.
    pub claims_json: String,
    /// When the person proved who they are, in unix seconds.
    pub authenticated_at: i64,
    /// The present, in unix seconds.
    pub now: i64,
    /// Takes the place of what was sealed at the login; none leaves that.
    pub sealed: Option<Vec<u8>>,
}

/// Why a session was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewSessionError {
    /// There is no such session, or it ended.
    #[error("the session has ended")]
    Ended,
    /// Something is longer than the store keeps.
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
    /// The name of the program at a terminal that it is for; none for a browser.
    pub terminal: Option<String>,
    /// The present, in unix seconds.
    pub now: i64,
    /// When it will be over, in unix seconds; cut to the end of the parent.
    pub expires_at: i64,
    /// The SHA-256 of a second cookie, without which the first opens nothing.
    pub binding: Option<[u8; 32]>,
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
    /// Those of several sessions that no process on this store has used since a moment, as far as that was noted.
    Unused {
        /// The sessions; of more than [`limits::UNUSED_PER_WRITE`], the first.
        sessions: Vec<SessionId>,
        /// In unix seconds.
        since: i64,
    },
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

impl From<rusqlite::Error> for RenewSessionError {
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
     authenticated_at, told_at, begun_at, expires_at, person, end_reason, refresh IS NOT NULL, used_at \
     FROM sessions";

/// A query for application sessions, to be read by [`read_application_session`].
pub(crate) const APPLICATION_SESSION: &str =
    "SELECT id, parent, host, begun_at, expires_at, end_reason, binding, terminal FROM application_sessions";

pub(crate) fn read_session(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    let groups: String = row.get(5)?;
    Ok(SessionRecord {
        id: row.get(0)?,
        provider: row.get(1)?,
        subject: row.get(2)?,
        profile: Arc::new(Profile {
            email: row.get(3)?,
            display_name: row.get(4)?,
            groups: serde_json::from_str(&groups)
                .map_err(|cause| rusqlite::Error::FromSqlConversionFailure(5, Type::Text, cause.into()))?,
            claims_json: row.get(6)?,
            authenticated_at: row.get(7)?,
            told_at: row.get(8)?,
        }),
        begun_at: row.get(9)?,
        expires_at: row.get(10)?,
        person: row.get(11)?,
        ended: row.get(12)?,
        renewable: row.get(13)?,
        used_at: row.get(14)?,
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
        binding: row.get(6)?,
        terminal: row.get(7)?,
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

    /// What the caller sealed with a live session at its begin or renewal. An ended session has lost it.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn sealed(&self, id: SessionId) -> Result<Option<Vec<u8>>, StoreError> {
        let query = "SELECT sealed FROM sessions WHERE id = $1 AND end_reason IS NULL";
        self.read(|connection| Ok(sql::row(connection, query, [id], |row| row.get(0))?.flatten()))
    }

    /// The sealed refresh token of a live session. An ended session has lost it.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn refresh(&self, id: SessionId) -> Result<Option<Vec<u8>>, StoreError> {
        let query = "SELECT refresh FROM sessions WHERE id = $1 AND end_reason IS NULL";
        self.read(|connection| Ok(sql::row(connection, query, [id], |row| row.get(0))?.flatten()))
    }
}

#[cfg(test)]
mod tests;
