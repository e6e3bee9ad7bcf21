//! How we prove to a provider which client we are: by a secret, by a key, or not at all. Sending it is left to `login`.

use std::fmt;
use std::path::Path;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use portcullis_store::Secret;

use super::super::document::{Section, Value};
use super::{non_empty, secret};

/// What goes with every request to the token endpoint (OpenID Connect Core 1.0 section 9). One form, never two at once.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `none`: a public client, which needs PKCE.
    Public,
    /// `client_secret_basic`: id and secret in the `Authorization` field.
    SecretBasic(Secret<String>),
    /// `client_secret_post`: id and secret in the form.
    SecretPost(Secret<String>),
    /// `private_key_jwt`: a short-lived assertion that our key has signed (RFC 7523).
    PrivateKeyJwt(ClientKey),
}

/// A private key whose public half the provider knows.
pub struct ClientKey {
    pem: Secret<String>,
    /// Names the key among those that are registered there.
    pub kid: Option<String>,
    /// What it signs with.
    pub algorithm: Algorithm,
    key: EncodingKey,
}

impl ClientKey {
    /// A PEM of PKCS#8 for this algorithm, or PKCS#1 for RSA; tried out, so that it can be relied on later.
    pub(crate) fn new(
        pem: Secret<String>,
        kid: Option<String>,
        algorithm: Algorithm,
    ) -> Result<Self, jsonwebtoken::errors::Error> {
        let bytes = pem.expose().as_bytes();
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(bytes)?,
            Algorithm::EdDSA => EncodingKey::from_ed_pem(bytes)?,
            _ => EncodingKey::from_rsa_pem(bytes)?,
        };
        let made = Self { pem, kid, algorithm, key };
        made.sign(&())?;
        Ok(made)
    }

    /// A signed token of these claims.
    pub(crate) fn sign(&self, claims: &impl serde::Serialize) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = Header::new(self.algorithm);
        header.kid.clone_from(&self.kid);
        jsonwebtoken::encode(&header, claims, &self.key)
    }
}

impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.pem, &self.kid, self.algorithm) == (&other.pem, &other.kid, other.algorithm)
    }
}

impl Eq for ClientKey {}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({:?}, {:?}, [hidden])", self.kid, self.algorithm)
    }
}

/// The client's authentication. After a fault it is whatever lets the rest be read without faults that follow from that one.
pub(super) fn read(section: &mut Section<'_, '_>, folder: &Path) -> ClientAuthentication {
    read_sound(section, folder).unwrap_or(ClientAuthentication::Public)
}

fn read_sound(section: &mut Section<'_, '_>, folder: &Path) -> Option<ClientAuthentication> {
    let method = section.optional("client_auth");
    let secret_value = section.optional("client_secret");
    let key_value = section.optional("client_key");
    let secret = secret_value.as_ref().and_then(|value| secret::read_secret(value, folder));
    let key = key_value.as_ref().and_then(|value| read_key(value, folder));
    let chosen = match (&method, &secret_value, &key_value) {
        (Some(value), _, _) => {
            let name = value.string()?;
            let known = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
            if !known.contains(&name) {
                value.fault(format!("`{name}` is unknown: one of {known:?}"));
                return None;
            }
            name
        }
        (None, Some(_), _) => "client_secret_basic",
        (None, None, Some(_)) => "private_key_jwt",
        (None, None, None) => "none",
    };
    let says = |wanted: &str| {
        if let Some(value) = &method {
            value.fault(format!("`{chosen}` needs {wanted}"));
        }
    };
    if let Some(surplus) = secret_value.as_ref().filter(|_| !chosen.starts_with("client_secret")) {
        surplus.fault(format!("`{chosen}` has no use for a secret; one proof is sent, never two"));
    }
    if let Some(surplus) = key_value.as_ref().filter(|_| chosen != "private_key_jwt") {
        surplus.fault(format!("`{chosen}` has no use for a key; one proof is sent, never two"));
    }
    match chosen {
        "none" => Some(ClientAuthentication::Public),
        "private_key_jwt" => {
            if key_value.is_none() {
                says("`client_key`");
            }
            key.map(ClientAuthentication::PrivateKeyJwt)
        }
        secret_method => {
            if secret_value.is_none() {
                says("`client_secret`");
            }
            let form = match secret_method {
                "client_secret_post" => ClientAuthentication::SecretPost,
                _ => ClientAuthentication::SecretBasic,
            };
            secret.map(form)
        }
    }
}

/// `{ file = "key.pem", kid = "...", algorithm = "RS256" }`, or `env` instead of `file`.
pub(super) fn read_key(value: &Value<'_, '_>, folder: &Path) -> Option<ClientKey> {
    let mut section =
        value.section_or("write { file = \"key.pem\", kid = \"...\" } or { env = \"NAME\", ... }")?;
    let kid = section.optional("kid").map(|kid| non_empty(&kid));
    let named = section.optional("algorithm");
    let pem = secret::read_from(&mut section, value, folder);
    section.finish();
    let algorithm = match named {
        None => Algorithm::RS256,
        Some(named) => match named.string()? {
            "RS256" => Algorithm::RS256,
            "PS256" => Algorithm::PS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" => Algorithm::EdDSA,
            other => {
                named.fault(format!("`{other}` is unknown: \"RS256\", \"PS256\", \"ES256\" or \"EdDSA\""));
                return None;
            }
        },
    };
    let kid = match kid {
        Some(kid) => Some(kid?),
        None => None,
    };
    // What the crate says of a key might quote it.
    let key = ClientKey::new(pem?, kid, algorithm);
    if key.is_err() {
        value.fault(format!("it is no private key for {algorithm:?}: a PEM of PKCS#8 is needed"));
    }
    key.ok()
}
