//! The demo's company with a second provider beside it, whose people are partners.

use portcullis_tests::browser::{Browser, Page};
use portcullis_tests::harness::{ApplicationSettings, Gateway, World};
use portcullis_tests::okta::{Client, Company, OktaConfig, OktaSim, Person};
use serde_json::Value;
use std::time::Duration;

pub(crate) const ENGINEER: &str = "engineer@corp.example";
pub(crate) const GUEST: &str = "guest@partner.example";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const PARTNER_CLIENT: &str = "partner-gateway";

/// A world in which `partners` is a second provider, and the lobby an application for people of both.
pub(crate) struct TwoProviders {
    pub(crate) world: World,
    pub(crate) partners: OktaSim,
}

impl TwoProviders {
    /// More lines for the sections of okta and of partners.
    pub(crate) async fn start(okta_extra: &str, partners_extra: &str) -> Self {
        let mut world = World::start().await;
        let company = Company { people: vec![Person::new(GUEST, "Gus", "Guest")], ..Company::default() };
        let partners = OktaSim::start(OktaConfig::new(company)).await.unwrap();
        partners.add_client(Client::public(PARTNER_CLIENT, &world.settings.redirect_uri()));
        let upstream = world.upstream.url();
        let settings = &mut world.settings;
        settings.provider_extra = okta_extra.to_owned();
        settings.applications[0].extra = "identity_providers = [\"okta\"]\n".to_owned();
        settings.applications[1].extra = "identity_providers = [\"partners\"]\n".to_owned();
        settings.applications.push(ApplicationSettings::new("lobby", &upstream, "anybody"));
        settings.extra = format!(
            "[[identity_provider]]\nname = \"partners\"\ntype = \"oidc\"\nissuer = \"{}\"\nclient_id = \
             \"{PARTNER_CLIENT}\"\n{partners_extra}\n",
            partners.issuer()
        );
        let config = settings.toml();
        world.gateway.write_config(&config);
        world.gateway.start_again().await.unwrap_or_else(|e| panic!("{e}"));
        Self { world, partners }
    }

    pub(crate) fn url(&self, application: &str, path: &str) -> String {
        format!("{}{path}", self.world.settings.application_url(application))
    }

    /// Puts other settings in force, without a restart.
    pub(crate) async fn reload(&mut self) {
        let config = self.world.settings.toml();
        self.world.gateway.replace_config(&config);
        self.world.gateway.hang_up();
        logged(&self.world.gateway, "the configuration was reloaded").await;
    }

    /// Whether a page is the sign-in form of a provider.
    pub(crate) fn is_at(page: &Page, provider: &OktaSim) -> bool {
        page.status == 200 && page.url.as_str().starts_with(provider.base_url())
    }
}

/// Waits until something was logged.
pub(crate) async fn logged(gateway: &Gateway, message: &str) -> Value {
    let event = gateway.log().wait_for(PATIENCE, |event| event["message"] == message).await;
    event.unwrap_or_else(|| panic!("`{message}` was not logged"))
}

/// The addresses that a page of ours links to, in order, with their labels as they stand in the page.
pub(crate) fn links(page: &Page) -> Vec<(String, String)> {
    let text = page.text();
    let link = |piece: &str| {
        let (address, rest) = piece.split_once("\">")?;
        let (label, _) = rest.split_once("</a>")?;
        Some((address.replace("&amp;", "&"), label.to_owned()))
    };
    text.split("<a class=\"action\" href=\"").skip(1).filter_map(link).collect()
}

/// Who the upstream is told that this browser's person is.
pub(crate) async fn email(browser: &Browser, application: &str) -> Value {
    browser.fetch(&format!("{application}/whoami")).await.unwrap().json()["email"].clone()
}
