//! All groups of a person: those of the claim, or those of Okta's API when the claim is missing or may have been cut. What groups
//! a policy speaks of is left to the policies.
//!
//! Okta cuts some claims at [`CLAIM_CUT`] entries without saying so. Exactly that many and no way to ask is a refusal: groups
//! are never silently cut, for a rule may block by one of those that are not there.

use std::collections::HashSet;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, DATE, LINK};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use portcullis_store::Secret;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use super::claims::{GroupsClaim, MAX_GROUP_NAME_BYTES, MAX_GROUPS, VerifiedClaims};
use super::provider::{Provider, ProviderError};
use crate::config::GroupsApi;

/// Where Okta cuts.
pub(crate) const CLAIM_CUT: usize = 100;
/// Most pages of one person's groups.
pub(crate) const MAX_GROUP_PAGES: usize = 100;
/// Longest that one login waits for the rate limit, all waits together.
pub(crate) const MAX_RATE_LIMIT_WAIT: Duration = Duration::from_secs(5);
/// Most waits of one login.
pub(crate) const MAX_RATE_LIMIT_WAITS: u32 = 3;
/// Up to so much is added to a wait, so that those who wait together do not return together.
const JITTER_MS: u64 = 250;
/// The wait when the answer does not say how long.
const UNTOLD_WAIT_S: i64 = 1;
/// Entries per page, the most that Okta gives.
const PAGE_ENTRIES: u32 = 200;

const ENDPOINT: &str = "groups API";

/// The names of the person's groups.
pub(crate) async fn groups_of(
    provider: &Provider,
    claims: &VerifiedClaims,
    now: i64,
) -> Result<Vec<String>, ProviderError> {
    let api = provider.settings().groups_api.as_ref();
    let token = api.and_then(|api| Some((api, api.token.as_ref()?)));
    match (&claims.groups, token) {
        (GroupsClaim::Listed(names), _) if names.len() < CLAIM_CUT => Ok(names.clone()),
        (_, Some((api, token))) => Box::pin(fetch(provider, api, token, &claims.subject.sub, now)).await,
        (GroupsClaim::Missing, None) => Ok(Vec::new()),
        // With one more it was plainly not cut there.
        (GroupsClaim::Listed(names), None) if names.len() > CLAIM_CUT => Ok(names.clone()),
        (GroupsClaim::Listed(_), None) => Err(ProviderError::TooManyGroups { token_configured: false }),
    }
}

#[derive(Deserialize)]
struct Group {
    profile: Profile,
}

#[derive(Deserialize)]
struct Profile {
    name: String,
}

async fn fetch(
    provider: &Provider,
    api: &GroupsApi,
    token: &Secret<String>,
    sub: &str,
    now: i64,
) -> Result<Vec<String>, ProviderError> {
    let mut page = first_page(&api.base_url, sub)?;
    let mut patience = Patience { waits: MAX_RATE_LIMIT_WAITS, left: MAX_RATE_LIMIT_WAIT };
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for _ in 0..MAX_GROUP_PAGES {
        let answer = ask(provider, &page, token, &mut patience, now).await?;
        let groups: Vec<Group> =
            serde_json::from_slice(answer.body()).map_err(|_| broken(200, "it is not a list of groups"))?;
        for group in groups {
            let name = group.profile.name;
            if name.is_empty() || name.len() > MAX_GROUP_NAME_BYTES {
                return Err(broken(200, "a group's name is empty or longer than 512 bytes"));
            }
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        if names.len() > MAX_GROUPS {
            return Err(ProviderError::TooManyGroups { token_configured: true });
        }
        page = match next_page(answer.headers(), &page, &api.base_url)? {
            Some(next) => next,
            None => return Ok(names),
        };
    }
    Err(broken(200, "it has more than 100 pages"))
}

/// `me` would be the token's own administrator, and dots would be another path.
fn first_page(base: &Url, sub: &str) -> Result<Url, ProviderError> {
    if sub.is_empty() || sub == "." || sub == ".." || sub.eq_ignore_ascii_case("me") {
        return Err(ProviderError::GroupsUserUnknown);
    }
    let mut page = base.clone();
    page.path_segments_mut()
        .map_err(|()| broken(0, "its base URL cannot have a path"))?
        .clear()
        .extend(["api", "v1", "users", sub, "groups"]);
    page.set_query(Some(&format!("limit={PAGE_ENTRIES}")));
    Ok(page)
}

/// One page, waiting for the rate limit as long as there is patience.
async fn ask(
    provider: &Provider,
    page: &Url,
    token: &Secret<String>,
    patience: &mut Patience,
    now: i64,
) -> Result<Response<Vec<u8>>, ProviderError> {
    loop {
        let answer = provider.http().send(request(page, token)?).await;
        let answer = answer.map_err(|error| ProviderError::exchange(ENDPOINT, error))?;
        let status = answer.status();
        match status {
            StatusCode::OK => return Ok(answer),
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = patience.spend(answer.headers(), now).ok_or(ProviderError::GroupsRateLimited)?;
                tokio::time::sleep(wait).await;
            }
            StatusCode::UNAUTHORIZED => return Err(ProviderError::GroupsToken),
            StatusCode::FORBIDDEN => return Err(ProviderError::GroupsForbidden),
            StatusCode::NOT_FOUND => return Err(ProviderError::GroupsUserUnknown),
            _ if status.is_server_error() => return Err(broken(status.as_u16(), "the provider has a fault")),
            _ => return Err(broken(status.as_u16(), "the status is not 200")),
        }
    }
}

fn request(page: &Url, token: &Secret<String>) -> Result<Request<Vec<u8>>, ProviderError> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = page.as_str().parse().map_err(|_| broken(0, "its address cannot be requested"))?;
    // A token that does not fit a header can only be a wrong one.
    let mut credentials =
        HeaderValue::try_from(format!("SSWS {}", token.expose())).map_err(|_| ProviderError::GroupsToken)?;
    credentials.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, credentials);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// What is left of the waiting that one login can afford.
struct Patience {
    waits: u32,
    left: Duration,
}

impl Patience {
    /// How long to wait, or nothing when that is too long. The reset is told by the provider's clock, so by its `Date`.
    fn spend(&mut self, headers: &HeaderMap, now: i64) -> Option<Duration> {
        self.waits = self.waits.checked_sub(1)?;
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let date = text(DATE.as_str()).and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
        let their_now = date.map_or(now, OffsetDateTime::unix_timestamp);
        let reset = text("x-rate-limit-reset").and_then(|reset| reset.trim().parse::<i64>().ok());
        let seconds = reset.map_or(UNTOLD_WAIT_S, |reset| reset.saturating_sub(their_now).max(0));
        let wait = Duration::from_secs(seconds.unsigned_abs()).checked_add(jitter())?;
        self.left = self.left.checked_sub(wait)?;
        Some(wait)
    }
}

fn jitter() -> Duration {
    let mut byte = [0];
    // Without randomness there is merely no jitter.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    Duration::from_millis(JITTER_MS * u64::from(byte[0]) / 255)
}

/// The `next` of the `Link` fields (RFC 8288), taken as it is. On another origin it would carry our token away.
fn next_page(headers: &HeaderMap, page: &Url, base: &Url) -> Result<Option<Url>, ProviderError> {
    let fields = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = fields.flat_map(links).find_map(|(target, is_next)| is_next.then_some(target)) else {
        return Ok(None);
    };
    let next = page.join(target).map_err(|_| broken(200, "the link to the next page is no URL"))?;
    if next.origin() != base.origin() {
        return Err(broken(200, "the link to the next page leads to another origin"));
    }
    Ok(Some(next))
}

/// The targets of one field, and whether each is the next page. A target may hold commas, so fields are cut at `<` and `>`.
fn links(field: &str) -> impl Iterator<Item = (&str, bool)> {
    field.split('<').skip(1).filter_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let is_next = parameters.split([';', ',']).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
                name.trim().eq_ignore_ascii_case("rel")
                    && relations.any(|word| word.eq_ignore_ascii_case("next"))
            })
        });
        Some((target, is_next))
    })
}

fn broken(status: u16, why: &'static str) -> ProviderError {
    ProviderError::GroupsApiBroken { status, why }
}

#[cfg(test)]
mod tests;
