//! What all stages share under one configuration: made whole at start and at each reload, never changed. Holds no logic but how
//! its parts find each other; making one is left to `assemble`, replacing one to `reload`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use portcullis_scim_sink::ScimSink;
use portcullis_store::Store;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::assertion::Signer;
use crate::config::Config;
use crate::decision_log::RecordState;
use crate::descriptors::Borne;
use crate::evaluation::Evaluator;
use crate::forward::{Fleet, Upstreams};
use crate::limit::RateLimit;
use crate::live::{Live, Policies};
use crate::login::{Parting, Provider};
use crate::respond::Look;
use crate::route::Routes;
use crate::seal::{Sealer, digest_text};
use crate::terminal::Devices;
use crate::tls::{Issued, Tls};
use crate::web_client::WebClient;

/// Provisioning requests at once: what they hold together is this many bodies.
pub(crate) const MAX_SCIM_REQUESTS: usize = 128;
/// Longer than anything that is used once can be used.
const SPENT_LIFE_S: i64 = 2 * 600;

/// What lives as long as the process, whatever the configuration says.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) live: Arc<Live>,
    pub(crate) store: Store,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) signer: Arc<Signer>,
    /// Sign-outs that are on their way to the auth host.
    pub(crate) parting: Arc<Parting>,
    /// Programs that wait for somebody to type their code.
    pub(crate) devices: Arc<Devices>,
    /// Names the history of the store: what is used once is remembered no longer than it.
    pub(crate) history: Arc<str>,
    /// How many provisioning requests are read and answered at once.
    pub(crate) scim_requests: Arc<Semaphore>,
    /// How many sessions are renewed at once.
    pub(crate) renewals_at_once: Arc<Semaphore>,
    /// The renewals under way: what a provider answers to them must be stored.
    pub(crate) renewing: TaskTracker,
    /// Where provider calls and provisioning run, away from the threads that carry requests.
    pub(crate) control: Handle,
    /// Certificates that were ordered.
    pub(crate) issued: Arc<Issued>,
    /// How many connections the process can bear on each side.
    pub(crate) borne: Borne,
    /// How recording decisions stands, where that is configured.
    pub(crate) record: Option<Arc<RecordState>>,
}

/// The gateway as its stages see it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) config: Config,
    /// The policies, as this configuration numbers them.
    pub(crate) policies: Policies,
    pub(crate) routes: Routes,
    pub(crate) tls: Arc<Tls>,
    /// The servers behind the applications.
    pub(crate) fleet: Fleet,
    /// The same, as each worker reaches them.
    pub(crate) upstreams: Vec<Arc<Upstreams>>,
    pub(crate) provider_http: Arc<WebClient>,
    pub(crate) providers: Vec<Arc<Provider>>,
    /// Services that are asked about people.
    pub(crate) evaluators: Vec<Arc<Evaluator>>,
    pub(crate) scim: ScimSink,
    pub(crate) limits: Arc<RateLimits>,
    pub(crate) look: Look,
}

/// How often somebody may ask for something.
#[derive(Debug)]
pub(crate) struct RateLimits {
    /// Logins, callbacks and refused SCIM keys, by address.
    pub(crate) logins: RateLimit,
    /// Requests, by address.
    pub(crate) of_address: RateLimit,
    /// Requests to applications, by person.
    pub(crate) of_person: RateLimit,
}

/// The gateway of the moment. A request takes it once and keeps it: it sees one configuration, whole.
#[derive(Debug)]
pub(crate) struct Current(ArcSwap<Gateway>);

impl Current {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Self {
        Self(ArcSwap::new(gateway))
    }

    pub(crate) fn get(&self) -> Arc<Gateway> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, gateway: Arc<Gateway>) {
        self.0.store(gateway);
    }
}

impl Process {
    /// True for the first who uses this, in whichever process. Who cannot be told is not the first.
    pub(crate) async fn is_first_use(&self, id: &str, now: i64) -> bool {
        // The store keeps no value that was a secret of a login, also when it is spent.
        match self.store.spend(&digest_text(id), now.saturating_add(SPENT_LIFE_S)).await {
            Ok(first) => first,
            Err(cause) => {
                tracing::warn!(target: "portcullis::login", %cause, "whether a login was used before is not known");
                false
            }
        }
    }
}

impl Gateway {
    /// The provider of that name.
    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.settings().name == name)
    }

    /// Where providers send people back to; registered there letter by letter.
    pub(crate) fn redirect_uri(&self) -> String {
        self.config.redirect_uri()
    }
}

/// The present, in unix seconds. Sessions are bounded by our own timestamps; a clock before 1970 lets nothing be valid.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
