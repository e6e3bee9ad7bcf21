//! The thread that writes the log: takes what waits, turn by turn, makes lines of events and writes them in batches. What an event
//! says is left to `decision_log`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::output::Output;
use super::waiting::{Lines, Waiting};
use super::wake::Wake;
use crate::decision_log::{Batch, Journal, Scribe};
#[cfg(feature = "otel")]
use crate::telemetry::{Spans, Urgency};

/// Lines are handed to the system in portions of about this size, in bytes.
const PORTION: usize = 64 * 1024;

/// What the writer shares with those who log.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) wake: Arc<Wake>,
    pub(super) waiting: Waiting,
    pub(super) journals: Mutex<Vec<Arc<Journal>>>,
    pub(super) reopen: AtomicBool,
    pub(super) stop: AtomicBool,
    /// Somebody waits until everything is written.
    #[cfg(feature = "otel")]
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
            #[cfg(feature = "otel")]
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
            #[cfg(feature = "otel")]
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
    portion: Vec<u8>,
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
            portion: Vec::with_capacity(2 * PORTION),
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
            let quiet = !self.turn();
            quiet_turns = if quiet { quiet_turns.saturating_add(1) } else { 0 };
            if last {
                // What the last turn had to say of itself.
                self.turn();
            }
            self.shared.end_turn(last);
            if last {
                return;
            }
            self.shared.wake.rest(quiet_turns);
        }
    }

    /// Writes what waits; whether there was anything.
    fn turn(&mut self) -> bool {
        let reopened =
            if self.shared.reopen.swap(false, Ordering::AcqRel) { self.output.reopen() } else { Ok(()) };
        let shared = self.shared;
        shared.waiting.take(&mut self.lines);
        self.portion.append(&mut self.lines.text);
        let mut dropped = std::mem::take(&mut self.lines.dropped);
        self.scribe.begin();
        let mut batch = std::mem::take(&mut self.batch);
        // Whoever opens a journal must not wait for a slow output.
        let journals = shared.journals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for journal in journals {
            journal.take(&mut batch);
            for event in batch.events() {
                self.scribe.write(&event, &mut self.portion);
                #[cfg(feature = "otel")]
                self.spans.take(&event, self.scribe.since_epoch(&event));
                if self.portion.len() >= PORTION {
                    self.hand_over();
                }
            }
            dropped += batch.dropped();
            batch.clear();
        }
        self.batch = batch;
        let any = dropped > 0 || !self.portion.is_empty();
        shared.lost.fetch_add(dropped, Ordering::Relaxed);
        self.hand_over();
        #[cfg(feature = "otel")]
        self.spans.end_turn(match shared.waited_for.swap(false, Ordering::AcqRel) {
            true => Urgency::Now,
            false => Urgency::Later,
        });
        if dropped > 0 {
            tracing::warn!(target: "portcullis::log", dropped, "log events were dropped: the log is written too slowly");
        }
        if let Err(cause) = reopened {
            tracing::warn!(target: "portcullis::log", %cause, "the log file could not be opened anew; the old one is kept");
        }
        any
    }

    fn hand_over(&mut self) {
        if self.portion.is_empty() {
            return;
        }
        let lines = self.portion.iter().filter(|byte| **byte == b'\n').count() as u64;
        match self.output.write(&self.portion) {
            Ok(()) if self.unwritten > 0 => {
                let lines = std::mem::take(&mut self.unwritten);
                tracing::warn!(target: "portcullis::log", lines, "the log could not be written for a while; lines are missing");
            }
            Ok(()) => {}
            Err(_) => {
                self.unwritten += lines;
                self.shared.lost.fetch_add(lines, Ordering::Relaxed);
            }
        }
        self.portion.clear();
    }
}
