//! Where the log goes: standard output, or a file that another program may move away and have opened anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use crate::config::LogOutput;

/// People's addresses stand in the log.
const FILE_MODE: u32 = 0o640;

/// An open log.
#[derive(Debug)]
pub(super) struct Output {
    place: LogOutput,
    file: Option<File>,
    /// A write failed somewhere in a line.
    broken_line: bool,
}

impl Output {
    pub(super) fn open(place: LogOutput) -> io::Result<Self> {
        let file = open(&place)?;
        Ok(Self { place, file, broken_line: false })
    }

    /// Opens the file anew by its name. When that fails, the old one is kept.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.file = open(&self.place)?;
        self.broken_line = false;
        Ok(())
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = match &mut self.file {
            Some(file) => write_to(file, lines, self.broken_line),
            None => write_to(&mut io::stdout().lock(), lines, self.broken_line),
        };
        self.broken_line = written.is_err();
        written
    }
}

fn open(place: &LogOutput) -> io::Result<Option<File>> {
    match place {
        LogOutput::StandardOutput => Ok(None),
        LogOutput::File(path) => {
            OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path).map(Some)
        }
    }
}

fn write_to(output: &mut impl Write, lines: &[u8], after_broken_line: bool) -> io::Result<()> {
    if after_broken_line {
        output.write_all(b"\n")?;
    }
    output.write_all(lines)?;
    output.flush()
}
