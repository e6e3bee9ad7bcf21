//! An Okta org on loopback: sign-in, tokens, users and groups API, SCIM pushes, an admin page, and faults on demand. It
//! follows what Okta is known to send; SAML, Universal Logout and Shared Signals are not here.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::Algorithm;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

mod serve;

mod discovery;
mod exchange;
mod keys;
mod signing;

mod authorize;
mod client_key;
mod grants;
mod groups_claim;
mod id_token;
mod login;
mod logout;
mod token;

mod users_api;

mod journal;
mod scim_bodies;
mod scim_client;
mod scim_push;

mod actions;
mod admin;
mod admin_api;
mod confided;
mod misbehave;

pub mod company;
mod state;

pub use actions::Pushes;
pub use client_key::ClientKey;
pub use company::{Client, Company, Group, Person};
pub use confided::Confided;
pub use discovery::AuthServer;
pub use exchange::MAX_REQUEST_BODY;
pub use grants::{CODE_LIFETIME_S, REFRESH_LEEWAY_S, Rotation, SESSION_LIFETIME_S, TOKEN_LIFETIME_S};
pub use groups_claim::{CLAIM_LIMIT, ClaimMode, GroupFilter, TOO_MANY_GROUPS};
pub use id_token::Spoil;
pub use journal::{Operation, Push};
pub use misbehave::{Endpoint, Fault, Neglect};
pub use scim_client::{Dialect, MAX_ANSWER, SOCKET_TIMEOUT, ScimError, ScimTarget};
pub use scim_push::{DEFAULT_WAIT, IMPORT_PAGE, MAX_ATTEMPTS};
pub use state::{OrgError, Status};
pub use users_api::RATE_WINDOW_S;

use confided::Ledger;
use grants::Grants;
use keys::KeyRing;
use misbehave::Faults;
use scim_client::ScimClient;
use state::Org;
use users_api::RateWindow;

/// How a simulator is set up.
#[derive(Clone, Debug)]
pub struct OktaConfig {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// People, groups, applications, tokens.
    pub company: Company,
    /// Page size of the users and groups API where the caller names none.
    pub page_size: usize,
    /// Calls of the users and groups API per minute before 429.
    pub api_calls_per_minute: u32,
    /// `max-age` of `/keys`.
    pub keys_max_age_s: u64,
    /// What a SCIM 429 without integer `Retry-After` makes the client wait.
    pub retry_wait: Duration,
}

impl OktaConfig {
    /// Okta's own numbers, on a free port, for this company.
    #[must_use]
    pub fn new(company: Company) -> Self {
        Self {
            port: 0,
            company,
            page_size: 200,
            api_calls_per_minute: 600,
            keys_max_age_s: 3600,
            retry_wait: DEFAULT_WAIT,
        }
    }
}

/// A simulator that cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port is taken, or no socket is to be had.
    #[error("cannot listen on 127.0.0.1:{0}")]
    Listen(u16, #[source] std::io::Error),
    /// The company contradicts itself.
    #[error("company")]
    Company(#[from] OrgError),
    /// The SCIM target cannot be used.
    #[error("SCIM target")]
    Scim(#[from] ScimError),
}

/// A running simulator; it stops, and cuts its connections, when it is dropped.
pub struct OktaSim {
    okta: Arc<Okta>,
    accepting: JoinHandle<()>,
}

impl OktaSim {
    /// Starts on the current tokio runtime.
    pub async fn start(config: OktaConfig) -> Result<Self, StartError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
        let failed = |error| StartError::Listen(config.port, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let okta = Arc::new(Okta::new(config, port)?);
        let accepting = tokio::spawn(serve::accept(Arc::clone(&okta), listener));
        Ok(Self { okta, accepting })
    }

    /// The org itself, to be used from other tasks.
    #[must_use]
    pub fn org_handle(&self) -> Arc<Okta> {
        Arc::clone(&self.okta)
    }
}

impl Deref for OktaSim {
    type Target = Okta;

    fn deref(&self) -> &Okta {
        &self.okta
    }
}

impl Drop for OktaSim {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The org: everything that the endpoints and the caller share. Each lock is held for one step and never while waiting.
pub struct Okta {
    config: OktaConfig,
    base_url: String,
    started_at: u64,
    clock_ahead_s: AtomicU64,
    logins_back_s: AtomicU64,
    neglected: Mutex<HashSet<Neglect>>,
    org: Mutex<Org>,
    grants: Mutex<Grants>,
    rings: [Mutex<Option<KeyRing>>; 2],
    signs_with: Mutex<Algorithm>,
    announces_issuer_parameter: AtomicBool,
    spoil: Mutex<Option<Spoil>>,
    last_id_token: Mutex<Option<String>>,
    rate: Mutex<RateWindow>,
    faults: Mutex<Faults>,
    counts: Mutex<HashMap<Endpoint, u64>>,
    scim: Mutex<Option<Arc<ScimClient>>>,
    journal: Mutex<Vec<Push>>,
    confided: Mutex<Ledger>,
    /// Changes of groups are pushed one after the other, so that an older list of members never comes last.
    group_turn: tokio::sync::Mutex<()>,
}

impl Okta {
    fn new(config: OktaConfig, port: u16) -> Result<Self, StartError> {
        let scim = config.company.scim.clone().map(ScimClient::new).transpose()?;
        Ok(Self {
            base_url: format!("http://127.0.0.1:{port}"),
            started_at: unix_ms() / 1000,
            clock_ahead_s: AtomicU64::new(0),
            logins_back_s: AtomicU64::new(0),
            neglected: Mutex::default(),
            org: Mutex::new(Org::new(&config.company)?),
            grants: Mutex::default(),
            rings: [Mutex::default(), Mutex::default()],
            signs_with: Mutex::new(Algorithm::RS256),
            announces_issuer_parameter: AtomicBool::new(false),
            spoil: Mutex::default(),
            last_id_token: Mutex::default(),
            rate: Mutex::default(),
            faults: Mutex::default(),
            counts: Mutex::default(),
            scim: Mutex::new(scim.map(Arc::new)),
            journal: Mutex::default(),
            confided: Mutex::default(),
            group_turn: tokio::sync::Mutex::default(),
            config,
        })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The issuer of the org authorization server, which is the base address.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.issuer_of(AuthServer::Org)
    }

    /// The issuer of either authorization server.
    #[must_use]
    pub fn issuer_of(&self, server: AuthServer) -> String {
        server.issuer(&self.base_url)
    }

    /// How often an endpoint was asked.
    #[must_use]
    pub fn requests(&self, endpoint: Endpoint) -> u64 {
        lock(&self.counts).get(&endpoint).copied().unwrap_or_default()
    }

    /// Every SCIM request so far, in the order of the answers.
    #[must_use]
    pub fn journal(&self) -> Vec<Push> {
        lock(&self.journal).clone()
    }

    /// Moves the org's clock ahead, for everything that expires; what it issues is then dated ahead too.
    pub fn advance_clock(&self, by: Duration) {
        self.clock_ahead_s.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    /// Makes every ID token wrong in this way, or right again.
    pub fn spoil_id_tokens(&self, spoil: Option<Spoil>) {
        *lock(&self.spoil) = spoil;
    }

    /// Says what becomes of a refresh token that was used.
    pub fn rotate_refresh_tokens(&self, rotation: Rotation) {
        self.grants().rotation = rotation;
    }

    /// Sends `iss` along with every callback and announces that (RFC 9207), as Okta does not.
    pub fn announce_issuer_parameter(&self) {
        self.announces_issuer_parameter.store(true, Ordering::Relaxed);
    }

    fn announces_issuer_parameter(&self) -> bool {
        self.announces_issuer_parameter.load(Ordering::Relaxed)
    }

    /// A parameter of the authorization request that was pushed last.
    #[must_use]
    pub fn last_pushed(&self, name: &str) -> Option<String> {
        self.grants().last_pushed.value(name).map(str::to_owned)
    }

    /// Ends all access tokens of service apps, as a change of their rights does.
    pub fn revoke_service_tokens(&self) {
        self.grants().forget_service_tokens();
    }

    /// Seconds since the epoch by the org's clock.
    fn now(&self) -> u64 {
        unix_ms() / 1000 + self.clock_ahead_s.load(Ordering::Relaxed)
    }

    /// What a login of this moment is dated.
    fn login_time(&self) -> u64 {
        self.now().saturating_sub(self.logins_back_s.load(Ordering::Relaxed))
    }

    fn neglects(&self, what: Neglect) -> bool {
        lock(&self.neglected).contains(&what)
    }

    fn org(&self) -> MutexGuard<'_, Org> {
        lock(&self.org)
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        lock(&self.grants)
    }

    fn rate(&self) -> MutexGuard<'_, RateWindow> {
        lock(&self.rate)
    }

    fn spoil(&self) -> Option<Spoil> {
        *lock(&self.spoil)
    }

    /// Remembers the token, or gives the one remembered in its stead.
    fn last_id_token(&self, minted: String, replay: bool) -> String {
        let mut last = lock(&self.last_id_token);
        match last.clone().filter(|_| replay) {
            Some(old) => old,
            None => last.insert(minted).clone(),
        }
    }

    fn count(&self, endpoint: Endpoint) {
        *lock(&self.counts).entry(endpoint).or_default() += 1;
    }

    fn counts(&self) -> HashMap<Endpoint, u64> {
        lock(&self.counts).clone()
    }

    fn next_fault(&self, endpoint: Endpoint) -> Option<Fault> {
        lock(&self.faults).next(endpoint).filter(|_| endpoint != Endpoint::Admin)
    }

    fn scim_client(&self) -> Option<Arc<ScimClient>> {
        lock(&self.scim).clone()
    }

    fn record(&self, push: Push) {
        lock(&self.journal).push(push);
    }
}

/// A test that panicked elsewhere must not hide behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
