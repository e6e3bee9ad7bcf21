//! Records decisions in files, on the thread that writes the log: each a link of the chain, appended and never changed. What cannot be
//! recorded is counted, and said in the record as soon as that can be written. Waiting for the disk is left to `anchor`.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chain::{ChainKey, END_BYTES, Head};
use super::folder::{self, Claim, RecordFile};
use super::journal::Event;
use super::portion::{Portion, Worth, write_counting};
use super::scribe::write_fields;
use super::state::{RecordState, Written};
use crate::config::{Decisions, LogFormat};
use crate::gateway::now;
use crate::log::{Line, Lines, Stamps};

/// Records are handed to the system in portions of about this size, in bytes.
const PORTION: usize = 64 * 1024;
/// The longest record. A longer one could only be made of configured names; it counts as lost.
pub(crate) const MAX_RECORD_BYTES: usize = 1024 * 1024;
/// How long nothing is tried after a write that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What kinds of records there are, by their word.
pub(super) const DECISION: &str = "decision";
/// The first record of a file; repeats the hash of the record before.
pub(super) const OPENED: &str = "opened";
/// The gateway began to record.
pub(super) const STARTED: &str = "started";
/// It ended in good order.
pub(super) const STOPPED: &str = "stopped";
/// Decisions were not recorded here.
pub(crate) const GAP: &str = "gap";
/// Old files were removed, as configured.
pub(super) const REMOVED: &str = "removed";

/// Why decisions cannot be recorded at all.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The folder cannot be used.
    #[error("cannot record decisions in `{}`", folder.display())]
    Folder {
        /// The folder that was configured.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else writes there.
    #[error("another process records its decisions in `{}`: give each gateway a folder of its own", .0.display())]
    Claimed(PathBuf),
}

/// The thread's side of the record.
#[derive(Debug)]
pub(crate) struct Recorder {
    settings: Decisions,
    key: ChainKey,
    state: Arc<RecordState>,
    lines: Lines,
    stamps: Stamps,
    place: Option<Place>,
    /// The newest record in a file.
    written: Head,
    /// Bytes after it, which are no record.
    torn: u64,
    /// The next byte to that file must be a line break.
    in_line: bool,
    portion: Portion,
    /// The newest record in the portion.
    made: Head,
    /// Decisions that are not recorded, and of which the record does not say so yet.
    lost: u64,
    /// The store knows of records up to this one, which the folder lacks, and the record does not say so yet.
    missing_through: Option<u64>,
    /// Writing failed; when it is tried again.
    again_at: Option<Instant>,
    _claim: Claim,
}

/// The newest file.
#[derive(Debug)]
struct Place {
    file: RecordFile,
    handle: Option<Arc<Written>>,
    bytes: u64,
    /// Its first record is written.
    begun: bool,
}

impl Recorder {
    /// Goes on where the folder's records end. `known` is the newest record that the store knows of.
    pub(crate) fn begin(
        settings: &Decisions,
        key: ChainKey,
        known: Option<Head>,
    ) -> Result<(Self, Arc<RecordState>), RecordError> {
        let folder = &settings.folder;
        let unusable = |source| RecordError::Folder { folder: folder.clone(), source };
        let claim =
            Claim::of(folder).map_err(unusable)?.ok_or_else(|| RecordError::Claimed(folder.clone()))?;
        let end = folder::end(folder).map_err(unusable)?;
        let state = RecordState::new(settings.unrecorded);
        let begun = end.newest_is_begun;
        let place = end.newest.map(|(file, bytes)| Place { file, handle: None, bytes, begun });
        let mut recorder = Self {
            settings: settings.clone(),
            key,
            state: state.clone(),
            lines: Lines::new(LogFormat::Json),
            stamps: Stamps::new(),
            place,
            written: end.head,
            torn: end.torn,
            in_line: end.in_line,
            portion: Portion::default(),
            made: end.head,
            lost: 0,
            missing_through: None,
            again_at: None,
            _claim: claim,
        };
        recorder.start(known);
        Ok((recorder, state))
    }

    fn start(&mut self, known: Option<Head>) {
        let missing = known.filter(|known| known.seq > self.written.seq);
        let (torn, newest) = (self.torn, self.written.seq);
        if let Some(known) = missing {
            tracing::error!(
                target: "portcullis::log", folder = %self.settings.folder.display(), newest, known = known.seq,
                "recorded decisions are missing: the store knows of later ones than the folder holds"
            );
            self.missing_through = Some(known.seq);
        }
        if torn > 0 {
            tracing::warn!(target: "portcullis::log", bytes = torn, "the record of decisions ended within a record; it goes on after it");
        }
        let opened = if self.is_due() { self.open_next() } else { self.open_again() };
        if let Err(cause) = opened {
            return self.fail(&cause);
        }
        self.control(STARTED, 0, |line| line.text("version", env!("CARGO_PKG_VERSION")));
        self.flush();
        self.retire();
    }

    /// Adds a decision; it is written with others.
    pub(crate) fn decision(&mut self, stamp: &str, event: &Event<'_>) {
        if self.again_at.is_some() {
            return self.lose(1);
        }
        self.add((DECISION, stamp), Worth { decisions: 1, told: 0 }, |line| write_fields(event, line));
        if self.portion.bytes.len() >= PORTION {
            self.flush();
        }
    }

    /// Writes what was added. `dropped` decisions have found no place on their way here.
    pub(crate) fn end_turn(&mut self, dropped: u64) {
        self.lose(dropped);
        match self.again_at {
            None => {
                self.flush();
                self.tell_gap();
                let gone = self.state.take_gone();
                if gone {
                    tracing::error!(target: "portcullis::log", "the file of decisions was moved or removed while it was written; another is begun");
                }
                if self.again_at.is_none() && (gone || self.is_due()) {
                    self.rotate();
                }
            }
            Some(at) if Instant::now() >= at => self.try_again(),
            Some(_) => {}
        }
        self.state.turned(Instant::now());
    }

    /// Ends in good order.
    pub(crate) fn stop(mut self) {
        self.control(STOPPED, 0, |_| {});
        self.flush();
    }

    fn add(&mut self, (kind, stamp): (&str, &str), worth: Worth, fill: impl FnOnce(&mut Line<'_>)) {
        let (before, out) = (self.made, &mut self.portion.bytes);
        let begin = out.len();
        let mut line = self.lines.begin_record(out, before.seq + 1, stamp, kind);
        fill(&mut line);
        if out.len() - begin > MAX_RECORD_BYTES - END_BYTES {
            out.truncate(begin);
            return self.lose(worth.decisions);
        }
        self.made = self.key.seal(before, out, begin);
        self.portion.mark(self.made, worth);
    }

    /// Adds a record about the record itself. One that comes first in a portion says what torn bytes it follows.
    fn control(&mut self, kind: &str, told: u64, fill: impl FnOnce(&mut Line<'_>)) {
        let (mut torn, mut missing) = (0, None);
        if self.portion.bytes.is_empty() {
            (torn, missing) = (self.torn, self.missing_through);
            if self.in_line {
                self.portion.bytes.push(b'\n');
                torn += u64::from(torn > 0);
            }
        }
        self.stamps.compare_clocks();
        let stamp = self.stamps.text(Instant::now()).to_owned();
        self.add((kind, &stamp), Worth { decisions: 0, told }, |line| {
            if torn > 0 {
                line.number("torn", torn);
            }
            if let Some(through) = missing {
                line.number("missing_through", through);
            }
            fill(line);
        });
    }

    fn tell_gap(&mut self) {
        let lost = self.lost;
        if lost > 0 && self.again_at.is_none() {
            self.control(GAP, lost, |line| line.number("lost", lost));
            self.flush();
        }
    }

    fn lose(&mut self, decisions: u64) {
        self.lost += decisions;
        self.state.add_lost(decisions);
    }

    fn flush(&mut self) {
        if self.portion.bytes.is_empty() {
            return;
        }
        let handle = self.place.as_ref().and_then(|place| place.handle.clone());
        let (count, result) = match &handle {
            Some(handle) => write_counting(&mut &handle.file, &self.portion.bytes),
            None => (0, Err(io::ErrorKind::NotFound.into())),
        };
        self.settle(count);
        match result {
            Ok(()) => self.state.reached(self.written, handle.as_ref()),
            Err(cause) => self.fail(&cause),
        }
    }

    /// Notes that so many bytes of the portion are in the file.
    fn settle(&mut self, count: usize) {
        let settled = self.portion.settle(count);
        if let Some(written) = settled.written {
            (self.written, self.torn, self.missing_through) = (written, 0, None);
        }
        self.torn += settled.torn;
        self.in_line = settled.in_line.unwrap_or(self.in_line);
        if let Some(place) = &mut self.place {
            place.bytes += count as u64;
            place.begun |= settled.written.is_some();
        }
        self.made = self.written;
        self.lost = self.lost.saturating_sub(settled.told);
        self.lose(settled.lost);
    }

    fn fail(&mut self, cause: &io::Error) {
        if self.again_at.is_none() {
            let folder = self.settings.folder.display();
            tracing::error!(target: "portcullis::log", %folder, %cause, "decisions cannot be recorded");
        }
        self.again_at = Some(Instant::now() + PAUSE);
        self.state.fails(true);
        if let Some(place) = &mut self.place {
            place.handle = None;
        }
    }

    fn try_again(&mut self) {
        // What was counted before stands in the record of the gap.
        let lost = self.lost;
        if let Err(cause) = self.open_again() {
            return self.fail(&cause);
        }
        self.again_at = None;
        self.control(GAP, lost, |line| line.number("lost", lost));
        self.flush();
        if self.again_at.is_none() {
            self.state.fails(false);
            tracing::warn!(target: "portcullis::log", lost, "decisions are recorded again; some are missing");
        }
    }

    /// Goes on in the newest file, or in a new one where there is none.
    fn open_again(&mut self) -> io::Result<()> {
        let Some(place) = &mut self.place else { return self.open_next() };
        match place.file.open() {
            Ok(file) => {
                place.bytes = file.metadata()?.len();
                let path = place.file.path.clone();
                place.handle = Some(Arc::new(Written { file, path }));
                if !place.begun {
                    self.say_opened();
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.open_next(),
            Err(error) => Err(error),
        }
    }

    fn open_next(&mut self) -> io::Result<()> {
        let file = RecordFile::new(&self.settings.folder, self.written.seq + 1, now());
        let written = Written { file: file.create()?, path: file.path.clone() };
        let handle = Some(Arc::new(written));
        self.in_line = false;
        self.place = Some(Place { file, handle, bytes: 0, begun: false });
        self.say_opened();
        Ok(())
    }

    fn say_opened(&mut self) {
        let previous = self.written.mac.text();
        self.control(OPENED, 0, |line| line.text("previous", &previous));
    }

    /// Whether the newest file has had its time or its share.
    fn is_due(&self) -> bool {
        self.place.as_ref().is_some_and(|place| {
            let every = i64::try_from(self.settings.rotate_every.as_secs()).unwrap_or(i64::MAX);
            place.bytes >= self.settings.rotate_bytes || now().saturating_sub(place.file.begun_at) >= every
        })
    }

    fn rotate(&mut self) {
        match self.open_next() {
            Ok(()) => self.flush(),
            Err(cause) => self.fail(&cause),
        }
        self.retire();
    }

    /// Removes the files whose time is over. The record says so before they go, so that a file that is missing without is missed.
    fn retire(&mut self) {
        if self.again_at.is_some() {
            return;
        }
        let folder = self.settings.folder.clone();
        let files = folder::files(&folder).unwrap_or_default();
        let count = folder::over(&files, self.settings.keep_files, self.settings.keep_for, now());
        let Some(kept) = files.get(count).filter(|_| count > 0) else { return };
        let through = kept.first.saturating_sub(1);
        self.control(REMOVED, 0, |line| {
            line.number("files", count as u64);
            line.number("through", through);
        });
        self.flush();
        if self.again_at.is_some() {
            return;
        }
        for file in files.iter().take(count) {
            if let Err(cause) = std::fs::remove_file(&file.path) {
                let file = file.path.display();
                tracing::warn!(target: "portcullis::log", %file, %cause, "a file of decisions that is old enough cannot be removed");
            }
        }
    }
}

#[cfg(test)]
mod tests;
