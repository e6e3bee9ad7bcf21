//! Pushed authorization requests (RFC 9126): what a login asks for goes to the provider directly, and the browser carries a reference
//! to it, which it can neither read nor change.

use http::StatusCode;
use serde::Deserialize;

use super::Provider;
use super::credentials::Answered;
use super::discovery::Metadata;
use super::error::ProviderError;
use super::exchange::parse;
use crate::config::PushedRequests;

const ENDPOINT: &str = "endpoint for pushed requests";
/// The longest reference that is passed on: it travels in a query.
pub(super) const MAX_REFERENCE_BYTES: usize = 1024;

#[derive(Deserialize)]
struct Pushed {
    request_uri: String,
}

impl Provider {
    /// The reference, good for one login that begins at once; none when the request is to be carried by the browser.
    ///
    /// What a provider does not take for a reason of its own is not sent around it: that would fail there too, on a page of the provider
    /// that says less than ours. Only where it merely cannot, and pushing is of our own choice, does the login go on without.
    pub(super) async fn push(
        &self,
        metadata: &Metadata,
        parameters: &[(&'static str, String)],
        now: i64,
    ) -> Result<Option<String>, ProviderError> {
        let demanded =
            metadata.pushed_requests_demanded || self.settings.pushed_requests == PushedRequests::Required;
        let endpoint = match (&metadata.pushed_requests_endpoint, self.settings.pushed_requests) {
            (_, PushedRequests::Off) | (None, PushedRequests::Auto) if !metadata.pushed_requests_demanded => {
                return Ok(None);
            }
            (Some(endpoint), PushedRequests::Auto | PushedRequests::Required) => endpoint,
            (None, _) => return Err(ProviderError::PushUnoffered),
            (Some(_), PushedRequests::Off) => return Err(ProviderError::PushDemanded),
        };
        let form = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let pushed = async {
            let answered = self.post_as_client(endpoint, ENDPOINT, form, now).await?;
            self.reference(&answered)
        };
        match pushed.await {
            Ok(reference) => Ok(Some(reference)),
            Err(error) if !demanded && error.may_pass() => {
                tracing::warn!(
                    code = error.code(),
                    error = &error as &dyn std::error::Error,
                    "a login request cannot be pushed, the browser carries it"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn reference(&self, answered: &Answered) -> Result<String, ProviderError> {
        let status = answered.answer.status();
        if !status.is_success() {
            if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                let why = "the status is not 201";
                return Err(ProviderError::BadAnswer { endpoint: ENDPOINT, status: status.as_u16(), why });
            }
            return Err(answered.refusal(self));
        }
        let Pushed { request_uri } = parse(ENDPOINT, &answered.answer)?;
        if request_uri.is_empty() || request_uri.len() > MAX_REFERENCE_BYTES {
            let why = "its `request_uri` is empty or longer than 1024 bytes";
            return Err(ProviderError::BadAnswer { endpoint: ENDPOINT, status: status.as_u16(), why });
        }
        Ok(request_uri)
    }
}
