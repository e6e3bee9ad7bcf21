//! A provider's metadata (OpenID Connect Discovery 1.0 section 4): fetched, and checked before anybody is sent to what it names.
//! Keeping it is left to `kept`.

use serde::Deserialize;
use url::{Host, Url};

use super::error::ProviderError;
use super::exchange::{get, parse};
use super::kept::{Fetched, max_age_s};
use crate::web_client::WebClient;

const ENDPOINT: &str = "discovery document";

/// What we need of the metadata.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) end_session_endpoint: Option<Url>,
    pub(super) issuer_parameter_announced: bool,
    pub(super) pushed_requests_endpoint: Option<Url>,
    pub(super) pushed_requests_demanded: bool,
    pub(super) scopes_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Announced {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    end_session_endpoint: Option<Url>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    pushed_authorization_request_endpoint: Option<Url>,
    #[serde(default)]
    require_pushed_authorization_requests: bool,
    scopes_supported: Option<Vec<String>>,
}

pub(super) async fn fetch(http: &WebClient, issuer: &str) -> Result<Fetched<Metadata>, ProviderError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|_| bad("`issuer` is no URL"))?;
    let answer = get(http, &url, ENDPOINT).await?;
    let announced: Announced = parse(ENDPOINT, &answer)?;
    // Exactly equal (section 4.3): a provider that may speak for another one could impersonate its people.
    if announced.issuer != issuer {
        return Err(ProviderError::WrongIssuer {
            configured: issuer.to_owned(),
            announced: super::readable(&announced.issuer, super::MAX_DESCRIPTION_CHARS),
        });
    }
    let plain_allowed = url.scheme() == "http" && is_loopback(&url);
    let endpoints = [&announced.authorization_endpoint, &announced.token_endpoint, &announced.jwks_uri];
    let optional = [&announced.end_session_endpoint, &announced.pushed_authorization_request_endpoint];
    for endpoint in endpoints.into_iter().chain(optional.into_iter().flatten()) {
        let plain = plain_allowed && endpoint.scheme() == "http" && is_loopback(endpoint);
        if endpoint.scheme() != "https" && !plain {
            return Err(bad("it names an endpoint that is not https"));
        }
    }
    let content = Metadata {
        authorization_endpoint: announced.authorization_endpoint,
        token_endpoint: announced.token_endpoint,
        jwks_uri: announced.jwks_uri,
        end_session_endpoint: announced.end_session_endpoint,
        issuer_parameter_announced: announced.authorization_response_iss_parameter_supported,
        pushed_requests_endpoint: announced.pushed_authorization_request_endpoint,
        pushed_requests_demanded: announced.require_pushed_authorization_requests,
        scopes_supported: announced.scopes_supported,
    };
    Ok(Fetched { content, max_age_s: max_age_s(answer.headers()) })
}

fn bad(why: &'static str) -> ProviderError {
    ProviderError::BadAnswer { endpoint: ENDPOINT, status: 200, why }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
