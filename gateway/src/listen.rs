//! Accepts client connections under caps, shakes hands within a deadline, and feeds what comes to the pipeline over HTTP/1.1 or
//! HTTP/2. What a request means is none of its business.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::Acceptor;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Admission, Admitted};
use crate::authorize::Client;
use crate::body::Body;
use crate::config::Limits;
use crate::decision_log::Journal;
use crate::gateway::Current;
use crate::gather::Gathered;
use crate::metrics;
use crate::pipeline::{self, Via};
use crate::proxy_protocol::{self, ProxyError, Told};
use crate::socket::{CuttableStream, Cutter, Descriptor};
use crate::tls::{Handshake, Tls};

const BACKLOG: i32 = 1_024;
/// How long to wait when the system has no socket left to accept with.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Streams that a client opened and reset at once, before the connection is closed (rapid reset).
const MAX_PENDING_RESETS: usize = 20;
const MAX_LOCAL_RESETS: usize = 1_024;
/// How many header fields hyper takes unless it is told a number.
const HEADERS_OF_HYPER: usize = 100;
/// What one stream, and one connection, may send ahead of being read, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// What the kernel may hold of a connection beyond what is in flight, in bytes.
const UNSENT_BYTES: u32 = 128 * 1024;
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Binds one listener for each worker on an address. The kernel spreads connections over them.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<StdListener>> {
    // A shared port could be taken by a second process unnoticed; an unshared one cannot.
    let probe = StdListener::bind(address)?;
    let address = probe.local_addr()?;
    drop(probe);
    (0..workers).map(|_| bind_shared(address)).collect()
}

fn bind_shared(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// One thread's share of the work.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Counts from zero.
    pub(crate) number: usize,
    pub(crate) current: Arc<Current>,
    pub(crate) admission: Arc<Admission>,
    /// Where its events wait to be written.
    pub(crate) journal: Arc<Journal>,
    /// Set when the gateway is to stop: no new connections, open requests may finish.
    pub(crate) stopping: CancellationToken,
    /// Every open connection.
    pub(crate) tasks: TaskTracker,
}

impl Worker {
    /// Accepts until the gateway stops.
    pub(crate) async fn accept(self: Arc<Self>, listener: StdListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stopping.cancelled() => return Ok(()),
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer),
                // The peer left at once, or no descriptor is free: neither ends the listener.
                Err(error) => {
                    tracing::warn!(target: "portcullis::listen", cause = %error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let gateway = self.current.get();
        let proxies = &gateway.config.server.proxy_protocol_from;
        let opener = match proxies.iter().any(|network| network.contains(&peer.ip().to_canonical())) {
            true => Opener::Proxy,
            false => Opener::Client,
        };
        // Beyond the caps a connection is closed unread; a word to each would be work for the attacker's asking.
        let admitted = match opener {
            Opener::Proxy => self.admission.admit_somebody(&gateway.config.limits),
            Opener::Client => self.admission.admit(peer.ip(), &gateway.config.limits),
        };
        let Some(admitted) = admitted else { return };
        let worker = self.clone();
        // A connection may live longer than the configuration, of which it keeps no more than this.
        let (limits, tls) = (gateway.config.limits.clone(), gateway.tls.clone());
        // What is moved lies in each place that it passes, for as long as the task lives: so the large parts of it are boxed.
        let connection = Box::pin(worker.connection(limits, tls, stream, peer, opener, admitted));
        self.tasks.spawn(async move {
            if let Err(cause) = connection.await {
                tracing::debug!(target: "portcullis::listen", client = %peer.ip(), %cause, "a connection ended");
            }
        });
    }

    async fn connection(
        self: Arc<Self>,
        limits: Limits,
        tls: Arc<Tls>,
        mut stream: TcpStream,
        peer: SocketAddr,
        opener: Opener,
        admitted: Admitted,
    ) -> Result<(), ConnectionEnd> {
        stream.set_nodelay(true)?;
        // A shorter queue in the kernel: what a slow reader has not taken waits where it can be told from what was.
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES)?;
        let limits = &limits;
        let deadline = Instant::now() + limits.handshake_timeout;
        let (address, admitted) = match opener {
            Opener::Client => (peer.ip(), admitted),
            Opener::Proxy => {
                let told = timeout_at(deadline, proxy_protocol::read(&mut stream)).await;
                let address = match told.map_err(|_| ConnectionEnd::Handshake)?? {
                    Told::Client(address) => address,
                    Told::Itself => peer.ip(),
                };
                (address, admitted.counted_for(address, limits).ok_or(ConnectionEnd::Share)?)
            }
        };
        let socket = Arc::new(Descriptor::from(stream));
        let cutter = Arc::new(Cutter::of(&socket)?);
        let client = Arc::new(Client::new(address, cutter.clone(), admitted, self.journal.clone()));
        let stream = CuttableStream::new(socket, cutter, client.clone(), limits.idle_timeout)
            .at_least(limits.minimum_rate);
        let shaken = timeout_at(deadline, Box::pin(shake(&tls, stream))).await;
        let Some((stream, handshake)) = counted(shaken)? else { return Ok(()) };
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let _ = client.handshake.set(handshake);
        if http2 {
            self.http2(limits, stream, client).await
        } else {
            Ok(self.http1(limits, stream, client).await?)
        }
    }

    fn http1(
        self: Arc<Self>,
        limits: &Limits,
        stream: TlsStream<CuttableStream<Arc<Client>>>,
        client: Arc<Client>,
    ) -> impl Future<Output = hyper::Result<()>> + use<> {
        let stopping = self.stopping.clone();
        let serving = http1_builder(limits).serve_connection(TokioIo::new(stream), self.service(client));
        let mut connection = Box::pin(serving.with_upgrades());
        async move {
            tokio::select! {
                served = connection.as_mut() => return served,
                () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            connection.await
        }
    }

    fn http2(
        self: Arc<Self>,
        limits: &Limits,
        stream: TlsStream<CuttableStream<Arc<Client>>>,
        client: Arc<Client>,
    ) -> impl Future<Output = Result<(), ConnectionEnd>> + use<> {
        let stopping = self.stopping.clone();
        let builder = http2_builder(limits);
        let (unused_limit, idle_limit) = (limits.header_timeout, limits.idle_timeout);
        let service = self.service(client.clone());
        let serve = |stream| builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = Gathered::new(stream, serve);
        async move {
            tokio::select! {
                served = &mut connection => return Ok(served?),
                () = stopping.cancelled() => connection.connection().graceful_shutdown(),
                () = client.requests.broken_off_too_often() => return Err(ConnectionEnd::BrokenOff),
                // hyper has no deadline for the preface, nor for a connection without streams.
                () = client.requests.unused_for(unused_limit) => connection.connection().graceful_shutdown(),
            }
            // What is under way is finished, as long as the peer takes it; one that takes nothing is not waited for.
            tokio::select! {
                served = &mut connection => Ok(served?),
                () = client.takes_nothing(idle_limit) => Ok(()),
                () = client.requests.broken_off_too_often() => Err(ConnectionEnd::BrokenOff),
            }
        }
    }

    /// Every request of a connection goes to the pipeline.
    fn service(
        self: Arc<Self>,
        client: Arc<Client>,
    ) -> impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send + 'static> + Send {
        service_fn(move |mut request: Request<Incoming>| {
            let (worker, client) = (self.clone(), client.clone());
            let answering: Answering = Box::pin(async move {
                // A socket uses the connection for longer than its request does.
                if request.method() == Method::CONNECT {
                    request.extensions_mut().insert(client.requests.clone());
                }
                let in_use = client.requests.begin();
                let via = Via { client: &client, worker: worker.number };
                let response = pipeline::handle(&worker.current, via, request).await;
                Ok(response.map(|body| body.during(in_use.answered())))
            });
            answering
        })
    }
}

/// A request on its way through the pipeline. It is large, hyper moves what it is given several times, and an idle connection keeps
/// room for one: so it stays where it was made.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A connection after its handshake, and what that told.
type Shaken<S> = (TlsStream<S>, Handshake);

/// The rules depend on the name that the client asks for, so its first message is read before they are chosen. None when an
/// authority asked whether the host is ours: that is answered by the handshake, and the connection ends here.
async fn shake(
    tls: &Tls,
    stream: CuttableStream<Arc<Client>>,
) -> io::Result<Option<Shaken<CuttableStream<Arc<Client>>>>> {
    let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    if let Some(config) = tls.answer(&begun.client_hello()) {
        begun.into_stream(config).await?.shutdown().await?;
        return Ok(None);
    }
    let (policy, config) = tls.choose(&begun.client_hello());
    let stream = begun.into_stream(config).await?;
    let handshake = Handshake::of(stream.get_ref().1, policy);
    Ok(Some((stream, handshake)))
}

/// What became of a handshake is counted, whatever it was.
fn counted<S>(
    shaken: Result<io::Result<Option<Shaken<S>>>, Elapsed>,
) -> Result<Option<Shaken<S>>, ConnectionEnd> {
    let shaken = match shaken {
        Ok(Ok(Some(shaken))) => shaken,
        Ok(Ok(None)) => {
            metrics::not_shaken("challenge");
            return Ok(None);
        }
        Ok(Err(error)) => {
            metrics::not_shaken("failed");
            return Err(error.into());
        }
        Err(_) => {
            metrics::not_shaken("timeout");
            return Err(ConnectionEnd::Handshake);
        }
    };
    metrics::shaken(shaken.0.get_ref().1);
    Ok(Some(shaken))
}

pub(crate) fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes);
    // What hyper does by itself it does without writing over the room for all fields at each request.
    if limits.header_count != HEADERS_OF_HYPER {
        builder.max_headers(limits.header_count);
    }
    builder
}

pub(crate) fn http2_builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .enable_connect_protocol()
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        // A ping waits behind what a slow reader has not taken yet.
        .keep_alive_timeout(limits.idle_timeout);
    builder
}

/// Who opened a connection: one that tells for whom, and must, or the client itself.
#[derive(Debug, Clone, Copy)]
enum Opener {
    Proxy,
    Client,
}

/// Why a connection ended otherwise than by agreement. Worth a line when looking for a fault, not more.
#[derive(Debug, thiserror::Error)]
enum ConnectionEnd {
    #[error("the handshake took too long")]
    Handshake,
    #[error("{0}")]
    Proxy(#[from] ProxyError),
    #[error("the client broke off too many requests")]
    BrokenOff,
    #[error("the address behind the proxy has its share of connections")]
    Share,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
}
