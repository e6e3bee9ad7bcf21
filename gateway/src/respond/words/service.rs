//! What a program with a service token is told. Written for whoever reads its log.

use http::StatusCode;
use portcullis_policy::{Decision, Reason};

use crate::credential::CredentialError;
use crate::respond::{Next, Words};

/// The token is good, and no policy lets it in here.
pub(super) fn denied(decision: Decision) -> Words {
    let text = match decision.reason {
        Reason::NoServiceAuth | Reason::NoPolicies => "This application has no policy that lets services in.",
        _ => "No policy of this application lets this service token in.",
    };
    Words {
        status: StatusCode::FORBIDDEN,
        code: decision.reason.as_str(),
        title: "No access",
        text: text.to_owned(),
        next: Next::Nothing,
    }
}

/// The token is not good.
pub(super) fn refused(error: CredentialError) -> Words {
    let (status, text) = match error {
        CredentialError::Several => {
            (StatusCode::BAD_REQUEST, "Send one service token, in one way, and each half once.")
        }
        CredentialError::Half => (
            StatusCode::UNAUTHORIZED,
            "Send both halves of the service token: CF-Access-Client-Id and CF-Access-Client-Secret.",
        ),
        CredentialError::NoPair => (
            StatusCode::UNAUTHORIZED,
            "The field for the service token must be a JSON object with the keys cf-access-client-id and \
             cf-access-client-secret.",
        ),
        CredentialError::Malformed(_) => (
            StatusCode::UNAUTHORIZED,
            "The client id or the client secret is mistyped, cut off, or none of ours.",
        ),
        CredentialError::Unknown => {
            (StatusCode::UNAUTHORIZED, "No service token has this client id with this client secret.")
        }
        CredentialError::Expired => {
            (StatusCode::UNAUTHORIZED, "The client secret has expired. Rotate the service token.")
        }
        CredentialError::Revoked => (StatusCode::UNAUTHORIZED, "The service token was revoked."),
    };
    let title = "The service token was refused";
    Words { status, code: error.code(), title, text: text.to_owned(), next: Next::Nothing }
}
