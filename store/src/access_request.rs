//! Temporary access: somebody asks for it, an approver grants it until a time or refuses it, and it ends. A grant is the
//! person's and not their session's; it dies when they are deactivated or deleted. Who may approve is left to the policies,
//! asking and answering to `answer`, the ends that come by themselves to `over`.

mod answer;
mod over;

use crate::error::StoreError;
use crate::limits::{self, TooLong, sql_count};
use crate::model::{PersonId, SessionId};
use crate::sql;
use crate::store::Store;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row};
use std::sync::Arc;

pub(crate) use over::{Theirs, end_of_person, end_of_session, purge};

/// One request for access, from the question to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    /// Names it, and opens nothing.
    pub id: String,
    /// The identity provider of whoever asked.
    pub provider: String,
    /// Their `sub` there.
    pub subject: String,
    /// Their verified e-mail address when they asked.
    pub email: Option<String>,
    /// The person of a directory whom they were when they asked.
    pub person: Option<PersonId>,
    /// The application's name.
    pub application: String,
    /// The policy that asks for an approval.
    pub policy: String,
    /// Why, in their words.
    pub reason: String,
    /// For how long they asked, in seconds.
    pub wanted_s: i64,
    /// When, in unix seconds.
    pub asked_at: i64,
    /// How it stands.
    pub state: AccessState,
    /// Who granted or refused it.
    pub decided_by: Option<String>,
    /// When, in unix seconds.
    pub decided_at: Option<i64>,
    /// From when on a grant is worth nothing, in unix seconds.
    pub until: Option<i64>,
    /// Who or what ended it before its time.
    pub ended_by: Option<String>,
    /// When it ended, in unix seconds.
    pub ended_at: Option<i64>,
}

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessState {
    /// Nobody has answered.
    Waiting,
    /// It was granted; it is in force until its time is over.
    Granted,
    /// It was refused.
    Refused,
    /// It was taken back, or nobody answered for too long.
    Withdrawn,
    /// It was granted, and is over.
    Ended,
}

/// What an approver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessDecision {
    /// Access until a time, in unix seconds.
    Grant {
        /// From then on it is worth nothing.
        until: i64,
    },
    /// No access.
    Refuse,
}

/// Who answers, or ends a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    /// What the log calls them.
    pub name: String,
    /// Their session, which must be live, and not of whoever asked; none for an administrator on the machine.
    pub session: Option<SessionId>,
}

/// A request about to be made, by a live session.
#[derive(Clone, Debug)]
pub struct NewAccessRequest {
    /// Whose it is.
    pub session: SessionId,
    /// The application's name.
    pub application: String,
    /// The policy that asks for an approval.
    pub policy: String,
    /// Why.
    pub reason: String,
    /// For how long, in seconds.
    pub wanted_s: i64,
    /// The present, in unix seconds.
    pub now: i64,
}

/// Why a request was not made or not answered.
#[derive(Debug, thiserror::Error)]
pub enum AccessRequestError {
    /// The session ended, expired, or never was.
    #[error("the session has ended")]
    SessionEnded,
    /// There is no such request.
    #[error("no request for access is named `{0}`")]
    NotFound(String),
    /// It was answered, taken back, or is over.
    #[error("the request for access is {} already", .0.as_str())]
    Over(AccessState),
    /// The same subject waits for the same already.
    #[error("a request for the same access waits already")]
    WaitsAlready,
    /// Whoever asks does not answer.
    #[error("nobody grants access to themselves")]
    OwnRequest,
    /// The subject has as many waiting requests as may be, or all have together.
    #[error("too many requests for access wait already")]
    TooMany,
    /// The grant would be over before it began.
    #[error("the grant would be over from the beginning")]
    Expired,
    /// A text is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for AccessRequestError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Store(cause.into())
    }
}

impl AccessRequest {
    /// Whether it lets its person in at that time.
    #[must_use]
    pub fn is_in_force(&self, now: i64) -> bool {
        self.state == AccessState::Granted && self.until.is_some_and(|until| now < until)
    }
}

impl AccessState {
    const ALL: [Self; 5] = [Self::Waiting, Self::Granted, Self::Refused, Self::Withdrawn, Self::Ended];

    /// The word that is stored, logged and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Ended => "ended",
        }
    }
}

impl ToSql for AccessState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.as_str().to_sql()
    }
}

impl FromSql for AccessState {
    /// A word that nobody knows, from a newer program, opens nothing.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        Ok(Self::ALL.into_iter().find(|state| state.as_str() == word).unwrap_or(Self::Ended))
    }
}

impl Store {
    /// The requests that wait or are in force, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn open_access_requests(&self, now: i64) -> Result<Vec<AccessRequest>, StoreError> {
        self.read(|connection| {
            let query = format!(
                "{REQUEST} WHERE (state = 'waiting' AND asked_at > $1) OR (state = 'granted' AND until > $2) \
                 ORDER BY asked_at, id LIMIT $3"
            );
            let (since, most) =
                (now.saturating_sub(limits::REQUEST_WAITS_S), sql_count(limits::REQUESTS_LISTED));
            Ok(sql::rows(connection, &query, (since, now, most), read_request)?)
        })
    }

    /// One request, however it stands.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn access_request(&self, id: &str) -> Result<Option<AccessRequest>, StoreError> {
        self.read(|connection| Ok(one(connection, id)?))
    }

    /// The newest requests, however they stand, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn access_requests(&self) -> Result<Vec<AccessRequest>, StoreError> {
        self.read(|connection| {
            let query = format!("{REQUEST} ORDER BY asked_at DESC, id LIMIT $1");
            Ok(sql::rows(connection, &query, [sql_count(limits::REQUESTS_LISTED)], read_request)?)
        })
    }

    /// The newest request of a subject for one application by one policy.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn newest_access_request(
        &self,
        (provider, subject): (&str, &str),
        (application, policy): (&str, &str),
    ) -> Result<Option<AccessRequest>, StoreError> {
        self.read(|connection| {
            let query = format!(
                "{REQUEST} WHERE provider = $1 AND subject = $2 AND application = $3 AND policy = $4 \
                 ORDER BY asked_at DESC, id DESC LIMIT 1"
            );
            Ok(sql::row(connection, &query, (provider, subject, application, policy), read_request)?)
        })
    }
}

const REQUEST: &str = "SELECT id, provider, subject, email, person, application, policy, reason, wanted_s, asked_at, \
     state, decided_by, decided_at, until, ended_by, ended_at FROM access_requests";

fn read_request(row: &Row<'_>) -> rusqlite::Result<AccessRequest> {
    Ok(AccessRequest {
        id: row.get(0)?,
        provider: row.get(1)?,
        subject: row.get(2)?,
        email: row.get(3)?,
        person: row.get(4)?,
        application: row.get(5)?,
        policy: row.get(6)?,
        reason: row.get(7)?,
        wanted_s: row.get(8)?,
        asked_at: row.get(9)?,
        state: row.get(10)?,
        decided_by: row.get(11)?,
        decided_at: row.get(12)?,
        until: row.get(13)?,
        ended_by: row.get(14)?,
        ended_at: row.get(15)?,
    })
}

/// One request, however it stands.
pub(crate) fn one(connection: &Connection, id: &str) -> rusqlite::Result<Option<AccessRequest>> {
    sql::row(connection, &format!("{REQUEST} WHERE id = $1"), [id], read_request)
}

/// Those that are granted and not known to be over, by id.
pub(crate) fn granted(connection: &Connection) -> rusqlite::Result<Vec<Arc<AccessRequest>>> {
    sql::rows(connection, &format!("{REQUEST} WHERE state = 'granted' ORDER BY id"), [], |row| {
        read_request(row).map(Arc::new)
    })
}

#[cfg(test)]
mod tests;
