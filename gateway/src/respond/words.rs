//! The words and the status for each rejection, in one table. Written for the person who must act next.

use http::StatusCode;
use portcullis_store::EndReason;

mod errand;
mod initiate;
mod provider;
mod service;
mod terminal;

use super::{Next, Rejection, Words};
use crate::authorize::Denial;
use crate::forward::ForwardError;
use crate::identity_headers::IdentityError;
use crate::login::LoginError;
use crate::route::RouteError;
use crate::verify::OriginalError;

pub(super) fn of(rejection: &Rejection) -> Words {
    match rejection {
        Rejection::Route(error) => route(*error),
        Rejection::NotFound => Words {
            status: StatusCode::NOT_FOUND,
            code: "not_found",
            title: "Nothing here",
            text: "Nothing lives at this address of the gateway. Check the address, or open the application that you came for.".to_owned(),
            next: Next::Nothing,
        },
        Rejection::MethodNotAllowed(allowed) => Words {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "method_not_allowed",
            title: "That does not work here",
            text: format!("This address answers {allowed} only."),
            next: Next::Nothing,
        },
        Rejection::OriginUnlisted => Words {
            status: StatusCode::FORBIDDEN,
            code: "origin_unlisted",
            title: "Pages of that origin may not ask",
            text: "This application does not answer pages of that origin.".to_owned(),
            next: Next::Nothing,
        },
        Rejection::TooManyRequests => Words {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "too_many_requests",
            title: "Too many attempts",
            text: "There were too many attempts from your address. Wait a minute, then try again.".to_owned(),
            next: Next::Again,
        },
        Rejection::TooFast => Words {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "too_many_requests",
            title: "Too many requests at once",
            text: "More requests came from you at once than are let through. Wait a second, then try again.".to_owned(),
            next: Next::Again,
        },
        Rejection::LoginRequired(challenge) => Words {
            status: StatusCode::UNAUTHORIZED,
            code: "login_required",
            title: "Sign in",
            text: "You need to sign in to use this application.".to_owned(),
            next: Next::SignIn(challenge.entrance.clone()),
        },
        Rejection::StepUp(summons) => Words {
            status: StatusCode::UNAUTHORIZED,
            code: summons.decision.reason.as_str(),
            title: "Sign in again",
            text: "This application asks for a stronger or newer sign-in than yours.".to_owned(),
            next: Next::SignIn(summons.challenge.entrance.clone()),
        },
        Rejection::Errand(needed) => errand::needed(needed),
        Rejection::ErrandFailed(error) => errand::of(error),
        Rejection::SessionEnded(reason, challenge) => {
            session_ended(*reason, Next::SignIn(challenge.location.clone()))
        }
        Rejection::Denied(Denial::Policy(decision)) => Words {
            status: StatusCode::FORBIDDEN,
            code: decision.reason.as_str(),
            title: "You have no access to this application",
            text: "You are signed in, but no rule of your organisation lets you use this application.\n\
                   If you need it, ask your administrator and give the reference below."
                .to_owned(),
            next: Next::SignOut,
        },
        Rejection::Denied(Denial::Service(decision)) => service::denied(*decision),
        Rejection::Credential(error) | Rejection::Denied(Denial::Credential(error)) => service::refused(*error),
        // Browsers repeat a misdirected request over a connection of its own (RFC 9110 section 15.5.20).
        Rejection::Denied(Denial::CrowdedConnection) => Words {
            status: StatusCode::MISDIRECTED_REQUEST,
            code: "crowded_connection",
            title: "Too much over one connection",
            text: "Too many sessions use this one connection. Open a new one and try again.".to_owned(),
            next: Next::Again,
        },
        Rejection::Denied(Denial::Ended(reason)) => session_ended(*reason, Next::Again),
        Rejection::Forward(error) => forward(error),
        Rejection::Login { error, front } => {
            Words { next: front.clone().map_or(Next::Nothing, Next::Open), ..login(error) }
        }
        Rejection::Asked(OriginalError::Route(error)) => route(*error),
        Rejection::Asked(error) => Words {
            status: StatusCode::BAD_REQUEST,
            code: "asked_ambiguously",
            title: "That request has no single meaning",
            text: sentence(&error.to_string()),
            next: Next::Nothing,
        },
        Rejection::CredentialsDisagree => terminal::credentials_disagree(),
        Rejection::Form(error) => terminal::form(*error),
        Rejection::Terminal(error) => terminal::of(*error),
        Rejection::NoIdentity => Words {
            status: StatusCode::UNAUTHORIZED,
            code: "no_identity",
            title: "Nobody is signed in",
            text: "Nobody is signed in here. Open the application, sign in, and come back.".to_owned(),
            next: Next::Nothing,
        },
        Rejection::Unrecorded => Words {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "decisions_unrecorded",
            title: "Not possible at the moment",
            text: "The gateway must record who opens what, and cannot at the moment. Whoever operates it has to see to that. Try again in a while.".to_owned(),
            next: Next::Again,
        },
        Rejection::Unleased => unleased(),
        Rejection::ProviderUnavailable => Words {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "provider_unavailable",
            title: "Your sign-in cannot be confirmed",
            text: "Your identity provider has not answered for some time, so the gateway cannot know whether you may still \
                   enter. Your session is kept: as soon as the provider answers, you can go on. Try again in a moment."
                .to_owned(),
            next: Next::Again,
        },
    }
}

fn route(error: RouteError) -> Words {
    let (status, code) = match error {
        RouteError::UnknownHost => (StatusCode::NOT_FOUND, "unknown_host"),
        RouteError::UnknownPath => (StatusCode::NOT_FOUND, "unknown_path"),
        RouteError::Misdirected | RouteError::TlsPolicy => {
            (StatusCode::MISDIRECTED_REQUEST, "misdirected_request")
        }
        RouteError::FieldCount => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_fields"),
        RouteError::Method => (StatusCode::NOT_IMPLEMENTED, "method_not_served"),
        RouteError::Path(_) | RouteError::TwoApplications => (StatusCode::BAD_REQUEST, "ambiguous_path"),
        RouteError::TransferEncoding => (StatusCode::BAD_REQUEST, "ambiguous_framing"),
        RouteError::Address(_) => (StatusCode::BAD_REQUEST, "ambiguous_client"),
        RouteError::HostCount | RouteError::HostForm | RouteError::HostsDiffer | RouteError::TargetForm => {
            (StatusCode::BAD_REQUEST, "ambiguous_host")
        }
    };
    let title = match status {
        StatusCode::MISDIRECTED_REQUEST if matches!(error, RouteError::TlsPolicy) => {
            "This host needs a connection of its own"
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "That request is too large",
        StatusCode::NOT_FOUND | StatusCode::MISDIRECTED_REQUEST => "No application lives here",
        StatusCode::NOT_IMPLEMENTED => "That does not work here",
        _ => "That request has no single meaning",
    };
    let advice = match status {
        StatusCode::MISDIRECTED_REQUEST => "Open the address anew; if it stays so, tell your administrator.",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "Delete the cookies of this address, then try again.",
        StatusCode::NOT_FOUND => "Check the address, or open the application from where you usually do.",
        _ => "Check the address, or tell whoever gave you the link.",
    };
    let text = format!("{}\n{advice}", sentence(&error.to_string()));
    Words { status, code, title, text, next: Next::Nothing }
}

/// An error's own words as a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

fn session_ended(reason: EndReason, next: Next) -> Words {
    let text = match reason {
        EndReason::Deactivated | EndReason::Deleted => {
            "Your account was deactivated by your organisation, so your access ended at once.\n\
             If that is a mistake, ask your administrator. Once your account is active again, sign in anew."
        }
        EndReason::NotRenewed => {
            "Your identity provider does not vouch for this sign-in any more, so it has ended here too. Sign in again.\n\
             If that fails, ask your administrator whether you are still assigned to this gateway."
        }
        EndReason::Revoked
        | EndReason::SignedOut
        | EndReason::Displaced
        | EndReason::GroupsChanged
        | EndReason::Idle
        | EndReason::Expired => "Your session was ended by your organisation. You may sign in again.",
    };
    Words {
        status: StatusCode::FORBIDDEN,
        code: reason.as_str(),
        title: "Your access has ended",
        text: text.to_owned(),
        next,
    }
}

fn unleased() -> Words {
    Words {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "lease_lost",
        title: "Not possible at the moment",
        text: "The gateway has lost touch with its store, so it cannot know whether you may still enter. Your session is kept. Try again in a \
               moment."
            .to_owned(),
        next: Next::Again,
    }
}

fn forward(error: &ForwardError) -> Words {
    let (status, code, title, text) = match error {
        ForwardError::Unleased => return unleased(),
        ForwardError::Dropped(_) => (
            StatusCode::FORBIDDEN,
            "dropped",
            "Your access has ended",
            "Your access ended while the request was under way.",
        ),
        ForwardError::BodyTooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "That is too large",
            "The application does not take that much at once. Send less, or ask its owners.",
        ),
        ForwardError::ClientStill | ForwardError::ClientGone => (
            StatusCode::REQUEST_TIMEOUT,
            "request_incomplete",
            "The request did not come whole",
            "The rest of the request did not arrive. Try again.",
        ),
        ForwardError::OutsidePrefix => (
            StatusCode::NOT_FOUND,
            "not_found",
            "Nothing is here",
            "The address is none of the application's. Check it for a typing error.",
        ),
        ForwardError::ConnectTimeout(..)
        | ForwardError::ResponseTimeout(..)
        | ForwardError::TotalTimeout(_) => (
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "The application does not answer",
            "The application took too long to answer. Try again in a moment; if it stays so, tell its owners.",
        ),
        ForwardError::TooManyAtOnce => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_at_once",
            "Too many requests at once",
            "You have too many requests to the application under way. Wait for some of them to end, then try again.",
        ),
        ForwardError::Busy(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_busy",
            "The application is busy",
            "Too many requests to the application are under way. Try again in a moment.",
        ),
        ForwardError::Unreachable(..)
        | ForwardError::Broken(..)
        | ForwardError::UnaskedSwitch
        | ForwardError::NoSwitch => (
            StatusCode::BAD_GATEWAY,
            "upstream_unreachable",
            "The application cannot be reached",
            "The gateway let you in, but the application behind it cannot be reached. Try again in a moment; \
             if it stays so, tell its owners.",
        ),
        ForwardError::NoUpstream => (
            StatusCode::MISDIRECTED_REQUEST,
            "carried_elsewhere",
            "This application is not reached here",
            "This application is carried by another proxy, which asks the gateway about each request. Open it there.",
        ),
        ForwardError::Identity(IdentityError::Unwritable(_) | IdentityError::TooLong(_)) => (
            StatusCode::FORBIDDEN,
            "identity_untold",
            "The application cannot be told who you are",
            "Something in your profile or your groups cannot be told to this application, so you were not let in. Tell \
             your administrator, with the reference below.",
        ),
        ForwardError::Request(_) | ForwardError::Way | ForwardError::Identity(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "gateway_error",
            "The gateway could not do that",
            "The gateway could not forward the request. Tell your administrator, with the reference below.",
        ),
    };
    Words { status, code, title, text: text.to_owned(), next: Next::Again }
}

fn login(error: &LoginError) -> Words {
    let (status, title, text) = match error {
        LoginError::Malformed => (
            StatusCode::BAD_REQUEST,
            "This sign-in cannot be completed",
            "The address lacks what a sign-in brings back, or has it twice. Open the application again to start a new one.".to_owned(),
        ),
        LoginError::Stale => (
            StatusCode::BAD_REQUEST,
            "This sign-in has expired",
            "This sign-in was begun in another browser, too long ago, or was used already. Open the application \
             again to start a new one. If it happens each time, check that your browser accepts cookies."
                .to_owned(),
        ),
        LoginError::ProviderRefused { error, description } => (
            StatusCode::FORBIDDEN,
            "The identity provider refused the sign-in",
            format!(
                "The identity provider answered: {description} ({error})\n\
                 For an administrator: is the person assigned to this application at the provider?"
            ),
        ),
        LoginError::IssuerParameter => (
            StatusCode::BAD_REQUEST,
            "That answer came from another provider",
            "The answer names another issuer than the one that you were sent to. Open the application again.".to_owned(),
        ),
        LoginError::Provider(error) => return provider::of(error),
        LoginError::Initiate(error) => return initiate::of(error),
        LoginError::Deactivated => (
            StatusCode::FORBIDDEN,
            "Your account is deactivated",
            "Your organisation has deactivated your account, so you cannot sign in. If that is a mistake, ask your \
             administrator."
                .to_owned(),
        ),
        LoginError::NotProvisioned => (
            StatusCode::FORBIDDEN,
            "You are not provisioned here",
            "You are signed in at the identity provider, but your organisation has not provisioned you here. Ask your \
             administrator to assign you to the provisioning application.\n\
             For an administrator: somebody is known by their id at the provider, or by their verified e-mail address."
                .to_owned(),
        ),
        LoginError::EmailUnverified => (
            StatusCode::FORBIDDEN,
            "Your e-mail address is not verified",
            "Only people with a verified e-mail address may sign in this way, and the identity provider did not vouch \
             for yours. Verify your address there, or ask your administrator.\n\
             For an administrator: the ID token needs `email`, by the scope of that name, and `email_verified` with \
             the value true."
                .to_owned(),
        ),
        LoginError::EmailDomainRefused { domain } => (
            StatusCode::FORBIDDEN,
            "Your e-mail address may not sign in here",
            format!(
                "You are signed in at the identity provider with an address of {domain}, and addresses of that domain \
                 may not sign in this way. Sign out at the identity provider and come back with the address that your \
                 organisation gave you.\n\
                 For an administrator: `domains` of this identity provider lists who may; a subdomain is a domain of \
                 its own."
            ),
        ),
        LoginError::StepUpUnmet { wanted, came } => (
            StatusCode::FORBIDDEN,
            "That sign-in is not strong enough",
            format!(
                "This application asks for a stronger or newer sign-in than the one that your identity provider reports.\n\
                 If you can sign in there in another way, for example with a second factor, try again with that. Otherwise \
                 ask your administrator, with the reference below.\n\
                 For an administrator: the policy asks for {wanted}; the provider reported {came}. Does the provider know \
                 that context or method, and is the person enrolled for it?"
            ),
        ),
        LoginError::TooLarge(_) => (
            StatusCode::FORBIDDEN,
            "Your profile is larger than can be kept",
            "Something in your profile at the identity provider is longer than the gateway keeps. Tell your \
             administrator, with the reference below."
                .to_owned(),
        ),
        LoginError::ForeignPage => (
            StatusCode::FORBIDDEN,
            "That was not asked for here",
            "Another site sent this request, or your browser does not say from where it comes. Open the page for signing \
             out yourself, and press its button."
                .to_owned(),
        ),
        LoginError::Store(_) | LoginError::NoRandomness | LoginError::Interrupted => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Sign-in is not possible right now",
            "The gateway cannot record a sign-in right now. Try again in a moment; if it stays so, tell your \
             administrator, with the reference below."
                .to_owned(),
        ),
    };
    Words { status, code: error.code(), title, text, next: Next::Nothing }
}
