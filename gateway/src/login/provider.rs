//! One OpenID provider: where its endpoints are, how a login begins there, and how its code becomes verified claims. What an ID
//! token must say is left to `claims`, groups beyond the claim to `groups`, words towards the browser to `respond`.
//!
//! Discovery and the token request are ours; from `openidconnect` come the key set and the ID token's verification. Client
//! authentication is `client_secret_basic`, id and secret form-encoded each (RFC 6749 section 2.3.1), or none for a public client,
//! which sends its id in the form.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use openidconnect::core::CoreJsonWebKeySet;
use portcullis_store::Secret;
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

mod confidence;
mod discovery;
mod error;
mod kept;
mod refresh;

pub(crate) use error::{IdTokenFault, ProviderError};
pub(crate) use refresh::Refreshed;

use super::claims::{self, Expected, ExpectedNonce, VerifiedClaims};
use crate::config::IdentityProvider;
use crate::web_client::WebClient;
use confidence::Confidence;
use discovery::Metadata;
use kept::{Document, Kept};

/// Most keys of one key set; more are not a provider's signing keys.
const MAX_KEYS: usize = 64;
/// Most characters that are kept of what a provider says about an error.
const MAX_DESCRIPTION_CHARS: usize = 200;
/// Most characters of an error code.
const MAX_ERROR_CHARS: usize = 64;

/// One provider, with what is known of it.
#[derive(Debug)]
pub(crate) struct Provider {
    settings: Arc<IdentityProvider>,
    http: Arc<WebClient>,
    metadata: Kept<Metadata>,
    keys: Kept<CoreJsonWebKeySet>,
}

/// One login that begins.
#[derive(Clone, Copy)]
pub(crate) struct AuthorizationRequest<'a> {
    /// Where the provider sends the browser back to.
    pub(crate) redirect_uri: &'a str,
    /// Binds the callback to this browser.
    pub(crate) state: &'a str,
    /// Binds the ID token to this login.
    pub(crate) nonce: &'a str,
    /// Binds the code to this login; needed when the settings say `pkce`.
    pub(crate) code_verifier: Option<&'a str>,
    /// Who is probably logging in.
    pub(crate) login_hint: Option<&'a str>,
    /// What the login has to bring.
    pub(crate) wanted: &'a Wanted,
}

/// What can be asked of a login (OpenID Connect Core 1.0 section 3.1.2.1).
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// One of these contexts, divided by spaces.
    pub(crate) acr_values: Option<String>,
    /// How long ago it may have been, in seconds.
    pub(crate) max_age_s: Option<u64>,
    /// Whoever is logged in there is to log in all the same.
    pub(crate) anew: bool,
}

/// What we keep of the provider's tokens.
#[derive(Debug)]
pub(crate) struct ProviderTokens {
    /// The ID token as it came: the hint that a logout needs.
    pub(crate) id_token: Secret<String>,
    /// For renewals, where one was asked for and came.
    pub(crate) refresh_token: Option<Secret<String>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
    error_description: Option<String>,
}

impl Provider {
    /// Nothing is fetched before it is needed: a provider that is down does not keep the gateway from starting.
    pub(crate) fn new(settings: Arc<IdentityProvider>, http: Arc<WebClient>) -> Self {
        Self { settings, http, metadata: Kept::new(), keys: Kept::new() }
    }

    /// What was configured.
    pub(crate) fn settings(&self) -> &IdentityProvider {
        &self.settings
    }

    /// The client that all requests to this provider go through.
    pub(super) fn http(&self) -> &WebClient {
        &self.http
    }

    /// Where to send the browser (OpenID Connect Core 1.0 section 3.1.2.1).
    pub(crate) async fn authorization_url(
        &self,
        attempt: &AuthorizationRequest<'_>,
        now: i64,
    ) -> Result<Url, ProviderError> {
        let metadata = self.metadata(now).await?;
        let mut url = metadata.content.authorization_endpoint.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code");
            query.append_pair("client_id", &self.settings.client_id);
            query.append_pair("redirect_uri", attempt.redirect_uri);
            query.append_pair("scope", &self.settings.scopes.join(" "));
            query.append_pair("state", attempt.state);
            query.append_pair("nonce", attempt.nonce);
            if let Some(verifier) = attempt.code_verifier {
                query.append_pair("code_challenge", &code_challenge(verifier));
                query.append_pair("code_challenge_method", "S256");
            }
            let Wanted { acr_values, max_age_s, anew } = attempt.wanted;
            if let Some(contexts) = acr_values {
                query.append_pair("acr_values", contexts);
            }
            if let Some(age) = max_age_s {
                query.append_pair("max_age", &age.to_string());
            }
            if *anew {
                query.append_pair("prompt", "login");
            }
            if let Some(hint) = attempt.login_hint {
                query.append_pair("login_hint", hint);
            }
        }
        Ok(url)
    }

    /// Whether the `iss` of a callback is acceptable (RFC 9207 section 2.4): required where announced, compared where present.
    pub(crate) async fn issuer_parameter_ok(
        &self,
        iss: Option<&str>,
        now: i64,
    ) -> Result<bool, ProviderError> {
        match iss {
            Some(iss) => Ok(iss == self.settings.issuer),
            None => Ok(!self.metadata(now).await?.content.issuer_parameter_announced),
        }
    }

    /// What a provider's `error` and `error_description` mean, at the callback as at the token endpoint.
    pub(crate) fn refusal(&self, error: &str, description: Option<&str>) -> ProviderError {
        let description = readable(description.unwrap_or_default(), MAX_DESCRIPTION_CHARS);
        // Okta's words; the `error` beside them differs between its flows.
        if description.to_ascii_lowercase().contains("matched too many groups") {
            return ProviderError::TooManyGroups { token_configured: self.groups_token().is_some() };
        }
        match error {
            "invalid_client" => ProviderError::ClientRefused { description },
            "invalid_grant" => ProviderError::CodeRefused { description },
            other => ProviderError::Refused { error: readable(other, MAX_ERROR_CHARS), description },
        }
    }

    /// Turns a code into claims, once: the code is spent even when this fails.
    pub(crate) async fn redeem(
        &self,
        redirect_uri: &str,
        code: &str,
        nonce: &str,
        code_verifier: Option<&str>,
        now: i64,
    ) -> Result<(VerifiedClaims, ProviderTokens), ProviderError> {
        let metadata = self.metadata(now).await?;
        let mut form =
            vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
        form.extend(code_verifier.map(|verifier| ("code_verifier", verifier)));
        let tokens = self.ask_for_tokens(&metadata.content, form).await?;
        let id_token = tokens.id_token.ok_or(IdTokenFault::Missing)?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            groups_claim: &self.settings.groups_claim,
            nonce: ExpectedNonce::Exactly(nonce),
            access_token: tokens.access_token.as_deref(),
            now,
        };
        let claims = self.verify(&id_token, &expected, &metadata.content).await?;
        let refresh_token = refresh::kept(tokens.refresh_token).filter(|_| self.settings.refresh);
        Ok((claims, ProviderTokens { id_token: Secret::new(id_token), refresh_token }))
    }

    /// Where a logout is announced, if the provider has such a place and can be asked for it.
    pub(crate) async fn end_session_endpoint(&self, now: i64) -> Option<Url> {
        self.metadata(now).await.ok()?.content.end_session_endpoint.clone()
    }

    /// The token for the groups API.
    pub(super) fn groups_token(&self) -> Option<&Secret<String>> {
        self.settings.groups_api.as_ref()?.token.as_ref()
    }

    async fn metadata(&self, now: i64) -> Result<Arc<Document<Metadata>>, ProviderError> {
        let fetch = discovery::fetch(&self.http, &self.settings.issuer);
        Box::pin(self.metadata.current(now, fetch)).await
    }

    async fn ask_for_tokens(
        &self,
        metadata: &Metadata,
        mut form: Vec<(&str, &str)>,
    ) -> Result<TokenAnswer, ProviderError> {
        const ENDPOINT: &str = "token endpoint";
        let mut request = Request::new(Vec::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri(&metadata.token_endpoint, ENDPOINT)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form_type);
        match &self.settings.client_secret {
            Some(secret) => {
                request.headers_mut().insert(AUTHORIZATION, basic(&self.settings.client_id, secret)?);
            }
            None => {
                form.push(("client_id", &self.settings.client_id));
            }
        }
        *request.body_mut() = Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
        let confidence = Confidence::of(&request);
        let answer =
            self.http.send(request).await.map_err(|error| ProviderError::exchange(ENDPOINT, error))?;
        if answer.status() == StatusCode::OK {
            return parse(ENDPOINT, &answer);
        }
        let refusal: TokenRefusal = parse(ENDPOINT, &answer)?;
        let description = refusal.error_description.map(|said| confidence.keep(&said));
        Err(self.refusal(&confidence.keep(&refusal.error), description.as_deref()))
    }

    /// Verifies with the keys at hand, and once more with newer ones when the key is unknown: a rotation.
    async fn verify(
        &self,
        id_token: &str,
        expected: &Expected<'_>,
        metadata: &Metadata,
    ) -> Result<VerifiedClaims, ProviderError> {
        let keys = Box::pin(self.keys.current(expected.now, self.fetch_keys(metadata))).await?;
        match claims::verify(id_token, expected, &keys.content) {
            Err(ProviderError::IdToken(IdTokenFault::UnknownKey)) => {}
            verdict => return verdict,
        }
        match Box::pin(self.keys.newer(&keys, expected.now, self.fetch_keys(metadata))).await {
            Some(newer) => claims::verify(id_token, expected, &newer.content),
            None => Err(IdTokenFault::UnknownKey.into()),
        }
    }

    /// Keys that nobody understands are skipped; a set without any other is not a set to replace a good one with.
    async fn fetch_keys(&self, metadata: &Metadata) -> Result<CoreJsonWebKeySet, ProviderError> {
        const ENDPOINT: &str = "key set";
        let answer = get(&self.http, &metadata.jwks_uri, ENDPOINT).await?;
        let keys: CoreJsonWebKeySet = parse(ENDPOINT, &answer)?;
        let why = match keys.keys().len() {
            0 => "it has no key that can be used",
            1..=MAX_KEYS => return Ok(keys),
            _ => "it has too many keys",
        };
        Err(ProviderError::BadAnswer { endpoint: ENDPOINT, status: answer.status().as_u16(), why })
    }
}

/// GET of a JSON document; anything but 200 is a failure.
async fn get(
    http: &WebClient,
    url: &Url,
    endpoint: &'static str,
) -> Result<Response<Vec<u8>>, ProviderError> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = uri(url, endpoint)?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = http.send(request).await.map_err(|error| ProviderError::exchange(endpoint, error))?;
    match answer.status() {
        StatusCode::OK => Ok(answer),
        status => {
            Err(ProviderError::BadAnswer { endpoint, status: status.as_u16(), why: "the status is not 200" })
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(
    endpoint: &'static str,
    answer: &'a Response<Vec<u8>>,
) -> Result<T, ProviderError> {
    // What serde says would quote the answer, which may hold tokens.
    serde_json::from_slice(answer.body()).map_err(|_| ProviderError::BadAnswer {
        endpoint,
        status: answer.status().as_u16(),
        why: "it is not the JSON that belongs there",
    })
}

fn uri(url: &Url, endpoint: &'static str) -> Result<http::Uri, ProviderError> {
    let why = "its address cannot be requested";
    url.as_str().parse().map_err(|_| ProviderError::BadAnswer { endpoint, status: 0, why })
}

fn basic(client_id: &str, secret: &Secret<String>) -> Result<HeaderValue, ProviderError> {
    let id: String = byte_serialize(client_id.as_bytes()).collect();
    let secret: String = byte_serialize(secret.expose().as_bytes()).collect();
    let credentials = STANDARD.encode(format!("{id}:{secret}"));
    let mut value = HeaderValue::try_from(format!("Basic {credentials}"))
        .map_err(|_| ProviderError::ClientRefused { description: "it does not fit a header".to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 7636 section 4.2, S256.
fn code_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes()))
}

/// Text of a provider, cut, without control characters.
fn readable(text: &str, max_chars: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(max_chars).collect()
}

#[cfg(test)]
mod tests;
