//! Begins sessions and application sessions, inside the writer's transaction: a login and a deactivation of the same
//! person are one after the other, never side by side.

use super::end;
use super::{
    BeginApplicationSessionError, BeginSessionError, NewApplicationSession, NewSession, Provisioning,
};
use crate::change::Change;
use crate::fold::fold;
use crate::limits::{self, TooLong, within};
use crate::link;
use crate::model::{ApplicationSessionRecord, EndReason, Profile, SessionId, SessionRecord};
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use std::sync::Arc;

impl Store {
    /// Begins a session, links it to a person, and refuses it when that person is deactivated.
    ///
    /// # Errors
    /// [`BeginSessionError`]; there is no session then.
    pub async fn begin_session(
        &self,
        session: NewSession,
        provisioning: Provisioning,
    ) -> Result<Arc<SessionRecord>, BeginSessionError> {
        check(&session)?;
        self.write(move |transaction| begin(transaction, session, provisioning)).await
    }

    /// Begins the part of a live session on one application's host; it is over when the session is.
    ///
    /// # Errors
    /// [`BeginApplicationSessionError`]; there is no application session then.
    pub async fn begin_application_session(
        &self,
        session: NewApplicationSession,
    ) -> Result<Arc<ApplicationSessionRecord>, BeginApplicationSessionError> {
        within("host", session.host.len(), limits::HOST_BYTES)?;
        within("terminal", session.terminal.as_ref().map_or(0, String::len), limits::NAME_BYTES)?;
        self.write(move |transaction| begin_application(transaction, session)).await
    }
}

fn check(session: &NewSession) -> Result<(), TooLong> {
    within("provider", session.provider.len(), limits::NAME_BYTES)?;
    within("subject", session.subject.len(), limits::EXTERNAL_ID_BYTES)?;
    check_addresses(session.email.as_deref(), &session.claimed)?;
    check_profile(session.display_name.as_deref(), &session.groups, &session.claims_json)?;
    within("sealed", session.sealed.as_ref().map_or(0, Vec::len), limits::SEALED_BYTES)?;
    within("refresh", session.refresh.as_ref().map_or(0, Vec::len), limits::SEALED_BYTES)
}

pub(super) fn check_addresses(email: Option<&str>, claimed: &[String]) -> Result<(), TooLong> {
    within("email", email.map_or(0, str::len), limits::EMAIL_BYTES)?;
    within("claimed addresses", claimed.len(), limits::CLAIMED_ADDRESSES)?;
    for address in claimed {
        within("claimed address", address.len(), limits::EMAIL_BYTES)?;
    }
    Ok(())
}

pub(super) fn check_profile(
    display_name: Option<&str>,
    groups: &[String],
    claims_json: &str,
) -> Result<(), TooLong> {
    within("display name", display_name.map_or(0, str::len), limits::DISPLAY_NAME_BYTES)?;
    within("groups", groups.len(), limits::GROUPS_PER_SESSION)?;
    for group in groups {
        within("group name", group.len(), limits::DISPLAY_NAME_BYTES)?;
    }
    within("claims", claims_json.len(), limits::CLAIMS_BYTES)
}

fn begin(
    transaction: &mut WriteTransaction<'_>,
    session: NewSession,
    provisioning: Provisioning,
) -> Result<Arc<SessionRecord>, BeginSessionError> {
    let email = session.email.as_deref().map(fold).filter(|email| !email.is_empty());
    let link = link::find(transaction.connection, &session.provider, &session.subject, email.as_deref())?;
    let claimed: Vec<String> = session.claimed.iter().map(|address| fold(address)).collect();
    let is_denied = link.deactivated
        || link.person.is_none() && link::denies(transaction.connection, &session.provider, &claimed)?;
    if is_denied {
        return Err(BeginSessionError::Deactivated);
    }
    if link.person.is_none() && provisioning == Provisioning::Required {
        return Err(BeginSessionError::NotProvisioned);
    }
    let record = Arc::new(SessionRecord {
        id: session.id,
        provider: session.provider,
        subject: session.subject,
        profile: Arc::new(Profile {
            email,
            display_name: session.display_name,
            groups: session.groups,
            claims_json: session.claims_json,
            authenticated_at: session.authenticated_at,
            told_at: session.now,
        }),
        begun_at: session.now,
        expires_at: session.expires_at,
        person: link.person,
        ended: None,
        renewable: session.refresh.is_some(),
        used_at: None,
    });
    make_room_for_subject(transaction, &record)?;
    insert(transaction, &record, session.sealed.as_deref(), session.refresh.as_deref())?;
    insert_claimed(transaction, record.id, &claimed)?;
    let person = link::whole(transaction.connection, record.person)?;
    transaction.emit(Change::SessionBegun { session: Arc::clone(&record), person }, session.now)?;
    Ok(record)
}

pub(super) fn insert_claimed(
    transaction: &WriteTransaction<'_>,
    session: SessionId,
    claimed: &[String],
) -> rusqlite::Result<()> {
    for address in claimed.iter().filter(|address| !address.is_empty()) {
        sql::run(
            transaction.connection,
            "INSERT INTO session_claims (session, address) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            (session, address),
        )?;
    }
    Ok(())
}

fn insert(
    transaction: &WriteTransaction<'_>,
    record: &SessionRecord,
    sealed: Option<&[u8]>,
    refresh: Option<&[u8]>,
) -> rusqlite::Result<usize> {
    let profile = &record.profile;
    sql::run(
        transaction.connection,
        "INSERT INTO sessions (id, provider, subject, email, display_name, group_names, claims, authenticated_at, \
         told_at, begun_at, expires_at, person, sealed, refresh) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        (
            record.id,
            &record.provider,
            &record.subject,
            &profile.email,
            &profile.display_name,
            serde_json::Value::from(profile.groups.as_slice()).to_string(),
            &profile.claims_json,
            profile.authenticated_at,
            profile.told_at,
            record.begun_at,
            record.expires_at,
            record.person,
            sealed,
            refresh,
        ),
    )
}

fn begin_application(
    transaction: &mut WriteTransaction<'_>,
    session: NewApplicationSession,
) -> Result<Arc<ApplicationSessionRecord>, BeginApplicationSessionError> {
    let parent_expires_at: i64 = sql::row(
        transaction.connection,
        "SELECT expires_at FROM sessions WHERE id = $1 AND end_reason IS NULL AND expires_at > $2",
        (session.parent, session.now),
        |row| row.get(0),
    )?
    .ok_or(BeginApplicationSessionError::ParentEnded)?;
    make_room(transaction, &session)?;
    let record = Arc::new(ApplicationSessionRecord {
        id: session.id,
        parent: session.parent,
        host: session.host,
        terminal: session.terminal,
        begun_at: session.now,
        expires_at: session.expires_at.min(parent_expires_at),
        ended: None,
        binding: session.binding,
    });
    sql::run(
        transaction.connection,
        "INSERT INTO application_sessions (id, parent, host, begun_at, expires_at, binding, terminal) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        (
            record.id,
            record.parent,
            &record.host,
            record.begun_at,
            record.expires_at,
            record.binding,
            &record.terminal,
        ),
    )?;
    transaction.emit(Change::ApplicationSessionBegun(Arc::clone(&record)), session.now)?;
    Ok(record)
}

/// Ends the oldest sessions of a subject until there is room for another: whoever logs in again and again fills neither the store nor the
/// memory.
fn make_room_for_subject(
    transaction: &mut WriteTransaction<'_>,
    session: &SessionRecord,
) -> rusqlite::Result<()> {
    let too_many: Vec<SessionId> = sql::rows(
        transaction.connection,
        "SELECT id FROM sessions WHERE provider = $1 AND subject = $2 AND end_reason IS NULL AND expires_at > $3 \
         ORDER BY begun_at DESC, id LIMIT $4 OFFSET $5",
        (
            &session.provider,
            &session.subject,
            session.begun_at,
            limits::sql_count(limits::PURGE_BATCH),
            limits::sql_count(limits::MAX_SESSIONS_PER_SUBJECT - 1),
        ),
        |row| row.get(0),
    )?;
    let ended = end::end(transaction, &too_many, EndReason::Displaced, session.begun_at)?;
    if ended > 0 {
        tracing::info!(
            target: "portcullis::session",
            provider = session.provider,
            subject = session.subject,
            sessions = ended,
            "one person has too many sessions; the oldest ended"
        );
    }
    Ok(())
}

/// Ends the oldest application sessions of one session on one host until there is room for another, and forgets the
/// oldest that ended: nobody who can log in once may grow the store by following their own links. Browsers and terminals
/// have room of their own.
fn make_room(
    transaction: &mut WriteTransaction<'_>,
    session: &NewApplicationSession,
) -> rusqlite::Result<()> {
    let now = session.now;
    let present: Vec<(SessionId, bool)> = sql::rows(
        transaction.connection,
        "SELECT id, end_reason IS NULL AND expires_at > $1 AS live FROM application_sessions \
         WHERE parent = $2 AND host = $3 AND (terminal IS NULL) = $4 ORDER BY live DESC, begun_at DESC, id",
        (now, session.parent, &session.host, session.terminal.is_none()),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let live = present.iter().filter(|(_, is_live)| *is_live).map(|(id, _)| *id);
    for oldest in live.skip(limits::MAX_APPLICATION_SESSIONS_PER_HOST - 1) {
        end::end_application(transaction, oldest, EndReason::SignedOut, now)?;
    }
    let kept = limits::APPLICATION_SESSIONS_KEPT_PER_HOST - 1;
    let forgotten: Vec<SessionId> = present.into_iter().skip(kept).map(|(id, _)| id).collect();
    if forgotten.is_empty() {
        return Ok(());
    }
    for id in &forgotten {
        sql::run(transaction.connection, "DELETE FROM application_sessions WHERE id = $1", [id])?;
    }
    transaction.emit(Change::SessionsEnded { sessions: forgotten, reason: EndReason::Expired }, now)
}
