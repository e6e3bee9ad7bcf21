use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

use super::*;

pub(in crate::login) const ISSUER: &str = "https://corp.okta.example";
pub(in crate::login) const NOW: i64 = 1_800_000_000;

/// Keys take a while to make: two for all tests.
fn key(number: usize) -> &'static RsaKeyPair {
    static KEYS: [OnceLock<RsaKeyPair>; 2] = [OnceLock::new(), OnceLock::new()];
    KEYS[number].get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn jwk(number: usize) -> Value {
    let public = key(number).public_key();
    let modulus = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
    let exponent = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": format!("key-{number}"), "n": modulus, "e": exponent})
}

pub(in crate::login) fn key_set(numbers: &[usize]) -> String {
    json!({"keys": numbers.iter().map(|number| jwk(*number)).collect::<Vec<_>>()}).to_string()
}

pub(in crate::login) fn signed(header: &Value, claims: &str, number: usize) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; key(number).public_modulus_len()];
    let random = aws_lc_rs::rand::SystemRandom::new();
    key(number).sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(in crate::login) fn good() -> Value {
    json!({
        "iss": ISSUER, "aud": "portcullis", "sub": "00u1", "iat": NOW, "exp": NOW + 3600, "nonce": "n",
        "email": "Engineer@corp.example", "email_verified": true, "name": "An Engineer",
        "groups": ["Engineering"], "auth_time": NOW - 5, "amr": ["pwd", "mfa"], "idp": "00o1", "ver": 1,
    })
}

fn token(claims: &Value) -> String {
    signed(&json!({"alg": "RS256", "kid": "key-0"}), &claims.to_string(), 0)
}

fn check(token: &str) -> Result<VerifiedClaims, ProviderError> {
    let keys = serde_json::from_str(&key_set(&[0])).unwrap();
    let expected = Expected {
        issuer: ISSUER,
        client_id: "portcullis",
        groups_claim: "groups",
        nonce: ExpectedNonce::Exactly("n"),
        access_token: Some("an access token"),
        now: NOW,
    };
    verify(token, &expected, &keys)
}

/// The verdict on a good token with some claims set, or removed by `null`.
fn with(changes: &Value) -> Result<VerifiedClaims, ProviderError> {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    check(&token(&claims))
}

fn fault_with(changes: &Value) -> IdTokenFault {
    match with(changes) {
        Err(ProviderError::IdToken(fault)) => fault,
        other => panic!("{changes}: {other:?}"),
    }
}

#[test]
fn a_good_token_becomes_claims() {
    let claims = check(&token(&good())).unwrap();
    assert_eq!(claims.subject, Subject { issuer: ISSUER.to_owned(), sub: "00u1".to_owned() });
    assert_eq!(claims.email.as_deref(), Some("engineer@corp.example"));
    assert!(!claims.email_ignored);
    assert_eq!(claims.name.as_deref(), Some("An Engineer"));
    assert_eq!(claims.groups, GroupsClaim::Listed(vec!["Engineering".to_owned()]));
    assert_eq!(claims.auth_time, Some(NOW - 5));
    let others: Value = serde_json::from_str(&claims.others_json).unwrap();
    assert_eq!(others, json!({"amr": ["pwd", "mfa"], "auth_time": NOW - 5, "idp": "00o1"}));
}

#[test]
fn t62_the_signature_is_rs256_of_a_key_of_the_provider() {
    let claims = good().to_string();
    let fault = |header: Value, number| match check(&signed(&header, &claims, number)) {
        Err(ProviderError::IdToken(fault)) => fault,
        other => panic!("{header}: {other:?}"),
    };
    assert_eq!(fault(json!({"alg": "RS256", "kid": "key-0"}), 1), IdTokenFault::Signature);
    assert_eq!(fault(json!({"alg": "RS256", "kid": "key-1"}), 1), IdTokenFault::UnknownKey);
    assert_eq!(fault(json!({"alg": "RS384", "kid": "key-0"}), 0), IdTokenFault::Algorithm);
    assert_eq!(fault(json!({"alg": "none"}), 0), IdTokenFault::Algorithm);
    assert_eq!(fault(json!({"kid": "key-0"}), 0), IdTokenFault::Malformed);
    assert_eq!(fault(json!({"alg": "RS256", "kid": "key-0", "crit": ["exp"]}), 0), IdTokenFault::Malformed);
    assert_eq!(
        fault(json!({"alg": "RS256", "kid": "key-0", "typ": "logout+jwt"}), 0),
        IdTokenFault::Malformed
    );
    // A key that the token brings along is not a key of the provider.
    assert_eq!(fault(json!({"alg": "RS256", "jwk": jwk(1)}), 1), IdTokenFault::Signature);
    assert_eq!(
        fault(json!({"alg": "RS256", "kid": "key-1", "jku": "https://evil.example"}), 1),
        IdTokenFault::UnknownKey
    );
    let unsigned = token(&good());
    let unsigned = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
    assert!(matches!(check(&unsigned), Err(ProviderError::IdToken(IdTokenFault::Signature))));
}

#[test]
fn t62_the_public_key_is_no_shared_secret() {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": "key-0"}).to_string()),
        URL_SAFE_NO_PAD.encode(good().to_string())
    );
    let public = key(0).public_key().as_der().unwrap();
    let mac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_ref());
    let mac = aws_lc_rs::hmac::sign(&mac_key, input.as_bytes());
    let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac));
    assert!(matches!(check(&forged), Err(ProviderError::IdToken(IdTokenFault::Algorithm))));
}

#[test]
fn t63_the_token_is_of_this_issuer_for_us_alone() {
    assert_eq!(fault_with(&json!({"iss": format!("{ISSUER}/")})), IdTokenFault::Issuer);
    assert_eq!(fault_with(&json!({"aud": "another"})), IdTokenFault::Audience);
    assert_eq!(fault_with(&json!({"aud": ["portcullis", "another"]})), IdTokenFault::Audience);
    assert_eq!(fault_with(&json!({"aud": null})), IdTokenFault::Audience);
    assert_eq!(fault_with(&json!({"azp": "another"})), IdTokenFault::Audience);
    assert!(with(&json!({"aud": ["portcullis"], "azp": "portcullis"})).is_ok());
    assert_eq!(fault_with(&json!({"nonce": "m"})), IdTokenFault::Nonce);
    assert_eq!(fault_with(&json!({"nonce": null})), IdTokenFault::Nonce);
    assert_eq!(fault_with(&json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"})), IdTokenFault::AccessToken);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"an access token");
    assert!(with(&json!({"at_hash": URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])})).is_ok());
}

#[test]
fn a_renewed_token_has_no_nonce_or_that_of_the_login() {
    let renewed = ExpectedNonce::SameIfPresent("n");
    assert!(renewed.verify(None).is_ok());
    assert!(renewed.verify(Some(&Nonce::new("n".to_owned()))).is_ok());
    assert!(renewed.verify(Some(&Nonce::new("m".to_owned()))).is_err());
    let login = ExpectedNonce::Exactly("n");
    assert!(login.verify(None).is_err());
    assert!(login.verify(Some(&Nonce::new("n".to_owned()))).is_ok());
}

#[test]
fn t64_times_have_edges() {
    assert_eq!(fault_with(&json!({"iat": NOW - 4000, "exp": NOW - LEEWAY_S})), IdTokenFault::Expired);
    assert!(with(&json!({"iat": NOW - 4000, "exp": NOW - LEEWAY_S + 1})).is_ok());
    assert!(with(&json!({"iat": NOW + LEEWAY_S})).is_ok());
    assert_eq!(fault_with(&json!({"iat": NOW + LEEWAY_S + 1})), IdTokenFault::IssuedInFuture);
    assert_eq!(fault_with(&json!({"nbf": NOW + LEEWAY_S + 1})), IdTokenFault::IssuedInFuture);
    assert_eq!(fault_with(&json!({"nbf": 1e300})), IdTokenFault::IssuedInFuture);
    assert_eq!(fault_with(&json!({"nbf": "soon"})), IdTokenFault::Malformed);
    assert!(with(&json!({"exp": NOW as f64 + 0.5})).is_err(), "half a second of life floors to none");
    assert!(with(&json!({"exp": NOW as f64 + 60.5})).is_ok());
    assert_eq!(fault_with(&json!({"exp": -1})), IdTokenFault::Expired);
    assert_eq!(fault_with(&json!({"exp": 1e300})), IdTokenFault::Malformed);
    assert_eq!(fault_with(&json!({"exp": null})), IdTokenFault::Malformed);
    assert_eq!(fault_with(&json!({"exp": (NOW + 60).to_string()})), IdTokenFault::Malformed);
    assert!(with(&json!({"exp": NOW + MAX_LIFE_S})).is_ok());
    assert_eq!(fault_with(&json!({"exp": NOW + MAX_LIFE_S + 1})), IdTokenFault::Lifetime);
}

#[test]
fn t65_an_address_counts_only_verified_and_in_one_reading() {
    let unverified = with(&json!({"email_verified": false})).unwrap();
    assert!(
        unverified.email.is_none() && unverified.email_ignored && !unverified.unproved_addresses.is_empty()
    );
    let untold = with(&json!({"email_verified": null})).unwrap();
    assert!(untold.email.is_none() && !untold.unproved_addresses.is_empty());
    for address in
        ["a@corp.example@evil.example", "\"a b\"@corp.example", "a@corp.example.", "а@corp.example", ""]
    {
        let claims = with(&json!({"email": address})).unwrap();
        assert!(claims.email.is_none(), "{address}");
    }
    let none = with(&json!({"email": null})).unwrap();
    assert!(none.email.is_none());
}

#[test]
fn t67_groups_are_names_or_the_token_is_refused() {
    let listed = |value: &Value| with(&json!({"groups": value})).unwrap().groups;
    assert_eq!(with(&json!({"groups": null})).unwrap().groups, GroupsClaim::Missing);
    assert_eq!(listed(&json!([])), GroupsClaim::Listed(Vec::new()));
    assert_eq!(listed(&json!("One, Two")), GroupsClaim::Listed(vec!["One, Two".to_owned()]));
    assert_eq!(listed(&json!(vec!["G"; 5000])), GroupsClaim::Listed(vec!["G".to_owned(); 5000]));
    assert_eq!(listed(&json!(vec!["G"; MAX_GROUPS])), GroupsClaim::Listed(vec!["G".to_owned(); MAX_GROUPS]));
    let refused = [
        json!([["Engineering"]]),
        json!(["Engineering", 7]),
        json!(["Engineering", null]),
        json!({"Engineering": true}),
        json!(7),
        json!(""),
        json!(["Engineering", ""]),
        json!(["a".repeat(MAX_GROUP_NAME_BYTES + 1)]),
        json!(vec!["G"; MAX_GROUPS + 1]),
    ];
    for groups in refused {
        let verdict = with(&json!({"groups": groups}));
        assert!(matches!(verdict, Err(ProviderError::GroupsClaimUnreadable { .. })), "{verdict:?}");
    }
    let overage = with(&json!({"groups": null, "_claim_names": {"groups": "src1"}}));
    assert!(matches!(overage, Err(ProviderError::GroupsClaimUnreadable { .. })), "{overage:?}");
}

#[test]
fn a_null_groups_claim_is_missing() {
    let claims = good().to_string().replace("[\"Engineering\"]", "null");
    let claims = check(&signed(&json!({"alg": "RS256", "kid": "key-0"}), &claims, 0)).unwrap();
    assert_eq!(claims.groups, GroupsClaim::Missing);
}

#[test]
fn subjects_and_other_claims_are_bounded() {
    assert!(with(&json!({"sub": "s".repeat(MAX_SUBJECT_BYTES)})).is_ok());
    assert_eq!(fault_with(&json!({"sub": "s".repeat(MAX_SUBJECT_BYTES + 1)})), IdTokenFault::Malformed);
    assert_eq!(fault_with(&json!({"sub": "a\nb"})), IdTokenFault::Malformed);
    assert_eq!(fault_with(&json!({"sub": ""})), IdTokenFault::Malformed);
    assert_eq!(fault_with(&json!({"blob": "x".repeat(MAX_OTHERS_BYTES)})), IdTokenFault::Malformed);
}

#[test]
fn a_claim_that_is_said_twice_is_refused() {
    let claims = good().to_string().replacen('{', "{\"aud\":\"another\",", 1);
    let twice = check(&signed(&json!({"alg": "RS256", "kid": "key-0"}), &claims, 0));
    assert!(matches!(twice, Err(ProviderError::IdToken(IdTokenFault::Malformed))), "{twice:?}");
}

#[test]
fn t73_what_is_encrypted_or_packed_is_not_unpacked() {
    for header in [
        json!({"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF"}),
        json!({"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 2_000_000_000, "p2s": "AA"}),
    ] {
        let verdict = check(&signed(&header, &good().to_string(), 0));
        assert!(matches!(verdict, Err(ProviderError::IdToken(_))), "{verdict:?}");
    }
}

/// Verified claims with these groups, for the tests of `groups`.
pub(in crate::login) fn claims_with_groups(groups: &Value) -> VerifiedClaims {
    with(&json!({"groups": groups})).unwrap()
}
