//! A folder for one gateway's files: temporary, or one that stays.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Removed when dropped, unless it was made to stay or a test has failed in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    stays: bool,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Folder {
    /// A fresh folder among the system's temporary files.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn temporary() -> Self {
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("portcullis-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Self { path, stays: false },
                // Kept from a test that failed, in a process that had the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("a temporary folder cannot be made at {}: {error}", path.display()),
            }
        }
    }

    /// A folder that is kept.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn at(path: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self { path: path.to_owned(), stays: true })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        if std::thread::panicking() {
            eprintln!("the gateway's files are kept in {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
