//! The gateway's log lines, as they come.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const POLL: Duration = Duration::from_millis(10);

/// Everything a process has written so far, line by line. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Reads `from` to its end, on a thread of its own.
    pub(crate) fn follow(&self, from: impl Read + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n') {
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line).into_owned();
                log.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
    }

    /// The lines as they are.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The line that was written last, as JSON; `Null` where there is none.
    #[must_use]
    pub fn last(&self) -> Value {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
    }

    /// All of it, to search for what must not be there.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// The lines as JSON; one that is none becomes `{"text": line}`.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let lines = self.lines();
        lines.iter().map(|l| serde_json::from_str(l).unwrap_or_else(|_| json!({ "text": l }))).collect()
    }

    /// Waits for an event; `None` when it does not come in time.
    pub async fn wait_for(&self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let until = Instant::now() + patience;
        loop {
            if let Some(event) = self.events().into_iter().find(|event| wanted(event)) {
                return Some(event);
            }
            if Instant::now() >= until {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
