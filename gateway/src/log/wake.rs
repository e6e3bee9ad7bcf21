//! Wakes the thread that writes the log, but only when it sleeps: under load nobody pays a system call for a line.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// How lines gather between two turns.
const BETWEEN_TURNS: Duration = Duration::from_millis(10);
/// Turns without a line after which the writer sleeps until it is woken.
const QUIET_TURNS: u32 = 20;
/// The longest sleep: a line that came just as the writer lay down waits no longer than this.
const LONGEST_SLEEP: Duration = Duration::from_millis(250);

/// The writer's bed.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    asleep: AtomicBool,
    sleeper: OnceLock<Thread>,
}

impl Wake {
    /// Wakes the writer if it sleeps.
    pub(crate) fn nudge(&self) {
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.now();
        }
    }

    /// Wakes the writer, whatever it does.
    pub(super) fn now(&self) {
        if let Some(sleeper) = self.sleeper.get() {
            sleeper.unpark();
        }
    }

    /// Waits for the next turn. Called by the writer alone.
    pub(super) fn rest(&self, quiet_turns: u32) {
        self.sleeper.get_or_init(thread::current);
        if quiet_turns < QUIET_TURNS {
            thread::park_timeout(BETWEEN_TURNS);
        } else {
            self.asleep.store(true, Ordering::Relaxed);
            thread::park_timeout(LONGEST_SLEEP);
            self.asleep.store(false, Ordering::Relaxed);
        }
    }
}
