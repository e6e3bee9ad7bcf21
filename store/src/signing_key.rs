//! The keys that assertions are signed with, as rows. Making, sealing and rotating them is left to the gateway: no
//! private key is ever here in the clear.

use crate::error::StoreError;
use crate::limits::{self, TooLong, within};
use crate::sql;
use crate::store::Store;
use rusqlite::Row;
use std::fmt;

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKeyState {
    /// Published, not used yet.
    Next,
    /// Signs.
    Active,
    /// Signs no more; published until its last assertion is over.
    Retired,
}

impl SigningKeyState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    fn from_stored(word: &str) -> Result<Self, StoreError> {
        [Self::Next, Self::Active, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or(StoreError::Unreadable("signing key"))
    }
}

/// A key that assertions are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The id that assertions name it by.
    pub kid: String,
    /// The signature algorithm, as in a JWS.
    pub algorithm: String,
    /// The private key, sealed by the gateway.
    pub sealed_private: Vec<u8>,
    /// The public key, as JSON.
    pub public_jwk: String,
    /// The public key, in a certificate.
    pub certificate_pem: String,
    /// When it was made, in unix seconds.
    pub created_at: i64,
    /// Where it stands in its life.
    pub state: SigningKeyState,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Why a key was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// No key has this id.
    #[error("no such signing key")]
    NotFound,
    /// A part is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for SigningKeyError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Store(cause.into())
    }
}

impl Store {
    /// Stores a new key.
    ///
    /// # Errors
    /// [`SigningKeyError`] when it could not be made to last.
    pub async fn insert_signing_key(&self, key: SigningKey) -> Result<(), SigningKeyError> {
        within("key id", key.kid.len(), limits::NAME_BYTES)?;
        within("algorithm", key.algorithm.len(), limits::NAME_BYTES)?;
        within("sealed private key", key.sealed_private.len(), limits::SEALED_BYTES)?;
        within("public key", key.public_jwk.len(), limits::PUBLIC_KEY_BYTES)?;
        within("certificate", key.certificate_pem.len(), limits::PUBLIC_KEY_BYTES)?;
        self.write(move |transaction| {
            sql::run(
                transaction.connection,
                "INSERT INTO signing_keys (kid, algorithm, sealed_private, public_jwk, certificate_pem, created_at, \
                 state) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                (
                    key.kid,
                    key.algorithm,
                    key.sealed_private,
                    key.public_jwk,
                    key.certificate_pem,
                    key.created_at,
                    key.state.as_str(),
                ),
            )?;
            Ok(())
        })
        .await
    }

    /// Moves a key on in its life.
    ///
    /// # Errors
    /// [`SigningKeyError`] when there is no such key, or the step could not be made to last.
    pub async fn set_signing_key_state(
        &self,
        kid: &str,
        state: SigningKeyState,
    ) -> Result<(), SigningKeyError> {
        let kid = kid.to_owned();
        self.write(move |transaction| {
            let moved = sql::run(
                transaction.connection,
                "UPDATE signing_keys SET state = $1 WHERE kid = $2",
                (state.as_str(), kid),
            )?;
            if moved == 0 { Err(SigningKeyError::NotFound) } else { Ok(()) }
        })
        .await
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let rows = self.read(|connection| {
            sql::rows(
                connection,
                "SELECT kid, algorithm, sealed_private, public_jwk, certificate_pem, created_at, state \
                 FROM signing_keys ORDER BY created_at, kid",
                [],
                |row| Ok((read_key(row)?, row.get::<_, String>(6)?)),
            )
        })?;
        rows.into_iter()
            .map(|(key, word)| SigningKeyState::from_stored(&word).map(|state| SigningKey { state, ..key }))
            .collect()
    }
}

fn read_key(row: &Row<'_>) -> rusqlite::Result<SigningKey> {
    Ok(SigningKey {
        kid: row.get(0)?,
        algorithm: row.get(1)?,
        sealed_private: row.get(2)?,
        public_jwk: row.get(3)?,
        certificate_pem: row.get(4)?,
        created_at: row.get(5)?,
        // Replaced by the caller, who can say that a word is unknown.
        state: SigningKeyState::Retired,
    })
}

#[cfg(test)]
mod tests {
    use super::{SigningKey, SigningKeyError, SigningKeyState};
    use crate::limits;
    use crate::testing::new_store;

    fn key(kid: &str, created_at: i64) -> SigningKey {
        SigningKey {
            kid: kid.to_owned(),
            algorithm: "RS256".to_owned(),
            sealed_private: vec![0, 255, 7],
            public_jwk: "{}".to_owned(),
            certificate_pem: "-----BEGIN CERTIFICATE-----".to_owned(),
            created_at,
            state: SigningKeyState::Next,
        }
    }

    #[tokio::test]
    async fn keys_are_kept_whole_and_move_on() {
        let (_folder, store) = new_store().await;
        let (first, second) = (key("first", 1), key("second", 2));
        store.insert_signing_key(second.clone()).await.unwrap();
        store.insert_signing_key(first.clone()).await.unwrap();
        assert_eq!(store.signing_keys().unwrap(), [first.clone(), second.clone()]);
        for state in [SigningKeyState::Active, SigningKeyState::Retired, SigningKeyState::Next] {
            store.set_signing_key_state("first", state).await.unwrap();
            assert_eq!(
                store.signing_keys().unwrap(),
                [SigningKey { state, ..first.clone() }, second.clone()]
            );
        }
        let unknown = store.set_signing_key_state("third", SigningKeyState::Active).await;
        assert!(matches!(unknown, Err(SigningKeyError::NotFound)));
        let again = store.insert_signing_key(SigningKey { sealed_private: vec![], ..first.clone() }).await;
        assert!(matches!(again, Err(SigningKeyError::Store(_))), "a key was overwritten");
        assert_eq!(store.signing_keys().unwrap().len(), 2);
        assert!(!format!("{first:?}").contains("255"));
    }

    #[tokio::test]
    async fn what_is_over_a_limit_is_refused() {
        let (_folder, store) = new_store().await;
        let long = |limit: usize| "x".repeat(limit + 1);
        let too_long = [
            key(&long(limits::NAME_BYTES), 1),
            SigningKey { algorithm: long(limits::NAME_BYTES), ..key("a", 1) },
            SigningKey { sealed_private: vec![0; limits::SEALED_BYTES + 1], ..key("b", 1) },
            SigningKey { public_jwk: long(limits::PUBLIC_KEY_BYTES), ..key("c", 1) },
            SigningKey { certificate_pem: long(limits::PUBLIC_KEY_BYTES), ..key("d", 1) },
        ];
        for key in too_long {
            assert!(matches!(store.insert_signing_key(key).await, Err(SigningKeyError::TooLong(_))));
        }
        assert_eq!(store.signing_keys().unwrap(), []);
    }
}
