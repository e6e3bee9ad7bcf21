//! Where the log goes: standard output, or a file that another program may move away and have opened anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::config::LogOutput;

/// People's addresses stand in the log.
const FILE_MODE: u32 = 0o640;
/// What a pipe that says it can be written to takes whole: a page, with a line break before.
const PIECE: usize = 4_095;

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

    /// Writes as much as the output takes within `patience`; how much that was.
    pub(super) fn write_within(&mut self, patience: Duration, lines: &[u8]) -> io::Result<usize> {
        let until = Instant::now() + patience;
        let (taken, result) = match &mut self.file {
            Some(file) => write_pieces(file, lines, until, self.broken_line),
            None => write_pieces(&mut io::stdout().lock(), lines, until, self.broken_line),
        };
        self.broken_line = result.is_err() || (self.broken_line && taken == 0);
        result.map(|()| taken)
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

/// Writes pieces while they are taken; how many bytes those were.
fn write_pieces(
    output: &mut (impl Write + AsFd),
    lines: &[u8],
    until: Instant,
    after_broken_line: bool,
) -> (usize, io::Result<()>) {
    let mut taken = 0;
    for piece in lines.chunks(PIECE) {
        let written = takes_a_piece(output, until).and_then(|takes| {
            if takes {
                write_to(output, piece, after_broken_line && taken == 0).map(|()| true)
            } else {
                Ok(false)
            }
        });
        match written {
            Ok(true) => taken += piece.len(),
            Ok(false) => break,
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

/// Whether a pipe, a socket or a terminal takes [`PIECE`] bytes by then. A file on a disk always does.
fn takes_a_piece(output: &impl AsFd, until: Instant) -> io::Result<bool> {
    let mut wanted = [PollFd::new(output, PollFlags::OUT)];
    let patience = Timespec::try_from(until.saturating_duration_since(Instant::now()));
    match poll(&mut wanted, patience.as_ref().ok()) {
        Err(Errno::INTR) => Ok(false),
        ready => Ok(ready? > 0),
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
