//! Opens the database file: who may read it, how durable it is, and which schema it has. What is done with it afterwards
//! is left to the other files.

use crate::lease::Lease;
use crate::migrate;
use crate::reader::Readers;
use crate::store::Store;
use crate::writer::{Means, Writer};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The oldest SQLite without the fault that corrupts a database when the write-ahead log is reset (3.7.0 to 3.51.2).
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long a statement waits for another process that holds the write lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS_KEPT: usize = 256;
/// Memory for pages of the writer's: those of one commit of an import fit in, so that none is written twice.
const WRITER_CACHE_KIB: usize = 16 * 1024;
/// Pages of the write-ahead log after which it is carried over into the database.
const CHECKPOINT_PAGES: usize = 4_000;
/// What is left of the log's file after a write that made it long.
const LOG_KEPT_BYTES: usize = 64 * 1024 * 1024;
/// Owner reads and writes, nobody else does anything.
const OWNER_ONLY: u32 = 0o600;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file, or the one beside it, could not be made or read.
    #[error("cannot open `{path}`")]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The database refused.
    #[error("cannot use the database")]
    Database(#[from] rusqlite::Error),
    /// The file is a database of another program.
    #[error("the file is not a store of this program")]
    NotAStore,
    /// A newer program has changed the schema.
    #[error("the store has schema {version}, which only a newer program understands")]
    NewerSchema {
        /// The schema's number.
        version: i32,
    },
    /// The schema is an earlier one, and whoever only reads changes nothing.
    #[error("the store has schema {version}; a gateway of this version brings it up to date when it starts")]
    OlderSchema {
        /// The schema's number.
        version: i32,
    },
    /// The SQLite library is one that can corrupt the database.
    #[error("sqlite {0} can corrupt the database")]
    SqliteTooOld(&'static str),
    /// The file system cannot keep a write-ahead log.
    #[error("the database cannot keep a write-ahead log, its journal mode is `{0}`")]
    NoWriteAheadLog(String),
    /// Another gateway serves from this store.
    #[error("another process serves from this store")]
    AlreadyServing,
    /// No random bytes could be had.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// The writer thread could not be started.
    #[error("cannot start the writer thread")]
    Thread(#[source] io::Error),
}

/// The right to serve from a store beside others who do, or to be alone with it; held until it is dropped.
#[derive(Debug)]
pub struct ServingLock {
    // Closing the file gives the lock up.
    _file: File,
}

impl Store {
    /// Opens the store, and makes it first when the file is absent or empty.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be used as a store; nothing is changed then.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(OpenError::SqliteTooOld(rusqlite::version()));
        }
        let path = owned_file(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let writer = configure(Connection::open_with_flags(&path, flags)?)?;
        let mode: String = writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(OpenError::NoWriteAheadLog(mode));
        }
        writer.execute_batch(&format!(
            "PRAGMA cache_size = -{WRITER_CACHE_KIB}; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; \
             PRAGMA journal_size_limit = {LOG_KEPT_BYTES}"
        ))?;
        migrate::migrate(&writer, BUSY_TIMEOUT)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let readers =
            Readers::open(|| configure(Connection::open_with_flags(&path, flags)?).map_err(OpenError::from))?;
        let lease = Arc::new(Lease::new());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let members = configure(Connection::open_with_flags(&path, flags)?)?;
        members.execute_batch("PRAGMA synchronous = NORMAL")?;
        let means = Means { connection: members, store: path.clone(), lease: lease.clone() };
        let writer = Writer::start(writer, means).map_err(OpenError::Thread)?;
        Ok(Self::new(path, writer, readers, lease))
    }

    /// Says that this process serves from the store. It is taken back when the lock is dropped or the process ends, however it ends.
    ///
    /// # Errors
    /// [`OpenError::File`] when it cannot be said.
    pub fn lock_for_serving(&self) -> Result<ServingLock, OpenError> {
        let (file, path) = self.lock_file()?;
        // Whoever is alone with the store is so for a moment.
        file.lock_shared().map_err(|source| OpenError::File { path, source })?;
        Ok(ServingLock { _file: file })
    }

    /// Takes the right to be alone with the store, which nobody has while another serves from it.
    ///
    /// # Errors
    /// [`OpenError::AlreadyServing`] when another does, [`OpenError::File`] when it cannot be taken.
    pub fn lock_alone(&self) -> Result<ServingLock, OpenError> {
        let (file, path) = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(ServingLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::AlreadyServing),
            Err(TryLockError::Error(source)) => Err(OpenError::File { path, source }),
        }
    }

    fn lock_file(&self) -> Result<(File, PathBuf), OpenError> {
        let mut path = self.path().as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(OWNER_ONLY).open(&path);
        match opened {
            Ok(file) => Ok((file, path)),
            Err(source) => Err(OpenError::File { path, source }),
        }
    }
}

/// Makes the file if it is absent, closes it to all but its owner, and finds its one true path, so that every process
/// locks the same file. SQLite gives its side files the mode of the database.
fn owned_file(path: &Path) -> Result<PathBuf, OpenError> {
    let fault = |source| OpenError::File { path: path.to_owned(), source };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OWNER_ONLY)
        .open(path)
        .map_err(fault)?;
    let mode = file.metadata().map_err(fault)?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(OWNER_ONLY)).map_err(fault)?;
    }
    let path = path.canonicalize().map_err(fault)?;
    // The name of a new file is durable only when its folder is.
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault)?;
    }
    Ok(path)
}

fn configure(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Otherwise a statement is planned anew whenever a value is bound that its plan might depend on, which is each time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF")?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
