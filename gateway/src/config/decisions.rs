//! `[log.decisions]`: whether decisions are recorded in files that nobody changes unnoticed, where, and for how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::{Section, Value};

/// Bytes of one file. A file is begun with a record of its own, so that a smaller one would hold little else.
const ROTATE_BYTES: std::ops::RangeInclusive<u64> = 4_096..=1 << 40;
const MAX_FILES: u64 = 1_000_000;

/// `[log.decisions]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisions {
    /// Where the files are.
    pub folder: PathBuf,
    /// A file that has so many bytes is followed by another.
    pub rotate_bytes: u64,
    /// So is one that is that old.
    pub rotate_every: Duration,
    /// How many files are kept, with the one that is written.
    pub keep_files: usize,
    /// How long a file is kept after its last record.
    pub keep_for: Duration,
    /// Whether a request may pass whose decision would not be recorded.
    pub unrecorded: Unrecorded,
}

/// What becomes of requests while decisions cannot be recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unrecorded {
    /// They pass, and what is not recorded is counted.
    #[default]
    Pass,
    /// None passes to an application.
    Denied,
}

/// The record that is wanted; the outer none is a fault.
pub(super) fn read(log: &mut Section<'_, '_>, folder: &Path) -> Option<Option<Decisions>> {
    let Some(value) = log.optional("decisions") else { return Some(None) };
    let mut section = value.section()?;
    let place = section
        .required("folder", "where the files are, such as \"decisions\"")
        .and_then(|value| read_folder(&value, folder));
    let rotate_bytes = section.optional("rotate_bytes").map(|value| value.number(ROTATE_BYTES));
    let rotate_every = section.optional("rotate_every").map(|value| value.duration());
    let keep_files = section
        .optional("keep_files")
        .map(|value| value.number(1..=MAX_FILES).and_then(|count| usize::try_from(count).ok()));
    let keep_for = section.optional("keep_for").map(|value| value.duration());
    let required = section.optional("required").map(|value| value.boolean());
    section.finish();
    Some(Some(Decisions {
        folder: place?,
        rotate_bytes: rotate_bytes.unwrap_or(Some(64 << 20))?,
        rotate_every: rotate_every.unwrap_or(Some(Duration::from_secs(86_400)))?,
        keep_files: keep_files.unwrap_or(Some(1_000))?,
        keep_for: keep_for.unwrap_or(Some(Duration::from_secs(90 * 86_400)))?,
        unrecorded: match required.unwrap_or(Some(false))? {
            true => Unrecorded::Denied,
            false => Unrecorded::Pass,
        },
    }))
}

fn read_folder(value: &Value<'_, '_>, folder: &Path) -> Option<PathBuf> {
    let text = value.string()?;
    if text.is_empty() {
        value.fault("must be a folder");
        return None;
    }
    Some(folder.join(text))
}
