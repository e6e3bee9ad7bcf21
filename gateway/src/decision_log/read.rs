//! Reads what was recorded: lines of a file, and typed records over all files of a folder, one after another, however many there are.
//! Nothing here believes what it reads to be true: that is for `check` to say.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::vec;

use serde::Deserialize;

use super::chain::Mac;
use super::folder;
use super::recorder::{DECISION, MAX_RECORD_BYTES};

/// A line of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawLine<'a> {
    /// From 1.
    pub(crate) number: u64,
    /// Without its line break; nothing of a line that is longer than any record.
    pub(crate) bytes: &'a [u8],
    /// With its line break, if it has one.
    pub(crate) length: u64,
}

/// The lines of a file, one at a time. At the end it may be asked again: a file may grow.
#[derive(Debug)]
pub(crate) struct RawLines {
    reader: BufReader<File>,
    number: u64,
    line: Vec<u8>,
    length: u64,
    /// The last line has had no line break yet.
    unended: bool,
}

impl RawLines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let reader = BufReader::with_capacity(128 * 1024, File::open(path)?);
        Ok(Self { reader, number: 0, line: Vec::new(), length: 0, unended: false })
    }

    /// The next line. None at the end, and where only the beginning of a line is there yet; see [`Self::rest`].
    pub(crate) fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        if !self.unended {
            self.line.clear();
            self.length = 0;
        }
        loop {
            let piece = self.reader.fill_buf()?;
            if piece.is_empty() {
                self.unended = self.length > 0;
                return Ok(None);
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let text = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
            if self.line.len() + text.len() <= MAX_RECORD_BYTES {
                self.line.extend_from_slice(text);
            }
            let taken = text.len() + usize::from(end.is_some());
            self.length += taken as u64;
            self.reader.consume(taken);
            if end.is_some() {
                self.unended = false;
                return Ok(Some(self.taken()));
            }
        }
    }

    /// What stands at the end of the file without a line break.
    pub(crate) fn rest(&mut self) -> Option<RawLine<'_>> {
        std::mem::take(&mut self.unended).then(|| self.taken())
    }

    fn taken(&mut self) -> RawLine<'_> {
        self.number += 1;
        let whole = self.length <= MAX_RECORD_BYTES as u64;
        let bytes = if whole { self.line.as_slice() } else { &[] };
        RawLine { number: self.number, bytes, length: self.length }
    }
}

/// A record as it is read; what does not stand in it is empty. `policy diff` asks a decision again of other policies: the person's
/// groups and attributes are looked up in the directory then, by provider and subject or by e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Record {
    /// Its number, from 1.
    pub seq: u64,
    /// RFC 3339, in UTC, with microseconds: times in this form have the order of their texts.
    pub timestamp: String,
    /// Its kind: `decision`, or a word about the record itself.
    pub record: String,

    /// The reference that a page shows.
    pub request: String,
    /// What became of the request, in one word.
    pub verdict: String,
    /// The status that was answered.
    pub status: u16,
    /// The application's name, where the request was for one.
    pub application: String,
    /// The host that was asked for.
    pub host: String,
    /// The method.
    pub method: String,
    /// In normal form, without the query.
    pub path: String,
    /// Whose address was judged.
    pub client: Option<IpAddr>,
    /// The fingerprint of the client's certificate.
    pub certificate: String,
    /// Whom that names.
    pub certificate_subject: String,
    /// The person's e-mail address.
    pub email: String,
    /// `sub` at the provider, or the client id of a service.
    pub subject: String,
    /// The identity provider's configured name.
    pub provider: String,
    /// The name of a service's token.
    pub service: String,
    /// The beginning of the session's hashed id.
    pub session: String,
    /// When the person logged in, in unix seconds.
    pub login_at: Option<i64>,
    /// The policy that decided.
    pub policy: String,
    /// Its rule, such as `include[0]`.
    pub rule: String,
    /// The word for why.
    pub reason: String,
    /// Of the policies that decided.
    pub revision: String,
    /// What the person said that they use the application for, shortened.
    pub purpose: String,
    /// What report-only policies would have decided.
    pub reports: String,
    /// Why it ended early, in words.
    pub cause: String,

    /// Bytes before it that are no record.
    pub torn: u64,
    /// The store knew of records up to this one, and they were not there.
    pub missing_through: Option<u64>,
    /// Decisions that were not recorded.
    pub lost: u64,
    /// The newest record in files that were removed.
    pub through: u64,
    /// The hash of the record before, at the beginning of a file.
    pub(super) previous: Option<Mac>,
}

impl Default for Record {
    /// A line of the log on standard output names no kind: it is read as the decision that it tells of.
    fn default() -> Self {
        let text = String::new;
        Self {
            seq: 0,
            timestamp: text(),
            record: DECISION.to_owned(),
            request: text(),
            verdict: text(),
            status: 0,
            application: text(),
            host: text(),
            method: text(),
            path: text(),
            client: None,
            certificate: text(),
            certificate_subject: text(),
            email: text(),
            subject: text(),
            provider: text(),
            service: text(),
            session: text(),
            login_at: None,
            policy: text(),
            rule: text(),
            reason: text(),
            revision: text(),
            purpose: text(),
            reports: text(),
            cause: text(),
            torn: 0,
            missing_through: None,
            lost: 0,
            through: 0,
            previous: None,
        }
    }
}

impl Record {
    /// Reads a line; none when it is no record.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(line).ok()?;
        (!record.timestamp.is_empty()).then_some(record)
    }

    /// Whether it is about a request.
    #[must_use]
    pub fn is_decision(&self) -> bool {
        self.record == DECISION && !self.request.is_empty()
    }

    /// When it was, in unix seconds.
    #[must_use]
    pub fn at(&self) -> Option<i64> {
        chrono::DateTime::parse_from_rfc3339(&self.timestamp).ok().map(|at| at.timestamp())
    }
}

/// The decisions of some files, in their order.
#[derive(Debug)]
pub struct Decisions {
    files: vec::IntoIter<PathBuf>,
    lines: Option<RawLines>,
}

/// The decisions recorded in a folder, or in one file: a copy of one, or what the log on standard output told as JSON.
///
/// # Errors
/// When the folder cannot be read.
pub fn decisions(place: &Path) -> io::Result<Decisions> {
    let files = if place.is_dir() {
        folder::files(place)?.into_iter().map(|file| file.path).collect()
    } else {
        vec![place.to_owned()]
    };
    Ok(Decisions { files: files.into_iter(), lines: None })
}

impl Iterator for Decisions {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(lines) = &mut self.lines else {
                match RawLines::open(&self.files.next()?) {
                    Ok(lines) => self.lines = Some(lines),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            let line = match lines.next() {
                Ok(Some(line)) => Record::read(line.bytes),
                Ok(None) => {
                    let rest = lines.rest().and_then(|line| Record::read(line.bytes));
                    self.lines = None;
                    rest
                }
                Err(error) => {
                    self.lines = None;
                    return Some(Err(error));
                }
            };
            if let Some(record) = line.filter(Record::is_decision) {
                return Some(Ok(record));
            }
        }
    }
}
