//! An assertion that comes back to us: a server that was sent one asks whom it is about, as servers written for Cloudflare Access do
//! (`CF_Authorization`). What it is told is left to `identity`.

use http::HeaderMap;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm};
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;

use super::{KIND, Ring};
use crate::cookies;
use crate::identity_headers::ASSERTION;

/// By which servers show what they were sent.
const COOKIE: &str = "CF_Authorization";
/// A longer one is not ours: the claims that it repeats have a limit, and the rest is short.
const MAX_SHOWN_BYTES: usize = 8 * 1024;

/// What an assertion of ours says, as far as it is needed to find the session again.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The session.
    #[serde(rename = "identity_nonce")]
    pub(crate) session: String,
    /// Whom it is about.
    pub(crate) sub: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The assertion that a request shows: in the field in which it was sent, or in the cookie that Cloudflare Access calls it by. One alone:
/// of two that differ neither means anything.
pub(crate) fn in_head(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(&ASSERTION).iter();
    let field = fields.next().map(|value| value.to_str().unwrap_or_default());
    let shown = match (field, cookies::only(headers, COOKIE)) {
        (Some(_), _) if fields.next().is_some() => None,
        (Some(field), Some(cookie)) => Some(field).filter(|field| *field == cookie),
        (field, cookie) => field.or(cookie),
    };
    shown.filter(|text| text.len() <= MAX_SHOWN_BYTES)
}

impl Ring {
    /// What the assertion says, if a key that is published signed it by its own algorithm, for one of these audiences, and its time is not
    /// over at `now`.
    pub(crate) fn verify(&self, issuer: &str, audiences: &[&str], token: &str, now: i64) -> Option<Shown> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let key = self.public(header.kid.as_deref()?)?;
        let mut validation = Validation::new(algorithm(key)?);
        validation.set_issuer(&[issuer]);
        validation.set_audience(audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // By the clock of the request, below.
        validation.validate_exp = false;
        let known =
            jsonwebtoken::decode::<Timed>(token, &DecodingKey::from_jwk(key).ok()?, &validation).ok()?;
        let Timed { exp, shown } = known.claims;
        (exp > now && shown.kind == KIND).then_some(shown)
    }
}

#[derive(Deserialize)]
struct Timed {
    exp: i64,
    #[serde(flatten)]
    shown: Shown,
}

/// The key's own, whatever a header says.
fn algorithm(key: &Jwk) -> Option<jsonwebtoken::Algorithm> {
    match key.common.key_algorithm? {
        KeyAlgorithm::RS256 => Some(jsonwebtoken::Algorithm::RS256),
        KeyAlgorithm::ES256 => Some(jsonwebtoken::Algorithm::ES256),
        KeyAlgorithm::EdDSA => Some(jsonwebtoken::Algorithm::EdDSA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::COOKIE as COOKIES;
    use jsonwebtoken::Header;
    use portcullis_store::{SigningKey, SigningKeyState};
    use serde_json::{Value, json};

    use super::*;
    use crate::assertion::key::{self, Algorithm};
    use crate::seal::{Sealer, random_text};

    const ISSUER: &str = "https://auth.corp.example";

    fn rings() -> (Ring, Ring) {
        let file = std::env::temp_dir().join(format!("portcullis-shown-{}", random_text::<8>().unwrap()));
        let sealer = Sealer::from_file(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let ring = || {
            let made = key::make(&sealer, Algorithm::Es256, ISSUER, 1_000).unwrap();
            Ring::of(&[SigningKey { state: SigningKeyState::Active, ..made }], &sealer).unwrap()
        };
        (ring(), ring())
    }

    fn claims() -> Value {
        json!({
            "aud": ["wiki"], "iss": ISSUER, "exp": 2_000, "iat": 1_000, "type": "app", "identity_nonce": "5e55", "sub": "00u1",
        })
    }

    fn signed(ring: &Ring, claims: &Value) -> String {
        let header = Header { kid: Some(ring.key_id.clone()), ..Header::new(ring.algorithm.in_header()) };
        jsonwebtoken::encode(&header, claims, &ring.key).unwrap()
    }

    #[test]
    fn only_what_we_signed_for_an_application_and_is_good_still_finds_anybody() {
        let (ring, other) = rings();
        let found = |token: &str, now| ring.verify(ISSUER, &["canteen", "wiki"], token, now);
        let token = signed(&ring, &claims());
        let shown = Shown { session: "5e55".to_owned(), sub: "00u1".to_owned(), kind: "app".to_owned() };
        assert_eq!(found(&token, 1_999), Some(shown));
        assert_eq!(found(&token, 2_000), None, "its time is over");
        for (name, value) in [
            ("aud", json!(["elsewhere"])),
            ("aud", Value::Null),
            ("iss", json!("https://auth.elsewhere.example")),
            ("exp", Value::Null),
            ("type", json!("evaluation")),
            ("sub", Value::Null),
            ("identity_nonce", Value::Null),
        ] {
            let mut claims = claims();
            claims[name] = value.clone();
            assert_eq!(found(&signed(&ring, &claims), 1_500), None, "{name}: {value}");
        }
        assert_eq!(found(&signed(&other, &claims()), 1_500), None, "by a key that is not ours");
        let ours = Header { kid: Some(ring.key_id.clone()), ..Header::new(other.algorithm.in_header()) };
        let forged = jsonwebtoken::encode(&ours, &claims(), &other.key).unwrap();
        assert_eq!(found(&forged, 1_500), None, "under the name of ours");
        let public = serde_json::to_vec(ring.public(&ring.key_id).unwrap()).unwrap();
        let hmac = Header { kid: Some(ring.key_id.clone()), ..Header::new(jsonwebtoken::Algorithm::HS256) };
        let secret = jsonwebtoken::EncodingKey::from_secret(&public);
        let confused = jsonwebtoken::encode(&hmac, &claims(), &secret).unwrap();
        assert_eq!(found(&confused, 1_500), None, "by the public key as a secret");
        assert_eq!(found("", 1_500), None);
    }

    #[test]
    fn one_assertion_is_shown_or_none() {
        let head = |fields: &[&str], cookies: &str| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(ASSERTION, HeaderValue::from_str(field).unwrap());
            }
            headers.insert(COOKIES, HeaderValue::from_str(cookies).unwrap());
            in_head(&headers).map(str::to_owned)
        };
        let one = Some("a.b.c".to_owned());
        assert_eq!(head(&["a.b.c"], ""), one);
        assert_eq!(head(&[], "x=1; CF_Authorization=a.b.c"), one);
        assert_eq!(head(&["a.b.c"], "CF_Authorization=a.b.c"), one);
        assert_eq!(head(&["a.b.c"], "CF_Authorization=d.e.f"), None);
        assert_eq!(head(&["a.b.c", "a.b.c"], ""), None);
        assert_eq!(head(&[], "CF_Authorization=a.b.c; CF_Authorization=d.e.f"), None);
        assert_eq!(head(&[], ""), None);
        assert!(head(&[&"a".repeat(MAX_SHOWN_BYTES)], "").is_some());
        assert_eq!(head(&[&"a".repeat(MAX_SHOWN_BYTES + 1)], ""), None, "longer than ours can be");
    }
}
