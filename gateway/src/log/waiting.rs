//! Finished lines that wait to be written: those that `tracing` makes, which are rare. Decision events have a queue of their own.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use super::wake::Wake;

/// Text that may wait, in bytes. What comes on top is dropped and counted: whoever logs must never wait for a slow reader of the log,
/// least of all the thread that cuts what a deactivation ends.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// Lines waiting. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    lines: Arc<Mutex<Lines>>,
    wake: Arc<Wake>,
}

/// What has come since the last turn of the writer.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) text: Vec<u8>,
    pub(super) dropped: u64,
}

impl Waiting {
    pub(super) fn new(wake: Arc<Wake>) -> Self {
        Self { lines: Arc::default(), wake }
    }

    /// Exchanges what has come for an empty place.
    pub(super) fn take(&self, empty: &mut Lines) {
        mem::swap(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner), empty);
    }
}

impl io::Write for Waiting {
    /// Takes one whole line: `tracing` writes each event at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.text.len() + line.len() > MAX_WAITING_BYTES {
            lines.dropped += 1;
        } else {
            lines.text.extend_from_slice(line);
        }
        drop(lines);
        self.wake.nudge();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_over_the_limit_is_dropped_and_counted() {
        let mut waiting = Waiting::new(Arc::default());
        let half = vec![b'a'; MAX_WAITING_BYTES / 2];
        for line in [&half[..], &half, b"b"] {
            waiting.write_all(line).unwrap();
        }
        let mut taken = Lines::default();
        waiting.take(&mut taken);
        assert_eq!((taken.text.len(), taken.dropped), (MAX_WAITING_BYTES, 1));
        waiting.write_all(b"c").unwrap();
        let mut next = Lines::default();
        waiting.take(&mut next);
        assert_eq!((next.text, next.dropped), (b"c".to_vec(), 0));
    }
}
