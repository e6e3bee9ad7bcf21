//! The words for a start from a provider's dashboard that leads nowhere: mostly a setting there, which an administrator must mend.

use http::StatusCode;

use super::super::{Next, Words};
use crate::login::InitiateError;

pub(super) fn of(error: &InitiateError) -> Words {
    const OPEN: &str = "Open the application by its own address.";
    let (title, text) = match error {
        InitiateError::Malformed => (
            "This start is not complete",
            format!(
                "The page that sent you here did not say which identity provider it belongs to, or said it twice. {OPEN}\n\
                 For an administrator: a login is initiated with `iss`, the provider's issuer, by GET or as a form."
            ),
        ),
        InitiateError::IdToken => (
            "The identity provider starts logins in another way",
            format!(
                "Your identity provider sent a sign-in that nobody had asked for, which the gateway does not accept. {OPEN}\n\
                 For an administrator: in Okta, at the application's General settings, set Login flow to \"Redirect to app to \
                 initiate login (OIDC Compliant)\" instead of \"Send ID Token directly to app (Okta Simplified)\"."
            ),
        ),
        InitiateError::UnknownIssuer { nearest: Some(nearest) } => (
            "That identity provider is not known here",
            format!(
                "{OPEN}\nFor an administrator: the start names almost the issuer that is configured, {nearest}, but not \
                 exactly. Compare slashes at the end; the host with `-admin` is the administrators' console and no issuer."
            ),
        ),
        InitiateError::UnknownIssuer { nearest: None } => (
            "That identity provider is not known here",
            format!(
                "{OPEN}\nFor an administrator: `iss` of the start must be the `issuer` of a configured identity provider, \
                 letter by letter."
            ),
        ),
        InitiateError::Target => (
            "That page is not reached through this gateway",
            "The link that brought you here leads elsewhere than to an application behind this gateway, so it was not \
             followed.\nFor an administrator: `target_link_uri` must be an https address of a configured application."
                .to_owned(),
        ),
        InitiateError::NoTarget => (
            "Which application?",
            format!(
                "The link that brought you here does not say which application you want. {OPEN}\n\
                 For an administrator: set `initiate_to` of this identity provider to the page that a click on its tile opens."
            ),
        ),
    };
    Words { status: StatusCode::BAD_REQUEST, code: error.code(), title, text, next: Next::Nothing }
}
