//! Finds recorded decisions: over all files, one line at a time, so that memory does not grow with them. What is asked for comes from
//! the command line, and so does how it is shown.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::folder::{self, RecordFile};
use super::read::{RawLines, Record};
use super::recorder::GAP;

/// How often a file that is followed is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Between a decision and its being written; and how far the clock may have been put back meanwhile, in seconds.
const LATE_S: i64 = 600;

/// What a decision must say. What is not asked for may be anything.
#[derive(Debug, Default, Clone)]
pub(crate) struct Query {
    /// The e-mail address of a person, the subject, or the name of a service; upper and lower case are the same.
    pub(crate) person: Option<String>,
    pub(crate) application: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) verdict: Option<String>,
    pub(crate) policy: Option<String>,
    /// The reference of a page.
    pub(crate) reference: Option<String>,
    pub(crate) host: Option<String>,
    /// One path, or all that begin with what stands before a `*` at the end.
    pub(crate) path: Option<String>,
    /// In unix seconds, from and to.
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
}

/// What comes after the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    Yes,
    No,
}

/// A query in the form that lines are held against.
#[derive(Debug)]
pub(crate) struct Search {
    query: Query,
    /// Texts that stand in every line that matches: most lines need not be read.
    needles: Vec<String>,
    /// One that stands there in capitals or not.
    folded_needle: Option<String>,
}

/// Something to be shown: the line as it is recorded, and what it says. A gap is shown whatever is asked for, since what is looked for
/// may be in it.
pub(crate) type Show<'a> = dyn FnMut(&str, &Record) -> io::Result<()> + 'a;

impl Search {
    pub(crate) fn new(query: Query) -> Self {
        let Query { application, reason, verdict, policy, reference, host, .. } = &query;
        let exact = [application, reason, verdict, policy, reference, host].into_iter().flatten();
        let mut needles: Vec<String> = exact.filter_map(|text| serde_json::to_string(text).ok()).collect();
        if let Some(path) = query.path.as_deref().and_then(|path| serde_json::to_string(path).ok()) {
            needles.push(path.strip_suffix("*\"").map_or(path.clone(), str::to_owned));
        }
        let ascii = query.person.as_deref().filter(|person| person.is_ascii());
        let folded_needle = ascii.and_then(|person| serde_json::to_string(&person.to_ascii_lowercase()).ok());
        Self { query, needles, folded_needle }
    }

    /// Shows what is found, oldest first.
    pub(crate) fn all(&self, place: &Path, follow: Follow, show: &mut Show<'_>) -> io::Result<()> {
        let files = self.files(place)?;
        let Some((last, before)) = files.split_last() else {
            return match follow {
                Follow::Yes => self.follow(place, None, show),
                Follow::No => Ok(()),
            };
        };
        for file in before {
            self.file(&mut RawLines::open(file)?, show)?;
            // A line that was broken off is no record.
        }
        let mut lines = RawLines::open(last)?;
        self.file(&mut lines, show)?;
        match follow {
            Follow::Yes => self.follow(place, Some((last.clone(), lines)), show),
            Follow::No => self.rest(&mut lines, show),
        }
    }

    /// Shows the newest, no more than `limit`, oldest first.
    pub(crate) fn newest(&self, place: &Path, limit: usize, show: &mut Show<'_>) -> io::Result<()> {
        let mut found: VecDeque<(String, Record)> = VecDeque::new();
        for file in self.files(place)?.iter().rev() {
            let mut of_file = VecDeque::new();
            let mut keep = |line: &str, record: &Record| {
                if !record.is_decision() {
                    return show(line, record);
                }
                of_file.push_back((line.to_owned(), record.clone()));
                if of_file.len() > limit - found.len() {
                    of_file.pop_front();
                }
                Ok(())
            };
            let mut lines = RawLines::open(file)?;
            self.file(&mut lines, &mut keep)?;
            self.rest(&mut lines, &mut keep)?;
            of_file.append(&mut found);
            found = of_file;
            if found.len() >= limit {
                break;
            }
        }
        found.iter().try_for_each(|(line, record)| show(line, record))
    }

    /// The files that may hold what is looked for: those of a folder that were written in its time, or the one that was named.
    fn files(&self, place: &Path) -> io::Result<Vec<PathBuf>> {
        if !place.is_dir() {
            return Ok(vec![place.to_owned()]);
        }
        let files = folder::files(place)?;
        let ends = files.iter().skip(1).map(|next| next.begun_at).chain([i64::MAX]);
        let since = self.query.since.map_or(i64::MIN, |since| since.saturating_sub(LATE_S));
        let until = self.query.until.map_or(i64::MAX, |until| until.saturating_add(LATE_S));
        let within = |file: &RecordFile, end: i64| end >= since && file.begun_at <= until;
        let within = files.iter().zip(ends).filter(|(file, end)| within(file, *end));
        Ok(within.map(|(file, _)| file.path.clone()).collect())
    }

    fn file(&self, lines: &mut RawLines, show: &mut Show<'_>) -> io::Result<()> {
        while let Some(line) = lines.next()? {
            self.line(line.bytes, show)?;
        }
        Ok(())
    }

    fn rest(&self, lines: &mut RawLines, show: &mut Show<'_>) -> io::Result<()> {
        lines.rest().map_or(Ok(()), |line| self.line(line.bytes, show))
    }

    /// Goes on as records come, in whatever file, until showing fails.
    fn follow(
        &self,
        folder: &Path,
        from: Option<(PathBuf, RawLines)>,
        show: &mut Show<'_>,
    ) -> io::Result<()> {
        let mut at = from;
        loop {
            // Looked for before the end of the file: what comes to it after the next one was begun is nothing.
            let next = folder::files(folder)?.into_iter().map(|file| file.path);
            let next = next.filter(|path| at.as_ref().is_none_or(|(at, _)| path > at)).min();
            if let Some((_, lines)) = &mut at {
                self.file(lines, show)?;
            }
            match next {
                Some(next) => {
                    let lines = RawLines::open(&next)?;
                    at = Some((next, lines));
                }
                None => thread::sleep(LOOK_INTERVAL),
            }
        }
    }

    fn line(&self, line: &[u8], show: &mut Show<'_>) -> io::Result<()> {
        let Ok(text) = std::str::from_utf8(line) else { return Ok(()) };
        let may_match = self.needles.iter().all(|needle| text.contains(needle.as_str()))
            && self
                .folded_needle
                .as_ref()
                .is_none_or(|needle| text.to_ascii_lowercase().contains(needle.as_str()));
        let is_gap = text.contains(GAP_IN_LINE);
        if !may_match && !is_gap {
            return Ok(());
        }
        match Record::read(line) {
            Some(record) if record.record == GAP && self.is_in_time(&record) => show(text, &record),
            Some(record) if record.is_decision() && self.matches(&record) => show(text, &record),
            _ => Ok(()),
        }
    }

    fn is_in_time(&self, record: &Record) -> bool {
        let Query { since, until, .. } = &self.query;
        (since.is_none() && until.is_none())
            || record.at().is_some_and(|at| {
                since.is_none_or(|since| at >= since) && until.is_none_or(|until| at <= until)
            })
    }

    fn matches(&self, record: &Record) -> bool {
        let query = &self.query;
        let exact = [
            (&query.application, &record.application),
            (&query.reason, &record.reason),
            (&query.verdict, &record.verdict),
            (&query.policy, &record.policy),
            (&query.reference, &record.request),
            (&query.host, &record.host),
        ];
        let is_exact =
            exact.iter().all(|(wanted, found)| wanted.as_ref().is_none_or(|wanted| wanted == *found));
        let is_person = query.person.as_ref().is_none_or(|wanted| {
            let names = [&record.email, &record.subject, &record.service];
            let is_theirs = |name: &str| match wanted.is_ascii() {
                true => name.eq_ignore_ascii_case(wanted),
                false => name.to_lowercase() == wanted.to_lowercase(),
            };
            names.iter().any(|name| !name.is_empty() && is_theirs(name))
        });
        let is_path = query.path.as_ref().is_none_or(|wanted| match wanted.strip_suffix('*') {
            Some(beginning) => record.path.starts_with(beginning),
            None => record.path == *wanted,
        });
        is_exact && is_person && is_path && self.is_in_time(record)
    }
}

/// How the kind of a gap stands in its line. A peer's quotation marks are escaped.
const GAP_IN_LINE: &str = "\"record\":\"gap\"";

#[cfg(test)]
mod tests;
