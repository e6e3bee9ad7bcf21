//! `[[identity_provider]]`: whom we send people to for login. Talking to it is left to `login`.

use std::path::Path;

use url::Url;

mod client;
mod groups;
mod secret;
mod signing;

pub use client::{ClientAuthentication, ClientKey};
pub use groups::{GroupsApi, GroupsCredentials, GroupsSource, ServiceApp};
pub(super) use secret::read_secret;
pub use signing::SigningAlgorithm;

use super::document::{Section, Value};
use super::entrance::{Entrance, check_domains, read_entrance};

/// One OpenID provider.
#[derive(Debug, PartialEq, Eq)]
pub struct IdentityProvider {
    /// The name that policies, directories and pages use.
    pub name: String,
    /// Issuer identifier, exactly as written: a trailing slash makes another issuer (OpenID Connect Core 1.0 section 2).
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// How we prove to be that client.
    pub client_authentication: ClientAuthentication,
    /// What it signs its ID tokens with.
    pub signing_algorithm: SigningAlgorithm,
    /// Where its keys are, if elsewhere than it announces: Okta has keys of single clients at an address with a query.
    pub jwks_uri: Option<Url>,
    /// Whether what a login asks for is pushed to the provider instead of carried by the browser (RFC 9126).
    pub pushed_requests: PushedRequests,
    /// Whether PKCE (RFC 7636, S256) goes with each login.
    pub pkce: bool,
    /// Whether a sign-out here ends the session at the provider too. It must know our logout address for that.
    pub end_provider_session: bool,
    /// Whether logins are renewed by a refresh token, for which `offline_access` is asked for.
    pub refresh: bool,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
    /// Claim of the ID token that carries group names.
    pub groups_claim: String,
    /// Who says which groups a person is in.
    pub groups_source: GroupsSource,
    /// Okta's groups API; none for a provider that has no such thing.
    pub groups_api: Option<GroupsApi>,
    /// How people come in by it.
    pub entrance: Entrance,
}

impl IdentityProvider {
    /// What people see where they choose.
    pub fn label(&self) -> &str {
        self.entrance.display_name.as_deref().unwrap_or(&self.name)
    }
}

impl IdentityProvider {
    /// Its `type`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.groups_api.is_some() { "okta" } else { "oidc" }
    }
}

/// Whether authorization requests are pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushedRequests {
    /// Where the provider offers it, and plainly when that fails for a moment.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always; a provider that does not offer it is no place to log in.
    Required,
}

/// The scope for a refresh token (OpenID Connect Core 1.0 section 11).
const OFFLINE: &str = "offline_access";
const MAX_NAME_BYTES: usize = 64;

pub(super) fn read_all(root: &mut Section<'_, '_>, folder: &Path) -> Vec<IdentityProvider> {
    let mut providers: Vec<IdentityProvider> = Vec::new();
    for mut section in root.sections("identity_provider") {
        let read = read_one(&mut section, folder);
        if let Some(provider) = read {
            if providers.iter().any(|other| other.name == provider.name) {
                section.fault(format!("a second identity provider named `{}`", provider.name));
            }
            check_domains(&section, &provider, &providers);
            providers.push(provider);
        }
        section.finish();
    }
    if providers.is_empty() {
        root.fault("an `[[identity_provider]]` is needed: without one nobody can log in");
    }
    providers
}

fn read_one(section: &mut Section<'_, '_>, folder: &Path) -> Option<IdentityProvider> {
    let name = read_name(section, "policies and pages use it");
    let kind = section.required("type", "\"okta\" or \"oidc\"");
    let okta = kind.and_then(|value| match value.string()? {
        "okta" => Some(true),
        "oidc" => Some(false),
        other => {
            value.fault(format!("`{other}` is unknown: \"okta\" or \"oidc\""));
            None
        }
    });
    let issuer = section
        .required("issuer", "the provider's issuer URL, such as \"https://corp.okta.com\"")
        .and_then(|value| read_issuer(&value));
    let client_id = section.required("client_id", "from the application's page at the provider");
    let client_id = client_id.and_then(|value| non_empty(&value));
    let client_authentication = client::read(section, folder);
    let signing_algorithm = section.optional("signing_algorithm").and_then(|value| signing::read(&value));
    let jwks_uri = section.optional("jwks_uri").and_then(|value| read_endpoint(&value));
    let pushed = section.optional("pushed_authorization_requests").and_then(|value| read_pushed(&value));
    let pkce = read_pkce(section, &client_authentication);
    let end_session = section.optional("end_provider_session").and_then(|value| value.boolean());
    let refresh = section.optional("refresh").and_then(|value| value.boolean()).unwrap_or(false);
    let mut scopes = section.optional("scopes").map_or_else(
        || ["openid", "profile", "email", "groups"].map(str::to_owned).to_vec(),
        |value| read_scopes(&value),
    );
    if refresh && !scopes.iter().any(|scope| scope == OFFLINE) {
        scopes.push(OFFLINE.to_owned());
    }
    let groups_claim = section.optional("groups_claim").and_then(|value| non_empty(&value));
    let entrance = read_entrance(section);
    let base = issuer.as_ref().filter(|_| okta == Some(true)).and_then(|(_, url)| url.join("/").ok());
    let (groups_source, groups_api) = groups::read(section, folder, okta, base);
    let (issuer, _) = issuer?;
    okta?;
    Some(IdentityProvider {
        name: name?,
        client_id: client_id?,
        client_authentication,
        signing_algorithm: signing_algorithm.unwrap_or_default(),
        jwks_uri,
        pushed_requests: pushed.unwrap_or_default(),
        pkce,
        end_provider_session: end_session.unwrap_or(false),
        refresh,
        scopes,
        groups_claim: groups_claim.unwrap_or_else(|| "groups".to_owned()),
        groups_source,
        groups_api,
        entrance,
        issuer,
    })
}

fn read_pkce(section: &mut Section<'_, '_>, client: &ClientAuthentication) -> bool {
    let Some(value) = section.optional("pkce") else { return true };
    let on = value.boolean().unwrap_or(true);
    if !on && *client == ClientAuthentication::Public {
        value.fault("a public client (neither `client_secret` nor `client_key`) cannot turn PKCE off");
    }
    on
}

fn read_pushed(value: &Value<'_, '_>) -> Option<PushedRequests> {
    match value.string()? {
        "auto" => Some(PushedRequests::Auto),
        "off" => Some(PushedRequests::Off),
        "required" => Some(PushedRequests::Required),
        other => {
            value.fault(format!("`{other}` is unknown: \"auto\", \"off\" or \"required\""));
            None
        }
    }
}

/// A short name of letters, digits, `-`, `_` and `.`: it stands in paths, logs and policies.
pub(super) fn read_name(section: &mut Section<'_, '_>, what: &str) -> Option<String> {
    let value = section.required("name", what)?;
    let name = value.string()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(allowed) {
        value.fault("must be 1 to 64 letters, digits, `-`, `_` or `.`");
        return None;
    }
    Some(name.to_owned())
}

fn non_empty(value: &Value<'_, '_>) -> Option<String> {
    let text = value.string()?;
    if text.trim().is_empty() {
        value.fault("must not be empty");
        return None;
    }
    Some(text.to_owned())
}

fn read_scopes(value: &Value<'_, '_>) -> Vec<String> {
    let scopes: Vec<String> = value.list().iter().filter_map(non_empty).collect();
    if !scopes.iter().any(|scope| scope == "openid") {
        value.fault("must hold \"openid\": without it there is no ID token");
    }
    scopes
}

/// The issuer as written, and as a URL.
fn read_issuer(value: &Value<'_, '_>) -> Option<(String, Url)> {
    let text = value.string()?;
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            value.fault(format!("`{text}` is no URL: {error}"));
            return None;
        }
    };
    let host = url.host_str().unwrap_or_default();
    demand_https(value, &url);
    if let Some((organisation, domain)) = host.split_once("-admin.okta") {
        value.fault(format!(
            "`{host}` is the administrators' console: the issuer is the organisation's own URL, https://{organisation}.okta{domain}"
        ));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        value.fault("an issuer has no query, fragment or user (OpenID Connect Discovery 1.0 section 4.1)");
    }
    Some((text.to_owned(), url))
}

/// An address of the provider, query and all.
fn read_endpoint(value: &Value<'_, '_>) -> Option<Url> {
    let url = value.parsed::<Url>()?;
    demand_https(value, &url);
    if url.fragment().is_some() || !url.username().is_empty() {
        value.fault("an endpoint has no fragment and no user");
    }
    Some(url)
}

fn demand_https(value: &Value<'_, '_>, url: &Url) {
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
        value.fault("must be https; plain http is accepted for a loopback address only");
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
impl IdentityProvider {
    /// One for tests: a public client of an issuer that is no Okta.
    pub(crate) fn public_client(issuer: &str) -> Self {
        Self {
            name: "okta".to_owned(),
            issuer: issuer.to_owned(),
            client_id: "portcullis".to_owned(),
            client_authentication: ClientAuthentication::Public,
            signing_algorithm: SigningAlgorithm::default(),
            jwks_uri: None,
            pushed_requests: PushedRequests::default(),
            pkce: true,
            end_provider_session: false,
            refresh: false,
            scopes: vec!["openid".to_owned(), "groups".to_owned()],
            groups_claim: "groups".to_owned(),
            groups_source: GroupsSource::default(),
            groups_api: None,
            entrance: Entrance::default(),
        }
    }
}
