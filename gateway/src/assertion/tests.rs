use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use portcullis_store::SigningKeyState;
use serde_json::json;

use super::*;
use crate::seal::random_text;

fn sealer(name: &str) -> Sealer {
    let file = std::env::temp_dir().join(format!("portcullis-{name}-{}", random_text::<8>().unwrap()));
    let sealer = Sealer::from_file(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    sealer
}

fn active(sealer: &Sealer, algorithm: Algorithm) -> SigningKey {
    let made = key::make(sealer, algorithm, "https://auth.corp.example", 1_000).unwrap();
    SigningKey { state: SigningKeyState::Active, ..made }
}

fn profile(claims: &Value) -> Profile {
    Profile {
        email: None,
        display_name: Some("Zoë".to_owned()),
        groups: Vec::new(),
        claims_json: claims.to_string(),
        authenticated_at: 0,
        told_at: 0,
    }
}

#[test]
fn claims_are_told_whole_or_the_request_is_denied() {
    let wanted = |claims: &[&str]| Asserted {
        audience: "wiki".to_owned(),
        claims: claims.iter().map(ToString::to_string).collect(),
        life_s: 120,
    };
    let login = profile(&json!({"department": "Tools", "badge": {"no": 7}}));
    let groups = ["Engineering".to_owned()];
    let told = custom(&wanted(&["department", "badge", "absent", "name", "groups"]), "okta", &login, &groups);
    let expected = json!({
        "department": "Tools", "badge": {"no": 7}, "name": "Zoë", "groups": ["Engineering"],
    });
    assert_eq!(told.map(Value::from), Some(expected));
    assert_eq!(custom(&wanted(&[]), "okta", &login, &groups), Some(Map::new()));
    let frame = json!({"long": ""}).to_string().len();
    let of = |length: usize| profile(&json!({"long": "x".repeat(length)}));
    let longest = MAX_CUSTOM_BYTES - frame;
    assert!(custom(&wanted(&["long"]), "okta", &of(longest), &[]).is_some());
    assert!(custom(&wanted(&["long"]), "okta", &of(longest + 1), &[]).is_none());
}

#[test]
fn each_algorithm_signs_what_its_published_key_verifies() {
    let sealer = sealer("algorithms");
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let made = active(&sealer, algorithm);
        let ring = Ring::of(std::slice::from_ref(&made), &sealer).unwrap();
        let header = Header { kid: Some(ring.key_id.clone()), ..Header::new(ring.algorithm.in_header()) };
        let token = jsonwebtoken::encode(&header, &json!({"exp": i64::MAX}), &ring.key).unwrap();
        let published: Value = serde_json::from_slice(&ring.published()).unwrap();
        let set: JwkSet = serde_json::from_value(published.clone()).unwrap();
        let jwk = set.find(&made.kid).unwrap();
        assert_eq!(published["keys"][0]["alg"], algorithm.as_str());
        assert_eq!(published["keys"][0]["use"], "sig");
        let verifies = |key: &DecodingKey| {
            jsonwebtoken::decode::<Value>(&token, key, &Validation::new(algorithm.in_header())).is_ok()
        };
        assert!(verifies(&DecodingKey::from_jwk(jwk).unwrap()), "{algorithm}: by the JWK");
        let other = active(&sealer, algorithm);
        let other: jsonwebtoken::jwk::Jwk = serde_json::from_str(&other.public_jwk).unwrap();
        assert!(!verifies(&DecodingKey::from_jwk(&other).unwrap()), "{algorithm}: by another key");
        let pem = published["public_cert"]["cert"].as_str().unwrap();
        let pem = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1;
        let certificate = pem.parse_x509().unwrap();
        let bits = &certificate.public_key().subject_public_key.data;
        let key = match algorithm {
            Algorithm::Rs256 => DecodingKey::from_rsa_der(bits),
            Algorithm::Es256 => DecodingKey::from_ec_der(bits),
            Algorithm::EdDsa => DecodingKey::from_ed_der(bits),
        };
        assert!(verifies(&key), "{algorithm}: by the certificate");
    }
}

#[test]
fn all_keys_are_published_and_the_one_that_signs_comes_first() {
    let sealer = sealer("published");
    let keys = [SigningKeyState::Retired, SigningKeyState::Active, SigningKeyState::Next]
        .map(|state| SigningKey { state, ..active(&sealer, Algorithm::Es256) });
    let published: Value = serde_json::from_slice(&Ring::of(&keys, &sealer).unwrap().published()).unwrap();
    let kids = |list: &str| -> Vec<String> {
        let listed = published[list].as_array().unwrap().iter();
        listed.map(|entry| entry["kid"].as_str().unwrap().to_owned()).collect()
    };
    let expected = [&keys[1].kid, &keys[0].kid, &keys[2].kid].map(Clone::clone);
    assert_eq!(kids("keys"), expected);
    assert_eq!(kids("public_certs"), expected);
    assert_eq!(published["public_cert"]["kid"], *keys[1].kid);
    assert!(!published.to_string().contains("PRIVATE"), "a private key is published");
    assert!(published["keys"][0].get("d").is_none());
}

#[test]
fn another_key_file_is_told_apart_also_by_the_key_that_will_sign() {
    let (ours, others) = (sealer("ours"), sealer("others"));
    let foreign = active(&others, Algorithm::Es256);
    let refused = Ring::of(std::slice::from_ref(&foreign), &ours);
    assert!(matches!(refused, Err(AssertionError::Sealed(kid)) if kid == foreign.kid));
    let next = SigningKey { state: SigningKeyState::Next, ..foreign };
    let keys = [active(&ours, Algorithm::Es256), next];
    assert!(matches!(Ring::of(&keys, &ours), Err(AssertionError::Sealed(_))));
    let unknown = SigningKey { algorithm: "HS256".to_owned(), ..active(&ours, Algorithm::Es256) };
    assert!(matches!(Ring::of(&[unknown], &ours), Err(AssertionError::Algorithm(_))));
    assert!(matches!(Ring::of(&[], &ours), Err(AssertionError::NoKey)));
}

#[test]
fn keys_that_are_in_use_stay_in_use_when_others_do_not_open() {
    let (ours, others) = (sealer("kept"), sealer("others"));
    let first = active(&ours, Algorithm::Es256);
    let signer =
        Signer::new("https://auth.corp.example".to_owned(), std::slice::from_ref(&first), &ours).unwrap();
    let before = Arc::clone(&signer.ring());
    signer.follow(std::slice::from_ref(&first), &ours).unwrap();
    assert!(Arc::ptr_eq(&before, &signer.ring()), "the same keys were put in use anew");
    assert!(signer.follow(&[active(&others, Algorithm::Es256)], &ours).is_err());
    assert_eq!(signer.ring().key_id, first.kid);
    let second = active(&ours, Algorithm::EdDsa);
    let retired = SigningKey { state: SigningKeyState::Retired, ..first };
    signer.follow(&[retired, second.clone()], &ours).unwrap();
    assert_eq!(signer.ring().key_id, second.kid);
}
