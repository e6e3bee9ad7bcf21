//! The signing keys of one authorization server: current and next, rotated by call, published as a JWKS, and the signing of
//! tokens, good and spoilt. What the tokens say is for `id_token`.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::client_key::ClientKey;

/// One key with its name, and its public half as the world sees it.
struct SigningKey {
    pair: Pair,
    public: Jwk,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    fn generate(algorithm: Algorithm) -> Self {
        let ClientKey { pem, public } = ClientKey::generate(algorithm);
        let der = der(&pem);
        let pair = match algorithm {
            Algorithm::ES256 => Pair::P256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).expect("an EC key"),
            ),
            Algorithm::EdDSA => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(&der).expect("an Ed25519 key")),
            _ => Pair::Rsa(RsaKeyPair::from_pkcs8(&der).expect("an RSA key")),
        };
        Self { pair, public }
    }

    fn kid(&self) -> &str {
        self.public.common.key_id.as_deref().unwrap_or_default()
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    fn jwk(&self) -> Value {
        let mut jwk = json!(self.public);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    /// What everybody can download, in the form an attacker would use as an HMAC secret.
    fn public_text(&self) -> String {
        match &self.pair {
            Pair::Rsa(pair) => {
                let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("public key as SPKI");
                pem("PUBLIC KEY", public.as_ref())
            }
            Pair::P256(_) | Pair::Ed25519(_) => self.jwk().to_string(),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = rand::SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("RSA signature");
                signature
            }
            Pair::P256(pair) => pair.sign(&random, message).expect("EC signature").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// How a token is signed. All but `Current` must be refused by whoever reads the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signing {
    /// By the current key, as it should be.
    Current,
    /// Not at all, with `alg` `none`.
    Nothing,
    /// HS256 with the PEM of the current public key as the secret.
    HmacWithPublicKey,
    /// By a key that is not published, under a `kid` that is not published.
    UnknownKey,
}

/// The two published keys.
pub(super) struct KeyRing {
    algorithm: Algorithm,
    current: SigningKey,
    next: SigningKey,
}

impl KeyRing {
    pub(super) fn generate(algorithm: Algorithm) -> Self {
        let (current, next) = (SigningKey::generate(algorithm), SigningKey::generate(algorithm));
        Self { algorithm, current, next }
    }

    /// The planned rotation: the next key, published all along, takes over.
    pub(super) fn rotate(&mut self) {
        self.current = std::mem::replace(&mut self.next, SigningKey::generate(self.algorithm));
    }

    /// The emergency rotation: both keys are gone and nothing was announced.
    pub(super) fn replace_all(&mut self) {
        *self = Self::generate(self.algorithm);
    }

    /// The next key stands first, because the order means nothing and nobody should count on it.
    pub(super) fn jwks(&self) -> Value {
        json!({"keys": [self.next.jwk(), self.current.jwk()]})
    }

    pub(super) fn current_kid(&self) -> &str {
        self.current.kid()
    }

    pub(super) fn token(&self, claims: &Value, signing: Signing) -> String {
        match signing {
            Signing::Current => by_key(&self.current, claims),
            Signing::Nothing => compact(&json!({"alg": "none"}), claims, |_| Vec::new()),
            Signing::HmacWithPublicKey => {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, self.current.public_text().as_bytes());
                compact(&json!({"kid": self.current.kid(), "alg": "HS256"}), claims, |bytes| {
                    hmac::sign(&secret, bytes).as_ref().to_vec()
                })
            }
            Signing::UnknownKey => by_key(&SigningKey::generate(self.algorithm), claims),
        }
    }

    /// The claims of a token that this ring signed, expired or not: what an `id_token_hint` needs.
    pub(super) fn open(&self, token: &str) -> Option<Value> {
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = [&self.current, &self.next].into_iter().find(|key| key.kid() == kid)?;
        let decoding = DecodingKey::from_jwk(&key.public).ok()?;
        let mut validation = Validation::new(self.algorithm);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode::<Value>(token, &decoding, &validation).ok().map(|data| data.claims)
    }
}

fn by_key(key: &SigningKey, claims: &Value) -> String {
    compact(&json!({"kid": key.kid(), "alg": key.algorithm()}), claims, |bytes| key.sign(bytes))
}

fn compact(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// What a PEM holds.
fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    STANDARD.decode(lines).expect("a PEM of our own")
}

/// The left half of the hash that goes with an algorithm, as `at_hash` has it.
pub(super) fn half_hash(algorithm: Algorithm, text: &str) -> String {
    let function = if algorithm == Algorithm::EdDSA { &digest::SHA512 } else { &digest::SHA256 };
    let whole = digest::digest(function, text.as_bytes());
    URL_SAFE_NO_PAD.encode(&whole.as_ref()[..whole.as_ref().len() / 2])
}

/// The SHA-256 of a text.
pub(super) fn sha256(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

/// `length` random bytes, as base64url.
pub(super) fn random_id(length: usize) -> String {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).expect("random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}
