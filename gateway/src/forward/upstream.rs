//! Connections to upstreams: kept while idle, last in first out, one pool for each worker and upstream. A connection serves one
//! request at a time, so that cutting it concerns nobody else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::ForwardError;
use super::stream::RequestBody;
use crate::config::{Application, Config, Upstream};
use crate::live::Attached;
use crate::socket::{CuttableStream, Cutter};

/// How long a connection is kept without use: below the five seconds after which common servers close theirs.
const KEEP_IDLE: Duration = Duration::from_secs(4);
/// How many idle connections a worker keeps for one upstream.
const MAX_IDLE: usize = 128;
/// Size of a response head, in bytes.
const MAX_RESPONSE_HEAD_BYTES: usize = 64 * 1024;
/// Number of header fields in a response.
const MAX_RESPONSE_HEADERS: usize = 200;

/// The pools of one worker.
#[derive(Debug)]
pub(crate) struct Upstreams {
    pools: HashMap<String, Pool>,
    bounds: Bounds,
}

/// What one pool may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Open connections.
    connections: usize,
    /// How long the upstream may take nothing of what is written to it.
    patience: Duration,
}

impl Bounds {
    /// The share of one worker and one application, of `borne` connections that the process can bear in all.
    pub(crate) fn of_worker(config: &Config, borne: usize) -> Self {
        let limits = &config.limits;
        let of_upstream = limits.upstream_connections.min(borne / config.applications.len().max(1));
        let connections = of_upstream.div_ceil(config.server.workers.max(1)).max(1);
        Self { connections, patience: limits.idle_timeout }
    }
}

/// The connections of one worker to one upstream.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<PoolState>);

#[derive(Debug)]
struct PoolState {
    upstream: Upstream,
    bounds: Bounds,
    /// Connections that are open, idle ones included.
    open: AtomicUsize,
    idle: Mutex<Vec<Idle>>,
}

/// A connection between two uses. It stays under the passage that used it last until it is used again.
#[derive(Debug)]
struct Idle {
    since: Instant,
    connection: Connection,
    /// Whether the last request had a body, whose tail may still be on its way when it was answered early.
    had_body: bool,
    last: Attached,
}

impl Idle {
    /// The connection for somebody else; none when anything of the last request could follow.
    fn reuse(self) -> Option<Connection> {
        let Self { since, connection, had_body, last } = self;
        let fresh = since.elapsed() < KEEP_IDLE && connection.sender.is_ready();
        // A body that is not wholly delivered belongs to the last passage: it is not left to flow under the next.
        if had_body && !connection.cutter.is_quiet() {
            connection.cutter.cut();
            return None;
        }
        drop(last);
        fresh.then_some(connection)
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    cutter: Arc<Cutter>,
    _counted: Counted,
}

/// One open connection of a pool.
#[derive(Debug)]
struct Counted(Pool);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connection {
    pub(super) fn cutter(&self) -> &Arc<Cutter> {
        &self.cutter
    }
}

impl Upstreams {
    pub(crate) fn new(applications: &[Arc<Application>], bounds: Bounds) -> Self {
        let pools = applications.iter().map(|application| {
            let upstream = application.upstream.clone();
            (upstream.authority.to_string(), Pool::new(upstream, bounds))
        });
        Self { pools: pools.collect(), bounds }
    }

    /// The pool of an upstream; one for an unknown upstream keeps nothing.
    pub(super) fn pool(&self, upstream: &Upstream) -> Pool {
        let known = self.pools.get(upstream.authority.as_str()).cloned();
        known.unwrap_or_else(|| Pool::new(upstream.clone(), self.bounds))
    }
}

impl Pool {
    fn new(upstream: Upstream, bounds: Bounds) -> Self {
        Self(Arc::new(PoolState { upstream, bounds, open: AtomicUsize::new(0), idle: Mutex::default() }))
    }

    pub(super) fn name(&self) -> &str {
        self.0.upstream.authority.as_str()
    }

    /// A kept connection (then true) or a new one.
    pub(super) async fn connection(&self, timeout: Duration) -> Result<(Connection, bool), ForwardError> {
        if let Some(kept) = self.take_idle() {
            return Ok((kept, true));
        }
        let connecting = tokio::time::timeout(timeout, self.connect());
        let timed_out = |_| ForwardError::ConnectTimeout(self.name().to_owned(), timeout);
        Ok((connecting.await.map_err(timed_out)??, false))
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(kept) = idle.pop() {
            if let Some(connection) = kept.reuse() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection, had_body: bool, last: Attached) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < KEEP_IDLE && !kept.connection.sender.is_closed());
        if idle.len() < MAX_IDLE {
            idle.push(Idle { since: Instant::now(), connection, had_body, last });
        }
    }

    /// Counts one more connection, unless that would be too many.
    fn count(&self) -> Result<Counted, ForwardError> {
        let before = self.0.open.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(self.clone());
        if before < self.0.bounds.connections {
            Ok(counted)
        } else {
            Err(ForwardError::Busy(self.name().to_owned()))
        }
    }

    async fn connect(&self) -> Result<Connection, ForwardError> {
        let counted = self.count()?;
        let Upstream { host, port, .. } = &self.0.upstream;
        let unreachable = |error| ForwardError::Unreachable(self.name().to_owned(), error);
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
        stream.set_nodelay(true)?;
        let cutter = Arc::new(Cutter::of(&stream)?);
        let stream = CuttableStream::new(stream, cutter.clone(), (), self.0.bounds.patience);
        let (sender, connection) = Builder::new()
            .max_header_size(MAX_RESPONSE_HEAD_BYTES)
            .max_headers(MAX_RESPONSE_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ForwardError::Broken(self.name().to_owned(), error))?;
        // Its errors reach whoever waits for the answer.
        tokio::spawn(async move { connection.with_upgrades().await.ok() });
        Ok(Connection { sender, cutter, _counted: counted })
    }
}

/// A connection in use under a passage. Dropped before the exchange is whole, it takes the connection with it.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Pool,
    held: Option<(Connection, Attached)>,
    had_body: bool,
}

impl Lease {
    pub(super) fn new(pool: Pool, connection: Connection, attached: Attached) -> Self {
        Self { pool, held: Some((connection, attached)), had_body: false }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        self.had_body = !request.body().is_end_stream();
        match &mut self.held {
            Some((connection, _)) => connection.sender.try_send_request(request).await,
            // Unreachable by construction, and if it were not, waiting for ever forwards nothing.
            None => std::future::pending().await,
        }
    }

    /// The answer is whole. The connection stays under the passage until the request is whole too, which an early answer may
    /// precede; then it may serve others.
    pub(super) fn finish(mut self, patience: Duration) {
        let Some((mut connection, attached)) = self.held.take() else { return };
        let (pool, had_body) = (self.pool.clone(), self.had_body);
        if connection.sender.is_ready() {
            pool.keep(connection, had_body, attached);
            return;
        }
        tokio::spawn(async move {
            match tokio::time::timeout(patience, connection.sender.ready()).await {
                Ok(Ok(())) => pool.keep(connection, had_body, attached),
                _ => connection.cutter.cut(),
            }
        });
    }

    /// The connection became a tunnel: it lives as long as what is returned here, and serves nobody else.
    pub(super) fn into_tunnel(mut self) -> Option<(Connection, Attached)> {
        self.held.take()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((connection, attached)) = self.held.take() {
            connection.cutter.cut();
            drop(attached);
        }
    }
}
