//! What comes out: one line for each figure, as it is measured and at the end as a table for the documentation.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Size;

/// The figures of one run, in the order in which they were measured.
#[derive(Debug)]
pub struct Figures {
    size: Size,
    folder: PathBuf,
    rows: Vec<(String, String)>,
}

impl Figures {
    pub(super) fn new(size: Size, folder: PathBuf) -> Self {
        Self { size, folder, rows: Vec::new() }
    }

    fn note(&mut self, what: &str, figure: String) {
        println!("    {what}: {figure}");
        self.rows.push((what.to_owned(), figure));
    }

    pub(super) fn rate(&mut self, what: &str, count: usize, took: Duration) {
        let rate = count as f64 / took.as_secs_f64();
        self.note(what, format!("{rate:.0} a second ({count} in {:.0} s)", took.as_secs_f64()));
    }

    pub(super) fn time(&mut self, what: &str, took: Duration) {
        self.note(what, shown(took));
    }

    /// The median and the slowest of several.
    pub(super) fn times(&mut self, what: &str, mut took: Vec<Duration>) {
        took.sort_unstable();
        let (Some(median), Some(slowest)) = (took.get(took.len() / 2), took.last()) else { return };
        self.note(what, format!("{}, at most {}", shown(*median), shown(*slowest)));
    }

    pub(super) fn bytes(&mut self, what: &str, bytes: u64) {
        self.note(what, format!("{:.0} MiB", bytes as f64 / 1024.0 / 1024.0));
    }

    /// The whole as a table.
    #[must_use]
    pub fn table(&self) -> String {
        let Size { people, groups, members, .. } = self.size;
        let mut text = format!(
            "| {people} people, {groups} groups, {} memberships | measured |\n|---|---|\n",
            groups * members
        );
        for (what, figure) in &self.rows {
            let _ = writeln!(text, "| {what} | {figure} |");
        }
        text
    }

    /// Leaves the table where the benchmarks leave theirs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> std::io::Result<&Path> {
        std::fs::create_dir_all(&self.folder)?;
        std::fs::write(self.folder.join("people.md"), self.table())?;
        Ok(&self.folder)
    }
}

fn shown(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}
