//! People at a terminal: how a program on somebody's machine comes to a token that is theirs, for one application's host. The
//! program is `portcullis login`, or any other that speaks the two grants below.
//!
//! Two ways, both confirmed by the person on a page of the auth host: on the application's host its own scripts could press the button.
//! - `loopback`: the browser is on the same machine; the answer goes to a port of it (RFC 8252 section 7.3, with PKCE);
//! - `device`: the browser is elsewhere; the person types a code (RFC 8628).
//!
//! Both end at `grant`, which begins an application session of the login that the person has: it ends with that login, at the
//! same change of the directory, at the same instant. How requests show the token is left to `session`.

use http::{HeaderValue, Response, StatusCode};
use portcullis_store::{BeginApplicationSessionError, StoreError};
use serde::{Deserialize, Serialize};

mod device;
mod grant;
mod loopback;

pub(crate) use device::{Devices, begin as begin_device, confirm as confirm_device, page as device_page};
pub(crate) use grant::{redeem, revoke};
pub(crate) use loopback::{confirm as confirm_loopback, page as loopback_page};

use crate::body::Body;
use crate::respond;

/// How long somebody may take to confirm, in seconds.
const CONFIRM_LIFE_S: i64 = 600;
/// How long a code that was confirmed may be redeemed, in seconds.
const CODE_LIFE_S: i64 = 60;
/// The longest `state` of a program.
const MAX_STATE_BYTES: usize = 128;
/// The longest name that a program gives itself, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Why a program is not let in, as a page tells it to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TerminalError {
    #[error("the program's request is not whole")]
    Malformed,
    #[error("the request was answered already, or took too long, or is another login's")]
    Stale,
    #[error("nobody is logged in on the auth host in this browser")]
    SignedOut,
    #[error("no request has that code")]
    UnknownCode,
    #[error("this application gives no tokens to terminals")]
    Off,
}

impl TerminalError {
    /// The word in log and page.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Malformed => "terminal_malformed",
            Self::Stale => "terminal_stale",
            Self::SignedOut => "terminal_signed_out",
            Self::UnknownCode => "terminal_code_unknown",
            Self::Off => "terminal_off",
        }
    }
}

/// The program that asks. What it says of itself is shown, and proves nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Program {
    #[serde(rename = "n")]
    name: String,
    /// RFC 7636: whoever redeems must know what this is the hash of.
    #[serde(rename = "c")]
    code_challenge: String,
}

impl Program {
    /// A program that says enough of itself.
    fn read(
        name: Option<&str>,
        challenge: Option<&str>,
        method: Option<&str>,
    ) -> Result<Self, TerminalError> {
        let code_challenge =
            challenge.filter(|text| is_challenge(text)).ok_or(TerminalError::Malformed)?.to_owned();
        if method != Some("S256") {
            return Err(TerminalError::Malformed);
        }
        let shown: String = name.unwrap_or_default().chars().filter(|letter| !letter.is_control()).collect();
        let shown = shown.trim();
        let name = if shown.is_empty() { "A program without a name" } else { shown };
        Ok(Self { name: name.chars().take(MAX_NAME_CHARS).collect(), code_challenge })
    }
}

/// A SHA-256 in base64url is 43 characters long (RFC 7636 section 4.2).
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(is_url_safe)
}

fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Why a program gets no token, in the words of RFC 6749 section 5.2 and RFC 8628 section 3.5.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("the request lacks what this grant needs")]
    InvalidRequest,
    #[error("this grant is not offered")]
    UnsupportedGrant,
    #[error("the code is unknown, was used, has expired, or belongs to another program")]
    InvalidGrant,
    #[error("the person has not answered yet")]
    Pending,
    #[error("asked again too soon; wait longer between two questions")]
    SlowDown,
    #[error("the person said no")]
    Denied,
    #[error("nobody answered in time")]
    Expired,
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl From<BeginApplicationSessionError> for GrantError {
    fn from(error: BeginApplicationSessionError) -> Self {
        match error {
            BeginApplicationSessionError::Store(error) => Self::Store(error),
            // The login ended between the confirmation and this.
            _ => Self::InvalidGrant,
        }
    }
}

impl GrantError {
    /// The answer to the program.
    pub(crate) fn into_response(self) -> Response<Body> {
        let error = match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnsupportedGrant => "unsupported_grant_type",
            Self::InvalidGrant => "invalid_grant",
            Self::Pending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::Denied => "access_denied",
            Self::Expired => "expired_token",
            Self::Store(_) | Self::NoRandomness => "temporarily_unavailable",
        };
        let status = match self {
            Self::Store(_) | Self::NoRandomness => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        let told = serde_json::json!({ "error": error, "error_description": self.to_string() });
        let mut response = respond::identity(&told);
        *response.status_mut() = status;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_must_bring_a_challenge_and_its_name_is_cut() {
        let challenge = "A".repeat(43);
        let read = |name: &str, challenge: &str, method| Program::read(Some(name), Some(challenge), method);
        assert_eq!(read("portcullis", &challenge, Some("S256")).unwrap().name, "portcullis");
        assert_eq!(
            read(&"n".repeat(MAX_NAME_CHARS + 1), &challenge, Some("S256")).unwrap().name.len(),
            MAX_NAME_CHARS
        );
        assert_eq!(read("a\u{7}b", &challenge, Some("S256")).unwrap().name, "ab");
        for (challenge, method) in [
            (&"A".repeat(42), Some("S256")),
            (&challenge, Some("plain")),
            (&challenge, None),
            (&"+".repeat(43), Some("S256")),
        ] {
            assert_eq!(read("x", challenge, method).map(|_| ()).unwrap_err(), TerminalError::Malformed);
        }
        assert!(Program::read(Some("x"), None, Some("S256")).is_err());
    }
}
