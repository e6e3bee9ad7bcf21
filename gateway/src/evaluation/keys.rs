//! The keys that prove an external evaluation's answers: one from a file, or a JWK set that is fetched, kept for a while, and fetched again
//! when a key is unknown, not more often than once in a while.

use std::sync::Arc;

use http::StatusCode;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;

use super::EvaluationError;
use crate::config::EvaluationKeys;
use crate::web_client::WebClient;

/// How long fetched keys count without being fetched again, in seconds.
const LIFE_S: i64 = 3_600;
/// Least time between two fetches, in seconds.
const FLOOR_S: i64 = 10;
/// Most keys of one set.
const MAX_KEYS: usize = 64;

#[derive(Debug)]
pub(super) struct Keys {
    configured: EvaluationKeys,
    /// Whoever holds it is the one who fetches.
    fetched: Mutex<Fetched>,
}

#[derive(Debug, Default)]
struct Fetched {
    set: Option<Arc<JwkSet>>,
    /// When it came.
    came_at: i64,
    /// When it was last asked for, whatever came of it.
    asked_at: Option<i64>,
}

impl Keys {
    pub(super) fn new(configured: EvaluationKeys) -> Self {
        Self { configured, fetched: Mutex::default() }
    }

    /// The key of this id, with the algorithm that its signatures have. Without an id it is the only key.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        http: &WebClient,
        now: i64,
    ) -> Result<(Algorithm, DecodingKey), EvaluationError> {
        let url = match &self.configured {
            EvaluationKeys::Pinned(key) => {
                return Ok((key.algorithm(), key.decoding().ok_or(EvaluationError::Keys)?));
            }
            EvaluationKeys::Fetched(url) => url,
        };
        let mut fetched = self.fetched.lock().await;
        let is_old = now.saturating_sub(fetched.came_at) >= LIFE_S || now < fetched.came_at;
        let known = fetched.set.as_deref().and_then(|set| among(set, id));
        let may_ask = fetched.asked_at.is_none_or(|asked| !(0..FLOOR_S).contains(&now.saturating_sub(asked)));
        if (known.is_none() || is_old) && may_ask {
            fetched.asked_at = Some(now);
            match fetch(http, url.as_str()).await {
                Ok(set) => (fetched.set, fetched.came_at) = (Some(Arc::new(set)), now),
                // What is known stays good while the newest cannot be had.
                Err(cause) => tracing::warn!(
                    target: "portcullis::evaluation", url = url.as_str(), %cause,
                    "the keys of an external evaluation cannot be fetched"
                ),
            }
        }
        let set = fetched.set.clone().ok_or(EvaluationError::Keys)?;
        drop(fetched);
        let key = among(&set, id).ok_or(EvaluationError::Signature)?;
        let algorithm = algorithm_of(key).ok_or(EvaluationError::Signature)?;
        Ok((algorithm, DecodingKey::from_jwk(key).map_err(|_| EvaluationError::Signature)?))
    }
}

/// The key of that id, if there is one and only one.
fn among<'s>(set: &'s JwkSet, id: Option<&str>) -> Option<&'s Jwk> {
    let signs = |key: &&Jwk| {
        let usage = &key.common.public_key_use;
        usage.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
    };
    let mut fitting =
        set.keys.iter().filter(signs).filter(|key| id.is_none() || key.common.key_id.as_deref() == id);
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

/// The kind of a key says how it signs: the answer has no word in that.
fn algorithm_of(key: &Jwk) -> Option<Algorithm> {
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            Some(Algorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Some(Algorithm::EdDSA)
        }
        _ => None,
    }
}

async fn fetch(http: &WebClient, url: &str) -> Result<JwkSet, EvaluationError> {
    let request = http::Request::get(url).body(Vec::new()).map_err(|_| EvaluationError::Keys)?;
    let told = http.send(request).await?;
    if told.status() != StatusCode::OK {
        return Err(EvaluationError::Status(told.status().as_u16()));
    }
    let set: JwkSet = serde_json::from_slice(told.body()).map_err(|_| EvaluationError::Keys)?;
    if set.keys.len() > MAX_KEYS { Err(EvaluationError::Keys) } else { Ok(set) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(keys: &serde_json::Value) -> JwkSet {
        serde_json::from_value(serde_json::json!({ "keys": keys })).unwrap()
    }

    #[test]
    fn a_key_is_found_by_its_id_or_by_being_the_only_one() {
        let key = |id: &str, usage: &str| serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": id, "use": usage });
        let one = set(&serde_json::json!([key("a", "sig")]));
        let two = set(&serde_json::json!([key("a", "sig"), key("b", "sig"), key("c", "enc")]));
        let twice = set(&serde_json::json!([key("a", "sig"), key("a", "sig")]));
        let found = |set: &JwkSet, id: Option<&str>| among(set, id).and_then(|key| key.common.key_id.clone());
        assert_eq!(found(&one, None).as_deref(), Some("a"));
        assert_eq!(found(&two, Some("b")).as_deref(), Some("b"));
        for (set, id) in
            [(&two, None), (&two, Some("c")), (&two, Some("d")), (&twice, Some("a")), (&one, Some(""))]
        {
            assert_eq!(found(set, id), None, "{id:?}");
        }
        assert_eq!(algorithm_of(one.keys.first().unwrap()), Some(Algorithm::EdDSA));
    }

    #[test]
    fn a_shared_secret_is_no_key() {
        let secret = set(&serde_json::json!([{ "kty": "oct", "k": "AA", "kid": "a" }]));
        assert_eq!(algorithm_of(secret.keys.first().unwrap()), None);
    }
}
