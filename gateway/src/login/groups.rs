//! All groups of a person as their provider knows them: those of the claim, those of Okta's API, or both. What a directory says of
//! them is left to `live`, what groups a policy speaks of to the policies.
//!
//! Okta cuts some claims at [`CLAIM_CUT`] entries without saying so. Exactly that many and no way to ask is a refusal: groups
//! are never silently cut, for a rule may block by one of those that are not there.

mod answers;
mod api;
mod service_app;

pub(crate) use answers::Answers;
pub(super) use service_app::AccessToken;

use super::claims::{GroupsClaim, VerifiedClaims};
use super::provider::{Provider, ProviderError};
use crate::config::GroupsSource;
use api::Api;

/// Where Okta cuts.
pub(crate) const CLAIM_CUT: usize = 100;

/// The names of the person's groups.
pub(crate) async fn groups_of(
    provider: &Provider,
    claims: &VerifiedClaims,
    now: i64,
) -> Result<Vec<String>, ProviderError> {
    let Some(api) = Api::of(provider, now) else { return claimed(claims) };
    match (provider.settings().groups_source, &claims.groups) {
        (GroupsSource::Token | GroupsSource::Scim, GroupsClaim::Listed(names)) if names.len() < CLAIM_CUT => {
            Ok(names.clone())
        }
        (GroupsSource::Union, GroupsClaim::Listed(names)) => {
            let mut all = asked(provider, api, claims, now).await?;
            all.extend(names.iter().cloned());
            all.sort_unstable();
            all.dedup();
            Ok(all)
        }
        _ => asked(provider, api, claims, now).await,
    }
}

/// The groups of somebody whose session is renewed; none where nothing was said of them, and those that are known stay.
///
/// A refreshed ID token need not have all claims of the login's (OpenID Connect Core 1.0 section 12.2), and a group that is not
/// there might be one that a policy blocks. Okta leaves the claim out when somebody is in none of the groups: that is an answer.
pub(super) async fn groups_told_anew(
    provider: &Provider,
    claims: &VerifiedClaims,
    now: i64,
) -> Result<Option<Vec<String>>, ProviderError> {
    let is_okta = provider.settings().groups_api.is_some();
    if !is_okta && claims.groups == GroupsClaim::Missing {
        return Ok(None);
    }
    groups_of(provider, claims, now).await.map(Some)
}

/// What the API says of somebody, asked as a login would ask; none where there is nothing to ask it with.
pub(super) async fn try_api(
    provider: &Provider,
    user: &str,
    now: i64,
) -> Option<Result<Vec<String>, ProviderError>> {
    let api = Api::of(provider, now)?;
    Some(api.groups_of_active(user).await)
}

/// The groups of the claim, where there is nobody to ask.
fn claimed(claims: &VerifiedClaims) -> Result<Vec<String>, ProviderError> {
    match &claims.groups {
        GroupsClaim::Missing => Ok(Vec::new()),
        GroupsClaim::Listed(names) if names.len() == CLAIM_CUT => {
            Err(ProviderError::TooManyGroups { api_configured: false })
        }
        // With one more it was plainly not cut there.
        GroupsClaim::Listed(names) => Ok(names.clone()),
    }
}

async fn asked(
    provider: &Provider,
    api: Api<'_>,
    claims: &VerifiedClaims,
    now: i64,
) -> Result<Vec<String>, ProviderError> {
    let sub = &claims.subject.sub;
    Box::pin(provider.group_answers().of(sub, now, api.groups_of_active(sub))).await
}

#[cfg(test)]
mod tests;
