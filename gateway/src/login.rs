//! Logging in: from "nobody is logged in" on an application's host, over the identity provider, back to the page that was
//! asked for. Sessions that came of it are left to `session` and `live`.
//!
//! The walk: `challenge` on the application's host -> `start` on the auth host -> the provider -> `callback` on the auth host
//! -> `hand_over` to the application's host. Nothing is remembered between the steps but what the browser carries, sealed.

use serde::{Deserialize, Serialize};

mod callback;
mod challenge;
mod hand_over;
mod hint;
mod initiate;
mod logout;
mod picker;
mod renewal;
mod sign_in_domain;
mod start;
mod step_up;

mod claims;
mod groups;
mod provider;

pub(crate) use callback::{RefusedCallback, callback};
pub(crate) use challenge::{Challenge, challenge, return_path};
pub(crate) use hand_over::{longest_session, redeem};
pub(crate) use initiate::{InitiateError, initiate};
pub(crate) use logout::{Parting, application_logout, ask_everywhere, everywhere, logout};
pub(crate) use provider::{IdTokenFault, Provider, ProviderError, Step, Verdict};
pub(crate) use renewal::{MAX_RENEWALS_AT_ONCE, keep_fresh};
pub(crate) use start::start;
pub(crate) use step_up::{Need, Summons};

use portcullis_store::{StoreError, TooLong};

/// How long somebody may take from the first redirect to the end of the login, in seconds.
pub(crate) const ATTEMPT_LIFE_S: i64 = 600;
/// How long the last hop to the application's host may take, in seconds.
pub(crate) const HAND_OVER_LIFE_S: i64 = 60;
/// The longest path and query that a login comes back to; from a longer one it comes back to the application's front page.
pub(crate) const MAX_RETURN_BYTES: usize = 1_500;

/// Where a login was asked for. Only made by `challenge`, and carried sealed: an address on a configured host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReturnTo {
    /// The application's host.
    #[serde(rename = "h")]
    host: String,
    /// The application's name: it decides which providers are offered.
    #[serde(rename = "a")]
    application: String,
    /// Path and query there, in normal form.
    #[serde(rename = "p")]
    path: String,
    /// What the login has to bring.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    need: Option<Need>,
    /// Names the cookie on the application's host that the browser was given when it asked.
    #[serde(rename = "i")]
    binding_id: String,
    /// The hash of that cookie's value.
    #[serde(rename = "b")]
    binding: String,
}

/// Why a login did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("the callback lacks `state` or `code`, or has one of them twice")]
    Malformed,
    #[error("the attempt is unknown to this browser, has expired, or was used")]
    Stale,
    #[error("the provider refused: {error}: {description}")]
    ProviderRefused {
        /// The code of RFC 6749 section 4.1.2.1.
        error: String,
        /// The provider's own words.
        description: String,
    },
    #[error("the `iss` of the callback is another than the provider's")]
    IssuerParameter,
    #[error("{0}")]
    Provider(#[from] ProviderError),
    #[error("the person is deactivated")]
    Deactivated,
    #[error("the person is not provisioned")]
    NotProvisioned,
    #[error(
        "the provider names no verified e-mail address, and only those of its sign-in domains may come in"
    )]
    EmailUnverified,
    #[error("addresses of `{domain}` may not sign in by this provider")]
    EmailDomainRefused {
        /// In normal form.
        domain: String,
    },
    #[error("the login does not bring what a policy asks for; wanted: {wanted}; came: {came}")]
    StepUpUnmet {
        wanted: String,
        /// As the provider said.
        came: String,
    },
    #[error("{0}")]
    Initiate(#[from] InitiateError),
    #[error("{0}")]
    TooLarge(#[from] TooLong),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the request comes from a page that is not ours")]
    ForeignPage,
    #[error("the system gave no random bytes")]
    NoRandomness,
    #[error("the login was interrupted by the gateway's stop")]
    Interrupted,
}

impl LoginError {
    /// The word in log and page.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "callback_malformed",
            Self::Stale => "login_stale",
            Self::ProviderRefused { .. } => "provider_refused",
            Self::IssuerParameter => "issuer_mismatch",
            Self::Provider(error) => error.code(),
            Self::Deactivated => "deactivated",
            Self::NotProvisioned => "not_provisioned",
            Self::EmailUnverified => "email_unverified",
            Self::EmailDomainRefused { .. } => "email_domain_refused",
            Self::StepUpUnmet { .. } => "step_up_unmet",
            Self::Initiate(error) => error.code(),
            Self::TooLarge(_) => "profile_too_large",
            Self::Store(_) => "store_unavailable",
            Self::ForeignPage => "foreign_page",
            Self::NoRandomness => "no_randomness",
            Self::Interrupted => "interrupted",
        }
    }
}
