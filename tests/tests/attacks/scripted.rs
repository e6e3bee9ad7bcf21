//! An upstream that answers with exactly the bytes it is told, when it is told, and closes when it likes: for answers that no
//! server should give.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::wire::find;

/// What to do with one request.
pub enum Step {
    /// Send these bytes after the head of the request and wait for another one.
    Answer(Vec<u8>),
    /// The same once the test says so; what follows is no request.
    SwitchWhenTold(oneshot::Receiver<()>, Vec<u8>),
    /// Send these bytes over and over, for as long as the peer takes them.
    Endless(Vec<u8>),
    /// Close without a byte.
    Close,
}

/// A listener with a script; one script for all its connections, one step for each request.
#[derive(Clone, Default)]
pub struct Scripted {
    steps: Arc<Mutex<VecDeque<Step>>>,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Scripted {
    pub async fn listen(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let scripted = Self::default();
        let accepting = scripted.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        scripted
    }

    /// Forgets everything, and plays these steps from now on.
    pub fn play(&self, steps: impl IntoIterator<Item = Step>) {
        self.received.lock().unwrap().clear();
        *self.steps.lock().unwrap() = steps.into_iter().collect();
    }

    /// What each connection received since, as text.
    pub fn received(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// How many requests there were with this text in them.
    pub fn count(&self, text: &str) -> usize {
        self.received().iter().map(|received| received.matches(text).count()).sum()
    }

    async fn serve(self, mut stream: TcpStream) {
        let (mut number, mut buffer) = (None, Vec::new());
        loop {
            while find(&buffer, b"\r\n\r\n").is_none() {
                if !self.read(&mut stream, &mut buffer, &mut number).await {
                    return;
                }
            }
            let end = find(&buffer, b"\r\n\r\n").unwrap();
            buffer.drain(..end + 4);
            let step = self.steps.lock().unwrap().pop_front();
            let answer = match step {
                None | Some(Step::Close) => return,
                Some(Step::Answer(answer)) => answer,
                Some(Step::SwitchWhenTold(told, answer)) => {
                    let mut told = std::pin::pin!(told);
                    loop {
                        // What comes meanwhile is noted: it must not come.
                        tokio::select! {
                            _ = &mut told => break,
                            read = self.read(&mut stream, &mut buffer, &mut number) => if !read { return },
                        }
                    }
                    if stream.write_all(&answer).await.is_ok() {
                        while self.read(&mut stream, &mut buffer, &mut number).await {}
                    }
                    return;
                }
                Some(Step::Endless(answer)) => {
                    while stream.write_all(&answer).await.is_ok() {}
                    return;
                }
            };
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    async fn read(&self, stream: &mut TcpStream, buffer: &mut Vec<u8>, number: &mut Option<usize>) -> bool {
        let mut space = vec![0; 16_384];
        let Ok(len @ 1..) = stream.read(&mut space).await else { return false };
        buffer.extend_from_slice(&space[..len]);
        let mut received = self.received.lock().unwrap();
        // A script that was changed meanwhile began a new list.
        let at = number.filter(|at| *at < received.len()).unwrap_or_else(|| {
            received.push(Vec::new());
            received.len() - 1
        });
        *number = Some(at);
        received[at].extend_from_slice(&space[..len]);
        true
    }
}

/// A whole answer with a body.
pub fn answer(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
