//! Health, on a listener of its own that the public never reaches. Metrics will find their place here.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether requests should be sent to this process.
#[derive(Debug, Default)]
pub(crate) struct Readiness(AtomicBool);

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }
}

/// Answers `/healthz` (the process lives) and `/readyz` (it serves) until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, readiness: Arc<Readiness>) -> io::Result<()> {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let readiness = readiness.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(&request, &readiness);
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            builder.serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

fn answer(request: &Request<Incoming>, readiness: &Readiness) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, "ok\n"),
        "/readyz" if readiness.0.load(Ordering::SeqCst) => (StatusCode::OK, "ready\n"),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        _ => (StatusCode::NOT_FOUND, "nothing here: /healthz and /readyz\n"),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
