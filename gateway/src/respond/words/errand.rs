//! The words about what somebody has to do before an application opens.

use http::StatusCode;
use portcullis_policy::Reason;
use portcullis_store::AccessState;

use super::super::{Next, Words};
use crate::errand::{Errand, ErrandError};

/// For whoever cannot be led to the page.
pub(super) fn needed(errand: &Errand) -> Words {
    let (title, text) = match errand.decision.reason {
        Reason::ApprovalRequired => (
            "Somebody has to let you in",
            "You are signed in, and this application opens when somebody who looks after it grants you access for a while. Open it in a \
             browser to ask for that.",
        ),
        _ => (
            "Say what you need it for",
            "You are signed in, and this application opens when you have said what you need it for. Open it in a browser to do so.",
        ),
    };
    Words {
        status: StatusCode::FORBIDDEN,
        code: errand.decision.reason.as_str(),
        title,
        text: text.to_owned(),
        next: Next::Open(errand.front.clone()),
    }
}

pub(super) fn of(error: &ErrandError) -> Words {
    let (status, title, text, next) = match error {
        ErrandError::Incomplete => (
            StatusCode::BAD_REQUEST,
            "Something is missing",
            "The page lacks an answer, or one is too long. Open the application again, and write a few words.",
            Next::Nothing,
        ),
        ErrandError::Stale => (
            StatusCode::BAD_REQUEST,
            "That page is too old",
            "It was opened too long ago, or belongs to another sign-in. Open the application again.",
            Next::Nothing,
        ),
        ErrandError::SignedOut => (
            StatusCode::UNAUTHORIZED,
            "Nobody is signed in here",
            "This browser is not signed in at the gateway any more. Open one of your applications, sign in, and come back to this page.",
            Next::Nothing,
        ),
        ErrandError::NothingToAsk => (
            StatusCode::NOT_FOUND,
            "There is nothing to ask for",
            "The rules of your organisation have changed meanwhile. Open the application again.",
            Next::Nothing,
        ),
        ErrandError::Over(AccessState::Waiting) => (
            StatusCode::CONFLICT,
            "Your request waits already",
            "You asked for this before, and nobody has answered yet. Open the application again to see how it stands.",
            Next::Nothing,
        ),
        ErrandError::Over(_) => (
            StatusCode::CONFLICT,
            "That request is over",
            "It was answered, taken back, or ended meanwhile. Load the page again to see what waits now.",
            Next::Again,
        ),
        ErrandError::NoRequest => (
            StatusCode::NOT_FOUND,
            "There is no such request",
            "It was forgotten meanwhile. Load the page again to see what waits now.",
            Next::Again,
        ),
        ErrandError::NotYours => (
            StatusCode::FORBIDDEN,
            "You may not answer this",
            "The rules of your organisation let others answer it. Nobody answers their own requests.",
            Next::Nothing,
        ),
        ErrandError::TooMany => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many requests wait",
            "Take back a request that you do not need any more, or wait until some are answered.",
            Next::Nothing,
        ),
        ErrandError::Store(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "That cannot be recorded right now",
            "Nothing was changed. Try again in a moment; if it stays so, tell your administrator, with the reference below.",
            Next::Again,
        ),
    };
    Words { status, code: error.code(), title, text: text.to_owned(), next }
}
