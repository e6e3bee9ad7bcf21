//! Asking for access and answering: each in one transaction with the look at whoever does it.

use super::over;
use super::{AccessDecision, AccessRequest, AccessRequestError, AccessState, Decider, NewAccessRequest, one};
use crate::change::Change;
use crate::limits::{self, sql_count, within};
use crate::model::{PersonId, SessionId};
use crate::random;
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use rusqlite::Connection;
use std::sync::Arc;

impl Store {
    /// Asks for access, as the subject of a live session.
    ///
    /// # Errors
    /// [`AccessRequestError`]; nothing is asked then.
    pub async fn ask_for_access(&self, asked: NewAccessRequest) -> Result<AccessRequest, AccessRequestError> {
        within("application", asked.application.len(), limits::NAME_BYTES)?;
        within("policy", asked.policy.len(), limits::NAME_BYTES)?;
        within("reason", asked.reason.len(), limits::REASON_BYTES)?;
        self.write(move |transaction| ask(transaction, asked)).await
    }

    /// Answers a request that waits. A grant is in force for every session of the subject when this returns.
    ///
    /// # Errors
    /// [`AccessRequestError`]; nothing is changed then.
    pub async fn decide_access(
        &self,
        id: &str,
        decision: AccessDecision,
        by: Decider,
        now: i64,
    ) -> Result<AccessRequest, AccessRequestError> {
        within("name", by.name.len(), limits::EMAIL_BYTES)?;
        let id = id.to_owned();
        self.write(move |transaction| decide(transaction, &id, decision, &by, now)).await
    }

    /// Ends a grant before its time. What it had open is cut when this returns.
    ///
    /// # Errors
    /// [`AccessRequestError`]; nothing is changed then.
    pub async fn end_access(
        &self,
        id: &str,
        by: Decider,
        now: i64,
    ) -> Result<AccessRequest, AccessRequestError> {
        within("name", by.name.len(), limits::EMAIL_BYTES)?;
        let id = id.to_owned();
        self.write(move |transaction| {
            let before = existing(transaction.connection, &id)?;
            if !before.is_in_force(now) {
                return Err(AccessRequestError::Over(before.state));
            }
            check_session(transaction.connection, by.session, now)?;
            let ended = AccessRequest {
                state: AccessState::Ended,
                ended_by: Some(by.name),
                ended_at: Some(now),
                ..before
            };
            Ok(replace(transaction, ended, now)?)
        })
        .await
    }

    /// Takes back a request that waits: only the subject who made it does that.
    ///
    /// # Errors
    /// [`AccessRequestError`]; nothing is changed then.
    pub async fn withdraw_access(
        &self,
        id: &str,
        session: SessionId,
        now: i64,
    ) -> Result<AccessRequest, AccessRequestError> {
        let id = id.to_owned();
        self.write(move |transaction| {
            let before = existing(transaction.connection, &id)?;
            let asker = live(transaction.connection, session, now)?;
            if !asker.is_subject_of(&before) {
                return Err(AccessRequestError::NotFound(id));
            }
            if before.state != AccessState::Waiting {
                return Err(AccessRequestError::Over(before.state));
            }
            let withdrawn = AccessRequest { state: AccessState::Withdrawn, ended_at: Some(now), ..before };
            Ok(replace(transaction, withdrawn, now)?)
        })
        .await
    }
}

fn existing(connection: &Connection, id: &str) -> Result<AccessRequest, AccessRequestError> {
    one(connection, id)?.ok_or_else(|| AccessRequestError::NotFound(id.to_owned()))
}

/// Whose a live session is.
struct Subject {
    provider: String,
    subject: String,
    email: Option<String>,
    person: Option<PersonId>,
}

impl Subject {
    fn is_subject_of(&self, request: &AccessRequest) -> bool {
        self.provider == request.provider && self.subject == request.subject
    }

    /// Whether it may be the same human being: by login, by the directory, or by a verified address.
    fn may_be_asker_of(&self, request: &AccessRequest) -> bool {
        self.is_subject_of(request)
            || self.person.is_some() && self.person == request.person
            || self.email.is_some() && self.email == request.email
    }
}

fn live(connection: &Connection, session: SessionId, now: i64) -> Result<Subject, AccessRequestError> {
    sql::row(
        connection,
        "SELECT provider, subject, email, person FROM sessions \
         WHERE id = $1 AND end_reason IS NULL AND expires_at > $2",
        (session, now),
        |row| {
            Ok(Subject {
                provider: row.get(0)?,
                subject: row.get(1)?,
                email: row.get(2)?,
                person: row.get(3)?,
            })
        },
    )?
    .ok_or(AccessRequestError::SessionEnded)
}

fn check_session(
    connection: &Connection,
    session: Option<SessionId>,
    now: i64,
) -> Result<Option<Subject>, AccessRequestError> {
    session.map(|session| live(connection, session, now)).transpose()
}

fn ask(
    transaction: &mut WriteTransaction<'_>,
    asked: NewAccessRequest,
) -> Result<AccessRequest, AccessRequestError> {
    let (connection, now) = (transaction.connection, asked.now);
    let Subject { provider, subject, email, person } = live(connection, asked.session, now)?;
    let since = now.saturating_sub(limits::REQUEST_WAITS_S);
    let waiting: Vec<(String, String)> = sql::rows(
        connection,
        "SELECT application, policy FROM access_requests \
         WHERE provider = $1 AND subject = $2 AND state = 'waiting' AND asked_at > $3",
        (&provider, &subject, since),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if waiting
        .iter()
        .any(|(application, policy)| *application == asked.application && *policy == asked.policy)
    {
        return Err(AccessRequestError::WaitsAlready);
    }
    let all: Option<i64> = sql::row(
        connection,
        "SELECT count(*) FROM access_requests WHERE state = 'waiting' AND asked_at > $1",
        [since],
        |row| row.get(0),
    )?;
    if waiting.len() >= limits::WAITING_REQUESTS_PER_SUBJECT
        || all.unwrap_or(i64::MAX) >= sql_count(limits::WAITING_REQUESTS)
    {
        return Err(AccessRequestError::TooMany);
    }
    over::forget_oldest(connection, &provider, &subject)?;
    let request = AccessRequest {
        id: random::uuid()?,
        provider,
        subject,
        email,
        person,
        application: asked.application,
        policy: asked.policy,
        reason: asked.reason,
        wanted_s: asked.wanted_s,
        asked_at: now,
        state: AccessState::Waiting,
        decided_by: None,
        decided_at: None,
        until: None,
        ended_by: None,
        ended_at: None,
    };
    Ok(replace(transaction, request, now)?)
}

fn decide(
    transaction: &mut WriteTransaction<'_>,
    id: &str,
    decision: AccessDecision,
    by: &Decider,
    now: i64,
) -> Result<AccessRequest, AccessRequestError> {
    let before = existing(transaction.connection, id)?;
    if before.state != AccessState::Waiting {
        return Err(AccessRequestError::Over(before.state));
    }
    if before.asked_at <= now.saturating_sub(limits::REQUEST_WAITS_S) {
        return Err(AccessRequestError::Over(AccessState::Withdrawn));
    }
    let approver = check_session(transaction.connection, by.session, now)?;
    if approver.is_some_and(|approver| approver.may_be_asker_of(&before)) {
        return Err(AccessRequestError::OwnRequest);
    }
    let (state, until) = match decision {
        AccessDecision::Grant { until } if until <= now => return Err(AccessRequestError::Expired),
        AccessDecision::Grant { until } => (AccessState::Granted, Some(until)),
        AccessDecision::Refuse => (AccessState::Refused, None),
    };
    let decided =
        AccessRequest { state, until, decided_by: Some(by.name.clone()), decided_at: Some(now), ..before };
    Ok(replace(transaction, decided, now)?)
}

/// Writes a request as it is now, and tells it.
pub(super) fn replace(
    transaction: &mut WriteTransaction<'_>,
    request: AccessRequest,
    now: i64,
) -> rusqlite::Result<AccessRequest> {
    sql::run(
        transaction.connection,
        "INSERT INTO access_requests (id, provider, subject, email, person, application, policy, reason, wanted_s, \
         asked_at, state, decided_by, decided_at, until, ended_by, ended_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
         ON CONFLICT (id) DO UPDATE SET state = $11, decided_by = $12, decided_at = $13, until = $14, \
         ended_by = $15, ended_at = $16",
        (
            &request.id,
            &request.provider,
            &request.subject,
            &request.email,
            request.person,
            &request.application,
            &request.policy,
            &request.reason,
            request.wanted_s,
            request.asked_at,
            request.state,
            &request.decided_by,
            request.decided_at,
            request.until,
            &request.ended_by,
            request.ended_at,
        ),
    )?;
    transaction.emit(Change::Access(Arc::new(request.clone())), now)?;
    Ok(request)
}
