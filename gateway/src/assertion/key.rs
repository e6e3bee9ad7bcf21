//! One signing key: made, sealed for the store, opened again, and its public half in both forms in which it is published. When
//! a key is made, and which one signs, is left to `schedule`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyAlgorithm, OctetKeyPairParameters,
    OctetKeyPairType, PublicKeyUse, ThumbprintHash,
};
use portcullis_store::{Secret, SigningKey, SigningKeyState};

use super::AssertionError;
use crate::seal::{Purpose, Sealer};

/// What assertions are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with SHA-256, 2048 bits: what every origin that validates for Cloudflare Access understands.
    Rs256,
    /// ECDSA on P-256 with SHA-256: shorter, and quicker to sign.
    Es256,
    /// Ed25519: shorter and quicker still; not every library knows it.
    EdDsa,
}

/// A word that names no algorithm that is offered.
#[derive(Debug, thiserror::Error)]
#[error("must be \"RS256\", \"ES256\" or \"EdDSA\"")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let all = [Self::Rs256, Self::Es256, Self::EdDsa];
        all.into_iter().find(|algorithm| algorithm.as_str() == word).ok_or(UnknownAlgorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Algorithm {
    /// Its name in a JWS (RFC 7518 section 3.1, RFC 8037 section 3.1).
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(super) fn in_header(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    fn of_pair(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::Rs256 => &rcgen::PKCS_RSA_SHA256,
            Self::Es256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::EdDsa => &rcgen::PKCS_ED25519,
        }
    }

    fn read_pem(self, pem: &[u8]) -> Result<EncodingKey, jsonwebtoken::errors::Error> {
        match self {
            Self::Rs256 => EncodingKey::from_rsa_pem(pem),
            Self::Es256 => EncodingKey::from_ec_pem(pem),
            Self::EdDsa => EncodingKey::from_ed_pem(pem),
        }
    }
}

/// A new key, sealed. Making one of RSA takes a good part of a second.
pub(super) fn make(
    sealer: &Sealer,
    algorithm: Algorithm,
    issuer: &str,
    now: i64,
) -> Result<SigningKey, AssertionError> {
    let pair = rcgen::KeyPair::generate_for(algorithm.of_pair())?;
    let mut certificate = rcgen::CertificateParams::default();
    certificate.distinguished_name.push(rcgen::DnType::CommonName, issuer);
    let certificate_pem = certificate.self_signed(&pair)?.pem();
    let pem = Secret::new(pair.serialize_pem().into_bytes());
    let mut jwk = public_jwk(algorithm, &pair, pem.expose())?;
    let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
    jwk.common.key_id = Some(kid.clone());
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    let sealed = sealer.seal_bytes(Purpose::AtRest, &kid, pem.expose().clone());
    Ok(SigningKey {
        sealed_private: sealed.ok_or(AssertionError::NoRandomness)?,
        public_jwk: serde_json::to_string(&jwk).unwrap_or_default(),
        algorithm: algorithm.as_str().to_owned(),
        certificate_pem,
        created_at: now,
        state: SigningKeyState::Next,
        state_since: now,
        kid,
    })
}

fn public_jwk(
    algorithm: Algorithm,
    pair: &rcgen::KeyPair,
    pem: &[u8],
) -> Result<Jwk, jsonwebtoken::errors::Error> {
    if algorithm != Algorithm::EdDsa {
        return Jwk::from_encoding_key(&algorithm.read_pem(pem)?, algorithm.in_header());
    }
    // The crate reads the public half of such a key out of the older form of PKCS #8 alone.
    let key = OctetKeyPairParameters {
        key_type: OctetKeyPairType::OctetKeyPair,
        curve: EllipticCurve::Ed25519,
        x: BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw()),
    };
    let common = CommonParameters { key_algorithm: Some(KeyAlgorithm::EdDSA), ..CommonParameters::default() };
    Ok(Jwk { common, algorithm: AlgorithmParameters::OctetKeyPair(key) })
}

/// The private half, which the key file must be able to open.
pub(super) fn open(sealer: &Sealer, key: &SigningKey) -> Result<(Algorithm, EncodingKey), AssertionError> {
    let algorithm = key.algorithm.parse().map_err(|_| AssertionError::Algorithm(key.algorithm.clone()))?;
    let pem = sealer
        .open_bytes(Purpose::AtRest, &key.kid, &key.sealed_private)
        .ok_or_else(|| AssertionError::Sealed(key.kid.clone()))?;
    let pem = Secret::new(pem);
    Ok((algorithm, Algorithm::read_pem(algorithm, pem.expose())?))
}
