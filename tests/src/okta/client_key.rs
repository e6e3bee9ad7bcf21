//! A key pair of a client, as an administrator generates it in the console, and what a client assertion must say (RFC 7523).

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::Deserialize;

use super::company::Client;
use super::keys::{pem, random_id};

/// What `client_assertion_type` must be.
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest life that Okta takes.
const MAX_LIFE_S: u64 = 3600;

/// Both halves of a key.
#[derive(Clone, Debug)]
pub struct ClientKey {
    /// The private half, PKCS#8.
    pub pem: String,
    /// The public half, with its `kid`.
    pub public: Jwk,
}

impl ClientKey {
    /// A fresh key for RS256, PS256, ES256 or EdDSA.
    ///
    /// # Panics
    /// When there is no randomness, or for another algorithm.
    #[must_use]
    pub fn generate(algorithm: Algorithm) -> Self {
        let (pem, key) = match algorithm {
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("an EC key");
                let pem = pem("PRIVATE KEY", pair.to_pkcs8v1().expect("PKCS#8").as_ref());
                let key = EncodingKey::from_ec_pem(pem.as_bytes());
                (pem, key)
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().expect("an Ed25519 key");
                let pem = pem("PRIVATE KEY", pair.to_pkcs8v1().expect("PKCS#8").as_ref());
                let key = EncodingKey::from_ed_pem(pem.as_bytes());
                (pem, key)
            }
            _ => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
                let private: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
                let pem = pem("PRIVATE KEY", private.as_ref());
                let key = EncodingKey::from_rsa_pem(pem.as_bytes());
                (pem, key)
            }
        };
        let mut public = Jwk::from_encoding_key(&key.expect("a PEM"), algorithm).expect("a public half");
        public.common.key_id = Some(random_id(16));
        Self { pem, public }
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.public.common.key_id.as_deref().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    iat: Option<u64>,
    jti: Option<String>,
}

/// Whose assertion it says to be, unverified.
pub(super) fn claimed_client(assertion: &str) -> Option<String> {
    let claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(assertion).ok()?;
    Some(claims.claims.sub)
}

/// The `jti` of a good assertion for one endpoint; the outer `None` is a bad one.
pub(super) fn verify(assertion: &str, client: &Client, audience: &str, now: u64) -> Option<Option<String>> {
    let header = jsonwebtoken::decode_header(assertion).ok()?;
    let key = client.keys.iter().find(|key| key.common.key_id == header.kid)?;
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[&client.id]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.sub = Some(client.id.clone());
    // By the org's clock instead of this machine's.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(assertion, &DecodingKey::from_jwk(key).ok()?, &validation)
        .ok()?
        .claims;
    let dated_well = claims.iat.is_none_or(|iat| iat <= now);
    let lives_well = now < claims.exp && claims.exp <= now + MAX_LIFE_S;
    (dated_well && lives_well).then_some(claims.jti)
}
