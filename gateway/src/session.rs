//! Who a request comes from, by its cookie; or nobody. What they may do is left to `authorize`.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use portcullis_store::{EndReason, Secret, SessionId};

use crate::cookies;
use crate::host::Host;
use crate::live::{ApplicationSession, Live, LiveSession};
use crate::seal::random;

const TOKEN_BYTES: usize = 32;

/// 256 random bits that are a session in a browser's hands. Only their hash is kept.
pub(crate) struct SessionToken(Secret<[u8; TOKEN_BYTES]>);

impl SessionToken {
    /// A new one; none when the system has no random bytes.
    pub(crate) fn generate() -> Option<Self> {
        random().map(|bytes| Self(Secret::new(bytes)))
    }

    /// The token in a cookie's value, if it has the form of one.
    fn parse(text: &str) -> Option<Self> {
        // The length is checked first: what is decoded is as long as a token, whatever was sent.
        if text.len() != TOKEN_BYTES.div_ceil(3) * 4 - 1 {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(|bytes| Self(Secret::new(bytes)))
    }

    /// What the store and the memory know it by.
    pub(crate) fn id(&self) -> SessionId {
        let hash = digest::digest(&digest::SHA256, self.0.expose());
        let mut id = [0; 32];
        id.copy_from_slice(hash.as_ref());
        SessionId::new(id)
    }

    /// The value of the cookie.
    pub(crate) fn cookie_value(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0.expose())
    }
}

/// The field by which a program shows the token of somebody at a terminal. It goes no further than here.
pub(crate) const TERMINAL_FIELD: &str = "cf-access-token";
/// Begins a terminal's token, so that whoever finds one knows what it is.
const TERMINAL_PREFIX: &str = "pct_";

/// A token in the hands of a program that somebody at a terminal has let act as them.
pub(crate) struct TerminalToken(SessionToken);

impl TerminalToken {
    /// A new one; none when the system has no random bytes.
    pub(crate) fn generate() -> Option<Self> {
        SessionToken::generate().map(Self)
    }

    /// The token in a text, if it has the form of one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.strip_prefix(TERMINAL_PREFIX).and_then(SessionToken::parse).map(Self)
    }

    /// What the store and the memory know it by.
    pub(crate) fn id(&self) -> SessionId {
        self.0.id()
    }

    /// The token as the program keeps it.
    pub(crate) fn text(&self) -> Secret<String> {
        Secret::new(format!("{TERMINAL_PREFIX}{}", self.0.cookie_value()))
    }
}

/// What a request shows of who asks.
enum Shown {
    Nothing,
    Cookie(SessionToken),
    Terminal(TerminalToken),
    /// Both; the two must be of one login.
    Both(SessionToken, TerminalToken),
    /// A terminal's token that is none, or two of them: the cookie beside it does not make it better.
    Spoilt,
}

impl Shown {
    fn of(headers: &HeaderMap) -> Self {
        let cookie = cookies::only(headers, cookies::SESSION).and_then(SessionToken::parse);
        let mut fields = headers.get_all(TERMINAL_FIELD).iter();
        let field = fields.next().map(|value| value.to_str().unwrap_or_default());
        let text = match (field, cookies::only(headers, cookies::TERMINAL)) {
            (None, None) => return cookie.map_or(Self::Nothing, Self::Cookie),
            (Some(_), Some(_)) => return Self::Spoilt,
            (Some(text), None) | (None, Some(text)) => text,
        };
        match (cookie, TerminalToken::parse(text).filter(|_| fields.next().is_none())) {
            (_, None) => Self::Spoilt,
            (None, Some(token)) => Self::Terminal(token),
            (Some(cookie), Some(token)) => Self::Both(cookie, token),
        }
    }
}

/// Whom a request names.
#[derive(Debug)]
pub(crate) enum Visitor<S> {
    /// No cookie, or one that means nothing (any more).
    Nobody,
    /// Somebody whose session was ended by another than themselves.
    Ended(EndReason),
    /// Two credentials that name different logins: whose request would it be?
    Contradictory,
    /// A live session.
    Known(Arc<S>),
}

/// The visitor of an application's host. A session that is older than `longest` is nobody's.
pub(crate) fn application_visitor(
    live: &Live,
    headers: &HeaderMap,
    host: &Host,
    longest: Option<Duration>,
    now: i64,
) -> Visitor<ApplicationSession> {
    let of_cookie =
        |token: &SessionToken| live.application_session(&token.id()).filter(|found| found.terminal.is_none());
    let of_terminal = |token: &TerminalToken| {
        live.application_session(&token.id()).filter(|found| found.terminal.is_some())
    };
    let found = match Shown::of(headers) {
        Shown::Nothing | Shown::Spoilt => None,
        Shown::Cookie(token) => of_cookie(&token),
        Shown::Terminal(token) => of_terminal(&token),
        Shown::Both(cookie, token) => match (of_cookie(&cookie), of_terminal(&token)) {
            (Some(cookie), Some(terminal)) if cookie.session.id != terminal.session.id => {
                return Visitor::Contradictory;
            }
            (_, terminal) => terminal,
        },
    };
    let Some(found) = found else { return Visitor::Nobody };
    // A cookie of one host is worth nothing on another, though a browser would never send it there.
    if found.host != *host || found.session.is_expired(now) {
        return Visitor::Nobody;
    }
    if !found.admits(cookies::only(headers, cookies::BINDING)) {
        return Visitor::Nobody;
    }
    match found.session.standing().ended {
        Some(reason) => ended(reason),
        None if found.is_over(now) || now >= found.life.until(longest) => Visitor::Nobody,
        None => {
            // What opens nothing any more does not keep the login from falling idle.
            found.session.touch(now);
            Visitor::Known(found)
        }
    }
}

/// The visitor of the auth host.
pub(crate) fn login_visitor(live: &Live, headers: &HeaderMap, now: i64) -> Visitor<LiveSession> {
    let token = cookies::only(headers, cookies::SESSION).and_then(SessionToken::parse);
    let Some(found) = token.and_then(|token| live.session(&token.id())) else { return Visitor::Nobody };
    if found.is_expired(now) {
        return Visitor::Nobody;
    }
    match found.standing().ended {
        Some(reason) => ended(reason),
        None => {
            found.touch(now);
            Visitor::Known(found)
        }
    }
}

/// The login that a cookie of the auth host names, however it stands.
pub(crate) fn login_of_cookie(live: &Live, headers: &HeaderMap) -> Option<Arc<LiveSession>> {
    let token = cookies::only(headers, cookies::SESSION).and_then(SessionToken::parse)?;
    live.session(&token.id())
}

/// Whoever signed out, stayed too long or is in other groups now just signs in again; whoever was put out is told so.
fn ended<S>(reason: EndReason) -> Visitor<S> {
    match reason {
        EndReason::SignedOut
        | EndReason::Displaced
        | EndReason::GroupsChanged
        | EndReason::Idle
        | EndReason::Expired => Visitor::Nobody,
        EndReason::Deactivated | EndReason::Deleted | EndReason::Revoked | EndReason::NotRenewed => {
            Visitor::Ended(reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t58_only_a_whole_token_is_a_token() {
        let token = SessionToken::generate().unwrap();
        let text = token.cookie_value();
        assert_eq!(SessionToken::parse(&text).map(|parsed| parsed.id()), Some(token.id()));
        for wrong in [
            text.strip_prefix(|_: char| true).unwrap(),
            &format!("{text}A"),
            &format!("{text}="),
            "",
            &"=".repeat(43),
            &"A".repeat(1_000_000),
        ] {
            assert!(SessionToken::parse(wrong).is_none());
        }
    }
}
