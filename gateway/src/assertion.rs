//! The assertion: what we tell an upstream about the person, signed so that it can be believed. Keys live sealed in the store.
//! Putting the assertion into a request is left to `forward`.

use http::HeaderValue;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use portcullis_store::{Profile, Secret, SigningKey, SigningKeyError, SigningKeyState, Store, StoreError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::live::{LiveSession, Standing};
use crate::route::Target;
use crate::seal::{Purpose, Sealer, random_text};

/// How long an assertion is good, in seconds. Short, because one that was sent cannot be called back.
const LIFE_S: i64 = 120;
/// How long it is sent again before a new one is signed, in seconds: signing costs more than a whole forward.
pub(crate) const REUSE_S: i64 = 60;

/// Why no assertion can be signed.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// The store failed.
    #[error("cannot read or write the signing keys")]
    Store(#[from] StoreError),
    /// The store refused the key.
    #[error("cannot keep the signing key")]
    Insert(#[from] SigningKeyError),
    /// The key in the store does not open: the key file is another than the one it was sealed with.
    #[error(
        "the signing key `{0}` does not open with this key file; restore the key file that belongs to this store"
    )]
    Sealed(String),
    /// A key could not be made.
    #[error("cannot make a signing key")]
    Generate(#[from] rcgen::Error),
    /// A key could not be used.
    #[error("cannot use a signing key")]
    Key(#[from] jsonwebtoken::errors::Error),
    /// The system has no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

/// Signs assertions with the active key.
pub(crate) struct Signer {
    issuer: String,
    key_id: String,
    key: EncodingKey,
    published: Value,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
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
    identity_nonce: String,
    sub: &'a str,
    country: &'static str,
}

impl Signer {
    /// Takes the keys from the store; makes the first one.
    pub(crate) async fn open(
        store: &Store,
        sealer: &Sealer,
        issuer: String,
        now: i64,
    ) -> Result<Self, AssertionError> {
        let mut keys = store.signing_keys()?;
        if !keys.iter().any(|key| key.state == SigningKeyState::Active) {
            let made = make_key(sealer, &issuer, now)?;
            store.insert_signing_key(made.clone()).await?;
            keys.push(made);
        }
        let active = keys.iter().find(|key| key.state == SigningKeyState::Active);
        let active = active.ok_or(StoreError::Unreadable("signing key"))?;
        let pem = sealer
            .open_bytes(Purpose::AtRest, &active.kid, &active.sealed_private)
            .ok_or_else(|| AssertionError::Sealed(active.kid.clone()))?;
        let pem = Secret::new(pem);
        Ok(Self {
            issuer,
            key_id: active.kid.clone(),
            key: EncodingKey::from_rsa_pem(pem.expose())?,
            published: published(&keys),
        })
    }

    /// The public keys: a JWK set (RFC 7517), and the same as certificates, in the shape of Cloudflare Access.
    pub(crate) fn published(&self) -> &Value {
        &self.published
    }

    /// A new assertion for a session at an application. None when it cannot be signed.
    pub(crate) fn assertion(
        &self,
        session: &LiveSession,
        profile: &Profile,
        target: &Target,
        now: i64,
    ) -> Option<HeaderValue> {
        let claims = Claims {
            aud: [&target.application.name],
            email: profile.email.as_deref(),
            exp: session.expires_at.min(now + LIFE_S),
            iat: now,
            nbf: now,
            iss: &self.issuer,
            kind: "app",
            identity_nonce: random_text::<12>()?,
            sub: &session.subject,
            country: "",
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::RS256) };
        let token = jsonwebtoken::encode(&header, &claims, &self.key).ok()?;
        let mut value = HeaderValue::try_from(token).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn make_key(sealer: &Sealer, issuer: &str, now: i64) -> Result<SigningKey, AssertionError> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)?;
    let mut certificate = rcgen::CertificateParams::default();
    certificate.distinguished_name.push(rcgen::DnType::CommonName, issuer);
    let certificate_pem = certificate.self_signed(&pair)?.pem();
    let pem = Secret::new(pair.serialize_pem().into_bytes());
    let mut jwk = Jwk::from_encoding_key(&EncodingKey::from_rsa_pem(pem.expose())?, Algorithm::RS256)?;
    let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
    jwk.common.key_id = Some(kid.clone());
    jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
    let sealed = sealer.seal_bytes(Purpose::AtRest, &kid, pem.expose().clone());
    Ok(SigningKey {
        sealed_private: sealed.ok_or(AssertionError::NoRandomness)?,
        public_jwk: serde_json::to_string(&jwk).unwrap_or_default(),
        algorithm: "RS256".to_owned(),
        certificate_pem,
        created_at: now,
        state: SigningKeyState::Active,
        kid,
    })
}

fn published(keys: &[SigningKey]) -> Value {
    let jwks: Vec<Value> = keys.iter().filter_map(|key| serde_json::from_str(&key.public_jwk).ok()).collect();
    let certificates: Vec<Value> =
        keys.iter().map(|key| json!({ "kid": key.kid, "cert": key.certificate_pem })).collect();
    let active = keys.iter().position(|key| key.state == SigningKeyState::Active);
    let public_cert = active.and_then(|index| certificates.get(index)).cloned();
    json!({ "keys": jwks, "public_cert": public_cert, "public_certs": certificates })
}

/// What `get-identity` and the upstream's headers say of a person.
pub(crate) fn identity(session: &LiveSession, standing: &Standing) -> Value {
    let profile = &standing.profile;
    json!({
        "email": profile.email,
        "name": profile.display_name,
        "sub": session.subject,
        "user_uuid": standing.person.as_ref().map(|person| &person.scim_id),
        "idp": { "name": session.provider },
        "groups": standing.groups,
        "iat": profile.authenticated_at,
        "session": { "id": short_id(session), "began": session.begun_at, "expires": session.expires_at },
    })
}

/// Enough of a session's hashed id to find it in a log; opens nothing.
pub(crate) fn short_id(session: &LiveSession) -> String {
    session.id.to_string().chars().take(16).collect()
}
