//! The one algorithm that a provider signs its ID tokens with: who may choose among several lets an attacker choose too. The
//! verification is left to `login`.

use super::super::document::Value;

/// An algorithm of RFC 7518 or RFC 8037 with a public key. A MAC proves nothing to somebody else, so there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SigningAlgorithm {
    /// RSA PKCS#1 1.5 with SHA-256: what a provider must offer, and all that Okta signs with.
    #[default]
    Rs256,
    /// RSA PKCS#1 1.5 with SHA-384.
    Rs384,
    /// RSA PKCS#1 1.5 with SHA-512.
    Rs512,
    /// RSA PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// All that can be verified.
    pub const ALL: [Self; 7] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// As `alg` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

pub(super) fn read(value: &Value<'_, '_>) -> Option<SigningAlgorithm> {
    let name = value.string()?;
    let known = SigningAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
    if known.is_none() {
        value.fault(match name {
            "none" => "without a signature anybody could write an ID token".to_owned(),
            "HS256" | "HS384" | "HS512" => {
                format!("`{name}` is signed with a secret that we have too; a key pair is needed, as with \"RS256\"")
            }
            _ => {
                let names = SigningAlgorithm::ALL.map(SigningAlgorithm::name).join("\", \"");
                format!("`{name}` cannot be verified: one of \"{names}\"")
            }
        });
    }
    known
}
