//! Why a start from elsewhere leads nowhere, each cause by itself. The words towards the browser are left to `respond`.

/// Why nothing is begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitiateError {
    #[error("`iss` is missing, or a parameter comes twice")]
    Malformed,
    #[error("an ID token was posted instead of the provider's name")]
    IdToken,
    #[error("no identity provider has the issuer that the request names")]
    UnknownIssuer {
        /// One that differs by a slash at the end or by the administrators' host alone.
        nearest: Option<String>,
    },
    #[error("`target_link_uri` is no page of an application of ours")]
    Target,
    #[error("the request names no page, and the provider has no `initiate_to`")]
    NoTarget,
}

impl InitiateError {
    /// The word in log and page.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "initiate_malformed",
            Self::IdToken => "initiate_id_token",
            Self::UnknownIssuer { .. } => "initiate_unknown_issuer",
            Self::Target => "initiate_target",
            Self::NoTarget => "initiate_no_target",
        }
    }
}
