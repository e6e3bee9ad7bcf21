//! From a configuration to a running gateway, and from the signal to stop to its end. Every step that fails says what to do;
//! nothing is served before all of them have succeeded.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use portcullis_store::{DirectoryError, OpenError, Store, StoreError};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::acme;
use crate::admission::Admission;
use crate::assemble;
use crate::assertion::{self, AssertionError};
use crate::config::Config;
use crate::decision_log::{self, RecordError};
use crate::descriptors::Borne;
use crate::gate;
use crate::gateway::Current;
use crate::inner::{self, Readiness};
use crate::listen::{self, Worker};
use crate::log;
use crate::reload;
use crate::seal::KeyFileError;
use crate::tls::TlsError;
use crate::upkeep;
#[cfg(feature = "otel")]
use crate::{gateway::Gateway, telemetry};

/// Threads for logins, provisioning and everything else that is no request to an application.
const CONTROL_THREADS: usize = 2;
/// How often a draining worker looks whether all is delivered.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Why the gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address could not be bound.
    #[error("cannot listen on `{key} = {address}`: {source}{}", hint(.source))]
    Bind {
        /// The key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The store could not be opened.
    #[error("cannot open the store `{}`: {source}", file.display())]
    Open {
        /// The store's file.
        file: PathBuf,
        /// What the store said.
        source: OpenError,
    },
    /// The store failed.
    #[error("the store failed at start: {0}")]
    Store(#[from] StoreError),
    /// The configuration has a directory that the store refuses.
    #[error("the store refuses the configured directories: {0}")]
    Directories(#[from] DirectoryError),
    /// The key file could not be used.
    #[error("{0}")]
    KeyFile(#[from] KeyFileError),
    /// No signing key.
    #[error("{0}")]
    Assertion(#[from] AssertionError),
    /// Decisions could not be recorded as configured.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// TLS could not be set up.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The client for identity providers could not be made.
    #[error("cannot talk to identity providers: {0}")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The sink cannot run as a program of its own.
    #[error("the configuration has no section `[sidecar]`: it says where the SCIM sink listens")]
    NoSidecar,
    /// A thread or a runtime could not be made.
    #[error("the system refused a thread or a signal handler: {0}")]
    System(#[from] io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process listens there: stop it, or choose another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}

/// Runs the gateway until it is told to stop.
pub fn run(config: Config) -> Result<(), ServeError> {
    let control = Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("portcullis-control")
        .enable_all()
        .build()?;
    let borne = Borne::by_this_process();
    let store_fault = |source| ServeError::Open { file: config.store_file.clone(), source };
    let store = Store::open(&config.store_file).map_err(store_fault)?;
    let lock = store.lock_for_serving().map_err(store_fault)?;
    store.lease().freeze_for(config.store_freeze);
    gate::guard_by(store.lease());
    let listeners = bind_public(&config)?;
    let inner = bind_inner(&control, &config)?;
    let assembled = assemble::first(config, store, control.handle().clone(), borne);
    let current = Arc::new(Current::new(Arc::new(control.block_on(assembled)?)));
    #[cfg(feature = "otel")]
    let spans = start_telemetry(&current.get(), &control)?;
    let running = Running::start(&control, &current, listeners, inner)?;
    control.block_on(until_told_to_stop())?;
    running.stop();
    // What a provider has answered by now is stored: where it rotates refresh tokens, the next start knows no other.
    control.block_on(upkeep::finish_renewals(&current.get()));
    #[cfg(feature = "otel")]
    if let Some(spans) = spans {
        control.block_on(spans.finish());
    }
    control.block_on(decision_log::end_record(&current.get()));
    // Last: until here something of ours could have been let through, and a writer had to wait for us.
    control.block_on(current.get().process.store.leave());
    drop(lock);
    Ok(())
}

/// Begins to send spans, where that is configured.
#[cfg(feature = "otel")]
fn start_telemetry(gateway: &Gateway, control: &Runtime) -> Result<Option<telemetry::Sending>, ServeError> {
    let Some(settings) = &gateway.config.telemetry else { return Ok(None) };
    let sending = telemetry::start(settings, control.handle());
    sending.map(Some).map_err(|error| ServeError::Provider(Box::new(error)))
}

fn bind_public(config: &Config) -> Result<Vec<Vec<StdListener>>, ServeError> {
    let bind = |address: &SocketAddr| {
        listen::bind(*address, config.server.workers).map_err(|source| ServeError::Bind {
            key: "server.listen",
            address: *address,
            source,
        })
    };
    config.server.listen.iter().map(bind).collect()
}

fn bind_inner(control: &Runtime, config: &Config) -> Result<TcpListener, ServeError> {
    let address = config.server.inner_listen;
    control.block_on(TcpListener::bind(address)).map_err(|source| ServeError::Bind {
        key: "server.inner_listen",
        address,
        source,
    })
}

/// The running threads.
struct Running {
    readiness: Arc<Readiness>,
    stopping: CancellationToken,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    fn start(
        control: &Runtime,
        current: &Arc<Current>,
        listeners: Vec<Vec<StdListener>>,
        inner: TcpListener,
    ) -> Result<Self, ServeError> {
        let gateway = current.get();
        let connections = gateway.process.borne.clients;
        if connections < gateway.config.limits.connections {
            tracing::warn!(
                target: "portcullis::serve",
                configured = gateway.config.limits.connections,
                borne = connections,
                "fewer connections than configured: raise the descriptor limit (LimitNOFILE, ulimit -n)"
            );
        }
        let readiness = Arc::new(Readiness::default());
        let stopping = CancellationToken::new();
        let admission = Arc::new(Admission::new(connections));
        let addresses: Vec<String> = listeners
            .iter()
            .flatten()
            .take(1)
            .filter_map(|it| it.local_addr().ok())
            .map(|it| it.to_string())
            .collect();
        let mut workers = Vec::new();
        let mut shares: Vec<Vec<StdListener>> =
            (0..gateway.config.server.workers).map(|_| Vec::new()).collect();
        for address in listeners {
            for (share, listener) in shares.iter_mut().zip(address) {
                share.push(listener);
            }
        }
        for (number, share) in shares.into_iter().enumerate() {
            let worker = Arc::new(Worker {
                number,
                current: current.clone(),
                admission: admission.clone(),
                journal: log::journal(),
                stopping: stopping.clone(),
                tasks: TaskTracker::new(),
            });
            workers.push(spawn_worker(worker, share)?);
        }
        control.spawn(inner::serve(inner, readiness.clone(), current.clone()));
        control.spawn(upkeep::run(current.clone()));
        control.spawn(upkeep::sweep(current.clone()));
        control.spawn(reload::watch(current.clone()));
        control.spawn(assertion::keep(current.clone()));
        control.spawn(acme::keep_ordering(current.clone()));
        control.spawn(decision_log::keep_known(current.clone()));
        control.spawn(log::follow_hangups());
        readiness.set(true);
        tracing::info!(
            target: "portcullis::serve",
            version = env!("CARGO_PKG_VERSION"),
            listen = addresses.join(" "),
            auth_host = %gateway.config.server.auth_host,
            redirect_uri = gateway.redirect_uri(),
            workers = workers.len(),
            "serving"
        );
        Ok(Self { readiness, stopping, workers })
    }

    /// Lets open requests finish for a while, then ends the rest.
    fn stop(self) {
        self.readiness.set(false);
        tracing::info!(target: "portcullis::serve", "stopping");
        self.stopping.cancel();
        for worker in self.workers {
            // A worker that panicked has nothing left to finish.
            let _ = worker.join();
        }
        tracing::info!(target: "portcullis::serve", "stopped");
    }
}

/// One thread with one runtime: what it accepts never moves to another core.
fn spawn_worker(worker: Arc<Worker>, listeners: Vec<StdListener>) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("portcullis-worker".to_owned()).spawn(move || {
        runtime.block_on(async {
            for listener in listeners {
                let accepting = worker.clone().accept(listener);
                tokio::spawn(async move {
                    if let Err(cause) = accepting.await {
                        tracing::error!(target: "portcullis::listen", %cause, "a listener ended");
                    }
                });
            }
            worker.stopping.cancelled().await;
            worker.tasks.close();
            let patience = worker.current.get().config.limits.drain_timeout;
            // Also what is closed but not yet delivered counts as a connection.
            let finished = async {
                worker.tasks.wait().await;
                while !worker.admission.is_idle() {
                    tokio::time::sleep(DRAIN_LOOK).await;
                }
            };
            if tokio::time::timeout(patience, finished).await.is_err() {
                tracing::warn!(target: "portcullis::serve", open = worker.tasks.len(), "connections were closed unfinished");
            }
        });
    })
}

pub(crate) async fn until_told_to_stop() -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
