//! `[[identity_provider]]`: whom we send people to for login. Talking to it is left to `login`.

use std::path::Path;

use portcullis_store::Secret;
use url::Url;

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
    /// Our client secret; none makes us a public client, which needs PKCE.
    pub client_secret: Option<Secret<String>>,
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

/// How the groups of a person are fetched when the claim is missing or may have been cut.
#[derive(Debug, PartialEq, Eq)]
pub struct GroupsApi {
    /// `https://{org}`, without the path of a custom authorization server.
    pub base_url: Url,
    /// SSWS token; without one a claim that may have been cut refuses the login.
    pub token: Option<Secret<String>>,
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
    let client_secret = section.optional("client_secret").map(|value| read_secret(&value, folder));
    let api_token = section.optional("api_token");
    let pkce = section.optional("pkce");
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
    let pkce = match pkce.map(|value| (value.boolean(), value)) {
        Some((Some(false), value)) if client_secret.is_none() => {
            value.fault("a public client (no `client_secret`) cannot turn PKCE off");
            true
        }
        Some((on, _)) => on.unwrap_or(true),
        None => true,
    };
    if let (Some(value), Some(false)) = (&api_token, okta) {
        value.fault("only `type = \"okta\"` has a groups API");
    }
    let token = api_token.map(|value| read_secret(&value, folder));
    let (issuer, issuer_url) = issuer?;
    let groups_api = okta?.then(|| -> Option<GroupsApi> {
        Some(GroupsApi { base_url: issuer_url.join("/").ok()?, token: token.flatten() })
    });
    Some(IdentityProvider {
        name: name?,
        client_id: client_id?,
        client_secret: client_secret.flatten(),
        pkce,
        end_provider_session: end_session.unwrap_or(false),
        refresh,
        scopes,
        groups_claim: groups_claim.unwrap_or_else(|| "groups".to_owned()),
        groups_api: groups_api.flatten(),
        entrance,
        issuer,
    })
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
    if let Some((organisation, domain)) = host.split_once("-admin.okta") {
        value.fault(format!(
            "`{host}` is the administrators' console: the issuer is the organisation's own URL, https://{organisation}.okta{domain}"
        ));
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        value.fault("must be https; plain http is accepted for a loopback address only");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        value.fault("an issuer has no query, fragment or user (OpenID Connect Discovery 1.0 section 4.1)");
    }
    Some((text.to_owned(), url))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// `{ env = "NAME" }` or `{ file = "path" }`; a secret never stands in the file itself.
pub(super) fn read_secret(value: &Value<'_, '_>, folder: &Path) -> Option<Secret<String>> {
    const FORM: &str =
        "write { env = \"NAME\" } or { file = \"path\" }: a secret does not stand in this file";
    let mut section = value.section_or(FORM)?;
    let from_env = section.optional("env").and_then(|name| {
        let found = std::env::var(name.string()?).ok();
        if found.is_none() {
            name.fault("that environment variable is not set");
        }
        found
    });
    let from_file = section.optional("file").and_then(|path| {
        let file = folder.join(path.string()?);
        path.names_file(&file);
        std::fs::read_to_string(&file)
            .map_err(|error| path.fault(format!("cannot read `{}`: {error}", file.display())))
            .ok()
    });
    let secret = from_env.or(from_file).map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    match &secret {
        Some(text) if text.is_empty() => value.fault("the secret is empty"),
        _ => {}
    }
    section.finish();
    secret.map(Secret::new)
}
