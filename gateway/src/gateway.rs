//! What all stages share: made once at start, read by every request. Holds no logic but how its parts find each other.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_scim_sink::ScimSink;
use portcullis_store::Store;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::assertion::Signer;
use crate::config::Config;
use crate::limit::RateLimit;
use crate::live::Live;
use crate::login::Provider;
use crate::route::{RESERVED_PREFIX, Routes};
use crate::seal::{Sealer, SingleUse};
use crate::tls::Tls;

/// Provisioning requests at once: what they hold together is this many bodies.
pub(crate) const MAX_SCIM_REQUESTS: usize = 128;
/// How many spent logins are remembered; more at once within their lifetime are far beyond what the rate limit lets through.
const MAX_SPENT: u64 = 1_000_000;
/// Longer than anything that is used once can be used.
const SPENT_LIFE: Duration = Duration::from_secs(2 * 600);

/// The gateway as its stages see it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) config: Config,
    pub(crate) routes: Routes,
    pub(crate) tls: Tls,
    pub(crate) live: Arc<Live>,
    pub(crate) store: Store,
    pub(crate) sealer: Sealer,
    pub(crate) signer: Signer,
    pub(crate) providers: Vec<Arc<Provider>>,
    pub(crate) used: SingleUse,
    /// Names this run of the process: what is used once is remembered no longer than it.
    pub(crate) run: String,
    pub(crate) scim: ScimSink,
    /// How many provisioning requests are read and answered at once.
    pub(crate) scim_requests: Arc<Semaphore>,
    pub(crate) rate_limit: RateLimit,
    /// Where provider calls and provisioning run, away from the threads that carry requests.
    pub(crate) control: Handle,
}

/// Remembers which attempts and hand-overs were used.
pub(crate) fn spent_logins() -> SingleUse {
    SingleUse::new(MAX_SPENT, SPENT_LIFE)
}

impl Gateway {
    /// The provider of that name.
    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.settings().name == name)
    }

    /// Where providers send people back to; registered there letter by letter.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("{}{RESERVED_PREFIX}callback", self.config.origin(&self.config.server.auth_host))
    }
}

/// The present, in unix seconds. Sessions are bounded by our own timestamps; a clock before 1970 lets nothing be valid.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
