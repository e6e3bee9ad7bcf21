//! Keys of provisioning clients: made, listed, revoked and verified. The token is shown once and stored as a hash;
//! which directories exist is left to the configuration.

use crate::change::Change;
use crate::error::StoreError;
use crate::limits::{self, TooLong, within};
use crate::model::DirectoryName;
use crate::random;
use crate::secret::Secret;
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::Row;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// A key of a directory, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Eight hex digits that name the key in lists and logs.
    pub key_id: String,
    /// The directory that it opens, and no other.
    pub directory: DirectoryName,
    /// What the administrator called it.
    pub name: String,
    /// When it was made, in unix seconds.
    pub created_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<i64>,
    /// When it stops to be valid.
    pub expires_at: Option<i64>,
}

/// What every token begins with, so that a leaked one is recognised.
const PREFIX: &str = "pcs";
/// Seconds between two notes of a key's use.
const USE_NOTED_EVERY_S: i64 = 60;

/// Why no key was made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No key has this id.
    #[error("no such key")]
    NotFound,
    /// The key is revoked or has expired: there is nothing to replace.
    #[error("the key opens nothing any more")]
    Over,
    /// The name is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for KeyError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Store(cause.into())
    }
}

impl Store {
    /// Makes a key that is valid until it is revoked. The token is never to be had again.
    ///
    /// # Errors
    /// [`KeyError`] when the key could not be made to last.
    pub async fn create_scim_key(
        &self,
        directory: &str,
        name: &str,
        now: i64,
    ) -> Result<(KeyRecord, Secret<String>), KeyError> {
        self.create_scim_key_until(directory, name, now, None).await
    }

    /// Makes a key that stops to be valid at a moment, if one is given.
    ///
    /// # Errors
    /// [`KeyError`] when the key could not be made to last.
    pub async fn create_scim_key_until(
        &self,
        directory: &str,
        name: &str,
        now: i64,
        expires_at: Option<i64>,
    ) -> Result<(KeyRecord, Secret<String>), KeyError> {
        within("directory name", directory.len(), limits::NAME_BYTES)?;
        within("key name", name.len(), limits::NAME_BYTES)?;
        let (key_id, token, hash) = generate()?;
        let record = KeyRecord {
            key_id,
            directory: directory.into(),
            name: name.to_owned(),
            created_at: now,
            revoked_at: None,
            last_used_at: None,
            expires_at,
        };
        let record = self.write(move |transaction| insert(transaction, record, &hash, now)).await?;
        Ok((record, token))
    }

    /// Makes another key of the same directory and name, and lets the former one be valid for so many seconds more, so that the
    /// provisioning client can be given the new one meanwhile.
    ///
    /// # Errors
    /// [`KeyError`] when there is no such key, it is not valid any more, or nothing could be made to last.
    pub async fn rotate_scim_key(
        &self,
        key_id: &str,
        grace_s: i64,
        now: i64,
    ) -> Result<(KeyRecord, Secret<String>), KeyError> {
        let former = key_id.to_owned();
        let (key_id, token, hash) = generate()?;
        let record = self.write(move |transaction| {
            let before =
                sql::row(transaction.connection, &format!("{KEY} WHERE key_id = $1"), [&former], read_key)?
                    .ok_or(KeyError::NotFound)?;
            if before.revoked_at.is_some() || before.expires_at.is_some_and(|end| end <= now) {
                return Err(KeyError::Over);
            }
            let end = now.saturating_add(grace_s.max(0));
            let expires_at = Some(before.expires_at.map_or(end, |before| before.min(end)));
            sql::run(
                transaction.connection,
                "UPDATE scim_keys SET expires_at = $1 WHERE key_id = $2",
                (expires_at, &former),
            )?;
            let record =
                KeyRecord { key_id, created_at: now, last_used_at: None, expires_at: None, ..before.clone() };
            transaction.emit(Change::Key { record: Arc::new(KeyRecord { expires_at, ..before }) }, now)?;
            insert(transaction, record, &hash, now)
        });
        Ok((record.await?, token))
    }

    /// All keys of all directories, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn list_scim_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.read(|connection| {
            Ok(sql::rows(connection, &format!("{KEY} ORDER BY created_at, key_id"), [], read_key)?)
        })
    }

    /// Revokes a key for good. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`KeyError`] when there is no such key, or the revocation could not be made to last.
    pub async fn revoke_scim_key(&self, key_id: &str, now: i64) -> Result<KeyRecord, KeyError> {
        let key_id = key_id.to_owned();
        self.write(move |transaction| revoke(transaction, &key_id, now)).await
    }

    /// The key behind a presented token, if it is a valid one of this directory. Reads the database each time, so that
    /// a revocation by another process is effective at once.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read: the caller must deny.
    pub fn verify_scim_key(
        &self,
        directory: &str,
        presented: &str,
        now: i64,
    ) -> Result<Option<KeyRecord>, StoreError> {
        let Some(key_id) = key_id_of(presented) else { return Ok(None) };
        let found = self.read(|connection| {
            sql::row(connection, &format!("{KEY} WHERE key_id = $1"), [key_id], |row| {
                Ok((read_key(row)?, row.get::<_, Vec<u8>>(7)?))
            })
        })?;
        let Some((record, hash)) = found else { return Ok(None) };
        let is_token = bool::from(hash_of(presented).ct_eq(hash.as_slice()));
        let is_expired = record.expires_at.is_some_and(|end| end <= now);
        if !is_token || *record.directory != *directory || record.revoked_at.is_some() || is_expired {
            return Ok(None);
        }
        self.note_use(&record, now);
        Ok(Some(record))
    }

    /// Remembers when a key was used; loses that rather than delay the request.
    fn note_use(&self, record: &KeyRecord, now: i64) {
        if record.last_used_at.is_some_and(|noted| now.saturating_sub(noted) < USE_NOTED_EVERY_S) {
            return;
        }
        let key_id = record.key_id.clone();
        let noted = self.write_unattended(move |transaction| {
            transaction.concerns_nobody = true;
            sql::run(
                transaction.connection,
                "UPDATE scim_keys SET last_used_at = $1 WHERE key_id = $2",
                (now, key_id),
            )?;
            Ok(())
        });
        if let Err(cause) = noted {
            tracing::debug!(error = &cause as &dyn std::error::Error, "the use of a key was not noted");
        }
    }
}

const KEY: &str = "SELECT key_id, directory, name, created_at, revoked_at, last_used_at, expires_at, token_hash \
     FROM scim_keys";

fn read_key(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        key_id: row.get(0)?,
        directory: row.get(1)?,
        name: row.get(2)?,
        created_at: row.get(3)?,
        revoked_at: row.get(4)?,
        last_used_at: row.get(5)?,
        expires_at: row.get(6)?,
    })
}

/// The id inside a token of the right form, which is public; everything else of the token goes into the hash.
fn key_id_of(presented: &str) -> Option<&str> {
    let (key_id, secret) = presented.strip_prefix(PREFIX)?.strip_prefix('_')?.split_once('_')?;
    let is_hex = key_id.len() == 8 && key_id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_secret = secret.len() == 43
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (is_hex && is_secret).then_some(key_id)
}

/// An id, the token that it is part of, and what of it is stored.
fn generate() -> Result<(String, Secret<String>, [u8; 32]), KeyError> {
    let key_id = random::hex(&random::bytes::<4>()?);
    let secret = Secret::new(random::bytes::<32>()?);
    let token = Secret::new(format!("{PREFIX}_{key_id}_{}", URL_SAFE_NO_PAD.encode(secret.expose())));
    let hash = hash_of(token.expose());
    Ok((key_id, token, hash))
}

/// The token has 256 random bits, so that a plain hash keeps it as well as a slow one would.
fn hash_of(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

fn insert(
    transaction: &mut WriteTransaction<'_>,
    record: KeyRecord,
    hash: &[u8; 32],
    now: i64,
) -> Result<KeyRecord, KeyError> {
    sql::run(
        transaction.connection,
        "INSERT INTO scim_keys (key_id, directory, name, token_hash, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        (
            &record.key_id,
            &*record.directory,
            &record.name,
            hash.as_slice(),
            record.created_at,
            record.expires_at,
        ),
    )?;
    transaction.emit(Change::Key { record: Arc::new(record.clone()) }, now)?;
    Ok(record)
}

fn revoke(transaction: &mut WriteTransaction<'_>, key_id: &str, now: i64) -> Result<KeyRecord, KeyError> {
    let revoked = sql::run(
        transaction.connection,
        "UPDATE scim_keys SET revoked_at = $1 WHERE key_id = $2 AND revoked_at IS NULL",
        (now, key_id),
    )?;
    let record = sql::row(transaction.connection, &format!("{KEY} WHERE key_id = $1"), [key_id], read_key)?
        .ok_or(KeyError::NotFound)?;
    if revoked > 0 {
        transaction.emit(Change::Key { record: Arc::new(record.clone()) }, now)?;
    }
    Ok(record)
}

#[cfg(test)]
mod tests;
