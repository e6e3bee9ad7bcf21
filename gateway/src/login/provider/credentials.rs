//! Who we are, said to a provider's back-channel endpoints in the one form that is configured (RFC 6749 section 2.3). Two forms at
//! once are an error at Okta, so every such request is made here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use portcullis_store::Secret;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::Provider;
use super::client_assertion::{ASSERTION_TYPE, client_assertion};
use super::confidence::Confidence;
use super::error::ProviderError;
use super::exchange::{form_request, parse};
use super::token_endpoint::Refusal;
use crate::config::ClientAuthentication;

/// An answer, and what its question told in confidence.
pub(super) struct Answered {
    pub(super) answer: Response<Vec<u8>>,
    endpoint: &'static str,
    confidence: Confidence,
}

impl Answered {
    /// What an answer that is no good one means.
    pub(super) fn refusal(&self, provider: &Provider) -> ProviderError {
        match parse::<Refusal>(self.endpoint, &self.answer) {
            Ok(Refusal { error, error_description }) => {
                let description = error_description.map(|said| self.confidence.keep(&said));
                provider.refusal(&self.confidence.keep(&error), description.as_deref())
            }
            Err(error) => error,
        }
    }
}

impl Provider {
    /// Posts a form as our client.
    pub(super) async fn post_as_client(
        &self,
        url: &Url,
        endpoint: &'static str,
        form: Vec<(&str, &str)>,
        now: i64,
    ) -> Result<Answered, ProviderError> {
        let request = self.as_client(url, endpoint, form, now)?;
        let confidence = Confidence::of(&request);
        let answer = self.http.send(request).await;
        let answer = answer.map_err(|error| ProviderError::exchange(endpoint, error))?;
        Ok(Answered { answer, endpoint, confidence })
    }

    fn as_client<'f>(
        &'f self,
        url: &Url,
        endpoint: &'static str,
        mut form: Vec<(&'f str, &'f str)>,
        now: i64,
    ) -> Result<Request<Vec<u8>>, ProviderError> {
        let id = self.settings.client_id.as_str();
        // A pushed request says it by itself; what a form says twice has no single reading.
        let told = form.iter().any(|(name, _)| *name == "client_id");
        let id_field = (!told).then_some(("client_id", id));
        match &self.settings.client_authentication {
            ClientAuthentication::SecretBasic(secret) => {
                let mut request = form_request(url, endpoint, &form)?;
                request.headers_mut().insert(AUTHORIZATION, basic(id, secret)?);
                Ok(request)
            }
            ClientAuthentication::SecretPost(secret) => {
                form.extend(id_field);
                form.push(("client_secret", secret.expose()));
                form_request(url, endpoint, &form)
            }
            ClientAuthentication::PrivateKeyJwt(key) => {
                let assertion = client_assertion(key, id, url, now)?;
                let proof =
                    [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
                let form: Vec<_> = form.into_iter().chain(id_field).chain(proof).collect();
                form_request(url, endpoint, &form)
            }
            ClientAuthentication::Public => {
                form.extend(id_field);
                form_request(url, endpoint, &form)
            }
        }
    }
}

/// Id and secret, form-encoded each (RFC 6749 section 2.3.1).
fn basic(client_id: &str, secret: &Secret<String>) -> Result<HeaderValue, ProviderError> {
    let id: String = byte_serialize(client_id.as_bytes()).collect();
    let secret: String = byte_serialize(secret.expose().as_bytes()).collect();
    let credentials = STANDARD.encode(format!("{id}:{secret}"));
    let mut value = HeaderValue::try_from(format!("Basic {credentials}"))
        .map_err(|_| ProviderError::ClientRefused { description: "it does not fit a header".to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}
