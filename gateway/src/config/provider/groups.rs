//! `[identity_provider.groups]`: who says which groups a person is in, and how Okta's API is asked. Asking is left to `login`.

use std::path::Path;

use portcullis_store::Secret;
use url::Url;

use super::super::document::Section;
use super::client::{ClientKey, read_key};
use super::{non_empty, secret};

/// Whose word about groups counts. What a directory holds by SCIM is joined to it by `live`, whose word on its own groups is last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupsSource {
    /// The claim; the API where the claim is missing or may have been cut.
    #[default]
    Token,
    /// The API alone, at each login.
    Api,
    /// All that the claim or the API says.
    Union,
    /// What a directory holds, and nothing else. What the provider says can still forbid: `live` makes a doubt of it.
    Scim,
}

/// Okta's API for users and groups.
#[derive(Debug, PartialEq, Eq)]
pub struct GroupsApi {
    /// `https://{org}`, without the path of a custom authorization server.
    pub base_url: Url,
    /// Without any, a claim that may have been cut refuses the login.
    pub credentials: Option<GroupsCredentials>,
}

/// What opens the API.
#[derive(Debug, PartialEq, Eq)]
pub enum GroupsCredentials {
    /// An SSWS token, worth what the administrator who made it is worth.
    Token(Secret<String>),
    /// An OAuth service app, which is nobody.
    ServiceApp(ServiceApp),
}

/// An application of the provider that asks in its own name (RFC 6749 section 4.4), with a key.
#[derive(Debug, PartialEq, Eq)]
pub struct ServiceApp {
    /// Its client id.
    pub client_id: String,
    /// Its key.
    pub key: ClientKey,
    /// What it asks to be allowed.
    pub scopes: Vec<String>,
}

/// The scope of reading a user and their groups.
const SCOPE: &str = "okta.users.read";

/// Source and API, where `okta` says that there is one. After a fault they are what lets the rest be read.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    folder: &Path,
    okta: Option<bool>,
    base: Option<Url>,
) -> (GroupsSource, Option<GroupsApi>) {
    let (source, credentials) = read_sound(section, folder, okta).unwrap_or_default();
    (source, base.map(|base_url| GroupsApi { base_url, credentials }))
}

fn read_sound(
    section: &mut Section<'_, '_>,
    folder: &Path,
    okta: Option<bool>,
) -> Option<(GroupsSource, Option<GroupsCredentials>)> {
    let api_token = section.optional("api_token");
    let table = section.optional("groups");
    let mut groups = table.as_ref().and_then(super::super::document::Value::section);
    let source = groups.as_mut().and_then(|groups| groups.optional("source"));
    let app = groups.as_mut().and_then(|groups| groups.optional("service_app"));
    if let Some(groups) = groups {
        groups.finish();
    }
    for value in [&api_token, &app].into_iter().flatten() {
        if okta == Some(false) {
            value.fault("only `type = \"okta\"` has a groups API");
        }
    }
    if let (Some(_), Some(app)) = (&api_token, &app) {
        app.fault("`api_token` opens the groups API already; one of the two");
    }
    let chosen = match &source {
        None => GroupsSource::Token,
        Some(value) => match value.string()? {
            "token" => GroupsSource::Token,
            "api" => GroupsSource::Api,
            "union" => GroupsSource::Union,
            "scim" => GroupsSource::Scim,
            other => {
                value.fault(format!("`{other}` is unknown: \"token\", \"api\", \"scim\" or \"union\""));
                return None;
            }
        },
    };
    if let (Some(value), None, None, GroupsSource::Api | GroupsSource::Union) =
        (&source, &api_token, &app, chosen)
    {
        value.fault("needs `api_token` or `service_app`: without one the API cannot be asked");
    }
    let app = match app {
        Some(value) => Some(read_app(value.section()?, folder)?),
        None => None,
    };
    let token = match api_token {
        Some(value) => Some(secret::read_secret(&value, folder)?),
        None => None,
    };
    Some((chosen, app.map(GroupsCredentials::ServiceApp).or(token.map(GroupsCredentials::Token))))
}

fn read_app(mut section: Section<'_, '_>, folder: &Path) -> Option<ServiceApp> {
    let client_id =
        section.required("client_id", "from the service app's page").and_then(|id| non_empty(&id));
    let key = section.required("key", "{ file = \"...\", kid = \"...\" }, the private half of its key");
    let key = key.and_then(|key| read_key(&key, folder));
    let scopes = section.optional("scopes").map(|scopes| scopes.texts());
    section.finish();
    Some(ServiceApp {
        client_id: client_id?,
        key: key?,
        scopes: scopes.unwrap_or_else(|| vec![SCOPE.to_owned()]),
    })
}
