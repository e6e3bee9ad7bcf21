//! The SCIM sink as a program of its own, on the store of gateways that run beside it: plain HTTP on an address of its own, to whatever
//! speaks TLS before it and to nobody else. It holds no key of an application and serves nobody; its 2xx waits for every gateway. What is
//! answered is left to `scim`.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_scim_sink::ScimSink;
use portcullis_store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::assemble::{declare_directories, sink_directories};
use crate::body::Body;
use crate::client_address::{AddressError, client_address};
use crate::config::{Config, Networks, Sidecar as Settings};
use crate::gateway::{MAX_SCIM_REQUESTS, now};
use crate::limit::RateLimit;
use crate::listen::{ACCEPT_PAUSE, http1_builder};
use crate::respond::{self, Rejection};
use crate::route::{Canonical, RouteError};
use crate::scim::{self, Door};
use crate::serve::{ServeError, until_told_to_stop};

/// Threads for everything that it does.
const THREADS: usize = 2;
/// Connections at once. A provisioning client has a few; one more waits unaccepted.
const MAX_CONNECTIONS: usize = 256;
/// How often the log tells of one address that it may not connect.
const STRANGER_LINES_PER_MINUTE: u32 = 1;

/// What all connections share.
struct Sidecar {
    sink: ScimSink,
    control: Handle,
    requests: Arc<Semaphore>,
    guesses: RateLimit,
    /// Who may connect, and is believed about whom it connects for.
    from: Networks,
    strangers: RateLimit,
    config: Config,
}

/// Answers provisioning requests until it is told to stop.
pub fn run(config: Config) -> Result<(), ServeError> {
    let settings = config.sidecar.clone().ok_or(ServeError::NoSidecar)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("portcullis-scim")
        .enable_all()
        .build()?;
    let fault = |source| ServeError::Open { file: config.store_file.clone(), source };
    let store = Store::open(&config.store_file).map_err(fault)?;
    runtime.block_on(async {
        // A gateway that serves has declared them; only then may nobody else, since declaring can end sessions.
        if let Ok(_alone) = store.lock_alone() {
            declare_directories(&store, &config).await?;
        }
        let address = settings.listen;
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.map_err(|source| ServeError::Bind { key: "sidecar.listen", address, source })?;
        tracing::info!(target: "portcullis::serve", listen = %listener.local_addr()?, "the SCIM sink serves beside the gateways");
        let sidecar = Arc::new(Sidecar::new(store, &settings, config));
        serve(sidecar, listener).await
    })
}

/// Where connections come from. One of a test can fail.
trait Listener: Sync {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Listener for TcpListener {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        self.accept()
    }
}

async fn serve(sidecar: Arc<Sidecar>, listener: impl Listener) -> Result<(), ServeError> {
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut told = std::pin::pin!(until_told_to_stop());
    loop {
        let next = async {
            let place = room.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            stop = &mut told => {
                stop?;
                break;
            }
            (accepted, place) = next => match accepted {
                Ok((stream, peer)) if sidecar.may_connect(peer.ip()) => {
                    let (sidecar, stopping) = (sidecar.clone(), stopping.clone());
                    tasks.spawn(async move {
                        sidecar.connection(stream, peer.ip(), &stopping).await;
                        drop(place);
                    });
                }
                Ok(_) => {}
                // The peer left at once, or no descriptor is free: neither ends the listener.
                Err(cause) => {
                    tracing::warn!(target: "portcullis::listen", %cause, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    stopping.cancel();
    tasks.close();
    // A change that is waited for is finished by the repeat if it is not in time.
    let _ = tokio::time::timeout(sidecar.config.limits.drain_timeout, tasks.wait()).await;
    Ok(())
}

impl Sidecar {
    fn new(store: Store, settings: &Settings, config: Config) -> Self {
        let mut directories = sink_directories(&config);
        if let Some(public_url) = &settings.public_url {
            for directory in &mut directories {
                directory.base_url = format!("{public_url}/scim/v2/{}", directory.name);
            }
        }
        Self {
            sink: ScimSink::new(store, directories),
            control: Handle::current(),
            requests: Arc::new(Semaphore::new(MAX_SCIM_REQUESTS)),
            guesses: RateLimit::per_minute(config.limits.login_per_minute),
            from: settings.from.clone(),
            strangers: RateLimit::per_minute(STRANGER_LINES_PER_MINUTE),
            config,
        }
    }

    /// Anybody else's connection is closed unread.
    fn may_connect(&self, peer: IpAddr) -> bool {
        let may = self.from.contains(peer);
        if !may && self.strangers.allows(peer) {
            tracing::warn!(target: "portcullis::listen", client = %peer, "a connection from outside `sidecar.from` was closed");
        }
        may
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: IpAddr, stopping: &CancellationToken) {
        let builder = http1_builder(&self.config.limits);
        let service = service_fn(|request| {
            let sidecar = self.clone();
            async move { Ok::<_, Infallible>(sidecar.answer(peer, request).await) }
        });
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(cause) = served {
            tracing::debug!(target: "portcullis::listen", %cause, "a connection of a provisioning client broke off");
        }
    }

    async fn answer(&self, peer: IpAddr, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        if head.uri.path() == "/healthz" {
            return Response::new(Body::from("ok\n".to_owned()));
        }
        let (canonical, client_ip) = match self.read(peer, &head) {
            Ok(read) if scim::is_scim(&read.0) => read,
            Ok(_) => return scim::refused(StatusCode::NOT_FOUND, "nothing but SCIM lives here"),
            Err(error) => return respond::refused_in_scim(&Rejection::Route(error)),
        };
        let door = Door {
            sink: &self.sink,
            control: &self.control,
            requests: &self.requests,
            guesses: &self.guesses,
        };
        scim::respond(door, client_ip, &canonical, Request::from_parts(head, body), now()).await
    }

    /// What a request means, and for whom it comes.
    fn read(&self, peer: IpAddr, head: &Parts) -> Result<(Canonical, IpAddr), RouteError> {
        let canonical = Canonical::of(head)?;
        match canonical.path.unusual().next() {
            Some(error) => Err(error.into()),
            None => Ok((canonical, self.client(peer, head)?)),
        }
    }

    /// For whom a connection is used: what its wrong keys count for. One that does not tell is used for its own sake.
    fn client(&self, peer: IpAddr, head: &Parts) -> Result<IpAddr, RouteError> {
        match client_address(peer, &head.headers, |address| self.from.contains(address)) {
            Err(AddressError::Untold) => Ok(peer),
            told => Ok(told?),
        }
    }
}

#[cfg(test)]
mod tests;
