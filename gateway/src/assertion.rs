//! The assertion: what we tell an upstream about the person, signed so that it can be believed. Making and rotating the keys is
//! left to the files below, putting the assertion into a request to `forward`.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use http::HeaderValue;
use jsonwebtoken::Header;
use portcullis_store::{Profile, SigningKey, SigningKeyError, StoreError};
use serde::Serialize;
use serde_json::{Map, Value};

mod identity;
mod key;
mod ring;
mod rotation;
mod schedule;
mod shown;

pub(crate) use identity::{Seen, identity, short_id, tells_still};
pub(crate) use key::Algorithm;
pub(crate) use ring::Ring;
pub(crate) use rotation::{keep, rotate, wish};
pub(crate) use schedule::{Occasion, Wish, deleted_at};
pub(crate) use shown::in_head;

use crate::config::Asserted;
use crate::live::{LiveSession, Standing};
use crate::route::Target;
use crate::seal::Sealer;

/// The claims of a login that one assertion may repeat, in bytes of JSON. Upstreams refuse long heads, and claims are never
/// silently cut: who has more of them is denied.
pub(crate) const MAX_CUSTOM_BYTES: usize = 4 * 1024;

/// What tells an assertion from anything else that is signed by the same keys.
const KIND: &str = "app";

/// Why no assertion can be signed.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// The store failed.
    #[error("cannot read or write the signing keys")]
    Store(#[from] StoreError),
    /// The store refused to change the keys.
    #[error("cannot keep the signing keys: {0}")]
    Keep(#[from] SigningKeyError),
    /// The key in the store does not open: the key file is another than the one it was sealed with.
    #[error(
        "the signing key `{0}` does not open with this key file; restore the key file that belongs to this store"
    )]
    Sealed(String),
    /// The store holds no key that signs.
    #[error("the store holds no key that signs")]
    NoKey,
    /// A newer program made the key.
    #[error("the store holds a signing key for `{0}`, which this program does not know")]
    Algorithm(String),
    /// A key could not be made.
    #[error("cannot make a signing key")]
    Generate(#[from] rcgen::Error),
    /// A key could not be used.
    #[error("cannot use a signing key")]
    Key(#[from] jsonwebtoken::errors::Error),
    /// The making of a key was broken off.
    #[error("the making of a signing key was broken off")]
    Interrupted,
    /// The system has no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

/// Signs assertions with the key of the moment.
#[derive(Debug)]
pub(crate) struct Signer {
    issuer: String,
    /// Requests take it without a lock; a rotation replaces it.
    ring: ArcSwap<Ring>,
}

/// The claims of an assertion, in the shape that origins written for Cloudflare Access validate.
#[derive(Serialize)]
struct Claims<'a> {
    aud: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    exp: i64,
    iat: i64,
    nbf: i64,
    iss: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Where `get-identity` finds the person: the session by its stored id, which opens nothing.
    identity_nonce: String,
    sub: &'a str,
    country: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    custom: Map<String, Value>,
}

/// The same for a service, which is known by its client id and is nobody.
#[derive(Serialize)]
struct ServiceClaims<'a> {
    aud: [&'a str; 1],
    exp: i64,
    iat: i64,
    nbf: i64,
    iss: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    common_name: &'a str,
    sub: &'static str,
}

impl Signer {
    /// Signs with the active one of these keys.
    pub(crate) fn new(issuer: String, keys: &[SigningKey], sealer: &Sealer) -> Result<Self, AssertionError> {
        Ok(Self { issuer, ring: ArcSwap::from_pointee(Ring::of(keys, sealer)?) })
    }

    /// Puts these keys in use, unless they are already. Those before stay in use when that fails.
    fn follow(&self, keys: &[SigningKey], sealer: &Sealer) -> Result<(), AssertionError> {
        if !self.ring.load().is_of(keys) {
            self.ring.store(Arc::new(Ring::of(keys, sealer)?));
        }
        Ok(())
    }

    /// Whose statements these are: the origin of the auth host.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Claims of another kind than an assertion's, signed. They must not be taken for one: `aud` is who they are for.
    pub(crate) fn statement(&self, claims: &impl Serialize) -> Option<String> {
        let ring = self.ring();
        let signed = sign(&ring, claims)?;
        signed.to_str().ok().map(str::to_owned)
    }

    /// The keys in use now.
    pub(crate) fn ring(&self) -> Guard<Arc<Ring>> {
        self.ring.load()
    }

    /// A new assertion for a session at an application. None when it cannot be signed, or would be too long.
    pub(crate) fn assertion(
        &self,
        ring: &Ring,
        session: &LiveSession,
        standing: &Standing,
        target: &Target,
        now: i64,
    ) -> Option<HeaderValue> {
        let (profile, subject) = (&standing.profile, &session.subject);
        let asserted = &target.application.asserted;
        if let Some(service) = &session.service {
            return sign(
                ring,
                &ServiceClaims {
                    aud: [&asserted.audience],
                    exp: now.saturating_add(asserted.life_s),
                    iat: now,
                    nbf: now,
                    iss: &self.issuer,
                    kind: KIND,
                    common_name: &service.client_id,
                    sub: "",
                },
            );
        }
        let claims = Claims {
            aud: [&asserted.audience],
            email: profile.email.as_deref(),
            exp: session.expires_at.min(now.saturating_add(asserted.life_s)),
            iat: now,
            nbf: now,
            iss: &self.issuer,
            kind: KIND,
            identity_nonce: session.id.to_string(),
            sub: subject,
            country: "",
            custom: custom(asserted, &session.provider, profile, &standing.groups)?,
        };
        sign(ring, &claims)
    }
}

fn sign(ring: &Ring, claims: &impl Serialize) -> Option<HeaderValue> {
    let header = Header { kid: Some(ring.key_id.clone()), ..Header::new(ring.algorithm.in_header()) };
    let token = jsonwebtoken::encode(&header, claims, &ring.key).ok()?;
    let mut value = HeaderValue::try_from(token).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Asserted {
    /// How long an assertion is sent again before a new one is signed, in seconds: signing costs more than a whole forward.
    pub(crate) fn reuse_s(&self) -> i64 {
        self.life_s / 2
    }
}

/// The claims of the login that the application wants repeated, where Cloudflare Access puts them. None when they are too long.
fn custom(
    asserted: &Asserted,
    provider: &str,
    profile: &Profile,
    groups: &[String],
) -> Option<Map<String, Value>> {
    if asserted.claims.is_empty() {
        return Some(Map::new());
    }
    let mut others: Map<String, Value> = serde_json::from_str(&profile.claims_json).unwrap_or_default();
    let mut custom = Map::new();
    for name in &asserted.claims {
        let value = match name.as_str() {
            "groups" => Some(groups.to_vec().into()),
            "name" => profile.display_name.clone().map(Value::from),
            "provider" => Some(provider.into()),
            _ => others.remove(name),
        };
        custom.extend(value.map(|value| (name.clone(), value)));
    }
    let length = serde_json::to_string(&custom).ok()?.len();
    (length <= MAX_CUSTOM_BYTES).then_some(custom)
}

#[cfg(test)]
mod tests;
