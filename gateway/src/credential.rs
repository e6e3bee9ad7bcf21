//! What a request shows of who asks: a session's cookie or token, or the token of a service. A service token counts alone, whatever
//! stands beside it, and a wrong one never becomes a login. Sessions are left to `session`, what somebody may do to `authorize`.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_store::{EndReason, Malformed, SessionId, service_secret_id};
use serde::Deserialize;

use crate::authorize::Denial;
use crate::live::{ApplicationSession, Life, Live, LiveSession, ServiceSecret};

/// The two halves of a service token, as programs written for Cloudflare Access send them.
const CLIENT_ID: HeaderName = HeaderName::from_static("cf-access-client-id");
const CLIENT_SECRET: HeaderName = HeaderName::from_static("cf-access-client-secret");
/// The longest field that holds both halves, in bytes: several times what they take.
const MAX_PAIR_BYTES: usize = 1024;

/// What somebody proved themselves with.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// A session on the application's host.
    Session(Arc<ApplicationSession>),
    /// A secret of a service's token.
    Service(Arc<ServiceSecret>),
    /// Nothing: where a bypass asks nobody who they are.
    Nobody(Arc<LiveSession>),
}

/// Why a service token lets nobody in. Whether the client id or the secret was wrong is not known, so it cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("more than one service token came with the request")]
    Several,
    #[error("one half of a service token came without the other")]
    Half,
    #[error("the field for a service token holds none")]
    NoPair,
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("no service token has this client id with this secret")]
    Unknown,
    #[error("the service token's secret has expired")]
    Expired,
    #[error("the service token was revoked")]
    Revoked,
}

impl CredentialError {
    /// The word in answer and log.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Several => "service_token_ambiguous",
            Self::Half | Self::NoPair | Self::Malformed(_) => "service_token_malformed",
            Self::Unknown => "service_token_unknown",
            Self::Expired => "service_token_expired",
            Self::Revoked => "service_token_revoked",
        }
    }
}

impl Credential {
    /// What it is known by: a hash.
    pub(crate) fn id(&self) -> SessionId {
        match self {
            Self::Session(session) => session.id,
            Self::Service(secret) => secret.id,
            Self::Nobody(nobody) => nobody.id,
        }
    }

    /// Whose it is.
    pub(crate) fn session(&self) -> &Arc<LiveSession> {
        match self {
            Self::Session(session) => &session.session,
            Self::Service(secret) => &secret.session,
            Self::Nobody(nobody) => nobody,
        }
    }

    /// From when to when what it opened may stay open. A service proves itself anew with each request, and `Live` watches its secret.
    pub(crate) fn life(&self) -> Life {
        match self {
            Self::Session(session) => session.life,
            Self::Service(_) | Self::Nobody(_) => Life::ENDLESS,
        }
    }

    /// Whether it is over by itself, whatever becomes of its holder; and how that came.
    pub(crate) fn over(&self, now: i64) -> Option<EndReason> {
        match self {
            Self::Session(session) => session.is_over(now).then_some(EndReason::SignedOut),
            Self::Service(secret) => secret.is_over(now).then_some(EndReason::Expired),
            Self::Nobody(_) => None,
        }
    }
}

impl Credential {
    /// What is said when it is over, for that reason.
    pub(crate) fn denial(&self, reason: EndReason) -> Denial {
        match (self, reason) {
            (Self::Session(_) | Self::Nobody(_), _) => Denial::Ended(reason),
            (Self::Service(_), EndReason::Expired) => Denial::Credential(CredentialError::Expired),
            (Self::Service(_), _) => Denial::Credential(CredentialError::Revoked),
        }
    }
}

/// Both halves of a service token, not looked at yet.
struct Pair<'h> {
    client_id: Cow<'h, str>,
    secret: Cow<'h, str>,
}

/// The service that asks; none when no service token is shown at all. `field` is the one field that the application takes
/// one in, beside the two that everybody knows.
pub(crate) fn service(
    live: &Live,
    headers: &HeaderMap,
    field: Option<&HeaderName>,
    now: i64,
) -> Option<Result<Arc<ServiceSecret>, CredentialError>> {
    let shown = shown(headers, field)?;
    Some(shown.and_then(|pair| {
        let id = service_secret_id(&pair.client_id, &pair.secret)?;
        let secret = live.service_secret(&id).ok_or(CredentialError::Unknown)?;
        match (secret.session.standing().ended, secret.is_over(now)) {
            (Some(_), _) => Err(CredentialError::Revoked),
            (None, true) => Err(CredentialError::Expired),
            (None, false) => {
                secret.note_use(now);
                Ok(secret)
            }
        }
    }))
}

/// Whether a request shows a service token, right or wrong.
pub(crate) fn shows_service(headers: &HeaderMap, field: Option<&HeaderName>) -> bool {
    shown(headers, field).is_some()
}

fn shown<'h>(
    headers: &'h HeaderMap,
    field: Option<&HeaderName>,
) -> Option<Result<Pair<'h>, CredentialError>> {
    let two = two_fields(headers);
    let one = field.and_then(|field| one_field(headers, field));
    match (two, one) {
        (Some(_), Some(_)) => Some(Err(CredentialError::Several)),
        (two, one) => two.or(one),
    }
}

fn two_fields(headers: &HeaderMap) -> Option<Result<Pair<'_>, CredentialError>> {
    let (id, secret) = (only(headers, &CLIENT_ID), only(headers, &CLIENT_SECRET));
    Some(match (id, secret) {
        (Ok(None), Ok(None)) => return None,
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(Some(id)), Ok(Some(secret))) => {
            Ok(Pair { client_id: text(id).into(), secret: text(secret).into() })
        }
        (Ok(_), Ok(_)) => Err(CredentialError::Half),
    })
}

/// The JSON object that holds both halves, as Cloudflare Access takes it. An `Authorization` of another form is the application's own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Both<'h> {
    #[serde(borrow, rename = "cf-access-client-id", alias = "CF-Access-Client-Id")]
    client_id: Cow<'h, str>,
    #[serde(borrow, rename = "cf-access-client-secret", alias = "CF-Access-Client-Secret")]
    secret: Cow<'h, str>,
}

fn one_field<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Result<Pair<'h>, CredentialError>> {
    if !headers.get_all(name).iter().any(|value| is_pair(name, value)) {
        return None;
    }
    Some(only(headers, name).and_then(|value| {
        let value = value.map(HeaderValue::as_bytes).filter(|value| value.len() <= MAX_PAIR_BYTES);
        let both: Both<'_> =
            value.and_then(|value| serde_json::from_slice(value).ok()).ok_or(CredentialError::NoPair)?;
        Ok(Pair { client_id: both.client_id, secret: both.secret })
    }))
}

/// Whether a field of the name that an application takes service tokens in holds one, right or wrong.
pub(crate) fn is_pair(name: &HeaderName, value: &HeaderValue) -> bool {
    *name != AUTHORIZATION || value.as_bytes().trim_ascii_start().starts_with(b"{")
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, CredentialError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(CredentialError::Several) } else { Ok(first) }
}

/// What is no text has not the form of anything.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef.access";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::try_from(*value).unwrap());
        }
        headers
    }

    /// What is shown, as client id and secret, or the error.
    fn seen(
        fields: &[(&'static str, &str)],
        field: Option<&'static str>,
    ) -> Option<Result<(String, String), CredentialError>> {
        let field = field.map(HeaderName::from_static);
        let headers = headers(fields);
        shown(&headers, field.as_ref())
            .map(|pair| pair.map(|pair| (pair.client_id.into_owned(), pair.secret.into_owned())))
    }

    fn both(secret: &str) -> String {
        format!("{{\"cf-access-client-id\": \"{ID}\", \"cf-access-client-secret\": \"{secret}\"}}")
    }

    #[test]
    fn two_fields_are_shown_once_and_together() {
        let (id, secret) = (("cf-access-client-id", ID), ("cf-access-client-secret", "s"));
        assert_eq!(seen(&[id, secret], None), Some(Ok((ID.to_owned(), "s".to_owned()))));
        assert_eq!(seen(&[("cookie", "a=b"), ("authorization", "Basic x")], None), None);
        for half in [id, secret] {
            assert_eq!(seen(&[half], None), Some(Err(CredentialError::Half)), "{half:?}");
        }
        for twice in [&[id, id, secret][..], &[id, secret, secret], &[id, id]] {
            assert_eq!(seen(twice, None), Some(Err(CredentialError::Several)), "{twice:?}");
        }
    }

    #[test]
    fn one_field_holds_both_halves_and_nothing_else() {
        let field = Some("x-service");
        let right = both("s");
        assert_eq!(seen(&[("x-service", &right)], field), Some(Ok((ID.to_owned(), "s".to_owned()))));
        let spelled = right.replace("cf-access-client-id", "CF-Access-Client-Id");
        assert_eq!(seen(&[("x-service", &spelled)], field), Some(Ok((ID.to_owned(), "s".to_owned()))));
        assert_eq!(seen(&[("x-service", &right)], None), None, "not where nobody said so");
        let more = right.replace('}', ", \"admin\": true}");
        let twice = right.replace('}', ", \"cf-access-client-secret\": \"t\"}");
        for wrong in ["", "{}", "Bearer x", "[]", "null", "{", &more, &twice] {
            assert_eq!(seen(&[("x-service", wrong)], field), Some(Err(CredentialError::NoPair)), "{wrong}");
        }
        assert_eq!(
            seen(&[("x-service", &right), ("x-service", &right)], field),
            Some(Err(CredentialError::Several))
        );
        let beside = [("x-service", right.as_str()), ("cf-access-client-id", ID)];
        assert_eq!(seen(&beside, field), Some(Err(CredentialError::Several)));
    }

    #[test]
    fn a_field_over_its_limit_is_not_read() {
        let fill = MAX_PAIR_BYTES - both("").len();
        assert!(matches!(seen(&[("x-service", &both(&"s".repeat(fill)))], Some("x-service")), Some(Ok(_))));
        assert_eq!(
            seen(&[("x-service", &both(&"s".repeat(fill + 1)))], Some("x-service")),
            Some(Err(CredentialError::NoPair))
        );
    }

    #[test]
    fn an_authorization_of_another_form_is_the_applications_own() {
        let field = Some("authorization");
        for own in ["Basic eDp5", "Bearer abc", ""] {
            assert_eq!(seen(&[("authorization", own)], field), None, "{own}");
        }
        assert!(matches!(seen(&[("authorization", &both("s"))], field), Some(Ok(_))));
        assert_eq!(seen(&[("authorization", " {\"x\":1}")], field), Some(Err(CredentialError::NoPair)));
    }
}
