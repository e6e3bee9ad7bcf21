//! Makes a gateway of a configuration: the first at start, the next at each reload. What did not change is taken over, so that
//! nobody loses what is known or open; a step that fails leaves everything as it was.

use std::sync::Arc;

use portcullis_scim_sink::{DirectorySettings, ScimSink};
use portcullis_store::{Directory, Store};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::acme;
use crate::assertion::{self, Occasion, Signer};
use crate::config::{Config, IdentityProvider};
use crate::decision_log;
use crate::descriptors::Borne;
use crate::evaluation::Evaluator;
use crate::forward::{Bounds, Fleet, Upstreams};
use crate::gateway::{Gateway, MAX_SCIM_REQUESTS, Process, RateLimits, now};
use crate::limit::RateLimit;
use crate::live::{Live, Policies, warn_of_unborne};
use crate::login::{MAX_RENEWALS_AT_ONCE, Parting, Provider};
use crate::respond::Look;
use crate::route::Routes;
use crate::seal::Sealer;
use crate::serve::ServeError;
use crate::terminal::Devices;
use crate::tls::Tls;
use crate::web_client::WebClient;

/// The gateway that a process begins with. `borne` is how many connections it can bear.
pub(crate) async fn first(
    config: Config,
    store: Store,
    control: Handle,
    borne: Borne,
) -> Result<Gateway, ServeError> {
    let sealer = Sealer::from_file(&config.store_key_file)?;
    declare_directories(&store, &config).await?;
    let policies = Policies::first(&config);
    let record = decision_log::begin_to_record(&config, &store, &sealer)?;
    let live = Arc::new(Live::new(policies.clone()));
    live.limit_idleness(config.session.idle_timeout);
    live.ask_for_uses(store.last_uses());
    store.follow(live.clone()).await?;
    let sealer = Arc::new(sealer);
    let issuer = config.origin(&config.server.auth_host);
    let wish = assertion::wish(&config);
    let keys = assertion::rotate(&store, &sealer, &issuer, wish, Occasion::Time, now()).await?;
    let signer = Signer::new(issuer, &keys, &sealer)?;
    let history = store.epoch()?;
    let process = Process {
        live,
        store,
        sealer,
        signer: Arc::new(signer),
        parting: Arc::new(Parting::new()),
        devices: Arc::new(Devices::new()),
        history: history.into(),
        scim_requests: Arc::new(Semaphore::new(MAX_SCIM_REQUESTS)),
        renewals_at_once: Arc::new(Semaphore::new(MAX_RENEWALS_AT_ONCE)),
        renewing: TaskTracker::new(),
        control,
        issued: Arc::default(),
        borne,
        record,
    };
    let gateway = of(config, policies, process, None)?;
    warn_of_unborne(&gateway);
    gateway.fleet.ask(&gateway.process.control);
    Ok(gateway)
}

/// The gateway that follows another. Its policies are in force only when `Live` has adopted them.
pub(crate) async fn next(config: Config, before: &Gateway) -> Result<Gateway, ServeError> {
    let process = before.process.clone();
    let policies = before.policies.followed_by(&config);
    let gateway = of(config, policies, process, Some(before))?;
    // Last, since it is the one step that changes something.
    declare_directories(&gateway.process.store, &gateway.config).await?;
    gateway.fleet.ask(&gateway.process.control);
    Ok(gateway)
}

fn of(
    config: Config,
    policies: Policies,
    process: Process,
    before: Option<&Gateway>,
) -> Result<Gateway, ServeError> {
    acme::restore(&config, &process);
    let provider_http = provider_http(&config, before)?;
    let bounds = Bounds::of_worker(&config, process.borne.upstreams);
    let fleet = Fleet::new(&config.applications, before.map(|before| &before.fleet));
    let upstreams = (0..config.server.workers).map(|worker| {
        let before = before.and_then(|before| before.upstreams.get(worker)).map(AsRef::as_ref);
        Arc::new(Upstreams::new(&fleet, bounds, before))
    });
    Ok(Gateway {
        routes: Routes::new(config.server.auth_host.clone(), &config.applications, &policies.set),
        tls: Arc::new(Tls::new(&config, &process.issued, before.map(|before| before.tls.as_ref()))?),
        upstreams: upstreams.collect(),
        fleet,
        providers: providers(&config, &provider_http, before),
        evaluators: Evaluator::all(
            &config.evaluations,
            &provider_http,
            before.map(|before| before.evaluators.as_slice()),
        ),
        provider_http,
        scim: ScimSink::new(process.store.clone(), sink_directories(&config)),
        limits: rate_limits(&config, before),
        look: Look::new(&config.branding),
        policies,
        config,
        process,
    })
}

fn provider_http(config: &Config, before: Option<&Gateway>) -> Result<Arc<WebClient>, ServeError> {
    let timeout = config.limits.provider_timeout;
    match before {
        Some(before) if before.config.limits.provider_timeout == timeout => Ok(before.provider_http.clone()),
        _ => {
            let made = WebClient::new(timeout).map_err(|error| ServeError::Provider(Box::new(error)))?;
            Ok(Arc::new(made))
        }
    }
}

/// A provider that is configured as before keeps its keys: they may be all that is had of it while it cannot be reached.
fn providers(config: &Config, http: &Arc<WebClient>, before: Option<&Gateway>) -> Vec<Arc<Provider>> {
    let same_http = before.is_some_and(|before| Arc::ptr_eq(&before.provider_http, http));
    let known = before.filter(|_| same_http).map_or(&[][..], |before| &before.providers);
    let provider = |settings: &Arc<IdentityProvider>| {
        let kept = known.iter().find(|known| known.settings() == settings.as_ref()).cloned();
        kept.unwrap_or_else(|| Arc::new(Provider::new(settings.clone(), http.clone())))
    };
    config.identity_providers.iter().map(provider).collect()
}

/// Who has used up an allowance does not get a new one by a reload.
fn rate_limits(config: &Config, before: Option<&Gateway>) -> Arc<RateLimits> {
    let limits = &config.limits;
    let wanted = |limits: &crate::config::Limits| {
        (limits.login_per_minute, limits.requests_per_address, limits.requests_per_person)
    };
    match before {
        Some(before) if wanted(&before.config.limits) == wanted(limits) => before.limits.clone(),
        _ => Arc::new(RateLimits {
            logins: RateLimit::per_minute(limits.login_per_minute),
            of_address: RateLimit::per_second(limits.requests_per_address),
            of_person: RateLimit::per_second(limits.requests_per_person),
        }),
    }
}

pub(crate) fn sink_directories(config: &Config) -> Vec<DirectorySettings> {
    let settings = |directory: &crate::config::Directory| DirectorySettings {
        name: directory.name.as_str().into(),
        base_url: config.scim_base_url(&directory.name),
        key_header: directory.key_header.clone(),
        rules: Arc::new(directory.users.clone()),
    };
    config.directories.iter().map(settings).collect()
}

/// Tells the store which directories are served, and whose logins belong to them.
pub(crate) async fn declare_directories(store: &Store, config: &Config) -> Result<(), ServeError> {
    let declared = |directory: &crate::config::Directory| Directory {
        name: directory.name.as_str().into(),
        identity_provider: directory.identity_provider.clone(),
        rules: directory.rules,
    };
    let served: Vec<Directory> = config.directories.iter().map(declared).collect();
    Ok(store.declare_directories(&served, now()).await?)
}
