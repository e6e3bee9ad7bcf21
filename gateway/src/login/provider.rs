//! One OpenID provider: where its endpoints are, how a login begins there, and how its code becomes verified claims. What an ID
//! token must say is left to `claims`, groups beyond the claim to `groups`, words towards the browser to `respond`.
//!
//! From `openidconnect` come the key set and the ID token's verification; all else of the protocol is in the files beside.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::CoreJsonWebKeySet;
use portcullis_store::Secret;
use url::Url;

mod client_assertion;
mod confidence;
mod credentials;
mod discovery;
mod error;
mod examine;
mod exchange;
mod kept;
mod pushed;
mod refresh;
mod token_endpoint;

pub(super) use client_assertion::{ASSERTION_TYPE, client_assertion};
pub(super) use confidence::Confidence;
pub(crate) use error::{IdTokenFault, ProviderError};
pub(crate) use examine::{Step, Verdict};
pub(super) use exchange::{form_request, parse};
pub(super) use kept::{Document, Fetched, Kept};
pub(crate) use refresh::Refreshed;
pub(super) use token_endpoint::Refusal;

use super::claims::{self, Expected, ExpectedNonce, VerifiedClaims};
use super::groups::{AccessToken, Answers};
use crate::config::IdentityProvider;
use crate::web_client::WebClient;
use discovery::Metadata;
use exchange::get;
use kept::max_age_s;

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
    access_token: AccessToken,
    group_answers: Answers,
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

impl Provider {
    /// Nothing is fetched before it is needed: a provider that is down does not keep the gateway from starting.
    pub(crate) fn new(settings: Arc<IdentityProvider>, http: Arc<WebClient>) -> Self {
        Self {
            settings,
            http,
            metadata: Kept::new(),
            keys: Kept::new(),
            access_token: Kept::new(),
            group_answers: Answers::new(),
        }
    }

    /// What was configured.
    pub(crate) fn settings(&self) -> &IdentityProvider {
        &self.settings
    }

    /// The client that all requests to this provider go through.
    pub(super) fn http(&self) -> &WebClient {
        &self.http
    }

    /// The service app's token for the groups API.
    pub(super) fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// What the groups API said a moment ago.
    pub(super) fn group_answers(&self) -> &Answers {
        &self.group_answers
    }

    /// Where to send the browser (OpenID Connect Core 1.0 section 3.1.2.1), with all that is asked for or a reference to it.
    pub(crate) async fn authorization_url(
        &self,
        attempt: &AuthorizationRequest<'_>,
        now: i64,
    ) -> Result<Url, ProviderError> {
        let metadata = self.metadata(now).await?;
        let parameters = self.parameters(attempt);
        let mut url = metadata.content.authorization_endpoint.clone();
        let pushed = Box::pin(self.push(&metadata.content, &parameters, now)).await?;
        match pushed {
            // RFC 9126 section 4: what was pushed is not said again.
            Some(reference) => url
                .query_pairs_mut()
                .append_pair("client_id", &self.settings.client_id)
                .append_pair("request_uri", &reference),
            None => url.query_pairs_mut().extend_pairs(parameters),
        };
        Ok(url)
    }

    fn parameters(&self, attempt: &AuthorizationRequest<'_>) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.settings.client_id.clone()),
            ("redirect_uri", attempt.redirect_uri.to_owned()),
            ("scope", self.settings.scopes.join(" ")),
            ("state", attempt.state.to_owned()),
            ("nonce", attempt.nonce.to_owned()),
        ];
        if let Some(verifier) = attempt.code_verifier {
            parameters.push(("code_challenge", code_challenge(verifier)));
            parameters.push(("code_challenge_method", "S256".to_owned()));
        }
        let Wanted { acr_values, max_age_s, anew } = attempt.wanted;
        parameters.extend(acr_values.clone().map(|contexts| ("acr_values", contexts)));
        parameters.extend(max_age_s.map(|age| ("max_age", age.to_string())));
        if *anew {
            parameters.push(("prompt", "login".to_owned()));
        }
        parameters.extend(attempt.login_hint.map(|hint| ("login_hint", hint.to_owned())));
        parameters
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
            return ProviderError::TooManyGroups { api_configured: self.groups_api_opens() };
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
        let tokens = self.ask_for_tokens(&metadata.content, form, now).await?;
        let id_token = tokens.id_token.ok_or(IdTokenFault::Missing)?;
        let expected = self.expected(ExpectedNonce::Exactly(nonce), tokens.access_token.as_deref(), now);
        let claims = self.verify(&id_token, &expected, &metadata.content).await?;
        let refresh_token = refresh::kept(tokens.refresh_token).filter(|_| self.settings.refresh);
        Ok((claims, ProviderTokens { id_token: Secret::new(id_token), refresh_token }))
    }

    /// What an ID token for us has to say, whatever it came of.
    fn expected<'a>(
        &'a self,
        nonce: ExpectedNonce<'a>,
        access_token: Option<&'a str>,
        now: i64,
    ) -> Expected<'a> {
        Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            groups_claim: &self.settings.groups_claim,
            algorithm: self.settings.signing_algorithm,
            nonce,
            access_token,
            now,
        }
    }

    /// Where a logout is announced, if the provider has such a place and can be asked for it.
    pub(crate) async fn end_session_endpoint(&self, now: i64) -> Option<Url> {
        self.metadata(now).await.ok()?.content.end_session_endpoint.clone()
    }

    /// Whether the groups API can be asked.
    pub(super) fn groups_api_opens(&self) -> bool {
        self.settings.groups_api.as_ref().is_some_and(|api| api.credentials.is_some())
    }

    async fn metadata(&self, now: i64) -> Result<Arc<Document<Metadata>>, ProviderError> {
        let fetch = discovery::fetch(&self.http, &self.settings.issuer);
        Box::pin(self.metadata.current(now, fetch)).await
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
    async fn fetch_keys(&self, metadata: &Metadata) -> Result<Fetched<CoreJsonWebKeySet>, ProviderError> {
        const ENDPOINT: &str = "key set";
        let address = self.settings.jwks_uri.as_ref().unwrap_or(&metadata.jwks_uri);
        let answer = get(&self.http, address, ENDPOINT).await?;
        let keys: CoreJsonWebKeySet = parse(ENDPOINT, &answer)?;
        let why = match keys.keys().len() {
            0 => "it has no key that can be used",
            1..=MAX_KEYS => return Ok(Fetched { content: keys, max_age_s: max_age_s(answer.headers()) }),
            _ => "it has too many keys",
        };
        Err(ProviderError::BadAnswer { endpoint: ENDPOINT, status: answer.status().as_u16(), why })
    }
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
