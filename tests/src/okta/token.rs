//! `/token`: client authentication, the code and refresh grants, and what is handed out for them. The ID token's contents are
//! in `id_token`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Okta;
use super::client_key;
use super::company::Client;
use super::discovery::AuthServer;
use super::exchange::{Answer, Ask, Params};
use super::grants::{Grant, Rotation, TOKEN_LIFETIME_S};
use super::groups_claim::{TOO_MANY_GROUPS, TooManyGroups};
use super::id_token;
use super::keys::{Signing, random_id, sha256};
use super::state::Status;

/// An OAuth error of a back-channel endpoint.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: &'static str,
    text: &'static str,
}

impl Refused {
    const fn new(status: StatusCode, error: &'static str, text: &'static str) -> Self {
        Self { status, error, text }
    }

    pub(super) fn answer(&self) -> Answer {
        let body = json!({"error": self.error, "error_description": self.text});
        let answer = Answer::json(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            answer.with(WWW_AUTHENTICATE, "Basic realm=\"Okta OAuth\"")
        } else {
            answer
        }
    }
}

const BOTH_CREDENTIALS: Refused = Refused::new(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    "Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization header, \
     credentials in the post body, or a client_assertion in the post body.",
);
const UNKNOWN_CLIENT: Refused =
    Refused::new(StatusCode::UNAUTHORIZED, "invalid_client", "Invalid value for 'client_id' parameter.");
const WRONG_SECRET: Refused = Refused::new(
    StatusCode::UNAUTHORIZED,
    "invalid_client",
    "The client secret supplied for a confidential client is invalid.",
);
const NO_SECRET: Refused = Refused::new(
    StatusCode::UNAUTHORIZED,
    "invalid_client",
    "Client authentication failed. Either the client or the client credentials are invalid.",
);
const BAD_ASSERTION: Refused =
    Refused::new(StatusCode::UNAUTHORIZED, "invalid_client", "The client_assertion token is invalid.");
const USED_ASSERTION: Refused = Refused::new(
    StatusCode::UNAUTHORIZED,
    "invalid_client",
    "The client_assertion token has already been used.",
);
const NOT_GRANTED: Refused = Refused::new(
    StatusCode::BAD_REQUEST,
    "invalid_scope",
    "The authorization server resource does not have any configured default scopes, or the scope is not granted.",
);
const BAD_CODE: Refused = Refused::new(
    StatusCode::BAD_REQUEST,
    "invalid_grant",
    "The authorization code is invalid or has expired.",
);
const BAD_REDIRECT: Refused = Refused::new(
    StatusCode::BAD_REQUEST,
    "invalid_grant",
    "The 'redirect_uri' does not match the redirection URI used in the authorization request.",
);
const BAD_VERIFIER: Refused =
    Refused::new(StatusCode::BAD_REQUEST, "invalid_grant", "PKCE verification failed.");
const BAD_REFRESH: Refused =
    Refused::new(StatusCode::BAD_REQUEST, "invalid_grant", "The refresh token is invalid or expired.");
const INACTIVE: Refused = Refused::new(
    StatusCode::BAD_REQUEST,
    "invalid_grant",
    "The user is not active or is not assigned to the client application.",
);
const UNSUPPORTED: Refused = Refused::new(
    StatusCode::BAD_REQUEST,
    "unsupported_grant_type",
    "The authorization grant type is not supported by the authorization server.",
);
const TOO_MANY: Refused = Refused::new(StatusCode::BAD_REQUEST, "invalid_request", TOO_MANY_GROUPS);

pub(super) fn token(shared: &Okta, server: AuthServer, ask: &Ask) -> Answer {
    let form = ask.form();
    let handed_out = authenticate(shared, ask, &form).and_then(|client| match form.value("grant_type") {
        Some("authorization_code") => by_code(shared, server, &client, &form),
        Some("refresh_token") => by_refresh(shared, server, &client, &form),
        Some("client_credentials") if server == AuthServer::Org => by_itself(shared, &client, &form),
        _ => Err(UNSUPPORTED),
    });
    match handed_out {
        Ok(body) => Answer::json(StatusCode::OK, &body),
        Err(refused) => refused.answer(),
    }
}

/// RFC 7009: the answer is the same whether or not the token was known.
pub(super) fn revoke(shared: &Okta, ask: &Ask) -> Answer {
    let form = ask.form();
    match authenticate(shared, ask, &form) {
        Ok(_) => {
            shared.grants().revoke_token(form.value("token").unwrap_or_default());
            Answer::empty(StatusCode::OK)
        }
        Err(refused) => refused.answer(),
    }
}

/// Finds the client by one set of credentials, and one only.
pub(super) fn authenticate(shared: &Okta, ask: &Ask, form: &Params) -> Result<Client, Refused> {
    let header = ask.header(AUTHORIZATION).and_then(basic_credentials);
    let forms = [
        ask.header(AUTHORIZATION).is_some(),
        form.value("client_secret").is_some(),
        form.value("client_assertion").is_some(),
    ];
    if forms.into_iter().filter(|sent| *sent).count() > 1 {
        return Err(BOTH_CREDENTIALS);
    }
    if let Some(assertion) = form.value("client_assertion") {
        return by_assertion(shared, ask, form, assertion);
    }
    let (id, secret) = match header {
        Some((id, secret)) => (id, Some(secret)),
        None => (
            form.value("client_id").unwrap_or_default().to_owned(),
            form.value("client_secret").map(str::to_owned),
        ),
    };
    let client = shared.org().client(&id).cloned().ok_or(UNKNOWN_CLIENT)?;
    match (&client.secret, secret) {
        (Some(known), Some(sent)) if *known == sent => Ok(client),
        (Some(_), Some(_)) => Err(WRONG_SECRET),
        (None, None) if client.is_public() => Ok(client),
        (Some(_) | None, None) | (None, Some(_)) => Err(NO_SECRET),
    }
}

/// `private_key_jwt`: for the address that is called, and each assertion once.
fn by_assertion(shared: &Okta, ask: &Ask, form: &Params, assertion: &str) -> Result<Client, Refused> {
    if form.value("client_assertion_type") != Some(client_key::ASSERTION_TYPE) {
        return Err(BAD_ASSERTION);
    }
    let id = client_key::claimed_client(assertion).ok_or(BAD_ASSERTION)?;
    if form.value("client_id").is_some_and(|told| told != id) {
        return Err(BAD_ASSERTION);
    }
    let client = shared.org().client(&id).cloned().ok_or(UNKNOWN_CLIENT)?;
    let audience = format!("{}/{}", shared.base_url, ask.segments.join("/"));
    let jti = client_key::verify(assertion, &client, &audience, shared.now()).ok_or(BAD_ASSERTION)?;
    match jti {
        Some(jti) if !shared.grants().spend_assertion(&jti) => Err(USED_ASSERTION),
        _ => Ok(client),
    }
}

/// A service app asks in its own name, and only with a key.
fn by_itself(shared: &Okta, client: &Client, form: &Params) -> Result<Value, Refused> {
    if client.keys.is_empty() {
        return Err(NO_SECRET);
    }
    let scope = form.value("scope").unwrap_or_default();
    let scopes = scope.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if scopes.is_empty() || scopes.iter().any(|scope| !client.api_scopes.contains(scope)) {
        return Err(NOT_GRANTED);
    }
    let token = shared.grants().issue_service_token(scopes, shared.now());
    Ok(json!({"token_type": "Bearer", "expires_in": TOKEN_LIFETIME_S, "access_token": token, "scope": scope}))
}

/// RFC 6749 2.3.1: both halves are form-encoded before they are joined.
fn basic_credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let plain = |text: &str| {
        form_urlencoded::parse(text.as_bytes()).next().map(|(key, _)| key.into_owned()).unwrap_or_default()
    };
    Some((plain(id), plain(secret)))
}

fn by_code(shared: &Okta, server: AuthServer, client: &Client, form: &Params) -> Result<Value, Refused> {
    let code = form.value("code").unwrap_or_default();
    let now = shared.now();
    let grant = shared
        .grants()
        .take_code(code, now)
        .filter(|grant| grant.client_id == client.id && grant.server == server)
        .ok_or(BAD_CODE)?;
    if form.value("redirect_uri") != Some(grant.redirect_uri.as_str()) {
        return Err(BAD_REDIRECT);
    }
    check_verifier(grant.challenge.as_deref(), form.value("code_verifier"))?;
    let grant = Grant { issued_at: now, ..grant };
    let mut body = hand_out(shared, &grant)?;
    if grant.scopes.iter().any(|scope| scope == "offline_access") {
        // A refreshed ID token carries no nonce.
        let kept = Grant { nonce: None, ..grant };
        body["refresh_token"] = json!(shared.grants().issue_refresh(kept, None));
    }
    Ok(body)
}

fn check_verifier(challenge: Option<&str>, verifier: Option<&str>) -> Result<(), Refused> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier)) if URL_SAFE_NO_PAD.encode(sha256(verifier)) == challenge => Ok(()),
        _ => Err(BAD_VERIFIER),
    }
}

/// A confidential client keeps its refresh token; a public one gets a new one each time.
fn by_refresh(shared: &Okta, server: AuthServer, client: &Client, form: &Params) -> Result<Value, Refused> {
    let token = form.value("refresh_token").unwrap_or_default();
    let now = shared.now();
    let (used, next) = {
        let mut grants = shared.grants();
        let used = grants
            .use_refresh(token, now)
            .filter(|used| used.grant.client_id == client.id && used.grant.server == server)
            .ok_or(BAD_REFRESH)?;
        // One step: of two who come with the same token, one is the second.
        let next = if client.is_public() || grants.rotation == Rotation::SingleUse {
            grants.replace_refresh(token, now);
            grants.issue_refresh(used.grant.clone(), Some(used.family.clone()))
        } else {
            token.to_owned()
        };
        (used, next)
    };
    let mut body = hand_out(shared, &Grant { issued_at: now, ..used.grant })?;
    body["refresh_token"] = json!(next);
    Ok(body)
}

fn hand_out(shared: &Okta, grant: &Grant) -> Result<Value, Refused> {
    let account = {
        let org = shared.org();
        org.account(&grant.person_id)
            .ok()
            .filter(|account| account.status == Status::Active)
            .filter(|account| org.is_assigned(&grant.client_id, &account.person.login))
            .cloned()
            .ok_or(INACTIVE)?
    };
    let access_token = match grant.server {
        // Opaque to its reader: the keys for it are not published.
        AuthServer::Org => format!("eyJ{}.{}.{}", random_id(24), random_id(200), random_id(256)),
        AuthServer::Default => {
            let claims = id_token::access_claims(shared, grant, &account);
            shared.ring(grant.server, |ring| ring.token(&claims, Signing::Current))
        }
    };
    let mut body = json!({
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME_S,
        "access_token": access_token,
        "scope": grant.scopes.join(" "),
    });
    if grant.scopes.iter().any(|scope| scope == "openid") {
        let minted = id_token::mint(shared, grant, &account, &access_token);
        body["id_token"] = json!(minted.map_err(|TooManyGroups| TOO_MANY)?);
    }
    shared.grants().remember_access(access_token, grant.clone());
    Ok(body)
}
