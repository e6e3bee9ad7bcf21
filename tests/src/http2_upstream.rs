//! An application that speaks HTTP/2 as gRPC servers do: plain, over TLS with or without a client's certificate, or on a Unix socket.
//! It notes each request and how many shared a connection, and can refuse. What HTTP/1.1 does stands in `upstream`.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, server};
use http::{HeaderMap, HeaderValue, Request, Response};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Noted {
    /// Number of its connection, from 1.
    pub connection: usize,
    /// Method, scheme, authority and path, with one space between them.
    pub line: String,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its trailers, once they came.
    pub trailers: Option<HeaderMap>,
}

/// What was noted; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Http2Upstream {
    requests: Arc<Mutex<Vec<Noted>>>,
    arrivals: Arc<Mutex<Vec<Instant>>>,
    connections: Arc<AtomicUsize>,
    together: Arc<AtomicUsize>,
}

impl Http2Upstream {
    /// Serves plain connections, or TLS where a configuration is given.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn listen(port: u16, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let upstream = Self::default();
        let accepting = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (upstream, tls) = (accepting.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => upstream.serve(stream).await,
                        Some(tls) => {
                            let shaken = TlsAcceptor::from(tls).accept(stream).await;
                            if let Ok(stream) = shaken {
                                upstream.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        upstream
    }

    /// Serves on a Unix socket.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen_at(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let upstream = Self::default();
        let accepting = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        Ok(upstream)
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Noted> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections came.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The most requests that one connection carried at once.
    #[must_use]
    pub fn together(&self) -> usize {
        self.together.load(Ordering::SeqCst)
    }

    /// How many pieces of bodies came after that.
    #[must_use]
    pub fn pieces_after(&self, instant: Instant) -> usize {
        self.arrivals.lock().unwrap().iter().filter(|at| **at > instant).count()
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let Ok(mut connection) = server::handshake(stream).await else { return };
        let open = Arc::new(AtomicUsize::new(0));
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let line = format!("{} {}", request.method(), request.uri());
            let earlier = self.requests().iter().filter(|noted| noted.line == line).count();
            let headers = request.headers().clone();
            let noted = Noted { connection: number, line, headers, trailers: None };
            let index = {
                let mut requests = self.requests.lock().unwrap();
                requests.push(noted);
                requests.len() - 1
            };
            match request.uri().path() {
                "/refused-once" if earlier == 0 => {
                    respond.send_reset(Reason::REFUSED_STREAM);
                    continue;
                }
                "/goodbye" => connection.graceful_shutdown(),
                _ => {}
            }
            let (upstream, open) = (self.clone(), open.clone());
            tokio::spawn(async move {
                let now = open.fetch_add(1, Ordering::SeqCst) + 1;
                upstream.together.fetch_max(now, Ordering::SeqCst);
                let _ = upstream.answer(index, request, respond).await;
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }

    async fn answer(
        &self,
        index: usize,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Result<(), h2::Error> {
        let (head, mut body) = request.into_parts();
        let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        if head.uri.path() == "/echo-pieces" {
            let mut answer = respond.send_response(response, false)?;
            while let Some(piece) = body.data().await {
                self.take(&mut body, piece.as_ref().ok());
                answer.send_data(piece?, false)?;
            }
            return answer.send_trailers(status());
        }
        let mut bytes = 0;
        while let Some(piece) = body.data().await {
            let piece = piece?;
            bytes += piece.len();
            self.take(&mut body, Some(&piece));
        }
        let trailers = body.trailers().await?;
        let told = trailers
            .as_ref()
            .and_then(|it| it.get("x-sum"))
            .map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        self.requests.lock().unwrap()[index].trailers = trailers;
        let text = json!({ "bytes": bytes, "sum": told, "path": head.uri.path() }).to_string();
        let mut answer = respond.send_response(response, false)?;
        answer.send_data(text.into(), false)?;
        answer.send_trailers(status())
    }

    fn take(&self, body: &mut RecvStream, piece: Option<&Bytes>) {
        self.arrivals.lock().unwrap().push(Instant::now());
        let _ = body.flow_control().release_capacity(piece.map_or(0, Bytes::len));
    }
}

fn status() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}
