//! Tokens of services: made, listed, rotated and revoked. A secret is shown once and kept as a hash; what a service may do is left
//! to the policies, the form of a token to `form`.

mod form;

use crate::change::Change;
use crate::error::StoreError;
use crate::limits::{self, TooLong, sql_count, within};
use crate::model::SessionId;
use crate::secret::Secret;
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use rusqlite::{Connection, Row};
use std::sync::Arc;

pub use form::{Malformed, service_secret_id};

/// A service's token, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTokenRecord {
    /// The public half, which the service sends along with a secret.
    pub client_id: String,
    /// What policies call it.
    pub name: String,
    /// When it was made, in unix seconds.
    pub created_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<i64>,
    /// Its secrets, the newest first: one, or two during the grace of a rotation.
    pub secrets: Vec<ServiceSecret>,
}

/// One secret of a token, as far as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSecret {
    /// What [`service_secret_id`] makes of it.
    pub id: SessionId,
    /// When it was made, in unix seconds.
    pub created_at: i64,
    /// From when on it is worth nothing, in unix seconds.
    pub expires_at: i64,
}

/// Why a token was not made, rotated or revoked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceTokenError {
    /// No token that is not revoked has this name.
    #[error("no service token has the name `{0}`")]
    NotFound(String),
    /// A token that is not revoked has this name.
    #[error("a service token named `{0}` exists already: rotate it, or revoke it first")]
    NameTaken(String),
    /// There are as many tokens as may be.
    #[error("there are {} service tokens already: revoke some", limits::SERVICE_TOKENS)]
    TooMany,
    /// It would have expired before it was made.
    #[error("the secret would be expired from the beginning")]
    Expired,
    /// The name is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for ServiceTokenError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Store(cause.into())
    }
}

impl Store {
    /// Makes a token. Its secret is never to be had again.
    ///
    /// # Errors
    /// [`ServiceTokenError`] when it could not be made to last.
    pub async fn create_service_token(
        &self,
        name: &str,
        expires_at: i64,
        now: i64,
    ) -> Result<(ServiceTokenRecord, Secret<String>), ServiceTokenError> {
        within("service token name", name.len(), limits::NAME_BYTES)?;
        let client_id = form::new_client_id()?;
        let (secret, id) = form::new_secret(&client_id)?;
        let made = ServiceTokenRecord {
            client_id,
            name: name.to_owned(),
            created_at: now,
            revoked_at: None,
            last_used_at: None,
            secrets: vec![ServiceSecret { id, created_at: now, expires_at }],
        };
        let record = self.write(move |transaction| create(transaction, made, now)).await?;
        Ok((record, secret))
    }

    /// Gives a token another secret. The one before stays good until `grace_until` at most; one that was before that is gone.
    ///
    /// # Errors
    /// [`ServiceTokenError`] when there is no such token, or the change could not be made to last.
    pub async fn rotate_service_token(
        &self,
        name: &str,
        grace_until: i64,
        expires_at: i64,
        now: i64,
    ) -> Result<(ServiceTokenRecord, Secret<String>), ServiceTokenError> {
        let name = name.to_owned();
        self.write(move |transaction| {
            let client_id = client_id_of(transaction.connection, &name)?;
            let (secret, id) = form::new_secret(&client_id)?;
            let made = ServiceSecret { id, created_at: now, expires_at };
            Ok((rotate(transaction, &client_id, made, grace_until, now)?, secret))
        })
        .await
    }

    /// Revokes a token for good, with all its secrets. Its name is free again.
    ///
    /// # Errors
    /// [`ServiceTokenError`] when there is no such token, or the revocation could not be made to last.
    pub async fn revoke_service_token(
        &self,
        name: &str,
        now: i64,
    ) -> Result<ServiceTokenRecord, ServiceTokenError> {
        let name = name.to_owned();
        self.write(move |transaction| {
            let client_id = client_id_of(transaction.connection, &name)?;
            sql::run(
                transaction.connection,
                "UPDATE service_tokens SET revoked_at = $1 WHERE client_id = $2",
                (now, &client_id),
            )?;
            tell(transaction, &client_id, now)
        })
        .await
    }

    /// All tokens, the revoked ones of late included, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn list_service_tokens(&self) -> Result<Vec<ServiceTokenRecord>, StoreError> {
        let all = self.read(all::<StoreError>)?;
        Ok(all.into_iter().map(Arc::unwrap_or_clone).collect())
    }

    /// Remembers when tokens were used; nobody waits for that.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be queued.
    pub fn note_service_token_uses(&self, uses: Vec<(String, i64)>) -> Result<(), StoreError> {
        self.write_unattended(move |transaction| {
            transaction.concerns_nobody = true;
            for (client_id, at) in uses {
                sql::run(
                    transaction.connection,
                    "UPDATE service_tokens SET last_used_at = $1 WHERE client_id = $2",
                    (at, client_id),
                )?;
            }
            Ok(())
        })
    }
}

const TOKEN: &str = "SELECT client_id, name, created_at, revoked_at, last_used_at FROM service_tokens";

/// All tokens with their secrets.
pub(crate) fn all<E: From<rusqlite::Error>>(
    connection: &Connection,
) -> Result<Vec<Arc<ServiceTokenRecord>>, E> {
    let mut tokens =
        sql::rows(connection, &format!("{TOKEN} ORDER BY created_at, client_id"), [], read_token)?;
    for token in &mut tokens {
        token.secrets = secrets_of(connection, &token.client_id)?;
    }
    Ok(tokens.into_iter().map(Arc::new).collect())
}

/// One token with its secrets, if it exists still.
pub(crate) fn one(connection: &Connection, client_id: &str) -> rusqlite::Result<Option<ServiceTokenRecord>> {
    let token = sql::row(connection, &format!("{TOKEN} WHERE client_id = $1"), [client_id], read_token)?;
    let Some(mut token) = token else { return Ok(None) };
    token.secrets = secrets_of(connection, client_id)?;
    Ok(Some(token))
}

fn read_token(row: &Row<'_>) -> rusqlite::Result<ServiceTokenRecord> {
    Ok(ServiceTokenRecord {
        client_id: row.get(0)?,
        name: row.get(1)?,
        created_at: row.get(2)?,
        revoked_at: row.get(3)?,
        last_used_at: row.get(4)?,
        secrets: Vec::new(),
    })
}

fn secrets_of(connection: &Connection, client_id: &str) -> rusqlite::Result<Vec<ServiceSecret>> {
    sql::rows(
        connection,
        "SELECT id, created_at, expires_at FROM service_token_secrets WHERE client_id = $1 \
         ORDER BY created_at DESC, id",
        [client_id],
        |row| Ok(ServiceSecret { id: row.get(0)?, created_at: row.get(1)?, expires_at: row.get(2)? }),
    )
}

/// The token of this name that is not revoked.
fn client_id_of(connection: &Connection, name: &str) -> Result<String, ServiceTokenError> {
    sql::row(
        connection,
        "SELECT client_id FROM service_tokens WHERE name = $1 AND revoked_at IS NULL",
        [name],
        |row| row.get(0),
    )?
    .ok_or_else(|| ServiceTokenError::NotFound(name.to_owned()))
}

fn create(
    transaction: &mut WriteTransaction<'_>,
    made: ServiceTokenRecord,
    now: i64,
) -> Result<ServiceTokenRecord, ServiceTokenError> {
    let connection = transaction.connection;
    if client_id_of(connection, &made.name).is_ok() {
        return Err(ServiceTokenError::NameTaken(made.name));
    }
    sql::run(
        connection,
        "DELETE FROM service_tokens WHERE revoked_at <= $1",
        [now.saturating_sub(limits::REVOKED_SERVICE_TOKEN_S)],
    )?;
    let count: Option<i64> =
        sql::row(connection, "SELECT count(*) FROM service_tokens", [], |row| row.get(0))?;
    if count.unwrap_or(i64::MAX) >= sql_count(limits::SERVICE_TOKENS) {
        return Err(ServiceTokenError::TooMany);
    }
    sql::run(
        connection,
        "INSERT INTO service_tokens (client_id, name, created_at) VALUES ($1, $2, $3)",
        (&made.client_id, &made.name, made.created_at),
    )?;
    for secret in &made.secrets {
        insert_secret(connection, &made.client_id, secret)?;
    }
    tell(transaction, &made.client_id, now)
}

fn insert_secret(
    connection: &Connection,
    client_id: &str,
    secret: &ServiceSecret,
) -> Result<(), ServiceTokenError> {
    if secret.expires_at <= secret.created_at {
        return Err(ServiceTokenError::Expired);
    }
    sql::run(
        connection,
        "INSERT INTO service_token_secrets (id, client_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        (secret.id, client_id, secret.created_at, secret.expires_at),
    )?;
    Ok(())
}

fn rotate(
    transaction: &mut WriteTransaction<'_>,
    client_id: &str,
    mut made: ServiceSecret,
    grace_until: i64,
    now: i64,
) -> Result<ServiceTokenRecord, ServiceTokenError> {
    let connection = transaction.connection;
    let before = secrets_of(connection, client_id)?;
    // Two rotations in one second, or a clock that was set back, must not make an older secret the newest.
    let newest = before.first().map_or(i64::MIN, |secret| secret.created_at);
    made.created_at = made.created_at.max(newest.saturating_add(1));
    for (position, secret) in before.iter().enumerate() {
        let good_until = secret.expires_at.min(grace_until);
        if position == 0 && good_until > now {
            sql::run(
                connection,
                "UPDATE service_token_secrets SET expires_at = $1 WHERE id = $2",
                (good_until, secret.id),
            )?;
        } else {
            sql::run(connection, "DELETE FROM service_token_secrets WHERE id = $1", [secret.id])?;
        }
    }
    insert_secret(connection, client_id, &made)?;
    tell(transaction, client_id, now)
}

/// Adds the token, as it is now, to the feed.
fn tell(
    transaction: &mut WriteTransaction<'_>,
    client_id: &str,
    now: i64,
) -> Result<ServiceTokenRecord, ServiceTokenError> {
    let record = one(transaction.connection, client_id)?.ok_or(StoreError::Unreadable("service token"))?;
    transaction.emit(Change::ServiceToken(Arc::new(record.clone())), now)?;
    Ok(record)
}

#[cfg(test)]
mod tests;
