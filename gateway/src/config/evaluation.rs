//! `[[external_evaluation]]`: services of the operator that are asked about a person, and whose signed answer policies go by. Asking is
//! left to `evaluation`.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};
use url::Url;

use super::document::{Section, Value};
use super::provider::{is_loopback, read_name};

/// One service that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// What policies call it: `external = "NAME"`.
    pub name: String,
    /// Where the question is posted to.
    pub url: Url,
    /// How long an answer may take; `limits.provider_timeout` holds beside it.
    pub timeout: Duration,
    /// How long an answer counts.
    pub cache: Duration,
    /// What proves an answer.
    pub keys: EvaluationKeys,
}

/// Whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvaluationKeys {
    /// Those of a JWK set that is fetched here.
    Fetched(Url),
    /// This one.
    Pinned(PinnedKey),
}

/// A public key from a file.
#[derive(Clone, PartialEq, Eq)]
pub struct PinnedKey {
    pem: Vec<u8>,
    algorithm: Algorithm,
}

impl fmt::Debug for PinnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl PinnedKey {
    /// Takes the key for what it is: the file says of which kind it is, and that says the algorithm.
    fn of(pem: &[u8]) -> Option<Self> {
        [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]
            .into_iter()
            .map(|algorithm| Self { pem: pem.to_vec(), algorithm })
            .find(|key| key.decoding().is_some())
    }

    /// The algorithm that its signatures have.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key, ready to verify.
    pub(crate) fn decoding(&self) -> Option<DecodingKey> {
        let key = match self.algorithm {
            Algorithm::RS256 => DecodingKey::from_rsa_pem(&self.pem),
            Algorithm::ES256 => DecodingKey::from_ec_pem(&self.pem),
            _ => DecodingKey::from_ed_pem(&self.pem),
        };
        key.ok()
    }
}

/// Longer than anybody waits in front of a page.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);
/// An answer that counts for longer is no evaluation any more.
const LONGEST_CACHE: Duration = Duration::from_secs(3_600);
/// Most bytes of a file with a public key.
const MAX_KEY_BYTES: usize = 64 * 1024;

pub(super) fn read_all(root: &mut Section<'_, '_>, folder: &Path) -> Vec<Evaluation> {
    let mut evaluations: Vec<Evaluation> = Vec::new();
    for mut section in root.sections("external_evaluation") {
        if let Some(evaluation) = read_one(&mut section, folder) {
            if evaluations.iter().any(|other| other.name == evaluation.name) {
                section.fault(format!("a second external evaluation named `{}`", evaluation.name));
            }
            evaluations.push(evaluation);
        }
        section.finish();
    }
    evaluations
}

fn read_one(section: &mut Section<'_, '_>, folder: &Path) -> Option<Evaluation> {
    let name = read_name(section, "policies name it: external = \"...\"");
    let url = section.required("url", "where the question is posted to").and_then(|value| read_url(&value));
    let timeout = section
        .optional("timeout")
        .map_or(Some(Duration::from_secs(5)), |value| at_most(&value, LONGEST_TIMEOUT, "30s"));
    let cache = section
        .optional("cache")
        .map_or(Some(Duration::from_secs(300)), |value| at_most(&value, LONGEST_CACHE, "1h"));
    let fetched = section.optional("keys_url").map(|value| read_url(&value).map(EvaluationKeys::Fetched));
    let pinned = section.optional("public_key").map(|value| read_key(&value, folder));
    let keys = match (fetched, pinned) {
        (Some(keys), None) | (None, Some(keys)) => keys,
        _ => {
            section.fault(
                "needs `keys_url` or `public_key`, one of them: an answer that nobody signed proves nothing",
            );
            None
        }
    };
    Some(Evaluation { name: name?, url: url?, timeout: timeout?, cache: cache?, keys: keys? })
}

fn at_most(value: &Value<'_, '_>, longest: Duration, told: &str) -> Option<Duration> {
    let duration = value.duration()?;
    if duration > longest {
        value.fault(format!("must be {told} at most"));
        return None;
    }
    Some(duration)
}

fn read_url(value: &Value<'_, '_>) -> Option<Url> {
    let url = value.parsed::<Url>()?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        value.fault("must be https; plain http is accepted for a loopback address only");
        return None;
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        value.fault("has no fragment and no user");
        return None;
    }
    Some(url)
}

fn read_key(value: &Value<'_, '_>, folder: &Path) -> Option<EvaluationKeys> {
    let path = folder.join(value.string()?);
    value.names_file(&path);
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(error) => {
            value.fault(format!("cannot read `{}`: {error}", path.display()));
            return None;
        }
    };
    let key = Some(pem).filter(|pem| pem.len() <= MAX_KEY_BYTES).and_then(|pem| PinnedKey::of(&pem));
    if key.is_none() {
        value.fault(format!(
            "`{}` holds no public key as PEM: RSA, ECDSA on P-256 or Ed25519 are understood",
            path.display()
        ));
    }
    key.map(EvaluationKeys::Pinned)
}
