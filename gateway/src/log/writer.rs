//! The thread that writes the log: takes what waits, turn by turn, makes lines of events and writes them in batches. What an event
//! says is left to `decision_log`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::output::Output;
use super::waiting::{Lines, Waiting};
use super::wake::Wake;
use crate::decision_log::{Batch, Journal, Recorder, Scribe};
#[cfg(feature = "otel")]
use crate::telemetry::{Spans, Urgency};

/// Lines are handed to the system in portions of about this size, in bytes.
const PORTION: usize = 64 * 1024;

/// Bytes that may wait for an output that takes nothing, while decisions are recorded. Lines on top are dropped and counted.
const MAX_LEFT: usize = 1024 * 1024;
/// How long a portion waits for an output that is slow, while decisions are recorded.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(5);

/// Whether the program ends after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Yes,
    No,
}

/// What the writer shares with those who log.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) wake: Arc<Wake>,
    pub(super) waiting: Waiting,
    pub(super) journals: Mutex<Vec<Arc<Journal>>>,
    pub(super) reopen: AtomicBool,
    pub(super) stop: AtomicBool,
    /// Whoever records decisions from the next turn on.
    pub(super) recorder: Mutex<Option<Recorder>>,
    pub(super) end_record: AtomicBool,
    /// Somebody waits until everything is written.
    waited_for: AtomicBool,
    /// Events and lines that found no place or could not be written, since the start.
    pub(super) lost: AtomicU64,
    turns: Mutex<Turns>,
    turned: Condvar,
}

#[derive(Debug, Default)]
struct Turns {
    begun: u64,
    done: u64,
    ended: bool,
}

impl Shared {
    pub(super) fn new() -> Self {
        let wake = Arc::new(Wake::default());
        Self {
            waiting: Waiting::new(wake.clone()),
            wake,
            journals: Mutex::default(),
            reopen: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            recorder: Mutex::default(),
            end_record: AtomicBool::new(false),
            waited_for: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            turns: Mutex::default(),
            turned: Condvar::new(),
        }
    }

    /// Waits until everything that was logged before is written; no longer than `patience`, since a log may have a reader that reads
    /// no more.
    pub(super) fn written_within(&self, patience: Duration) {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = turns.begun + 1;
        self.wake.now();
        let waiting = |turns: &mut Turns| {
            self.waited_for.store(true, Ordering::Release);
            self.wake.now();
            turns.done < wanted && !turns.ended
        };
        drop(self.turned.wait_timeout_while(turns, patience, waiting));
    }

    fn begin_turn(&self) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).begun += 1;
    }

    fn end_turn(&self, ended: bool) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.done = turns.begun;
        turns.ended = ended;
        drop(turns);
        self.turned.notify_all();
    }
}

/// The writer's own things. What is exchanged with a queue is used again, so that a steady flow allocates nothing.
pub(super) struct Writer {
    shared: &'static Shared,
    output: Output,
    scribe: Scribe,
    lines: Lines,
    batch: Batch,
    recorder: Option<Recorder>,
    portion: Vec<u8>,
    /// What of it the output did not take yet.
    left: usize,
    unwritten: u64,
    #[cfg(feature = "otel")]
    spans: Spans,
}

impl Writer {
    pub(super) fn new(shared: &'static Shared, output: Output, scribe: Scribe) -> Self {
        Self {
            shared,
            output,
            scribe,
            lines: Lines::default(),
            batch: Batch::default(),
            recorder: None,
            portion: Vec::with_capacity(2 * PORTION),
            left: 0,
            unwritten: 0,
            #[cfg(feature = "otel")]
            spans: Spans::new(),
        }
    }

    /// Writes until it is told to stop, and then what is left.
    pub(super) fn run(mut self) {
        let mut quiet_turns: u32 = 0;
        loop {
            let last = self.shared.stop.load(Ordering::Acquire);
            self.shared.begin_turn();
            let quiet = !self.turn(if last { Last::Yes } else { Last::No });
            quiet_turns = if quiet { quiet_turns.saturating_add(1) } else { 0 };
            if last {
                // What the last turn had to say of itself.
                self.turn(Last::Yes);
            }
            self.shared.end_turn(last);
            if last {
                return;
            }
            self.shared.wake.rest(quiet_turns);
        }
    }

    /// Writes what waits; whether there was anything.
    fn turn(&mut self, last: Last) -> bool {
        let reopened =
            if self.shared.reopen.swap(false, Ordering::AcqRel) { self.output.reopen() } else { Ok(()) };
        let shared = self.shared;
        let waited_for = shared.waited_for.swap(false, Ordering::AcqRel);
        let beginning = shared.recorder.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.recorder = beginning.or(self.recorder.take());
        shared.waiting.take(&mut self.lines);
        let any_lines = !self.lines.text.is_empty();
        self.portion.append(&mut self.lines.text);
        let (events, dropped_events) = self.take_events();
        let dropped = dropped_events + std::mem::take(&mut self.lines.dropped);
        shared.lost.fetch_add(dropped, Ordering::Relaxed);
        if waited_for || last == Last::Yes {
            self.hand_over_all();
        } else {
            self.hand_over();
        }
        #[cfg(feature = "otel")]
        self.spans.end_turn(if waited_for { Urgency::Now } else { Urgency::Later });
        if dropped > 0 {
            tracing::warn!(target: "portcullis::log", dropped, "log events were dropped: the log is written too slowly");
        }
        if let Err(cause) = reopened {
            tracing::warn!(target: "portcullis::log", %cause, "the log file could not be opened anew; the old one is kept");
        }
        any_lines || events > 0 || dropped > 0 || self.left > 0
    }

    /// Takes the events of all workers, and has decisions recorded first: the output may be one that nobody reads. How many
    /// there were, and how many have found no place.
    fn take_events(&mut self) -> (u64, u64) {
        let (mut events, mut unqueued, mut unwritten) = (0, 0, 0);
        self.scribe.begin();
        let mut batch = std::mem::take(&mut self.batch);
        // Whoever opens a journal must not wait for a slow output.
        let journals = self.shared.journals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for journal in journals {
            journal.take(&mut batch);
            for event in batch.events() {
                events += 1;
                if let Some(recorder) = &mut self.recorder {
                    recorder.decision(self.scribe.stamp(&event), &event);
                }
                if self.left > MAX_LEFT {
                    unwritten += 1;
                } else {
                    self.scribe.write(&event, &mut self.portion);
                }
                #[cfg(feature = "otel")]
                self.spans.take(&event, self.scribe.since_epoch(&event));
                if self.portion.len() >= self.left + PORTION {
                    self.hand_over();
                }
            }
            unqueued += batch.dropped();
            batch.clear();
        }
        self.batch = batch;
        if let Some(recorder) = &mut self.recorder {
            recorder.end_turn(unqueued);
        }
        if self.shared.end_record.swap(false, Ordering::AcqRel)
            && let Some(recorder) = self.recorder.take()
        {
            recorder.stop();
        }
        (events, unqueued + unwritten)
    }

    /// Hands the portion to the output. Where decisions are recorded, what the output does not take at once is left for the next time,
    /// so that nobody who does not read the log keeps them from being recorded.
    fn hand_over(&mut self) {
        if self.recorder.is_none() {
            return self.hand_over_all();
        }
        match self.output.write_within(OUTPUT_PATIENCE, &self.portion) {
            Ok(count) => {
                drop(self.portion.drain(..count));
                self.tell_unwritten(count);
            }
            Err(_) => self.give_up(),
        }
        self.left = self.portion.len();
    }

    fn hand_over_all(&mut self) {
        self.left = 0;
        if self.portion.is_empty() {
            return;
        }
        match self.output.write(&self.portion) {
            Ok(()) => {
                let count = self.portion.len();
                self.portion.clear();
                self.tell_unwritten(count);
            }
            Err(_) => self.give_up(),
        }
    }

    /// Says what is missing, once the output takes something again.
    fn tell_unwritten(&mut self, taken: usize) {
        if taken > 0 && self.unwritten > 0 {
            let lines = std::mem::take(&mut self.unwritten);
            tracing::warn!(target: "portcullis::log", lines, "the log could not be written for a while; lines are missing");
        }
    }

    /// Drops the portion, which cannot be written.
    fn give_up(&mut self) {
        let lines = self.portion.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.unwritten += lines;
        self.shared.lost.fetch_add(lines, Ordering::Relaxed);
        self.portion.clear();
    }
}
