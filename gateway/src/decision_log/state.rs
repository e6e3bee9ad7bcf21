//! How recording stands: what the thread that records tells requests, figures and the store. Recording is left to `recorder`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::chain::Head;
use crate::config::Unrecorded;

/// How long the thread that records may be silent before what it records counts as not recorded: a folder whose disk does not
/// answer fails no write.
const MAX_SILENCE: Duration = Duration::from_secs(3);
/// Files that wait for a disk which takes nothing. The oldest is let go of: the system writes it some time.
const MAX_UNSYNCED: usize = 16;

/// What moments are counted from.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Shared by whoever records, asks and reports.
#[derive(Debug)]
pub(crate) struct RecordState {
    unrecorded: Unrecorded,
    failing: AtomicBool,
    /// The file that is written is not where it was made any more.
    gone: AtomicBool,
    /// When a turn of the recorder ended last, in milliseconds.
    turned_ms: AtomicU64,
    /// Decisions that were not recorded, since the start.
    lost: AtomicU64,
    newest: Mutex<Newest>,
}

/// The newest record, and the files that the system may not have on disk yet.
#[derive(Debug, Default)]
pub(super) struct Newest {
    pub(super) head: Head,
    pub(super) unsynced: Vec<Arc<Written>>,
}

/// A file that was written to.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Written {
    /// Whether it is still found by its name.
    pub(super) fn is_in_place(&self) -> io::Result<bool> {
        let (own, found) = (
            self.file.metadata()?,
            match fs::metadata(&self.path) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            },
        );
        Ok((own.dev(), own.ino()) == (found.dev(), found.ino()))
    }
}

impl RecordState {
    pub(super) fn new(unrecorded: Unrecorded) -> Arc<Self> {
        let state = Self {
            unrecorded,
            failing: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            turned_ms: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            newest: Mutex::default(),
        };
        state.turned(Instant::now());
        Arc::new(state)
    }

    /// Whether a request that began at `now` may pass: its decision will be recorded, or need not be.
    pub(crate) fn lets_pass(&self, now: Instant) -> bool {
        self.unrecorded == Unrecorded::Pass || self.records(now)
    }

    /// Whether requests are refused while decisions are not recorded.
    pub(crate) fn is_required(&self) -> bool {
        self.unrecorded == Unrecorded::Denied
    }

    /// Whether decisions are recorded.
    pub(crate) fn records(&self, now: Instant) -> bool {
        let silent_ms = millis(now).saturating_sub(self.turned_ms.load(Ordering::Relaxed));
        !self.failing.load(Ordering::Relaxed) && u128::from(silent_ms) < MAX_SILENCE.as_millis()
    }

    /// Decisions that were not recorded, since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn turned(&self, now: Instant) {
        self.turned_ms.store(millis(now), Ordering::Relaxed);
    }

    pub(super) fn fails(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    pub(super) fn add_lost(&self, lost: u64) {
        self.lost.fetch_add(lost, Ordering::Relaxed);
    }

    /// Tells of a new end, and of the file that it stands in.
    pub(super) fn reached(&self, head: Head, file: Option<&Arc<Written>>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.head = head;
        if let Some(file) = file
            && !newest.unsynced.last().is_some_and(|known| Arc::ptr_eq(known, file))
        {
            newest.unsynced.push(file.clone());
        }
    }

    /// What there is since the last call.
    pub(super) fn take_newest(&self) -> Newest {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        Newest { head: newest.head, unsynced: std::mem::take(&mut newest.unsynced) }
    }

    /// Notes that the file that is written was moved or removed.
    pub(super) fn note_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether that was noted, once.
    pub(super) fn take_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed) && self.gone.swap(false, Ordering::Relaxed)
    }

    /// Gives back what could not be brought to disk.
    pub(super) fn give_back(&self, mut unsynced: Vec<Arc<Written>>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        unsynced.append(&mut newest.unsynced);
        unsynced.drain(..unsynced.len().saturating_sub(MAX_UNSYNCED));
        newest.unsynced = unsynced;
    }
}

fn millis(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*BEGIN).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_for_a_record_only_where_it_is_required() {
        let now = Instant::now();
        for (unrecorded, passes) in [(Unrecorded::Pass, true), (Unrecorded::Denied, false)] {
            let state = RecordState::new(unrecorded);
            assert!(state.lets_pass(now));
            assert_eq!(state.lets_pass(now + MAX_SILENCE + Duration::from_secs(1)), passes, "silent");
            state.fails(true);
            assert_eq!((state.lets_pass(now), state.records(now)), (passes, false));
            state.fails(false);
            assert!(state.lets_pass(now) && state.records(now));
        }
    }
}
