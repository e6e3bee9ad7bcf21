//! Replaces what a provider says of a live session's person, inside the writer's transaction: whom the session belongs to is
//! looked at again, and a deactivation comes before or after, never beside it. When to ask the provider is left to the gateway.

use super::begin::{check_addresses, check_profile, insert_claimed};
use super::{RenewSessionError, Renewal, SESSION, read_session};
use crate::change::Change;
use crate::fold::fold;
use crate::limits::{self, within};
use crate::link;
use crate::model::{Profile, SessionId, SessionRecord};
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use std::sync::Arc;

impl Store {
    /// Replaces the profile of a live session. The session comes back as it stands afterwards: it may have ended, if what the
    /// provider says now is a deactivated person's.
    ///
    /// # Errors
    /// [`RenewSessionError`]; nothing was changed then.
    pub async fn renew_session(&self, renewal: Renewal) -> Result<Arc<SessionRecord>, RenewSessionError> {
        check_addresses(renewal.email.as_deref(), &renewal.claimed)?;
        check_profile(
            renewal.display_name.as_deref(),
            renewal.groups.as_deref().unwrap_or_default(),
            &renewal.claims_json,
        )?;
        within("sealed", renewal.sealed.as_ref().map_or(0, Vec::len), limits::SEALED_BYTES)?;
        self.write(move |transaction| renew(transaction, renewal)).await
    }
}

impl Store {
    /// Keeps another refresh token, sealed by the caller, for a live session; false when there is none. Awaited before
    /// the token is used: the provider may take the one before no more.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be made to last.
    pub async fn keep_refresh(&self, id: SessionId, sealed: Vec<u8>) -> Result<bool, RenewSessionError> {
        within("refresh", sealed.len(), limits::SEALED_BYTES)?;
        self.write(move |transaction| {
            transaction.concerns_nobody = true;
            let kept = sql::run(
                transaction.connection,
                "UPDATE sessions SET refresh = $1 WHERE id = $2 AND end_reason IS NULL",
                (sealed, id),
            )?;
            Ok(kept > 0)
        })
        .await
    }
}

fn renew(
    transaction: &mut WriteTransaction<'_>,
    renewal: Renewal,
) -> Result<Arc<SessionRecord>, RenewSessionError> {
    let (id, now, sealed) = (renewal.id, renewal.now, renewal.sealed);
    let mut record = read(transaction, id)?.filter(|record| record.ended.is_none());
    let record = record.as_mut().ok_or(RenewSessionError::Ended)?;
    let claimed: Vec<String> = renewal.claimed.iter().map(|address| fold(address)).collect();
    let (groups, told_at) = match renewal.groups {
        Some(groups) => (groups, now),
        None => (record.profile.groups.clone(), record.profile.told_at),
    };
    record.profile = Arc::new(Profile {
        email: renewal.email.as_deref().map(fold).filter(|email| !email.is_empty()),
        display_name: renewal.display_name,
        groups,
        claims_json: renewal.claims_json,
        authenticated_at: renewal.authenticated_at,
        told_at,
    });
    update(transaction, record, sealed.as_deref())?;
    let room = room_for_claimed(transaction, id, claimed.len())?;
    insert_claimed(transaction, id, claimed.get(..room).unwrap_or_default())?;
    transaction.emit(Change::SessionRenewed { session: id, profile: record.profile.clone() }, now)?;
    link::relink_session(transaction, record, now)?;
    read(transaction, id)?.map(Arc::new).ok_or(RenewSessionError::Ended)
}

/// How many addresses of so many still find room. What was claimed once speaks against somebody as long as the session lives: a renewal
/// forgets none, and pushes none out.
fn room_for_claimed(
    transaction: &WriteTransaction<'_>,
    id: SessionId,
    wanted: usize,
) -> rusqlite::Result<usize> {
    let query = "SELECT count(*) FROM session_claims WHERE session = $1";
    let kept: Option<i64> = sql::row(transaction.connection, query, [id], |row| row.get(0))?;
    let kept = usize::try_from(kept.unwrap_or_default()).unwrap_or(usize::MAX);
    Ok(limits::CLAIMED_ADDRESSES_KEPT.saturating_sub(kept).min(wanted))
}

fn read(transaction: &WriteTransaction<'_>, id: SessionId) -> rusqlite::Result<Option<SessionRecord>> {
    sql::row(transaction.connection, &format!("{SESSION} WHERE id = $1"), [id], read_session)
}

fn update(
    transaction: &WriteTransaction<'_>,
    record: &SessionRecord,
    sealed: Option<&[u8]>,
) -> rusqlite::Result<usize> {
    let profile = &record.profile;
    sql::run(
        transaction.connection,
        "UPDATE sessions SET email = $1, display_name = $2, group_names = $3, claims = $4, authenticated_at = $5, \
         told_at = $6, sealed = coalesce($7, sealed) WHERE id = $8",
        (
            &profile.email,
            &profile.display_name,
            serde_json::Value::from(profile.groups.as_slice()).to_string(),
            &profile.claims_json,
            profile.authenticated_at,
            profile.told_at,
            sealed,
            record.id,
        ),
    )
}
