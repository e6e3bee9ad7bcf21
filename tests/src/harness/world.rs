//! Okta, upstream and gateway together, with the company provisioned by SCIM: where most tests begin.

use std::time::Instant;

use crate::browser::{Browser, BrowserError, Page};
use crate::okta::company::{DEMO_API_TOKEN, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_PASSWORD};
use crate::okta::{Client, Company, Dialect, OktaConfig, OktaSim, Push, ScimTarget};
use crate::upstream::{Recorder, Upstream, UpstreamConfig};

use super::{Gateway, Launch, Settings, ports};

/// What a world is made of. The default is the demo's company, provisioned in the wizard's dialect.
#[derive(Debug)]
pub struct WorldConfig {
    /// Who works there.
    pub company: Company,
    /// How Okta pushes.
    pub dialect: Dialect,
    /// How the upstream records.
    pub upstream: UpstreamConfig,
    /// Whether the gateway gets the API token.
    pub api_token: Option<String>,
    /// Whether SCIM is connected and everybody pushed before the test begins.
    pub provisioned: bool,
    /// The last word on the gateway's settings.
    pub change: fn(&mut Settings),
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            company: Company::demo(),
            dialect: Dialect::Wizard,
            upstream: UpstreamConfig::default(),
            api_token: Some(DEMO_API_TOKEN.to_owned()),
            provisioned: true,
            change: |_| {},
        }
    }
}

/// All three, running.
pub struct World {
    /// The provider.
    pub okta: OktaSim,
    /// The application.
    pub upstream: Upstream,
    /// What stands between.
    pub gateway: Gateway,
    /// What the gateway was told.
    pub settings: Settings,
    /// The SCIM key that Okta uses; empty when not provisioned.
    pub scim_key: String,
}

/// What a walk needs to know of a world, wherever its parts run.
pub struct Scene<'a> {
    /// The provider.
    pub okta: &'a OktaSim,
    /// What the upstream recorded.
    pub recorder: &'a Recorder,
    /// The wiki's address, without a slash at the end.
    pub wiki: String,
    /// The login host's address, without a slash at the end.
    pub auth: String,
    /// The authority to trust.
    pub ca_pem: String,
}

impl World {
    /// The default world.
    ///
    /// # Panics
    /// When a part does not start.
    pub async fn start() -> Self {
        Self::with(WorldConfig::default()).await
    }

    /// Another world.
    ///
    /// # Panics
    /// When a part does not start, or the sink refuses a push.
    pub async fn with(config: WorldConfig) -> Self {
        let upstream = Upstream::start(config.upstream).await.expect("the upstream starts");
        let okta = OktaSim::start(OktaConfig::new(config.company)).await.expect("the okta simulator starts");
        let mut settings = Settings::new(&okta.issuer(), &upstream.url());
        settings.client_id = DEMO_CLIENT_ID.to_owned();
        settings.client_secret = Some(DEMO_CLIENT_SECRET.to_owned());
        settings.api_token = config.api_token;
        (config.change)(&mut settings);
        // The provider is told the gateway's address only now, since it is not known earlier.
        okta.add_client(registration(&settings));
        let gateway = Gateway::start(Launch::of(&settings)).await.unwrap_or_else(|e| panic!("{e}"));
        let mut world = Self { okta, upstream, gateway, settings, scim_key: String::new() };
        if config.provisioned {
            world.connect_scim(config.dialect);
            accepted(&world.okta.provision_everyone().await.expect("the company is consistent"));
        }
        world
    }

    /// Makes a key and points Okta's SCIM client at the gateway; pushes nothing.
    ///
    /// # Panics
    /// When the command line fails.
    pub fn connect_scim(&mut self, dialect: Dialect) {
        self.scim_key = self.gateway.scim_key("corp", "okta");
        let target = ScimTarget {
            base_url: self.scim_url(),
            token: self.scim_key.clone(),
            bearer: true,
            ca_pem: Some(self.gateway.ca_pem()),
            dialect,
        };
        self.okta.set_scim_target(target).expect("the target is usable");
    }

    /// Another gateway on the same store, with the same configuration on ports of its own; and the one that browsers use.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn beside(&self) -> (Gateway, u16) {
        let settings = Settings { port: ports::free(), inner_port: ports::free(), ..self.settings.clone() };
        let store = self.gateway.folder().join("portcullis.db");
        let config = settings.toml().replace("sqlite:portcullis.db", &format!("sqlite:{}", store.display()));
        let launch = Launch { config, ..Launch::of(&settings) };
        let gateway = Gateway::start(launch).await.unwrap_or_else(|e| panic!("{e}"));
        (gateway, settings.port)
    }

    /// The SCIM base address.
    #[must_use]
    pub fn scim_url(&self) -> String {
        format!("{}/scim/v2/corp", self.settings.auth_url())
    }

    /// A fresh browser of somebody.
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::new(&self.gateway.ca_pem())
    }

    /// An address of the wiki.
    #[must_use]
    pub fn wiki(&self, path: &str) -> String {
        format!("{}{path}", self.settings.application_url("wiki"))
    }

    /// A fresh browser, logged in on the wiki's first page; wherever that led.
    ///
    /// # Errors
    /// When a step got no answer.
    pub async fn logged_in(&self, login: &str) -> Result<(Browser, Page), BrowserError> {
        let browser = self.browser();
        let page = browser.log_in(&self.wiki("/"), login, DEMO_PASSWORD).await?;
        Ok((browser, page))
    }

    /// Deactivates in Okta; the instant at which the gateway's 2xx had come.
    ///
    /// # Panics
    /// When the sink did not accept it.
    pub async fn deactivate(&self, login: &str) -> Instant {
        let pushes = self.okta.deactivate(login).await.expect("the person exists");
        accepted(&pushes)
    }

    /// The parts as a walk wants them.
    #[must_use]
    pub fn scene(&self) -> Scene<'_> {
        Scene {
            okta: &self.okta,
            recorder: self.upstream.recorder(),
            wiki: self.settings.application_url("wiki"),
            auth: self.settings.auth_url(),
            ca_pem: self.gateway.ca_pem(),
        }
    }
}

/// The client as an administrator registers it at the provider.
fn registration(settings: &Settings) -> Client {
    let redirect = settings.redirect_uri();
    match &settings.client_secret {
        Some(secret) => Client::confidential(&settings.client_id, secret, &redirect),
        None => Client::public(&settings.client_id, &redirect),
    }
}

/// Every push must have been accepted; when the last answer had come.
fn accepted(pushes: &[Push]) -> Instant {
    let last = pushes.last().expect("something was pushed");
    assert!(
        last.accepted(),
        "the sink refused {} {}: {:?} {}",
        last.method,
        last.path,
        last.status,
        last.body
    );
    last.answered
}
