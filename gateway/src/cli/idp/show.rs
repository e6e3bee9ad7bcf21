//! `portcullis idp show`: the values to paste into the provider's pages, under the names that Okta's pages have for them.

use std::error::Error;

use serde_json::{Map, Value, json};

use super::super::say;
use super::{Show, load};
use crate::config::{ClientAuthentication, Config, IdentityProvider};
use crate::route::RESERVED_PREFIX;

/// A field of the provider's page, and what belongs there.
struct Field {
    label: &'static str,
    key: &'static str,
    value: Value,
    note: &'static str,
}

pub(super) fn run(show: &Show) -> Result<(), Box<dyn Error>> {
    let (config, provider) = load(&show.config, &show.name)?;
    let sign_in = sign_in(&config, &provider);
    let provisioning = provisioning(&config, &provider);
    if show.json {
        let told = json!({
            "identity_provider": provider.name,
            "issuer": provider.issuer,
            "sign_in": object(&sign_in),
            "provisioning": provisioning.iter().map(|fields| object(fields)).collect::<Vec<_>>(),
        });
        return say(&serde_json::to_string_pretty(&told)?);
    }
    let mut text = format!("Sign-in application (OIDC) at {}\n{}", provider.issuer, lines(&sign_in));
    for fields in &provisioning {
        text.push_str(&format!("\n\nProvisioning application (SCIM)\n{}", lines(fields)));
    }
    say(&text)
}

/// What Okta's guides ask for differs in names alone: each other name is in the note.
fn sign_in(config: &Config, provider: &IdentityProvider) -> Vec<Field> {
    let base = format!("{}{RESERVED_PREFIX}", config.origin(&config.server.auth_host));
    let (client, pkce) = match provider.client_authentication {
        ClientAuthentication::Public => ("None", "required; application type Native Application"),
        ClientAuthentication::SecretBasic(_) | ClientAuthentication::SecretPost(_) => ("Client secret", ""),
        ClientAuthentication::PrivateKeyJwt(_) => ("Public key / Private key", ""),
    };
    let sign_out = if provider.end_provider_session { vec![format!("{base}logout")] } else { Vec::new() };
    let mut grants = vec!["Authorization Code"];
    if provider.scopes.iter().any(|scope| scope == "offline_access") {
        grants.push("Refresh Token");
    }
    let field = |label, key, value, note| Field { label, key, value, note };
    vec![
        field(
            "Sign-in redirect URIs",
            "sign_in_redirect_uris",
            json!([format!("{base}callback")]),
            "also: Login Redirect URI; no wildcard",
        ),
        field(
            "Sign-out redirect URIs",
            "sign_out_redirect_uris",
            json!(sign_out),
            "empty: only with `end_provider_session = true`",
        ),
        field(
            "Login initiated by",
            "login_initiated_by",
            json!("Either Okta or App"),
            "for a tile; App Only without one",
        ),
        field("Login flow", "login_flow", json!("Redirect to app to initiate login (OIDC Compliant)"), ""),
        field(
            "Initiate login URI",
            "initiate_login_uri",
            json!(format!("{base}initiate")),
            "also: Initiate login URL",
        ),
        field("Grant type", "grant_types", json!(grants), "nothing else is needed"),
        field("Client authentication", "client_authentication", json!(client), ""),
        field("Require PKCE as additional verification", "require_pkce", json!(provider.pkce), pkce),
        field(
            "Scopes",
            "scopes",
            json!(provider.scopes),
            "at a custom authorization server all of them must exist",
        ),
        field(
            "Groups claim filter",
            "groups_claim",
            json!(provider.groups_claim),
            "Matches regex .*, or narrower",
        ),
    ]
}

/// For each directory whose people log in by this provider.
fn provisioning(config: &Config, provider: &IdentityProvider) -> Vec<Vec<Field>> {
    let of_provider = config.directories.iter().filter(|it| it.identity_provider == provider.name);
    let field = |label, key, value, note| Field { label, key, value, note };
    let fields = |directory: &crate::config::Directory| {
        vec![
            field("Directory", "directory", json!(directory.name), ""),
            field(
                "Base URL",
                "base_url",
                json!(config.scim_base_url(&directory.name)),
                "also: SCIM connector base URL, SCIM URL, SCIM Endpoint",
            ),
            field(
                "Unique identifier field for users",
                "unique_identifier",
                json!("userName"),
                "or email, where both are the same",
            ),
            field(
                "Supported provisioning actions",
                "actions",
                json!(["Push New Users", "Push Profile Updates", "Push Groups"]),
                "",
            ),
            field(
                "Authentication Mode",
                "authentication_mode",
                json!("HTTP Header"),
                "or Basic Auth: any user name, the token as the password",
            ),
            field(
                "API Token",
                "api_token",
                json!(null),
                "made, and shown once, by: portcullis scim key create --directory NAME",
            ),
        ]
    };
    of_provider.map(fields).collect()
}

fn object(fields: &[Field]) -> Value {
    Value::Object(
        fields.iter().map(|field| (field.key.to_owned(), field.value.clone())).collect::<Map<_, _>>(),
    )
}

fn lines(fields: &[Field]) -> String {
    let lines: Vec<String> = fields.iter().map(line).collect();
    lines.join("\n")
}

fn line(field: &Field) -> String {
    let value = match &field.value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    };
    let note = if field.note.is_empty() { String::new() } else { format!("   ({})", field.note) };
    format!("  {}: {value}{note}", field.label)
}
