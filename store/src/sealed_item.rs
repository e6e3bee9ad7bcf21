//! What the gateway keeps for itself under a name, sealed. What it is, and how it is sealed, is left to the gateway: nothing
//! is ever here in the clear.

use crate::error::StoreError;
use crate::limits::{self, TooLong, within};
use crate::sql;
use crate::store::Store;

/// Why an item was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SealedItemError {
    /// A part is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for SealedItemError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Store(cause.into())
    }
}

impl Store {
    /// Keeps an item in the place of the one before.
    ///
    /// # Errors
    /// [`SealedItemError`] when it could not be made to last.
    pub async fn keep_sealed_item(
        &self,
        name: &str,
        sealed: Vec<u8>,
        now: i64,
    ) -> Result<(), SealedItemError> {
        within("item's name", name.len(), limits::ITEM_NAME_BYTES)?;
        within("sealed item", sealed.len(), limits::SEALED_BYTES)?;
        let name = name.to_owned();
        self.write(move |transaction| {
            sql::run(
                transaction.connection,
                "INSERT INTO sealed_items (name, sealed, changed_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at",
                (name, sealed, now),
            )?;
            Ok(())
        })
        .await
    }

    /// The item of that name.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn sealed_item(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(|connection| {
            sql::row(connection, "SELECT sealed FROM sealed_items WHERE name = $1", [name], |row| row.get(0))
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::SealedItemError;
    use crate::limits;
    use crate::testing::new_store;

    #[tokio::test]
    async fn an_item_is_kept_until_another_takes_its_place() {
        let (_folder, store) = new_store().await;
        assert_eq!(store.sealed_item("one").unwrap(), None);
        store.keep_sealed_item("one", vec![0, 255], 1).await.unwrap();
        store.keep_sealed_item("two", vec![7], 1).await.unwrap();
        store.keep_sealed_item("one", vec![8], 2).await.unwrap();
        assert_eq!(store.sealed_item("one").unwrap(), Some(vec![8]));
        assert_eq!(store.sealed_item("two").unwrap(), Some(vec![7]));
    }

    #[tokio::test]
    async fn an_item_over_a_limit_is_refused() {
        let (_folder, store) = new_store().await;
        let name = "x".repeat(limits::ITEM_NAME_BYTES + 1);
        let refused = store.keep_sealed_item(&name, vec![], 1).await;
        assert!(matches!(refused, Err(SealedItemError::TooLong(_))));
        let refused = store.keep_sealed_item("x", vec![0; limits::SEALED_BYTES + 1], 1).await;
        assert!(matches!(refused, Err(SealedItemError::TooLong(_))));
        assert_eq!(store.sealed_item("x").unwrap(), None);
    }
}
