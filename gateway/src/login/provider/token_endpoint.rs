//! The token endpoint (RFC 6749 section 3.2): a grant goes out, tokens or a refusal come back. What the tokens say is left to `claims`.

use http::StatusCode;
use serde::Deserialize;

use super::Provider;
use super::discovery::Metadata;
use super::error::ProviderError;
use super::exchange::parse;

const ENDPOINT: &str = "token endpoint";

/// What we read of a good answer.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) id_token: Option<String>,
    pub(super) access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
}

/// What a back-channel endpoint says when it refuses (RFC 6749 section 5.2).
#[derive(Deserialize)]
pub(in crate::login) struct Refusal {
    pub(in crate::login) error: String,
    pub(in crate::login) error_description: Option<String>,
}

impl Provider {
    /// Hands in a grant, once: nothing is repeated here, since a code and most refresh tokens are single-use.
    pub(super) async fn ask_for_tokens(
        &self,
        metadata: &Metadata,
        form: Vec<(&str, &str)>,
        now: i64,
    ) -> Result<TokenAnswer, ProviderError> {
        let answered = self.post_as_client(&metadata.token_endpoint, ENDPOINT, form, now).await?;
        match answered.answer.status() {
            StatusCode::OK => parse(ENDPOINT, &answered.answer),
            _ => Err(answered.refusal(self)),
        }
    }
}
