//! Where log events go: one line each, to standard output or a file, written by a thread of their own, so that nobody who logs waits for
//! whoever reads. What is logged, and that no secret is in it, is left to those who log.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

mod line;
mod output;
mod stamp;
mod waiting;
mod wake;
mod writer;

pub(crate) use line::{Line, Lines};
pub(crate) use stamp::Stamps;
pub(crate) use wake::Wake;

use crate::config::{self, LogFormat, LogLevel, LogOutput};
use crate::decision_log::{Journal, Recorder, Scribe};
use output::Output;
use writer::{Shared, Writer};

/// How long the end of the program waits for a log that nobody reads.
const PATIENCE: Duration = Duration::from_secs(5);

/// There is one log.
static LOG: LazyLock<Shared> = LazyLock::new(Shared::new);

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file could not be opened.
    #[error("cannot write the log file `{}`", file.display())]
    Open {
        /// The file that was configured.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("the system refused a thread for the log")]
    Thread(#[source] io::Error),
}

/// The log that was started. Dropping it writes what is left.
#[derive(Debug)]
#[must_use]
pub struct Started(());

/// Sends events of the gateway and its parts where the configuration says. Called once.
pub fn start(settings: &config::Log) -> Result<Started, LogError> {
    let output = Output::open(settings.output.clone()).map_err(|source| {
        let file = match &settings.output {
            LogOutput::StandardOutput => PathBuf::new(),
            LogOutput::File(file) => file.clone(),
        };
        LogError::Open { file, source }
    })?;
    let writer = Writer::new(&LOG, output, Scribe::new(settings.format));
    let thread = thread::Builder::new().name("portcullis-log".to_owned());
    thread.spawn(move || writer.run()).map_err(LogError::Thread)?;
    follow_tracing(settings);
    Ok(Started(()))
}

fn follow_tracing(settings: &config::Log) {
    let (ours, others) = match settings.level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::WARN),
    };
    let filter = Targets::new().with_default(others).with_target("portcullis", ours);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = || LOG.waiting.clone();
    let colours = settings.output == LogOutput::StandardOutput && io::stdout().is_terminal();
    let started = match settings.format {
        LogFormat::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(lines))
            .try_init(),
        LogFormat::Text => {
            registry.with(fmt::layer().compact().with_ansi(colours).with_writer(lines)).try_init()
        }
    };
    // A second start keeps the first: there is one log.
    drop(started);
}

/// Has decisions recorded from now on, beside.
pub(crate) fn record(recorder: Recorder) {
    *LOG.recorder.lock().unwrap_or_else(PoisonError::into_inner) = Some(recorder);
    LOG.wake.now();
}

/// Records what waits and no more. For a process that is about to end.
pub(crate) fn end_record() {
    LOG.end_record.store(true, Ordering::Release);
    flush();
}

/// A queue for the events of one worker.
pub(crate) fn journal() -> Arc<Journal> {
    let mut journals = LOG.journals.lock().unwrap_or_else(PoisonError::into_inner);
    let journal = Arc::new(Journal::new(LOG.wake.clone(), journals.len()));
    journals.push(journal.clone());
    journal
}

/// Events and lines that found no place or could not be written.
pub(crate) fn lost() -> u64 {
    LOG.lost.load(Ordering::Relaxed)
}

/// Waits until all that was logged before is written, for a process that is about to end.
pub(crate) fn flush() {
    LOG.written_within(PATIENCE);
}

/// Opens the file anew on each SIGHUP: whoever rotates logs moves it away first.
pub(crate) async fn follow_hangups() -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    while hangups.recv().await.is_some() {
        LOG.reopen.store(true, Ordering::Release);
        LOG.wake.now();
    }
    Ok(())
}

impl Drop for Started {
    fn drop(&mut self) {
        LOG.stop.store(true, Ordering::Release);
        LOG.written_within(PATIENCE);
    }
}
