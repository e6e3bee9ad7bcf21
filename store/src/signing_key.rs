//! The keys that assertions are signed with, as rows, and the one write that changes them. Making and sealing them, and
//! saying when one follows another, is left to the gateway: no private key is ever here in the clear.

use crate::error::StoreError;
use crate::limits::{self, TooLong, within};
use crate::sql;
use crate::store::Store;
use rusqlite::{Connection, Row};
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
    /// Since when it stands there.
    pub state_since: i64,
}

/// One change of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKeyStep {
    /// A new key.
    Insert(SigningKey),
    /// A key stands elsewhere in its life, or has stood there since another time.
    Move {
        /// Which key.
        kid: String,
        /// Where it stands now.
        state: SigningKeyState,
        /// Since when.
        since: i64,
    },
    /// A key is no more.
    Delete {
        /// Which key.
        kid: String,
    },
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
    /// There are as many keys as the store keeps.
    #[error(
        "there are {} signing keys, no more are kept; those that sign no more are deleted in time",
        limits::SIGNING_KEYS
    )]
    TooMany,
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
    /// Changes the keys: reads them, lets `decide` say which steps to take, and takes them, all in one write. Of several
    /// processes each sees what the one before has done. Returns the keys afterwards, the oldest first.
    ///
    /// # Errors
    /// [`SigningKeyError`] when the steps do not fit the keys, or could not be made to last; nothing is changed then.
    pub async fn rotate_signing_keys<F>(&self, decide: F) -> Result<Vec<SigningKey>, SigningKeyError>
    where
        F: FnOnce(&[SigningKey]) -> Vec<SigningKeyStep> + Send + 'static,
    {
        self.write(move |transaction| {
            let connection = transaction.connection;
            for step in decide(&read_keys(connection)?) {
                take(connection, step)?;
            }
            let keys = read_keys(connection)?;
            if keys.len() > limits::SIGNING_KEYS { Err(SigningKeyError::TooMany) } else { Ok(keys) }
        })
        .await
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.read(read_keys)
    }
}

fn take(connection: &Connection, step: SigningKeyStep) -> Result<(), SigningKeyError> {
    let touched = match step {
        SigningKeyStep::Insert(key) => insert(connection, &key)?,
        SigningKeyStep::Move { kid, state, since } => sql::run(
            connection,
            "UPDATE signing_keys SET state = $1, state_since = $2 WHERE kid = $3",
            (state.as_str(), since, kid),
        )?,
        SigningKeyStep::Delete { kid } => {
            sql::run(connection, "DELETE FROM signing_keys WHERE kid = $1", [kid])?
        }
    };
    if touched == 0 { Err(SigningKeyError::NotFound) } else { Ok(()) }
}

fn insert(connection: &Connection, key: &SigningKey) -> Result<usize, SigningKeyError> {
    within("key id", key.kid.len(), limits::NAME_BYTES)?;
    within("algorithm", key.algorithm.len(), limits::NAME_BYTES)?;
    within("sealed private key", key.sealed_private.len(), limits::SEALED_BYTES)?;
    within("public key", key.public_jwk.len(), limits::PUBLIC_KEY_BYTES)?;
    within("certificate", key.certificate_pem.len(), limits::PUBLIC_KEY_BYTES)?;
    Ok(sql::run(
        connection,
        "INSERT INTO signing_keys (kid, algorithm, sealed_private, public_jwk, certificate_pem, created_at, state, \
         state_since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        (
            &key.kid,
            &key.algorithm,
            &key.sealed_private,
            &key.public_jwk,
            &key.certificate_pem,
            key.created_at,
            key.state.as_str(),
            key.state_since,
        ),
    )?)
}

fn read_keys(connection: &Connection) -> Result<Vec<SigningKey>, StoreError> {
    let rows = sql::rows(
        connection,
        "SELECT kid, algorithm, sealed_private, public_jwk, certificate_pem, created_at, state_since, state \
         FROM signing_keys ORDER BY created_at, kid",
        [],
        |row| Ok((read_key(row)?, row.get::<_, String>(7)?)),
    )?;
    rows.into_iter()
        .map(|(key, word)| SigningKeyState::from_stored(&word).map(|state| SigningKey { state, ..key }))
        .collect()
}

fn read_key(row: &Row<'_>) -> rusqlite::Result<SigningKey> {
    Ok(SigningKey {
        kid: row.get(0)?,
        algorithm: row.get(1)?,
        sealed_private: row.get(2)?,
        public_jwk: row.get(3)?,
        certificate_pem: row.get(4)?,
        created_at: row.get(5)?,
        state_since: row.get(6)?,
        // Replaced by the caller, who can say that a word is unknown.
        state: SigningKeyState::Retired,
    })
}

#[cfg(test)]
mod tests {
    use super::{SigningKey, SigningKeyError, SigningKeyState, SigningKeyStep};
    use crate::Store;
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
            state: SigningKeyState::Retired,
            state_since: created_at,
        }
    }

    fn moved(kid: &str, state: SigningKeyState, since: i64) -> SigningKeyStep {
        SigningKeyStep::Move { kid: kid.to_owned(), state, since }
    }

    async fn take(store: &Store, steps: Vec<SigningKeyStep>) -> Result<Vec<SigningKey>, SigningKeyError> {
        store.rotate_signing_keys(move |_| steps).await
    }

    async fn insert(store: &Store, key: SigningKey) -> Result<Vec<SigningKey>, SigningKeyError> {
        take(store, vec![SigningKeyStep::Insert(key)]).await
    }

    #[tokio::test]
    async fn keys_are_kept_whole_and_move_on() {
        let (_folder, store) = new_store().await;
        let (first, second) = (key("first", 1), key("second", 2));
        insert(&store, second.clone()).await.unwrap();
        let both = insert(&store, first.clone()).await.unwrap();
        assert_eq!(both, [first.clone(), second.clone()]);
        assert_eq!(store.signing_keys().unwrap(), both);
        for (since, state) in
            [SigningKeyState::Active, SigningKeyState::Retired, SigningKeyState::Next].into_iter().enumerate()
        {
            let state_since = i64::try_from(since).unwrap() + 10;
            take(&store, vec![moved("first", state, state_since)]).await.unwrap();
            assert_eq!(
                store.signing_keys().unwrap(),
                [SigningKey { state, state_since, ..first.clone() }, second.clone()]
            );
        }
        let unknown = take(&store, vec![moved("third", SigningKeyState::Active, 1)]).await;
        assert!(matches!(unknown, Err(SigningKeyError::NotFound)));
        let again = insert(&store, SigningKey { sealed_private: vec![], ..first.clone() }).await;
        assert!(matches!(again, Err(SigningKeyError::Store(_))), "a key was overwritten");
        let left = take(&store, vec![SigningKeyStep::Delete { kid: "first".to_owned() }]).await.unwrap();
        assert_eq!(left, [second]);
        assert!(!format!("{first:?}").contains("255"));
    }

    #[tokio::test]
    async fn steps_are_taken_all_or_none_and_one_key_signs() {
        let (_folder, store) = new_store().await;
        let active = SigningKey { state: SigningKeyState::Active, ..key("active", 1) };
        insert(&store, active.clone()).await.unwrap();
        let another = SigningKey { state: SigningKeyState::Active, ..key("another", 2) };
        for state in [SigningKeyState::Active, SigningKeyState::Next] {
            let two = ["one", "two"].map(|kid| SigningKeyStep::Insert(SigningKey { state, ..key(kid, 3) }));
            let second = take(&store, two.to_vec()).await;
            assert!(matches!(second, Err(SigningKeyError::Store(_))), "two keys are {state:?}");
        }
        let half =
            vec![moved("active", SigningKeyState::Retired, 2), moved("gone", SigningKeyState::Active, 2)];
        assert!(matches!(take(&store, half).await, Err(SigningKeyError::NotFound)));
        assert_eq!(store.signing_keys().unwrap(), [active], "half of a rotation was kept");
        let whole =
            vec![moved("active", SigningKeyState::Retired, 2), SigningKeyStep::Insert(another.clone())];
        assert_eq!(take(&store, whole).await.unwrap().last(), Some(&another));
    }

    #[tokio::test]
    async fn a_later_process_sees_what_an_earlier_one_did() {
        let (folder, store) = new_store().await;
        let beside = Store::open(&folder.database()).unwrap();
        let make = |kid: &'static str| {
            move |keys: &[SigningKey]| match keys {
                [] => vec![SigningKeyStep::Insert(key(kid, 1))],
                _ => Vec::new(),
            }
        };
        let (one, other) =
            tokio::join!(store.rotate_signing_keys(make("one")), beside.rotate_signing_keys(make("other")));
        assert_eq!(one.unwrap(), other.unwrap(), "two processes made a first key each");
        assert_eq!(store.signing_keys().unwrap().len(), 1);
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
            assert!(matches!(insert(&store, key).await, Err(SigningKeyError::TooLong(_))));
        }
        assert_eq!(store.signing_keys().unwrap(), []);
        let many =
            (0..limits::SIGNING_KEYS).map(|number| SigningKeyStep::Insert(key(&number.to_string(), 1)));
        assert_eq!(take(&store, many.collect()).await.unwrap().len(), limits::SIGNING_KEYS);
        assert!(matches!(insert(&store, key("one more", 1)).await, Err(SigningKeyError::TooMany)));
        assert_eq!(store.signing_keys().unwrap().len(), limits::SIGNING_KEYS);
    }
}
