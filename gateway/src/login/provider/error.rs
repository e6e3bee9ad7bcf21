//! Why talking to a provider failed, each cause by itself, worded for the log. What the browser is told is left to `respond`.
//!
//! No variant holds a token, a code or a secret: what the provider wrote is kept only where it is meant for people.

use std::sync::Arc;

use crate::web_client::{MAX_ANSWER_BYTES, WebClientError};

/// Why there is no login, no key or no group list. Cheap to clone: all who wait for one fetch share its failure.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    /// No connection, or it broke off.
    #[error("the identity provider cannot be reached at its {endpoint}")]
    Unreachable { endpoint: &'static str, source: Arc<WebClientError> },
    /// No whole answer within the deadline.
    #[error("the identity provider's {endpoint} did not answer in time")]
    Slow { endpoint: &'static str },
    /// More than we read.
    #[error("the answer of the identity provider's {endpoint} is larger than {MAX_ANSWER_BYTES} bytes")]
    AnswerTooLarge { endpoint: &'static str },
    /// An answer that is not what the protocol says.
    #[error("the answer of the identity provider's {endpoint} (status {status}) is unusable: {why}")]
    BadAnswer { endpoint: &'static str, status: u16, why: &'static str },
    /// Discovery speaks for another issuer.
    #[error(
        "`issuer` is configured as `{configured}`, but the provider there calls itself `{announced}`{}",
        hint(configured, announced)
    )]
    WrongIssuer { configured: String, announced: String },
    /// The provider refused, in words of its own.
    #[error("the identity provider refused: `{error}`: `{description}`")]
    Refused { error: String, description: String },
    /// `invalid_client`.
    #[error("the identity provider does not accept our client id, or its secret or key: `{description}`")]
    ClientRefused { description: String },
    /// `invalid_grant`.
    #[error(
        "the identity provider does not accept the code, which is single-use and short-lived: `{description}`"
    )]
    CodeRefused { description: String },
    /// A client assertion could not be made.
    #[error("the assertion that proves our client could not be signed")]
    ClientUnsigned,
    /// No pushed requests, though they are configured as required.
    #[error(
        "`pushed_authorization_requests` is \"required\", but the identity provider announces no endpoint for them"
    )]
    PushUnoffered,
    /// Pushed requests only, though they are turned off.
    #[error(
        "the identity provider takes pushed authorization requests only, but `pushed_authorization_requests` is \"off\""
    )]
    PushDemanded,
    /// More groups than the claim holds, and no way to ask for the rest.
    #[error("the person has too many groups for the groups claim ({})", advice(*api_configured))]
    TooManyGroups { api_configured: bool },
    /// The ID token is not acceptable.
    #[error("the ID token is refused: {0}")]
    IdToken(#[from] IdTokenFault),
    /// The groups claim has a form that cannot be read without guessing.
    #[error("the groups claim is unreadable: {why}")]
    GroupsClaimUnreadable { why: &'static str },
    /// The organisation does not give our service app a token.
    #[error(
        "the identity provider gives the service app no token for the groups API: {description}; compare its client id and \
         key, the granted scopes (`okta.users.read`), and its administrator role"
    )]
    ServiceAppRefused { description: String },
    /// The person may not sign in.
    #[error("the identity provider says that the person is {status}")]
    PersonInactive { status: &'static str },
    /// 401 of the groups API.
    #[error(
        "the groups API refused our token: it is wrong, has expired by 30 days of disuse, or its administrator is gone"
    )]
    GroupsToken,
    /// 403 of the groups API. The provider does not say which.
    #[error(
        "the groups API forbade the request: either the token's administrator (or the service app's role and scopes) may not \
         read users and groups, or our address is blocked by ThreatInsight or a network zone (exempt the gateway's outgoing address there)"
    )]
    GroupsForbidden,
    /// 404 of the groups API.
    #[error("the groups API does not know the person: the token may belong to another organisation")]
    GroupsUserUnknown,
    /// 429 of the groups API, for longer than a login can wait.
    #[error("the groups API's rate limit is used up")]
    GroupsRateLimited,
    /// Anything else that the groups API should not answer.
    #[error("the groups API's answer (status {status}) is unusable: {why}")]
    GroupsApiBroken { status: u16, why: &'static str },
}

/// What usually is behind another name.
fn hint(configured: &str, announced: &str) -> &'static str {
    let host = |url: &str| url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    if configured.trim_end_matches('/') == announced.trim_end_matches('/') {
        ": they differ by the slash at the end, which counts"
    } else if host(configured) != host(announced) {
        ": an organisation with a custom domain has two names, and the one that is announced counts"
    } else {
        ": another authorization server of the same host"
    }
}

fn advice(api_configured: bool) -> &'static str {
    if api_configured {
        "narrow the groups claim's filter at the provider"
    } else {
        "configure `api_token` or a `service_app`, or narrow the groups claim's filter at the provider"
    }
}

impl ProviderError {
    /// Whether it may pass by itself: nothing was refused, it merely did not work.
    pub(in super::super) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Slow { .. } | Self::BadAnswer { status: 429 | 500.., .. }
        )
    }

    /// A failed exchange with `endpoint`.
    pub(in super::super) fn exchange(endpoint: &'static str, error: WebClientError) -> Self {
        match error {
            WebClientError::Slow => Self::Slow { endpoint },
            WebClientError::TooLarge => Self::AnswerTooLarge { endpoint },
            WebClientError::Unreachable(_) | WebClientError::Broken(_) | WebClientError::Tls(_) => {
                Self::Unreachable { endpoint, source: Arc::new(error) }
            }
        }
    }

    /// What the organisation said when it refused a service app.
    pub(in super::super) fn service_app_refused(error: &str, description: Option<&str>) -> Self {
        let description = super::readable(description.unwrap_or_default(), super::MAX_DESCRIPTION_CHARS);
        let error = super::readable(error, super::MAX_ERROR_CHARS);
        Self::ServiceAppRefused { description: format!("`{error}`: `{description}`") }
    }

    /// The word for the log.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "provider_unreachable",
            Self::Slow { .. } => "provider_slow",
            Self::AnswerTooLarge { .. } => "provider_answer_too_large",
            Self::BadAnswer { .. } => "provider_bad_answer",
            Self::WrongIssuer { .. } => "provider_wrong_issuer",
            Self::Refused { .. } => "provider_refused",
            Self::ClientRefused { .. } => "provider_client_refused",
            Self::CodeRefused { .. } => "provider_code_refused",
            Self::ClientUnsigned => "client_unsigned",
            Self::PushUnoffered => "push_unoffered",
            Self::PushDemanded => "push_demanded",
            Self::TooManyGroups { .. } => "too_many_groups",
            Self::IdToken(fault) => fault.code(),
            Self::GroupsClaimUnreadable { .. } => "groups_claim_unreadable",
            Self::ServiceAppRefused { .. } => "service_app_refused",
            Self::PersonInactive { .. } => "person_inactive",
            Self::GroupsToken => "groups_token_refused",
            Self::GroupsForbidden => "groups_forbidden",
            Self::GroupsUserUnknown => "groups_user_unknown",
            Self::GroupsRateLimited => "groups_rate_limited",
            Self::GroupsApiBroken { .. } => "groups_api_broken",
        }
    }
}

/// What is wrong with an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdTokenFault {
    #[error("there is none in the answer")]
    Missing,
    #[error("it cannot be parsed")]
    Malformed,
    #[error("the signature is wrong")]
    Signature,
    #[error("its key is not among the provider's")]
    UnknownKey,
    #[error("it is not signed with the configured `signing_algorithm`")]
    Algorithm,
    #[error("it is encrypted or packed, which is neither needed nor undone here")]
    Encrypted,
    #[error("it is meant for another client")]
    Audience,
    #[error("it is of another issuer")]
    Issuer,
    #[error("the nonce is not ours")]
    Nonce,
    #[error("it has expired; compare both clocks")]
    Expired,
    #[error("it is valid only in the future; compare both clocks")]
    IssuedInFuture,
    #[error("it lives for a time that makes no sense")]
    Lifetime,
    #[error("it belongs to another access token")]
    AccessToken,
}

impl IdTokenFault {
    fn code(self) -> &'static str {
        match self {
            Self::Missing => "id_token_missing",
            Self::Malformed => "id_token_malformed",
            Self::Signature => "id_token_signature",
            Self::UnknownKey => "id_token_unknown_key",
            Self::Algorithm => "id_token_algorithm",
            Self::Encrypted => "id_token_encrypted",
            Self::Audience => "id_token_audience",
            Self::Issuer => "id_token_issuer",
            Self::Nonce => "id_token_nonce",
            Self::Expired => "id_token_expired",
            Self::IssuedInFuture => "id_token_issued_in_future",
            Self::Lifetime => "id_token_lifetime",
            Self::AccessToken => "id_token_access_token",
        }
    }
}
