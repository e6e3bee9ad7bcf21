//! The access token of a service app for Okta's API (RFC 6749 section 4.4): fetched with the app's key, kept until shortly before its end,
//! and fetched once however many logins need it. What it opens is left to `api`.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use portcullis_store::Secret;
use serde::Deserialize;
use url::Url;

use super::super::provider::{
    ASSERTION_TYPE, Confidence, Document, Fetched, Kept, Provider, ProviderError, Refusal, client_assertion,
    form_request, parse,
};
use super::api::credentials;
use crate::config::ServiceApp;

/// The token as an `Authorization` field carries it.
pub(in crate::login) type AccessToken = Kept<HeaderValue>;

/// A token is not used in the last part of its life, in which it could end on its way.
const MARGIN_S: i64 = 60;
const ENDPOINT: &str = "token endpoint for the service app";

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: i64,
}

pub(super) async fn current(
    provider: &Provider,
    base: &Url,
    app: &ServiceApp,
    now: i64,
) -> Result<Arc<Document<HeaderValue>>, ProviderError> {
    Box::pin(provider.access_token().current(now, fetch(provider, base, app, now))).await
}

/// Another than `seen`, which the API refused; none when it cannot be had yet.
pub(super) async fn newer(
    provider: &Provider,
    base: &Url,
    app: &ServiceApp,
    seen: &Arc<Document<HeaderValue>>,
    now: i64,
) -> Option<Arc<Document<HeaderValue>>> {
    Box::pin(provider.access_token().newer(seen, now, fetch(provider, base, app, now))).await
}

/// Asks the organisation's own authorization server: no other hands out the scopes of the API.
async fn fetch(
    provider: &Provider,
    base: &Url,
    app: &ServiceApp,
    now: i64,
) -> Result<Fetched<HeaderValue>, ProviderError> {
    let broken = |why| ProviderError::BadAnswer { endpoint: ENDPOINT, status: 200, why };
    let url = base.join("/oauth2/v1/token").map_err(|_| broken("its address cannot be requested"))?;
    let assertion = client_assertion(&app.key, &app.client_id, &url, now)?;
    let scope = app.scopes.join(" ");
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", scope.as_str()),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
    ];
    let request = form_request(&url, ENDPOINT, &form)?;
    let confidence = Confidence::of(&request);
    let answer = provider.http().send(request).await;
    let answer = answer.map_err(|error| ProviderError::exchange(ENDPOINT, error))?;
    if answer.status() != StatusCode::OK {
        let refusal: Refusal = parse(ENDPOINT, &answer)?;
        let description = refusal.error_description.map(|said| confidence.keep(&said));
        return Err(ProviderError::service_app_refused(
            &confidence.keep(&refusal.error),
            description.as_deref(),
        ));
    }
    let Granted { access_token, token_type, expires_in } = parse(ENDPOINT, &answer)?;
    let access_token = Secret::new(access_token);
    if !token_type.eq_ignore_ascii_case("bearer") {
        return Err(broken("the token is not a bearer token: turn DPoP off for the service app"));
    }
    let content = credentials("Bearer", &access_token)?;
    Ok(Fetched { content, max_age_s: Some(expires_in.saturating_sub(MARGIN_S)) })
}
