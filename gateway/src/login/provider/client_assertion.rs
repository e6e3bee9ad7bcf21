//! The assertion by which a client proves itself with its key (RFC 7523 section 3, `private_key_jwt`): all of them are made here.

use serde::Serialize;
use url::Url;

use super::error::ProviderError;
use crate::config::ClientKey;
use crate::seal::random_text;

/// What the form calls its kind.
pub(in crate::login) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long it is good for: as long as a request takes, and what clocks differ by.
const LIFE_S: i64 = 180;
/// How far it is dated back, since Okta refuses one that was issued in its future.
const DATED_BACK_S: i64 = 60;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
}

/// An assertion for one request to `audience`, the very address that is called. A provider takes its `jti` once.
pub(in crate::login) fn client_assertion(
    key: &ClientKey,
    client_id: &str,
    audience: &Url,
    now: i64,
) -> Result<String, ProviderError> {
    let jti = random_text::<32>().ok_or(ProviderError::ClientUnsigned)?;
    let claims = Claims {
        iss: client_id,
        sub: client_id,
        aud: audience.as_str(),
        jti: &jti,
        iat: now.saturating_sub(DATED_BACK_S),
        exp: now.saturating_add(LIFE_S),
    };
    key.sign(&claims).map_err(|_| ProviderError::ClientUnsigned)
}
