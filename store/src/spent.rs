//! What may be used once, in whichever process: who comes first is written, who comes later is told so.

use crate::error::StoreError;
use crate::limits::{self, TooLong, within};
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;

/// Why something could not be spent; it counts as spent then.
#[derive(Debug, thiserror::Error)]
pub enum SpendError {
    /// Its name is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl Store {
    /// Spends something: true for the first who does, in any process, and for nobody until `expires_at`, when nobody could use it any
    /// more.
    ///
    /// # Errors
    /// [`SpendError`] when it is not known whether anybody was first.
    pub async fn spend(&self, id: &str, expires_at: i64) -> Result<bool, SpendError> {
        within("id", id.len(), limits::SPENT_ID_BYTES)?;
        let id = id.to_owned();
        let spent = self.write(move |transaction| {
            transaction.concerns_nobody = true;
            let sql = "INSERT INTO spent (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
            Ok::<_, StoreError>(sql::run(transaction.connection, sql, (id, expires_at))? == 1)
        });
        Ok(spent.await?)
    }
}

/// Forgets what nobody could use any more.
pub(crate) fn forget(transaction: &mut WriteTransaction<'_>, now: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM spent WHERE id IN (SELECT id FROM spent WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    sql::run(transaction.connection, sql, (now, limits::sql_count(limits::PURGE_BATCH))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::new_store;

    #[tokio::test]
    async fn a_process_that_lags_delays_nobodys_login() {
        let (folder, store) = new_store().await;
        store.create_person("corp", crate::testing::content("engineer"), 1).await.unwrap();
        // A row that is never renewed, behind the last change.
        let connection = rusqlite::Connection::open(folder.database()).unwrap();
        portcullis_lease::Engine::join(
            &mut crate::engine::Sqlite(&connection),
            portcullis_lease::MemberId(1),
            None,
        )
        .unwrap();
        connection.execute_batch("UPDATE watermark SET seq = seq + 1").unwrap();
        let begun = std::time::Instant::now();
        assert!(store.spend("once", 100).await.unwrap());
        store.note_uses(vec![(crate::testing::session_id(1), 5)], 5).await.unwrap();
        store.purge_expired(50).await.unwrap();
        assert!(begun.elapsed().as_secs() < 10, "it waited until that process was fenced");
    }

    #[tokio::test]
    async fn what_was_used_in_one_process_is_used_in_all() {
        let (folder, store) = new_store().await;
        let other = Store::open(&folder.database()).unwrap();
        assert!(store.spend("once", 100).await.unwrap());
        assert!(!other.spend("once", 100).await.unwrap());
        drop(store);
        let again = Store::open(&folder.database()).unwrap();
        assert!(!again.spend("once", 100).await.unwrap(), "a restart gives nothing back");
        again.purge_expired(99).await.unwrap();
        assert!(!again.spend("once", 100).await.unwrap());
        again.purge_expired(100).await.unwrap();
        assert!(again.spend("once", 100).await.unwrap());
        let long = "x".repeat(limits::SPENT_ID_BYTES + 1);
        assert!(matches!(again.spend(&long, 100).await, Err(SpendError::TooLong(_))));
    }
}
