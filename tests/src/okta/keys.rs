//! The signing keys of one authorization server: current and next, rotated by call, published as a JWKS, and the signing of
//! tokens, good and spoilt. What the tokens say is for `id_token`.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde_json::{Value, json};

/// One RSA key with its name and its public numbers.
struct SigningKey {
    kid: String,
    pair: RsaKeyPair,
    modulus: String,
    exponent: String,
}

impl SigningKey {
    fn generate() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("RSA key generation");
        let private: Pkcs8V1Der<'_> = pair.as_der().expect("RSA key as PKCS#8");
        let encoding =
            EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes()).expect("RSA PEM");
        let jwk = Jwk::from_encoding_key(&encoding, Algorithm::RS256).expect("public numbers of an RSA key");
        let AlgorithmParameters::RSA(numbers) = jwk.algorithm else { panic!("an RSA key is an RSA key") };
        Self { kid: random_id(32), pair, modulus: numbers.n, exponent: numbers.e }
    }

    fn jwk(&self) -> Value {
        json!({"kty": "RSA", "alg": "RS256", "kid": self.kid, "use": "sig", "e": self.exponent, "n": self.modulus})
    }

    /// What everybody can download, in the form an attacker would use as an HMAC secret.
    fn public_pem(&self) -> String {
        let public: PublicKeyX509Der<'_> = self.pair.public_key().as_der().expect("public key as SPKI");
        pem("PUBLIC KEY", public.as_ref())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &rand::SystemRandom::new(), message, &mut signature)
            .expect("RSA signature");
        signature
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
    current: SigningKey,
    next: SigningKey,
}

impl KeyRing {
    pub(super) fn generate() -> Self {
        Self { current: SigningKey::generate(), next: SigningKey::generate() }
    }

    /// The planned rotation: the next key, published all along, takes over.
    pub(super) fn rotate(&mut self) {
        self.current = std::mem::replace(&mut self.next, SigningKey::generate());
    }

    /// The emergency rotation: both keys are gone and nothing was announced.
    pub(super) fn replace_all(&mut self) {
        *self = Self::generate();
    }

    /// The next key stands first, because the order means nothing and nobody should count on it.
    pub(super) fn jwks(&self) -> Value {
        json!({"keys": [self.next.jwk(), self.current.jwk()]})
    }

    pub(super) fn current_kid(&self) -> &str {
        &self.current.kid
    }

    pub(super) fn token(&self, claims: &Value, signing: Signing) -> String {
        match signing {
            Signing::Current => compact(&json!({"kid": self.current.kid, "alg": "RS256"}), claims, |bytes| {
                self.current.sign(bytes)
            }),
            Signing::Nothing => compact(&json!({"alg": "none"}), claims, |_| Vec::new()),
            Signing::HmacWithPublicKey => {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, self.current.public_pem().as_bytes());
                compact(&json!({"kid": self.current.kid, "alg": "HS256"}), claims, |bytes| {
                    hmac::sign(&secret, bytes).as_ref().to_vec()
                })
            }
            Signing::UnknownKey => {
                let stranger = SigningKey::generate();
                compact(&json!({"kid": stranger.kid, "alg": "RS256"}), claims, |bytes| stranger.sign(bytes))
            }
        }
    }

    /// The claims of a token that this ring signed, expired or not: what an `id_token_hint` needs.
    pub(super) fn open(&self, token: &str) -> Option<Value> {
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = [&self.current, &self.next].into_iter().find(|key| key.kid == kid)?;
        let decoding = DecodingKey::from_rsa_components(&key.modulus, &key.exponent).ok()?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode::<Value>(token, &decoding, &validation).ok().map(|data| data.claims)
    }
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

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
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
