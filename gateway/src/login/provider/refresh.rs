//! The refresh grant (RFC 6749 section 6) and the ID token that comes of it (OpenID Connect Core 1.0 section 12). When it is used, and
//! what follows from its answer, is left to `login/renewal`.

use portcullis_store::Secret;

use super::super::claims::{ExpectedNonce, VerifiedClaims};
use super::Provider;
use super::error::ProviderError;

/// The longest refresh token that is kept.
pub(crate) const MAX_REFRESH_TOKEN_BYTES: usize = 16 * 1024;

/// What a refresh token brought. Nothing of it was looked at yet.
#[derive(Debug)]
pub(crate) struct Refreshed {
    /// The one to use next time; none when the one that was used stays good.
    pub(crate) refresh_token: Option<Secret<String>>,
    /// A provider may leave it out (section 12.2).
    pub(crate) id_token: Option<Secret<String>>,
    access_token: Option<Secret<String>>,
}

impl Provider {
    /// Uses a refresh token. Where the provider rotates them, the one that was used is spent even when this fails.
    pub(crate) async fn refresh(&self, token: &Secret<String>, now: i64) -> Result<Refreshed, ProviderError> {
        let metadata = self.metadata(now).await?;
        let form = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose().as_str())];
        let answer = self.ask_for_tokens(&metadata.content, form, now).await?;
        Ok(Refreshed {
            refresh_token: kept(answer.refresh_token),
            id_token: answer.id_token.map(Secret::new),
            access_token: answer.access_token.map(Secret::new),
        })
    }

    /// What the new ID token says; none when none came. It has no nonce, or that of the login (section 12.2).
    pub(crate) async fn verify_refreshed(
        &self,
        refreshed: &Refreshed,
        nonce: &str,
        now: i64,
    ) -> Result<Option<VerifiedClaims>, ProviderError> {
        let Some(id_token) = &refreshed.id_token else { return Ok(None) };
        let metadata = self.metadata(now).await?;
        let access_token = refreshed.access_token.as_ref().map(|token| token.expose().as_str());
        let expected = self.expected(ExpectedNonce::SameIfPresent(nonce), access_token, now);
        self.verify(id_token.expose(), &expected, &metadata.content).await.map(Some)
    }
}

/// A refresh token that can be kept.
pub(super) fn kept(token: Option<String>) -> Option<Secret<String>> {
    token.filter(|token| !token.is_empty() && token.len() <= MAX_REFRESH_TOKEN_BYTES).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_too_long_is_none() {
        assert!(kept(Some("x".repeat(MAX_REFRESH_TOKEN_BYTES))).is_some());
        assert!(kept(Some("x".repeat(MAX_REFRESH_TOKEN_BYTES + 1))).is_none());
        assert!(kept(Some(String::new())).is_none());
    }
}
