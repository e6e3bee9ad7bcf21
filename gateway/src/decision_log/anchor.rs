//! What the store knows of the record of decisions: its newest record, every few seconds and at the end, once the disk has it. A
//! tail that is cut off afterwards is missed. Recording is left to `recorder`.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_store::{SealedItemError, Store, StoreError};

use super::chain::Head;
use super::state::{RecordState, Written};
use crate::gateway::{Current, Process, now};
use crate::seal::{Purpose, Sealer, digest_text};

/// How old what the store knows may be.
const INTERVAL: Duration = Duration::from_secs(5);

/// Why the store does not know.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnchorError {
    /// The files could not be brought to disk.
    #[error("the disk does not take the recorded decisions")]
    Sync(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store refused the item.
    #[error(transparent)]
    Item(#[from] SealedItemError),
    /// It cannot be sealed, or what the store holds was not sealed by this key.
    #[error("what the store knows of the recorded decisions cannot be opened; is the key file another one?")]
    Seal,
}

/// One gateway records in one folder: what the store knows goes by the name that the configuration gives it. Links are not followed: a
/// link to a copy without its end would be another folder, of which the store knows nothing.
fn name_of(folder: &Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    format!("decision record {}", digest_text(&whole.to_string_lossy()))
}

/// The newest record that the store knows of.
pub(crate) fn known(store: &Store, sealer: &Sealer, folder: &Path) -> Result<Option<Head>, AnchorError> {
    let name = name_of(folder);
    let Some(sealed) = store.sealed_item(&name)? else { return Ok(None) };
    let plain = sealer.open_bytes(Purpose::AtRest, &name, &sealed).ok_or(AnchorError::Seal)?;
    serde_json::from_slice(&plain).map(Some).map_err(|_| AnchorError::Seal)
}

/// Tells the store until the runtime ends.
pub(crate) async fn keep_known(current: Arc<Current>) {
    let gateway = current.get();
    let (Some(state), Some(settings)) = (&gateway.process.record, &gateway.config.log.decisions) else {
        return;
    };
    let mut last = Head::default();
    let mut failing = false;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let told = tell(&gateway.process, state, &settings.folder, &mut last).await;
        if let (Err(cause), false) = (&told, failing) {
            tracing::warn!(target: "portcullis::log", %cause, "the store does not know the newest recorded decisions");
        }
        failing = told.is_err();
    }
}

/// Tells the store of the newest record, at the end.
pub(crate) async fn tell_last(process: &Process, folder: &Path) -> Result<(), AnchorError> {
    match &process.record {
        Some(state) => tell(process, state, folder, &mut Head::default()).await,
        None => Ok(()),
    }
}

/// Brings files to disk, and their names. Whether the newest is still where it was made.
fn sync(files: &[Arc<Written>], folder: &Path) -> io::Result<bool> {
    files.iter().try_for_each(|written| written.file.sync_data())?;
    let in_place = files.last().map_or(Ok(true), |written| written.is_in_place())?;
    if in_place {
        File::open(folder)?.sync_all()?;
    }
    Ok(in_place)
}

async fn tell(
    process: &Process,
    state: &RecordState,
    folder: &Path,
    last: &mut Head,
) -> Result<(), AnchorError> {
    let newest = state.take_newest();
    if newest.head.seq == 0 || newest.head == *last {
        return Ok(());
    }
    // On disk first: after a power cut the store must not know of more than there is.
    let (unsynced, place) = (newest.unsynced.clone(), folder.to_owned());
    let synced = tokio::task::spawn_blocking(move || sync(&unsynced, &place)).await;
    match synced.unwrap_or_else(|error| Err(error.into())) {
        Ok(true) => {}
        Ok(false) => state.note_gone(),
        Err(cause) => {
            state.give_back(newest.unsynced);
            return Err(AnchorError::Sync(cause));
        }
    }
    let name = name_of(folder);
    let plain = serde_json::to_vec(&newest.head).map_err(|_| AnchorError::Seal)?;
    let sealed = process.sealer.seal_bytes(Purpose::AtRest, &name, plain).ok_or(AnchorError::Seal)?;
    process.store.keep_sealed_item(&name, sealed, now()).await?;
    *last = newest.head;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_put_behind_a_link_is_the_same_record() {
        let parent = super::super::testing::folder();
        let (folder, copy) = (parent.join("decisions"), parent.join("copy"));
        std::fs::create_dir_all(&folder).unwrap();
        let before = name_of(&folder);
        std::fs::rename(&folder, &copy).unwrap();
        std::os::unix::fs::symlink(&copy, &folder).unwrap();
        assert_eq!(name_of(&folder), before);
        assert_ne!(name_of(&copy), before);
        std::fs::remove_dir_all(&parent).unwrap();
    }
}
