//! What the two halves of a service token look like, and the one id that both have together. Who has which is left to the store.

use super::ServiceTokenError;
use crate::error::StoreError;
use crate::model::SessionId;
use crate::random;
use crate::secret::Secret;
use aws_lc_rs::digest::{SHA256, digest};

/// What every secret begins with, so that whoever scans for leaked ones finds ours.
const PREFIX: &str = "pcsvc_";
/// Hex digits of the random part: 256 bits.
const RANDOM_DIGITS: usize = 64;
/// Hex digits of the checksum behind it: the beginning of the SHA-256 of all that stands before.
const CHECKSUM_DIGITS: usize = 8;
/// Hex digits of a client id, and what stands behind them.
const CLIENT_DIGITS: usize = 32;
const CLIENT_SUFFIX: &str = ".access";

/// What was presented is no token of ours: a typing error, a part of one, or a token of somebody else's. Anybody can find out the
/// same without asking us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The client id.
    #[error("the client id has not the form of one")]
    ClientId,
    /// The secret.
    #[error("the client secret has not the form of one, or its checksum is wrong")]
    Secret,
}

/// What client id and secret are known by together. The secret has 256 random bits, so that a plain hash keeps it as well as a slow
/// one would; and one look-up by the hash of both tells nobody whether it was the id or the secret that is wrong.
///
/// # Errors
/// [`Malformed`] when one of the two has not the form.
pub fn service_secret_id(client_id: &str, secret: &str) -> Result<SessionId, Malformed> {
    let digits = client_id.strip_suffix(CLIENT_SUFFIX).ok_or(Malformed::ClientId)?;
    if !is_hex(digits, CLIENT_DIGITS) {
        return Err(Malformed::ClientId);
    }
    let digits = secret.strip_prefix(PREFIX).ok_or(Malformed::Secret)?;
    if !is_hex(digits, RANDOM_DIGITS + CHECKSUM_DIGITS) {
        return Err(Malformed::Secret);
    }
    let (body, told) = secret.split_at_checked(PREFIX.len() + RANDOM_DIGITS).ok_or(Malformed::Secret)?;
    if checksum(body) != told {
        return Err(Malformed::Secret);
    }
    // Both have one length, so that no digit can move from one to the other.
    let both = Secret::new([client_id, secret].concat());
    let mut id = [0; 32];
    id.copy_from_slice(digest(&SHA256, both.expose().as_bytes()).as_ref());
    Ok(SessionId::new(id))
}

pub(super) fn new_client_id() -> Result<String, StoreError> {
    Ok(format!("{}{CLIENT_SUFFIX}", random::hex(&random::bytes::<{ CLIENT_DIGITS / 2 }>()?)))
}

/// A new secret of a client id, and what the two are known by.
pub(super) fn new_secret(client_id: &str) -> Result<(Secret<String>, SessionId), ServiceTokenError> {
    let bytes = Secret::new(random::bytes::<{ RANDOM_DIGITS / 2 }>()?);
    let mut secret = format!("{PREFIX}{}", random::hex(bytes.expose()));
    secret.push_str(&checksum(&secret));
    let secret = Secret::new(secret);
    let id = service_secret_id(client_id, secret.expose()).map_err(|_| StoreError::Unreadable("token"))?;
    Ok((secret, id))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn checksum(body: &str) -> String {
    let hash = digest(&SHA256, body.as_bytes());
    random::hex(hash.as_ref().get(..CHECKSUM_DIGITS / 2).unwrap_or_default())
}
