//! What one person does all the time, until they are refused: requests over HTTP/2, an event stream, an upload that goes on; whatever breaks
//! off is begun again. What they saw is noted for the checker.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use url::Url;

use super::checker::{Piece, Stay};
use super::line::{Line, Lines};
use crate::browser::Browser;

/// What a person's browser saw.
#[derive(Debug, Default)]
pub(super) struct Notes {
    answered: AtomicUsize,
    pieces: Mutex<Vec<Piece>>,
    stays: Mutex<Vec<Stay>>,
}

impl Notes {
    pub(super) fn pieces(&self) -> Vec<Piece> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn stays(&self) -> Vec<Stay> {
        self.stays.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether requests are answered and the event stream flows.
    pub(super) fn are_of_somebody_at_work(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0 && self.pieces().len() > 1
    }

    fn note_piece(&self, piece: Piece) {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).push(piece);
    }

    fn note_stay(&self, opened: Instant) {
        let stay = Stay { opened, closed: Instant::now() };
        self.stays.lock().unwrap_or_else(PoisonError::into_inner).push(stay);
    }
}

/// How often each of many people does something, so that all together leave two cores some air.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    request: Duration,
    upload: Duration,
    event: Duration,
}

impl Pace {
    pub(super) fn of_each(people: usize) -> Self {
        let ms = |ms: usize| Duration::from_millis((ms * people) as u64);
        Self { request: ms(8), upload: ms(6), event: ms(5) }
    }

    /// After so long whoever still could would have done something.
    pub(super) fn longest(self) -> Duration {
        self.request.max(self.upload).max(self.event)
    }
}

/// Somebody who is logged in.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) browser: Browser,
    pub(super) lines: Lines,
    /// The application as they reach it, without a slash at the end.
    pub(super) wiki: String,
    pub(super) pace: Pace,
    pub(super) notes: Arc<Notes>,
}

impl Worker {
    /// Begins; every job ends by itself once they are refused.
    pub(super) fn work(&self, jobs: &mut JoinSet<()>) {
        let (requests, events, uploads) = (self.clone(), self.clone(), self.clone());
        jobs.spawn(async move { requests.ask_again_and_again().await });
        jobs.spawn(async move {
            while !events.listen().await {
                tokio::time::sleep(events.pace.event).await;
            }
        });
        jobs.spawn(async move {
            while !uploads.upload().await {
                tokio::time::sleep(uploads.pace.upload).await;
            }
        });
    }

    async fn ask_again_and_again(&self) {
        let whoami = format!("{}/whoami", self.wiki);
        loop {
            match self.browser.fetch(&whoami).await.map(|answer| answer.status.as_u16()) {
                Ok(200) => {
                    self.notes.answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(status) if refuses(status) => return,
                // A request that was cut is an error, and the next one tells why.
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(self.pace.request).await;
        }
    }

    /// Listens to events until they end; whether that was a refusal.
    async fn listen(&self) -> bool {
        let path = format!("/events?every_ms={}", self.pace.event.as_millis());
        let Some(mut line) = self.open("GET", &path, "Accept: text/event-stream\r\n").await else {
            return false;
        };
        let mut opened = None;
        while let Some((len, at)) = line.piece().await {
            if line.status != Some(200) {
                break;
            }
            opened.get_or_insert(at);
            self.notes.note_piece(Piece { at, len });
        }
        if let Some(opened) = opened {
            self.notes.note_stay(opened);
        }
        line.status.is_some_and(refuses)
    }

    /// Uploads until that is answered or cut; whether it was refused.
    async fn upload(&self) -> bool {
        let lines = "Transfer-Encoding: chunked\r\nContent-Type: application/octet-stream\r\n";
        let Some(mut line) = self.open("POST", "/upload", lines).await else { return false };
        let (opened, mut tick) = (Instant::now(), tokio::time::interval(self.pace.upload));
        loop {
            tokio::select! {
                _ = line.piece() => break,
                _ = tick.tick() => {
                    if line.send(b"10\r\na piece of work \r\n").await.is_err() {
                        break;
                    }
                }
            }
        }
        if line.status.is_none() {
            self.notes.note_stay(opened);
        }
        line.status.is_some_and(refuses)
    }

    async fn open(&self, method: &str, path: &str, lines: &str) -> Option<Line> {
        let url = Url::parse(&format!("{}{path}", self.wiki)).unwrap();
        let cookies = self.browser.jar().header(&url)?;
        let origin = url.origin().ascii_serialization();
        let lines = format!(
            "Cookie: {cookies}\r\nOrigin: {origin}\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\
             Sec-Fetch-Site: same-origin\r\n{lines}"
        );
        self.lines.ask(method, &url, &lines).await.ok()
    }
}

fn refuses(status: u16) -> bool {
    matches!(status, 401 | 403)
}
