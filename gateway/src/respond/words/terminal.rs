//! The words about programs at a terminal, and about forms on our pages.

use http::StatusCode;

use super::super::{Next, Words};
use crate::form::FormError;
use crate::terminal::TerminalError;

pub(super) fn of(error: TerminalError) -> Words {
    let (status, title, text, next) = match error {
        TerminalError::Malformed => (
            StatusCode::BAD_REQUEST,
            "That program's request is not whole",
            "The address lacks something that the program must say of itself. Start it again in the terminal; if it stays so, the \
             program is not made for this gateway.",
            Next::Nothing,
        ),
        TerminalError::Stale => (
            StatusCode::BAD_REQUEST,
            "That request is over",
            "It was answered already, took too long, or belongs to another sign-in. Start the program again in the terminal.",
            Next::Nothing,
        ),
        TerminalError::SignedOut => (
            StatusCode::UNAUTHORIZED,
            "Nobody is signed in here",
            "This browser is not signed in at the gateway any more. Open the application, sign out and in again, then start the program \
             anew.",
            Next::Nothing,
        ),
        TerminalError::UnknownCode => (
            StatusCode::NOT_FOUND,
            "No terminal shows that code",
            "Check the letters. A code is good for ten minutes and for one answer; the program shows a new one when it is started again.",
            Next::Again,
        ),
        TerminalError::Off => (
            StatusCode::FORBIDDEN,
            "This application gives no tokens to terminals",
            "Your organisation lets this application be used in a browser only. If you need it in a terminal, ask your administrator.",
            Next::Nothing,
        ),
    };
    Words { status, code: error.code(), title, text: text.to_owned(), next }
}

pub(super) fn form(error: FormError) -> Words {
    let (status, code, text) = match error {
        FormError::NotAForm => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "form_unreadable",
            "This address reads forms only: application/x-www-form-urlencoded.",
        ),
        FormError::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "form_too_large",
            "The form is larger than any that belongs here.",
        ),
        FormError::Incomplete => (
            StatusCode::REQUEST_TIMEOUT,
            "request_incomplete",
            "The form did not arrive whole. Send it again.",
        ),
        FormError::Foreign => (
            StatusCode::FORBIDDEN,
            "form_foreign",
            "Your browser does not say that one of our own pages sent this form, so nothing was done. Open the page again and answer \
             there.",
        ),
    };
    Words { status, code, title: "That form was not taken", text: text.to_owned(), next: Next::Nothing }
}

pub(super) fn credentials_disagree() -> Words {
    Words {
        status: StatusCode::BAD_REQUEST,
        code: "credentials_disagree",
        title: "Two people in one request",
        text: "The request shows a session and a token that belong to different sign-ins. Leave one of them out.".to_owned(),
        next: Next::Nothing,
    }
}
