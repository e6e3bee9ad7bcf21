//! Records that were made and are not in a file yet, and what is left of them when writing stops in the middle. Where they go is left
//! to `recorder`.

use std::io::{self, Write};

use super::chain::Head;

/// Whole lines, and a line break before them where the file needs one.
#[derive(Debug, Default)]
pub(super) struct Portion {
    pub(super) bytes: Vec<u8>,
    marks: Vec<Mark>,
}

#[derive(Debug)]
struct Mark {
    end: usize,
    head: Head,
    worth: Worth,
}

/// What goes with a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Worth {
    /// Decisions that are lost when it is: itself, or none.
    pub(super) decisions: u64,
    /// Lost decisions that it tells of.
    pub(super) told: u64,
}

/// What became of a portion.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// The last record that is whole in the file; none when none is.
    pub(super) written: Option<Head>,
    /// Bytes after it that are no record.
    pub(super) torn: u64,
    /// Whether the file ends within a line. None when nothing came to it.
    pub(super) in_line: Option<bool>,
    /// Decisions that are not in the file, and those that the file now says are lost.
    pub(super) lost: u64,
    pub(super) told: u64,
}

impl Portion {
    /// Notes that what was added is a record.
    pub(super) fn mark(&mut self, head: Head, worth: Worth) {
        self.marks.push(Mark { end: self.bytes.len(), head, worth });
    }

    /// Empties it, when so many of its bytes have come to the file.
    pub(super) fn settle(&mut self, count: usize) -> Settled {
        let mut settled = Settled::default();
        let mut end = 0;
        for mark in self.marks.drain(..) {
            // A record that lacks nothing but its line break is whole.
            if mark.end <= count + 1 {
                settled.written = Some(mark.head);
                settled.told += mark.worth.told;
                end = mark.end.min(count);
            } else {
                settled.lost += mark.worth.decisions;
            }
        }
        settled.torn = count.saturating_sub(end) as u64;
        let last = count.checked_sub(1).and_then(|last| self.bytes.get(last));
        settled.in_line = last.map(|byte| *byte != b'\n');
        self.bytes.clear();
        settled
    }
}

/// Writes all, or says how many bytes it has come to.
pub(super) fn write_counting(to: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut count = 0;
    while let Some(rest) = bytes.get(count..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return (count, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (count, Err(error)),
        }
    }
    (count, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECISION: Worth = Worth { decisions: 1, told: 0 };

    fn head(seq: u64) -> Head {
        Head { seq, ..Head::default() }
    }

    /// A line break, a record of ten bytes that tells of five lost decisions, and two decisions of ten bytes.
    fn portion() -> Portion {
        let mut portion = Portion::default();
        portion.bytes.push(b'\n');
        for (seq, worth) in [(1, Worth { decisions: 0, told: 5 }), (2, DECISION), (3, DECISION)] {
            portion.bytes.extend_from_slice(b"123456789\n");
            portion.mark(head(seq), worth);
        }
        portion
    }

    #[test]
    fn what_is_whole_counts_and_what_is_torn_is_lost() {
        type Case = (usize, Option<u64>, u64, Option<bool>, u64, u64);
        let cases: [Case; 8] = [
            (0, None, 0, None, 2, 0),
            (1, None, 1, Some(false), 2, 0),
            (4, None, 4, Some(true), 2, 0),
            (10, Some(1), 0, Some(true), 2, 5),
            (11, Some(1), 0, Some(false), 2, 5),
            (12, Some(1), 1, Some(true), 2, 5),
            (30, Some(3), 0, Some(true), 0, 5),
            (31, Some(3), 0, Some(false), 0, 5),
        ];
        for (count, written, torn, in_line, lost, told) in cases {
            let written = written.map(head);
            let mut portion = portion();
            assert_eq!(portion.settle(count), Settled { written, torn, in_line, lost, told }, "{count}");
            assert_eq!(portion.settle(0), Settled::default());
        }
    }

    #[test]
    fn a_full_disk_says_how_far_it_came() {
        let mut small = [0_u8; 5];
        let (count, result) = write_counting(&mut small.as_mut_slice(), b"1234567");
        assert_eq!((count, result.unwrap_err().kind()), (5, io::ErrorKind::WriteZero));
        assert_eq!(&small, b"12345");
    }
}
