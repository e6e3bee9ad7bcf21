//! The words for a login that failed at the identity provider: what a person can do, and what an administrator must mend.

use http::StatusCode;

use super::super::{Next, Words};
use crate::login::{IdTokenFault, ProviderError};

const TELL: &str = "Tell your administrator, with the code and reference below.";

pub(super) fn of(error: &ProviderError) -> Words {
    let (status, title, text) = match error {
        // What the provider says with 429 or 5xx passes by itself; nothing is wrong with the set-up.
        ProviderError::Unreachable { .. }
        | ProviderError::Slow { .. }
        | ProviderError::BadAnswer { status: 429 | 500.., .. } => (
            StatusCode::BAD_GATEWAY,
            "The identity provider does not answer",
            format!(
                "The gateway gets no answer from your identity provider right now. Try again in a moment.\n\
                 For an administrator: {error}. Can the gateway reach the issuer's address, and does its certificate \
                 verify?"
            ),
        ),
        ProviderError::AnswerTooLarge { .. }
        | ProviderError::BadAnswer { .. }
        | ProviderError::WrongIssuer { .. }
        | ProviderError::ClientRefused { .. }
        | ProviderError::ClientUnsigned
        | ProviderError::PushUnoffered
        | ProviderError::PushDemanded => (
            StatusCode::BAD_GATEWAY,
            "Sign-in is not set up correctly",
            format!("{TELL}\nFor an administrator: {error}."),
        ),
        ProviderError::Refused { .. } | ProviderError::CodeRefused { .. } => (
            StatusCode::FORBIDDEN,
            "The identity provider refused the sign-in",
            format!(
                "Open the application again. If it happens each time: {TELL}\nFor an administrator: {error}."
            ),
        ),
        ProviderError::TooManyGroups { api_configured } => {
            return too_many_groups(error, *api_configured);
        }
        ProviderError::IdToken(fault) => return id_token(error, *fault),
        ProviderError::PersonInactive { .. } => (
            StatusCode::FORBIDDEN,
            "Your account may not sign in",
            format!(
                "Your identity provider has suspended or locked your account. {TELL}\nFor an administrator: {error}."
            ),
        ),
        ProviderError::GroupsClaimUnreadable { .. }
        | ProviderError::ServiceAppRefused { .. }
        | ProviderError::GroupsToken
        | ProviderError::GroupsForbidden
        | ProviderError::GroupsUserUnknown
        | ProviderError::GroupsApiBroken { .. } => (
            StatusCode::BAD_GATEWAY,
            "Your groups cannot be read",
            format!(
                "You are signed in at the identity provider, but the gateway cannot read your groups there, so it \
                     lets nobody in on a guess. {TELL}\nFor an administrator: {error}."
            ),
        ),
        ProviderError::GroupsRateLimited => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many sign-ins at once",
            "Your identity provider asks the gateway to wait. Try again in a minute.".to_owned(),
        ),
    };
    Words { status, code: error.code(), title, text, next: Next::Nothing }
}

fn too_many_groups(error: &ProviderError, api_configured: bool) -> Words {
    let mend = if api_configured {
        "the identity provider refuses to list this person's groups in the token. Narrow the filter of the groups claim \
         at the provider, or leave the claim out: the gateway then asks the groups API."
    } else {
        "the groups claim stops at 100 groups, and there may be more. Create a read-only API token in Okta and configure \
         it as `api_token` of this identity provider (or a service app), or narrow the filter of the groups claim. If Okta then still \
         refuses the token, leave the claim out as well: the gateway asks the groups API instead."
    };
    Words {
        status: StatusCode::FORBIDDEN,
        code: error.code(),
        title: "You are in too many groups",
        text: format!(
            "You are in more groups than your identity provider tells the gateway, so it cannot know all of them. \
             {TELL}\nFor an administrator: {mend}"
        ),
        next: Next::Nothing,
    }
}

fn id_token(error: &ProviderError, fault: IdTokenFault) -> Words {
    let mend = match fault {
        IdTokenFault::Expired | IdTokenFault::IssuedInFuture => {
            "compare the clocks of the gateway and of the identity provider."
        }
        IdTokenFault::Algorithm => "compare `signing_algorithm` with the application at the provider.",
        IdTokenFault::Encrypted => {
            "turn the encryption of ID tokens off for the application at the provider."
        }
        IdTokenFault::Audience => "compare `client_id` with the application at the provider.",
        IdTokenFault::Issuer => "compare `issuer` with the issuer that the provider's application names.",
        _ => "if it happens again, the provider's answers may be tampered with; look into its log.",
    };
    Words {
        status: StatusCode::FORBIDDEN,
        code: error.code(),
        title: "The identity provider's answer cannot be trusted",
        text: format!("The gateway refused the sign-in. {TELL}\nFor an administrator: {error}; {mend}"),
        next: Next::Nothing,
    }
}
