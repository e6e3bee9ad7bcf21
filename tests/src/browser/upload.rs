//! Uploads that go on: the test decides when the next piece of the body leaves.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::send::Outgoing;
use super::{Answer, Browser, BrowserError};

/// Pieces that may wait for the connection.
const WAITING: usize = 4;

/// A request whose body is not over.
#[derive(Debug)]
pub struct Upload {
    pieces: mpsc::Sender<Bytes>,
    answer: JoinHandle<Result<Answer, BrowserError>>,
}

impl Browser {
    /// Begins a POST with a chunked body, on a connection of its own.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn upload(&self, url: &str) -> Result<Upload, BrowserError> {
        let outgoing =
            Outgoing::script(Method::POST, url)?.header("Content-Type", "application/octet-stream");
        let (pieces, receiver) = mpsc::channel::<Bytes>(WAITING);
        let frames = stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(piece)), receiver))
        });
        let browser = self.clone();
        let answer = tokio::spawn(async move {
            let (response, _connection) =
                browser.open(&outgoing, BodyExt::boxed(StreamBody::new(frames))).await?;
            browser.read(&outgoing, response).await
        });
        Ok(Upload { pieces, answer })
    }
}

impl Upload {
    /// Sends one more piece; `false` when the request is over already.
    pub async fn send(&self, piece: impl Into<Bytes>) -> bool {
        self.pieces.send(piece.into()).await.is_ok()
    }

    /// Whether an answer or an error has come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.answer.is_finished()
    }

    /// Ends the body and waits for the answer.
    ///
    /// # Errors
    /// When no whole answer comes.
    ///
    /// # Panics
    /// When the sending task did.
    pub async fn finish(self) -> Result<Answer, BrowserError> {
        drop(self.pieces);
        self.answer.await.expect("the upload task does not panic")
    }
}
