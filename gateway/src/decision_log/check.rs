//! Looks through a whole record of decisions: that each record is the gateway's own, that none is missing, and that it ends no earlier
//! than the store knows. Words for people are left to the command line.

use std::io;
use std::path::{Path, PathBuf};

use super::chain::{ChainKey, Head, Sealed};
use super::folder::{self, RecordFile};
use super::read::{RawLine, RawLines, Record};
use super::recorder::{DECISION, OPENED};

/// Faults that are told one by one; the rest is counted.
const MAX_FAULTS: usize = 100;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) file: PathBuf,
    /// From 1.
    pub(crate) line: u64,
}

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("record {0} is not as the gateway wrote it, or the one before is not")]
    Changed(u64),
    #[error("records {from} to {through} are missing")]
    Missing { from: u64, through: u64 },
    #[error("record {found} stands after record {before}")]
    OutOfOrder { before: u64, found: u64 },
    #[error("{0} bytes are no record, and no crash or full disk explains them")]
    Unexplained(u64),
    #[error("the gateway says that {said} bytes before record {seq} were broken off, and {found} are")]
    TornOtherwise { seq: u64, said: u64, found: u64 },
    #[error("the files before record {0} are missing, and the record does not say that they were removed")]
    FilesMissing(u64),
    #[error("records up to {through} were missing when the gateway began with record {seq}")]
    WereMissing { seq: u64, through: u64 },
    #[error(
        "the record ends with {found}, and the store knows of {known}: its end was cut off, or its files were removed"
    )]
    CutOff { known: u64, found: u64 },
    #[error("record {0} is another than the one that the store knows")]
    OtherThanKnown(u64),
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// In the order of the record, with the place of the first line concerned.
    pub(crate) faults: Vec<(At, Fault)>,
    /// Faults that are not among them.
    pub(crate) more: u64,
    pub(crate) files: usize,
    pub(crate) records: u64,
    pub(crate) decisions: u64,
    /// The first record that is there.
    pub(crate) first: u64,
    pub(crate) newest: Head,
    /// Decisions that the gateway says it could not record.
    pub(crate) lost: u64,
    /// Bytes that a crash or a full disk has broken off, as the gateway says itself.
    pub(crate) torn: u64,
    /// Bytes at the end that are no record: one that is being written, or that a crash has broken off.
    pub(crate) unfinished: u64,
    /// What the store knew when this began.
    pub(crate) known: Option<Head>,
}

/// Looks through a folder. `known` was taken from the store before, so that what is written meanwhile is no fault.
pub(crate) fn check(folder: &Path, key: &ChainKey, known: Option<Head>) -> io::Result<Findings> {
    let files = folder::files(folder)?;
    let mut walk =
        Walk { key, loose: None, removed_through: 0, found: Findings { known, ..Findings::default() } };
    walk.found.files = files.len();
    let begin = At { file: files.first().map_or(folder, |file| &file.path).to_owned(), line: 1 };
    let mut end = begin.clone();
    for file in &files {
        end = walk.file(file)?;
    }
    walk.end(&begin, &end);
    Ok(walk.found)
}

struct Walk<'a> {
    key: &'a ChainKey,
    /// Where bytes that are no record began, and how many they are.
    loose: Option<(At, u64)>,
    removed_through: u64,
    found: Findings,
}

impl Walk<'_> {
    /// The last line of the file.
    fn file(&mut self, file: &RecordFile) -> io::Result<At> {
        let mut lines = RawLines::open(&file.path)?;
        let mut at = At { file: file.path.clone(), line: 1 };
        while let Some(line) = lines.next()? {
            at.line = line.number;
            self.line(&at, line);
        }
        if let Some(line) = lines.rest() {
            at.line = line.number;
            self.line(&at, line);
        }
        Ok(at)
    }

    fn line(&mut self, at: &At, line: RawLine<'_>) {
        match Sealed::read(line.bytes) {
            Some(sealed) => self.record(at, line.bytes, sealed),
            None => self.loose.get_or_insert_with(|| (at.clone(), 0)).1 += line.length,
        }
    }

    fn record(&mut self, at: &At, line: &[u8], sealed: Sealed<'_>) {
        let head = sealed.head;
        // What the chain does not vouch for is not believed either.
        let record = if is_decision(sealed.body) { None } else { Record::read(line) };
        let previous = record.as_ref().and_then(|record| record.previous.filter(|_| record.record == OPENED));
        let first = self.found.records == 0;
        self.found.records += 1;
        self.found.decisions += u64::from(record.is_none());
        let mut before = self.found.newest;
        if first {
            self.found.first = head.seq;
        }
        let follows = head.seq == before.seq + 1;
        if !follows {
            if !first {
                self.out_of_order(at, before.seq, head.seq);
            }
            // The beginning of a file says itself what it follows.
            before.mac = previous.unwrap_or_default();
        }
        let may_be_checked = follows || previous.is_some();
        let true_record = self.key.mac(before.mac, sealed.body) == head.mac;
        if may_be_checked && !true_record {
            self.fault(at, Fault::Changed(head.seq));
        } else if !may_be_checked && first {
            self.fault(at, Fault::Missing { from: 1, through: head.seq.saturating_sub(1) });
        }
        self.explain(at, head.seq, record.as_ref().filter(|_| true_record));
        self.found.newest = head;
        if self.found.known.is_some_and(|known| known.seq == head.seq && known.mac != head.mac) {
            self.fault(at, Fault::OtherThanKnown(head.seq));
        }
    }

    fn out_of_order(&mut self, at: &At, before: u64, found: u64) {
        let fault = if found > before + 1 {
            Fault::Missing { from: before + 1, through: found - 1 }
        } else {
            Fault::OutOfOrder { before, found }
        };
        self.fault(at, fault);
    }

    /// Takes what a record says of the record, and whether it accounts for the bytes before it that are none.
    fn explain(&mut self, at: &At, seq: u64, record: Option<&Record>) {
        let said = record.map_or(0, |record| record.torn);
        match self.loose.take() {
            Some((_, found)) if found == said => self.found.torn += said,
            Some((from, found)) if said == 0 => self.fault(&from, Fault::Unexplained(found)),
            Some((from, found)) => self.fault(&from, Fault::TornOtherwise { seq, said, found }),
            None if said > 0 => self.fault(at, Fault::TornOtherwise { seq, said, found: 0 }),
            None => {}
        }
        let Some(record) = record else { return };
        self.found.lost += record.lost;
        self.removed_through = self.removed_through.max(record.through);
        if let Some(through) = record.missing_through {
            self.fault(at, Fault::WereMissing { seq, through });
        }
    }

    fn end(&mut self, begin: &At, end: &At) {
        self.found.unfinished = self.loose.take().map_or(0, |(_, bytes)| bytes);
        let first = self.found.first;
        if first > 1 && self.removed_through < first - 1 {
            self.fault(begin, Fault::FilesMissing(first));
        }
        let found = self.found.newest.seq;
        if let Some(known) = self.found.known.filter(|known| known.seq > found) {
            self.fault(end, Fault::CutOff { known: known.seq, found });
        }
        // Bytes that are no record are told of when the next record has not explained them.
        self.found.faults.sort_by(|one, other| one.0.cmp(&other.0));
    }

    fn fault(&mut self, at: &At, fault: Fault) {
        if self.found.faults.len() < MAX_FAULTS {
            self.found.faults.push((at.clone(), fault));
        } else {
            self.found.more += 1;
        }
    }
}

/// Whether a record is a decision, by where its kind stands: most are, and need not be read.
fn is_decision(body: &[u8]) -> bool {
    let wanted = format!("\",\"record\":\"{DECISION}\",");
    let after_seq = body.iter().position(|byte| *byte == b',');
    // `"timestamp":"2026-01-31T23:59:59.000001Z` is as long each time.
    let kind = after_seq.and_then(|at| body.get(at + TIMESTAMP_BYTES..));
    kind.is_some_and(|kind| kind.starts_with(wanted.as_bytes()))
}

/// `,"timestamp":"2026-01-31T23:59:59.000001Z`
const TIMESTAMP_BYTES: usize = 41;

#[cfg(test)]
mod tests;
