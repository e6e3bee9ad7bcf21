//! The keys in use at one moment: the one that signs, and all that are published. Made whole of what the store holds; replaced,
//! never changed.

use bytes::Bytes;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use portcullis_store::{SigningKey, SigningKeyState};
use serde_json::{Value, json};

use super::AssertionError;
use super::key::{self, Algorithm};
use crate::seal::Sealer;

/// The keys in use.
pub(crate) struct Ring {
    pub(super) key_id: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: EncodingKey,
    published: Bytes,
    public: Vec<Jwk>,
    /// Which keys these are, and where they stand.
    keys: Vec<(String, SigningKeyState)>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Ring {
    /// Opens the key that signs. The next one is opened too: a key file that does not fit it is noticed while there is time.
    pub(super) fn of(keys: &[SigningKey], sealer: &Sealer) -> Result<Self, AssertionError> {
        let find = |state| keys.iter().find(|key| key.state == state);
        let active = find(SigningKeyState::Active).ok_or(AssertionError::NoKey)?;
        if let Some(next) = find(SigningKeyState::Next) {
            key::open(sealer, next)?;
        }
        let (algorithm, key) = key::open(sealer, active)?;
        let published = Bytes::from(published(keys, active).to_string());
        let public = keys.iter().filter_map(|key| serde_json::from_str(&key.public_jwk).ok()).collect();
        Ok(Self { key_id: active.kid.clone(), algorithm, key, published, public, keys: standing(keys) })
    }

    /// Whether it was made of these keys, as they stand now.
    pub(super) fn is_of(&self, keys: &[SigningKey]) -> bool {
        self.keys == standing(keys)
    }

    /// The public half of one of the keys.
    pub(super) fn public(&self, key_id: &str) -> Option<&Jwk> {
        self.public.iter().find(|key| key.common.key_id.as_deref() == Some(key_id))
    }

    /// The public keys: a JWK set (RFC 7517), and the same as certificates, in the shape of Cloudflare Access.
    pub(crate) fn published(&self) -> Bytes {
        self.published.clone()
    }
}

fn standing(keys: &[SigningKey]) -> Vec<(String, SigningKeyState)> {
    keys.iter().map(|key| (key.kid.clone(), key.state)).collect()
}

/// The one that signs comes first, since some origins try the first.
fn published(keys: &[SigningKey], active: &SigningKey) -> Value {
    let others = keys.iter().filter(|key| key.kid != active.kid);
    let ordered: Vec<&SigningKey> = std::iter::once(active).chain(others).collect();
    let certificate = |key: &SigningKey| json!({ "kid": key.kid, "cert": key.certificate_pem });
    let jwks: Vec<Value> =
        ordered.iter().filter_map(|key| serde_json::from_str(&key.public_jwk).ok()).collect();
    let certificates: Vec<Value> = ordered.iter().map(|key| certificate(key)).collect();
    json!({ "keys": jwks, "public_cert": certificate(active), "public_certs": certificates })
}
