//! Whether a process on this machine lives: each member holds a lock on a file of its own beside the store, which the kernel lets go when the
//! process has ended, however it ended. Whoever finds it free needs not wait for a lease to run out.

use portcullis_lease::MemberId;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Owner reads and writes, nobody else does anything.
const OWNER_ONLY: u32 = 0o600;

/// A sign of life, until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct SignOfLife {
    file: File,
    path: PathBuf,
}

impl SignOfLife {
    /// Gives the sign before the row is inserted.
    pub(crate) fn give(store: &Path, id: MemberId) -> io::Result<Self> {
        let path = path_of(store, id);
        let mut early = path.clone().into_os_string();
        early.push(".new");
        let early = PathBuf::from(early);
        let file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&early)?;
        file.lock()?;
        // Under its name it is locked from the beginning: nobody ever finds it free while the process lives.
        fs::rename(&early, &path)?;
        Ok(Self { file, path })
    }
}

#[cfg(test)]
impl SignOfLife {
    /// Free, and there.
    pub(crate) fn let_go_as_the_kernel_does(self) {
        self.file.unlock().unwrap();
        std::mem::forget(self);
    }
}

impl Drop for SignOfLife {
    fn drop(&mut self) {
        // Gone before it is free: whoever finds nothing knows nothing.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Whether a member of this machine has certainly ended. Without its file nothing is certain, and its lease decides.
pub(crate) fn has_ended(store: &Path, id: MemberId) -> bool {
    is_free(&path_of(store, id))
}

/// Takes away what an ended member left. Its row is gone before.
pub(crate) fn bury(store: &Path, id: MemberId) {
    let path = path_of(store, id);
    if is_free(&path) {
        let _ = fs::remove_file(path);
    }
}

fn is_free(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    match file.try_lock_shared() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

fn path_of(store: &Path, id: MemberId) -> PathBuf {
    let mut name: OsString = store.as_os_str().to_owned();
    name.push(format!(".member-{id}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn an_ended_member_is_known_and_an_absent_one_is_not() {
        let folder = Folder::new();
        let (store, id) = (folder.database(), MemberId(7));
        assert!(!has_ended(&store, id), "nothing is known");
        let sign = SignOfLife::give(&store, id).unwrap();
        assert!(!has_ended(&store, id));
        bury(&store, id);
        sign.let_go_as_the_kernel_does();
        assert!(has_ended(&store, id));
        bury(&store, id);
        assert!(!has_ended(&store, id));
    }
}
