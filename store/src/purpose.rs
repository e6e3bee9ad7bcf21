//! Why somebody uses an application, as they said when they were asked: kept once for each login and application, and
//! forgotten with the login. Who is asked is left to the policies.

use crate::change::Change;
use crate::error::StoreError;
use crate::limits::{self, TooLong, sql_count, within};
use crate::model::SessionId;
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use rusqlite::Connection;
use std::sync::Arc;

/// What somebody has said in one login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purposes {
    /// The login.
    pub session: SessionId,
    /// By application, sorted.
    pub given: Arc<[GivenPurpose]>,
}

/// Why they use one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPurpose {
    /// The application's name.
    pub application: String,
    /// Their words.
    pub purpose: String,
}

/// Why a purpose was not kept.
#[derive(Debug, thiserror::Error)]
pub enum PurposeError {
    /// The session ended, expired, or never was.
    #[error("the session has ended")]
    SessionEnded,
    /// The session has as many as may be.
    #[error("the session has given {} purposes already", limits::PURPOSES_PER_SESSION)]
    TooMany,
    /// A text is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for PurposeError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Store(cause.into())
    }
}

impl Store {
    /// Keeps why somebody uses an application, for the rest of a live session. Who says it again says it anew.
    ///
    /// # Errors
    /// [`PurposeError`]; nothing is kept then.
    pub async fn give_purpose(
        &self,
        session: SessionId,
        application: &str,
        purpose: &str,
        now: i64,
    ) -> Result<(), PurposeError> {
        within("application", application.len(), limits::NAME_BYTES)?;
        within("purpose", purpose.len(), limits::PURPOSE_BYTES)?;
        let (application, purpose) = (application.to_owned(), purpose.to_owned());
        self.write(move |transaction| give(transaction, session, &application, &purpose, now)).await
    }

    /// What somebody said, and when; none when they were not asked.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn purpose(
        &self,
        session: SessionId,
        application: &str,
    ) -> Result<Option<(String, i64)>, StoreError> {
        self.read(|connection| {
            Ok(sql::row(
                connection,
                "SELECT purpose, given_at FROM purposes WHERE session = $1 AND application = $2",
                (session, application),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?)
        })
    }
}

fn give(
    transaction: &mut WriteTransaction<'_>,
    session: SessionId,
    application: &str,
    purpose: &str,
    now: i64,
) -> Result<(), PurposeError> {
    let connection = transaction.connection;
    let live: Option<i64> = sql::row(
        connection,
        "SELECT expires_at FROM sessions WHERE id = $1 AND end_reason IS NULL AND expires_at > $2",
        (session, now),
        |row| row.get(0),
    )?;
    if live.is_none() {
        return Err(PurposeError::SessionEnded);
    }
    sql::run(
        connection,
        "INSERT INTO purposes (session, application, purpose, given_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (session, application) DO UPDATE SET purpose = $3, given_at = $4",
        (session, application, purpose, now),
    )?;
    let purposes = of(connection, session)?;
    if purposes.given.len() > limits::PURPOSES_PER_SESSION {
        return Err(PurposeError::TooMany);
    }
    Ok(transaction.emit(Change::Purposes(purposes), now)?)
}

/// Those of one session.
pub(crate) fn of(connection: &Connection, session: SessionId) -> rusqlite::Result<Purposes> {
    let given: Vec<GivenPurpose> = sql::rows(
        connection,
        "SELECT application, purpose FROM purposes WHERE session = $1 ORDER BY application LIMIT $2",
        (session, sql_count(limits::PURPOSES_PER_SESSION + 1)),
        |row| Ok(GivenPurpose { application: row.get(0)?, purpose: row.get(1)? }),
    )?;
    Ok(Purposes { session, given: given.into() })
}

/// Those of all sessions, by session.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<Purposes>> {
    let rows: Vec<(SessionId, GivenPurpose)> = sql::rows(
        connection,
        "SELECT session, application, purpose FROM purposes ORDER BY session, application",
        [],
        |row| Ok((row.get(0)?, GivenPurpose { application: row.get(1)?, purpose: row.get(2)? })),
    )?;
    let of_one_session = rows.chunk_by(|(one, _), (other, _)| one == other);
    let purposes = of_one_session.filter_map(|rows| {
        let (session, _) = rows.first()?;
        let given = rows.iter().map(|(_, given)| given.clone()).collect();
        Some(Purposes { session: *session, given })
    });
    Ok(purposes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Model, login, new_store, session_id};
    use crate::{EndReason, EndWhat, Provisioning};

    async fn logged_in() -> (crate::testing::Folder, Store, Arc<Model>) {
        let (folder, store) = new_store().await;
        let model = Arc::new(Model::default());
        store.follow(model.clone()).await.unwrap();
        store.begin_session(login(1, "00u1", None), Provisioning::Optional).await.unwrap();
        model.told();
        (folder, store, model)
    }

    fn purposes(given: &[(&str, &str)]) -> Change {
        let one = |(application, purpose): &(&str, &str)| GivenPurpose {
            application: (*application).to_owned(),
            purpose: (*purpose).to_owned(),
        };
        Change::Purposes(Purposes { session: session_id(1), given: given.iter().map(one).collect() })
    }

    #[tokio::test]
    async fn a_purpose_is_told_kept_and_forgotten_with_its_session() {
        let (_folder, store, model) = logged_in().await;
        store.give_purpose(session_id(1), "wiki", "Ticket 7", 2).await.unwrap();
        store.give_purpose(session_id(1), "canteen", "Lunch", 3).await.unwrap();
        store.give_purpose(session_id(1), "wiki", "Ticket 8", 4).await.unwrap();
        let told = [
            purposes(&[("wiki", "Ticket 7")]),
            purposes(&[("canteen", "Lunch"), ("wiki", "Ticket 7")]),
            purposes(&[("canteen", "Lunch"), ("wiki", "Ticket 8")]),
        ];
        assert_eq!(model.told(), told);
        assert_eq!(store.purpose(session_id(1), "wiki").unwrap(), Some(("Ticket 8".to_owned(), 4)));
        assert_eq!(store.purpose(session_id(1), "payroll").unwrap(), None);
        assert_eq!(model.snapshot(), store.snapshot().unwrap());
        store.purge_expired(5_000).await.unwrap();
        assert_eq!(store.purpose(session_id(1), "wiki").unwrap(), None);
        assert_eq!(model.snapshot(), store.snapshot().unwrap());
    }

    #[tokio::test]
    async fn an_ended_session_gives_no_purpose() {
        let (_folder, store, model) = logged_in().await;
        let late = store.give_purpose(session_id(1), "wiki", "x", 1_000).await;
        assert!(matches!(late, Err(PurposeError::SessionEnded)));
        store.end_sessions(EndWhat::Session(session_id(1)), EndReason::Revoked, 2).await.unwrap();
        model.told();
        for unknown in [session_id(1), session_id(2)] {
            let refused = store.give_purpose(unknown, "wiki", "x", 3).await;
            assert!(matches!(refused, Err(PurposeError::SessionEnded)));
        }
        assert!(model.told().is_empty());
    }

    #[tokio::test]
    async fn what_is_over_a_limit_is_not_kept() {
        let (_folder, store, model) = logged_in().await;
        let give = |application: String, text: String| {
            let store = store.clone();
            async move { store.give_purpose(session_id(1), &application, &text, 2).await }
        };
        let long = "p".repeat(limits::PURPOSE_BYTES);
        give("wiki".to_owned(), long.clone()).await.unwrap();
        assert!(matches!(give("wiki".to_owned(), long + "p").await, Err(PurposeError::TooLong(_))));
        let name = "n".repeat(limits::NAME_BYTES + 1);
        assert!(matches!(give(name, "x".to_owned()).await, Err(PurposeError::TooLong(_))));
        for number in 1..limits::PURPOSES_PER_SESSION {
            give(format!("application {number}"), "x".to_owned()).await.unwrap();
        }
        assert!(matches!(give("more".to_owned(), "x".to_owned()).await, Err(PurposeError::TooMany)));
        give("wiki".to_owned(), "again".to_owned()).await.unwrap();
        assert_eq!(model.snapshot(), store.snapshot().unwrap());
    }
}
