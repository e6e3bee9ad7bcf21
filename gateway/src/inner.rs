//! Health and metrics, on a listener of its own that the public never reaches.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::decision_log::RecordState;
use crate::gate;
use crate::gateway::{Current, Gateway};
use crate::log;
use crate::metrics::{self, Figures};

/// What is said while every request would be answered with 503.
const UNLEASED: &str = "not ready: the lease on the store is over, since the store took no write for 10 seconds; this process serves again \
                        by itself once it does (see the log)\n";
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether requests should be sent to this process.
#[derive(Debug, Default)]
pub(crate) struct Readiness(AtomicBool);

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }
}

/// Answers `/healthz` (the process lives), `/readyz` (it serves) and `/metrics` until the runtime ends.
pub(crate) async fn serve(
    listener: TcpListener,
    readiness: Arc<Readiness>,
    current: Arc<Current>,
) -> io::Result<()> {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (readiness, current) = (readiness.clone(), current.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(&request, &readiness, &current.get());
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            builder.serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

fn answer(request: &Request<Incoming>, readiness: &Readiness, gateway: &Gateway) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, "ok\n"),
        "/readyz" if !readiness.0.load(Ordering::SeqCst) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        "/readyz" if !gate::is_open() => (StatusCode::SERVICE_UNAVAILABLE, UNLEASED),
        "/readyz" => ready(gateway.process.record.as_deref()),
        "/metrics" => return figures(gateway),
        _ => (StatusCode::NOT_FOUND, "nothing here: /healthz, /readyz and /metrics\n"),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}

/// Whoever sends requests here is told when those to applications would be refused; otherwise a lack of records is no reason to send
/// them elsewhere, and is told all the same.
fn ready(record: Option<&RecordState>) -> (StatusCode, &'static str) {
    match record {
        Some(state) if state.records(Instant::now()) => (StatusCode::OK, "ready\n"),
        Some(state) if state.is_required() => {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: decisions cannot be recorded\n")
        }
        Some(_) => (StatusCode::OK, "ready, but decisions are not recorded\n"),
        None => (StatusCode::OK, "ready\n"),
    }
}

fn figures(gateway: &Gateway) -> Response<Full<Bytes>> {
    let (sessions, application_sessions) = gateway.process.live.counts();
    // A store that cannot be read is told by what cannot be served then, not by a missing figure.
    let changes = gateway.process.store.watermark().map_or(0, |seq| u64::try_from(seq.0).unwrap_or_default());
    let (endpoints, log_lost) = (gateway.fleet.states(), log::lost());
    let certificates = gateway.tls.ends();
    let figures = Figures {
        endpoints,
        certificates,
        spans_lost: spans_lost(),
        sessions,
        application_sessions,
        changes,
        log_lost,
        record: gateway.process.record.as_ref().map(|state| (state.records(Instant::now()), state.lost())),
    };
    let mut response = Response::new(Full::from(metrics::text(figures).unwrap_or_default()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    response
}

#[cfg(feature = "otel")]
fn spans_lost() -> u64 {
    crate::telemetry::lost()
}

#[cfg(not(feature = "otel"))]
fn spans_lost() -> u64 {
    0
}
