//! Spans for OpenTelemetry: which requests are recorded, and how their spans reach the collector. They are made of decision events on
//! the thread that writes the log, so that a request pays for nothing; their form is left to `otlp`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use http::Request;
use http::header::CONTENT_TYPE;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

mod otlp;

use crate::config::Telemetry;
use crate::decision_log::Event;
use crate::log;
use crate::request_id::RequestId;
use crate::web_client::{WebClient, WebClientError};

/// Spans of one message, and messages that may wait. What comes on top is dropped and counted.
const MAX_SPANS: usize = 512;
const MAX_WAITING_MESSAGES: usize = 16;
/// How long spans gather.
const GATHER: Duration = Duration::from_secs(1);
/// Time for one message, and for all that are left at the end.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

static EXPORT: OnceLock<Export> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Export {
    one_in: u64,
    service: String,
    /// None when the end has come.
    messages: Mutex<Option<Sender<Message>>>,
}

/// A body for the collector, with its number of spans.
type Message = (Vec<u8>, usize);

/// The task that sends spans. Told to end, it sends what is left.
#[derive(Debug)]
pub(crate) struct Sending(JoinHandle<()>);

/// Begins to record. Called once, before the first request.
pub(crate) fn start(settings: &Telemetry, control: &Handle) -> Result<Sending, WebClientError> {
    let http = WebClient::new(SEND_TIMEOUT)?;
    let (sender, receiver) = channel(MAX_WAITING_MESSAGES);
    let (one_in, service) = (settings.sample_one_in, settings.service_name.clone());
    let started = EXPORT.set(Export { one_in, service, messages: Mutex::new(Some(sender)) });
    // A second start keeps the first: a process has one collector.
    drop(started);
    Ok(Sending(control.spawn(send(settings.endpoint.clone(), http, receiver))))
}

/// Whether a request is recorded: its id is as good as random.
pub(crate) fn is_recorded(id: &RequestId) -> bool {
    EXPORT.get().is_some_and(|export| id.number() != 0 && id.number().is_multiple_of(export.one_in))
}

/// Spans that were recorded and did not reach the collector.
pub(crate) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

impl Sending {
    /// Sends what is left, as long as that takes no longer than one message may.
    pub(crate) async fn finish(self) {
        // All events first: their spans are made as they are written.
        log::flush();
        if let Some(export) = EXPORT.get() {
            export.messages.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        let _ = tokio::time::timeout(SEND_TIMEOUT, self.0).await;
    }
}

async fn send(endpoint: String, http: WebClient, mut messages: Receiver<Message>) {
    let mut failing = false;
    while let Some((body, spans)) = messages.recv().await {
        let request = Request::post(&endpoint).header(CONTENT_TYPE, "application/json").body(body);
        let sent = match request {
            Ok(request) => http.send(request).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let refused = match sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers {}", answer.status())),
            Err(cause) => Some(cause),
        };
        if let Some(cause) = refused {
            LOST.fetch_add(spans as u64, Ordering::Relaxed);
            // Said once until it works again: a collector may be away for hours.
            if !failing {
                tracing::warn!(target: "portcullis::telemetry", cause, "spans do not reach the collector");
            }
            failing = true;
        } else if failing {
            tracing::info!(target: "portcullis::telemetry", "spans reach the collector again");
            failing = false;
        }
    }
}

/// Spans that gather on the thread that writes the log.
#[derive(Debug)]
pub(crate) struct Spans {
    spans: Vec<serde_json::Value>,
    since: Instant,
}

impl Spans {
    pub(crate) fn new() -> Self {
        Self { spans: Vec::new(), since: Instant::now() }
    }

    /// Makes a span of an event that is recorded. `answered` is the time since 1970.
    pub(crate) fn take(&mut self, event: &Event<'_>, answered: Duration) {
        let Some(span) = otlp::span(event, answered) else { return };
        if self.spans.is_empty() {
            self.since = Instant::now();
        }
        self.spans.push(span);
        if self.spans.len() >= MAX_SPANS {
            self.hand_over();
        }
    }

    /// Sends what has gathered for long enough.
    pub(crate) fn end_turn(&mut self, urgency: Urgency) {
        if !self.spans.is_empty() && (urgency == Urgency::Now || self.since.elapsed() >= GATHER) {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let Some(export) = EXPORT.get() else { return };
        let spans = std::mem::take(&mut self.spans);
        let count = spans.len();
        let body = otlp::message(&export.service, &spans);
        let messages = export.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = messages.as_ref().is_some_and(|messages| messages.try_send((body, count)).is_ok());
        if !sent {
            LOST.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

/// Whether spans may gather a while longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// They may.
    Later,
    /// Somebody waits for everything to be written.
    Now,
}

#[cfg(test)]
mod tests;
