//! What one person does all the time, until they are refused: an event stream, an upload that goes on, a WebSocket, and over HTTP/2 requests beside
//! a download; whatever breaks off is begun again. What they saw is noted for the checker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use h2::RecvStream;
use h2::client::SendRequest;
use http::{Request, Response};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

use super::checker::{Piece, Way};
use super::frames::Frames;
use super::line::{Line, Lines, authority};
use super::notes::Notes;
use crate::browser::Browser;

/// Longer than anybody works.
const DOWNLOAD_BYTES: u64 = 1 << 32;
/// What is there at least of an answer whose status was read.
const STATUS_BYTES: usize = "HTTP/1.1 101".len();

/// How often each of many people does something, so that all together leave two cores some air.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    request: Duration,
    download: Duration,
    upload: Duration,
    event: Duration,
    word: Duration,
}

impl Pace {
    pub(super) fn of_each(people: usize) -> Self {
        let ms = |ms: usize| Duration::from_millis((ms * people) as u64);
        Self { request: ms(8), download: ms(10), upload: ms(6), event: ms(5), word: ms(8) }
    }

    /// After so long whoever still could would have done something.
    pub(super) fn longest(self) -> Duration {
        self.request.max(self.download).max(self.upload).max(self.event).max(self.word)
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
        let (pages, events, uploads, words) = (self.clone(), self.clone(), self.clone(), self.clone());
        jobs.spawn(async move {
            while !pages.browse().await {
                tokio::time::sleep(pages.pace.request).await;
            }
        });
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
        jobs.spawn(async move {
            while !words.talk().await {
                tokio::time::sleep(words.pace.word).await;
            }
        });
    }

    /// Uses one connection of HTTP/2 until it ends or they are refused; whether they were.
    async fn browse(&self) -> bool {
        let notes = Arc::clone(&self.notes);
        let mut frames = Frames::new(move |piece| notes.note_piece(piece));
        let watch = Box::new(move |bytes: &[u8], at| frames.take(bytes, at));
        let Ok(connection) = self.lines.multiplexed(&self.at("/"), watch).await else { return false };
        let (asked, downloaded) = tokio::join!(self.ask(&connection), self.download(&connection));
        asked || downloaded
    }

    async fn ask(&self, connection: &SendRequest<Bytes>) -> bool {
        while let Some(answered) = self.get(connection, "/whoami").await {
            if let Ok(answer) = answered {
                let status = answer.status().as_u16();
                if refuses(status) {
                    return true;
                }
                if drained(answer.into_body()).await && status == 200 {
                    self.notes.note_answer();
                }
            }
            tokio::time::sleep(self.pace.request).await;
        }
        false
    }

    async fn download(&self, connection: &SendRequest<Bytes>) -> bool {
        let pace = self.pace.download;
        let path = format!("/download?bytes={DOWNLOAD_BYTES}&pace_ms={}", pace.as_millis());
        while let Some(answered) = self.get(connection, &path).await {
            if let Ok(answer) = answered {
                let (opened, status) = (Instant::now(), answer.status().as_u16());
                if refuses(status) {
                    return true;
                }
                drained(answer.into_body()).await;
                if status == 200 {
                    self.notes.note_stay(opened);
                }
            }
            tokio::time::sleep(pace).await;
        }
        false
    }

    /// Nothing when the connection is over.
    async fn get(
        &self,
        connection: &SendRequest<Bytes>,
        path: &str,
    ) -> Option<Result<Response<RecvStream>, h2::Error>> {
        let url = self.at(path);
        let mut request = Request::get(url.as_str());
        for (name, value) in self.lines_of_a_script(&url)? {
            request = request.header(name, value);
        }
        let mut connection = connection.clone().ready().await.ok()?;
        let (answer, _) = connection.send_request(request.body(()).unwrap(), true).ok()?;
        Some(answer.await)
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
            self.notes.note_piece(Piece { way: Way::Http1, at, len });
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
                piece = line.piece() => {
                    if let (Some((len, at)), Some(200)) = (piece, line.status) {
                        self.notes.note_piece(Piece { way: Way::Http1, at, len });
                    }
                    break;
                }
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

    /// Talks and listens over a WebSocket until it ends; whether it was refused.
    async fn talk(&self) -> bool {
        let url = self.at(&format!("/ws/clock?every_ms={}", self.pace.word.as_millis()));
        let Some(request) = self.upgrade(&url) else { return false };
        let Ok(records) = self.lines.open(&url).await else { return false };
        let mut socket = match tokio_tungstenite::client_async(request, records).await {
            Ok((socket, _)) => socket,
            Err(Error::Http(answer)) => return refuses(answer.status().as_u16()),
            Err(_) => return false,
        };
        let opened = socket.get_ref().at();
        let (way, mut tick) = (Way::Socket, tokio::time::interval(self.pace.word));
        self.notes.note_piece(Piece { way, at: opened, len: STATUS_BYTES });
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        self.notes.note_piece(Piece { way, at: socket.get_ref().at(), len: text.len() });
                    }
                    // Anything else is not the application's, and after it nothing comes.
                    _ => break,
                },
                _ = tick.tick() => {
                    if socket.send(Message::text("a word")).await.is_err() {
                        break;
                    }
                }
            }
        }
        self.notes.note_stay(opened);
        false
    }

    fn upgrade(&self, url: &Url) -> Option<Request<()>> {
        let mut request = Request::get(url.as_str().replacen("https", "wss", 1))
            .header("Host", authority(url))
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", generate_key());
        for (name, value) in self.lines_of_a_script(url)? {
            request = request.header(name, if name == "Sec-Fetch-Mode" { "websocket" } else { &value });
        }
        request.body(()).ok()
    }

    async fn open(&self, method: &str, path: &str, lines: &str) -> Option<Line> {
        let url = self.at(path);
        let script = self.lines_of_a_script(&url)?;
        let script: String = script.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.lines.ask(method, &url, &format!("{script}{lines}")).await.ok()
    }

    fn at(&self, path: &str) -> Url {
        Url::parse(&format!("{}{path}", self.wiki)).unwrap()
    }

    /// What a browser says beside a request of a page's script.
    fn lines_of_a_script(&self, url: &Url) -> Option<[(&'static str, String); 5]> {
        Some([
            ("Cookie", self.browser.jar().header(url)?),
            ("Origin", url.origin().ascii_serialization()),
            ("Sec-Fetch-Mode", "cors".to_owned()),
            ("Sec-Fetch-Dest", "empty".to_owned()),
            ("Sec-Fetch-Site", "same-origin".to_owned()),
        ])
    }
}

/// Reads to the end; whether that was a proper one.
async fn drained(mut body: RecvStream) -> bool {
    while let Some(piece) = body.data().await {
        let Ok(piece) = piece else { return false };
        let _ = body.flow_control().release_capacity(piece.len());
    }
    true
}

fn refuses(status: u16) -> bool {
    matches!(status, 401 | 403)
}
