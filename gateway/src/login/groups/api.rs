//! Okta's API for users and groups: one person's state and groups, page by page, as fast as its rate limit lets us. Whether it is asked
//! is left to `groups`.

use std::collections::HashSet;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, DATE, LINK};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use portcullis_store::Secret;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use super::super::claims::{MAX_GROUP_NAME_BYTES, MAX_GROUPS};
use super::super::provider::{Provider, ProviderError};
use super::service_app;
use crate::config::{GroupsApi, GroupsCredentials};

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

/// The API as one login uses it.
pub(super) struct Api<'p> {
    provider: &'p Provider,
    base: &'p Url,
    credentials: &'p GroupsCredentials,
    patience: Patience,
    now: i64,
}

#[derive(Deserialize)]
struct User {
    status: String,
}

#[derive(Deserialize)]
struct Group {
    profile: Profile,
}

#[derive(Deserialize)]
struct Profile {
    name: String,
}

impl<'p> Api<'p> {
    /// None where there is nothing to open it with.
    pub(super) fn of(provider: &'p Provider, now: i64) -> Option<Self> {
        let GroupsApi { base_url, credentials } = provider.settings().groups_api.as_ref()?;
        let patience = Patience { waits: MAX_RATE_LIMIT_WAITS, left: MAX_RATE_LIMIT_WAIT };
        Some(Self { provider, base: base_url, credentials: credentials.as_ref()?, patience, now })
    }

    /// The groups of a person who may sign in at all: a renewal can come long after the password did.
    pub(super) async fn groups_of_active(mut self, sub: &str) -> Result<Vec<String>, ProviderError> {
        let answer = self.ask(&person(self.base, sub)?).await?;
        let User { status } =
            serde_json::from_slice(answer.body()).map_err(|_| broken(200, "it is not a user"))?;
        // Whoever is staged or must change the password is for the provider's own sign-in to judge.
        for inactive in ["SUSPENDED", "DEPROVISIONED", "LOCKED_OUT"] {
            if status.eq_ignore_ascii_case(inactive) {
                return Err(ProviderError::PersonInactive { status: inactive });
            }
        }
        self.groups(sub).await
    }

    async fn groups(&mut self, sub: &str) -> Result<Vec<String>, ProviderError> {
        let mut page = first_page(self.base, sub)?;
        let mut names = Vec::new();
        let mut seen = HashSet::new();
        for _ in 0..MAX_GROUP_PAGES {
            let answer = self.ask(&page).await?;
            let groups: Vec<Group> = serde_json::from_slice(answer.body())
                .map_err(|_| broken(200, "it is not a list of groups"))?;
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
                return Err(ProviderError::TooManyGroups { api_configured: true });
            }
            page = match next_page(answer.headers(), &page, self.base)? {
                Some(next) => next,
                None => return Ok(names),
            };
        }
        Err(broken(200, "it has more than 100 pages"))
    }

    /// One page, waiting for the rate limit as long as there is patience, and with a newer access token if the one at hand has ended.
    async fn ask(&mut self, page: &Url) -> Result<Response<Vec<u8>>, ProviderError> {
        let mut token = match self.credentials {
            GroupsCredentials::Token(_) => None,
            GroupsCredentials::ServiceApp(app) => Some((
                app,
                service_app::current(self.provider, self.base, app, self.now).await?,
                Renewal::Possible,
            )),
        };
        loop {
            let authorization = match (&token, self.credentials) {
                (Some((_, token, _)), _) => token.content.clone(),
                (None, GroupsCredentials::Token(token)) => credentials("SSWS", token)?,
                (None, GroupsCredentials::ServiceApp(_)) => return Err(ProviderError::GroupsToken),
            };
            let answer = self.provider.http().send(request(page, authorization)?).await;
            let answer = answer.map_err(|error| ProviderError::exchange(ENDPOINT, error))?;
            let status = answer.status();
            match status {
                StatusCode::OK => return Ok(answer),
                StatusCode::TOO_MANY_REQUESTS => {
                    let wait = self.patience.spend(answer.headers(), self.now);
                    tokio::time::sleep(wait.ok_or(ProviderError::GroupsRateLimited)?).await;
                }
                StatusCode::UNAUTHORIZED => match &mut token {
                    Some((app, seen, renewal @ Renewal::Possible)) => {
                        let newer = service_app::newer(self.provider, self.base, app, seen, self.now).await;
                        (*seen, *renewal) = (newer.ok_or(ProviderError::GroupsToken)?, Renewal::Done);
                    }
                    _ => return Err(ProviderError::GroupsToken),
                },
                StatusCode::FORBIDDEN => return Err(ProviderError::GroupsForbidden),
                StatusCode::NOT_FOUND => return Err(ProviderError::GroupsUserUnknown),
                _ if status.is_server_error() => {
                    return Err(broken(status.as_u16(), "the provider has a fault"));
                }
                _ => return Err(broken(status.as_u16(), "the status is not 200")),
            }
        }
    }
}

/// Whether an access token may still be replaced by a newer one.
enum Renewal {
    Possible,
    Done,
}

/// The value of an `Authorization` field. A token that does not fit one can only be a wrong one.
pub(super) fn credentials(scheme: &str, token: &Secret<String>) -> Result<HeaderValue, ProviderError> {
    let value = HeaderValue::try_from(format!("{scheme} {}", token.expose()));
    let mut value = value.map_err(|_| ProviderError::GroupsToken)?;
    value.set_sensitive(true);
    Ok(value)
}

fn request(page: &Url, authorization: HeaderValue) -> Result<Request<Vec<u8>>, ProviderError> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = page.as_str().parse().map_err(|_| broken(0, "its address cannot be requested"))?;
    request.headers_mut().insert(AUTHORIZATION, authorization);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// `me` would be the token's own administrator, and dots would be another path.
fn person(base: &Url, sub: &str) -> Result<Url, ProviderError> {
    if sub.is_empty() || sub == "." || sub == ".." || sub.eq_ignore_ascii_case("me") {
        return Err(ProviderError::GroupsUserUnknown);
    }
    let mut page = base.clone();
    page.path_segments_mut()
        .map_err(|()| broken(0, "its base URL cannot have a path"))?
        .clear()
        .extend(["api", "v1", "users", sub]);
    page.set_query(None);
    Ok(page)
}

pub(super) fn first_page(base: &Url, sub: &str) -> Result<Url, ProviderError> {
    let mut page = person(base, sub)?;
    page.path_segments_mut().map_err(|()| broken(0, "its base URL cannot have a path"))?.push("groups");
    page.set_query(Some(&format!("limit={PAGE_ENTRIES}")));
    Ok(page)
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
