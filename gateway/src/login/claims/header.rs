//! The head of an ID token, judged before anything else is done with it: what costs work, or lets the token choose how it is judged,
//! is refused here. The signature is left to `claims`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::IdTokenFault;
use crate::config::SigningAlgorithm;

/// Longest head; one with a chain of certificates stays below.
pub(super) const MAX_HEADER_BYTES: usize = 16 << 10;

/// Keys that a token brings along (`jwk`, `jku`, `x5c`, `x5u`) are not read: those of the provider count, wherever the token points.
#[derive(Deserialize)]
struct Header {
    alg: Option<String>,
    crit: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
    p2c: Option<IgnoredAny>,
    p2s: Option<IgnoredAny>,
}

/// A signed token in three parts (RFC 7515 section 7.1), by the one algorithm that is configured.
pub(super) fn check(id_token: &str, pinned: SigningAlgorithm) -> Result<(), IdTokenFault> {
    let mut parts = id_token.split('.');
    let head = parts.next().unwrap_or_default();
    // Five parts are an encrypted one (RFC 7516 section 7.1).
    match parts.count() {
        2 => {}
        4 => return Err(IdTokenFault::Encrypted),
        _ => return Err(IdTokenFault::Malformed),
    }
    if head.len() > MAX_HEADER_BYTES {
        return Err(IdTokenFault::Malformed);
    }
    let head = URL_SAFE_NO_PAD.decode(head).map_err(|_| IdTokenFault::Malformed)?;
    let head: Header = serde_json::from_slice(&head).map_err(|_| IdTokenFault::Malformed)?;
    if head.enc.is_some() || head.zip.is_some() || head.p2c.is_some() || head.p2s.is_some() {
        return Err(IdTokenFault::Encrypted);
    }
    // What a token calls critical must be understood (RFC 7515 section 4.1.11), and nothing is.
    if head.crit.is_some() {
        return Err(IdTokenFault::Malformed);
    }
    match head.alg {
        Some(alg) if alg == pinned.name() => Ok(()),
        Some(_) => Err(IdTokenFault::Algorithm),
        None => Err(IdTokenFault::Malformed),
    }
}
