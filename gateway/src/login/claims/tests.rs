use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
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
        algorithm: SigningAlgorithm::Rs256,
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

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key that signs with this algorithm, as the provider publishes it, and what it makes of a message.
fn key_for(algorithm: SigningAlgorithm) -> (Value, Sign) {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let rsa = |padding: &'static dyn RsaEncoding| -> (Value, Sign) {
        let mut public = jwk(0);
        public["alg"] = algorithm.name().into();
        let random = random.clone();
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; key(0).public_modulus_len()];
            key(0).sign(padding, &random, message, &mut signature).unwrap();
            signature
        };
        (public, Box::new(sign))
    };
    let ec = |kind: &'static EcdsaSigningAlgorithm, curve: &str, size: usize| {
        let pair = EcdsaKeyPair::generate(kind).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let part = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + size]);
        let public = json!({"kty": "EC", "crv": curve, "kid": "key-0", "use": "sig", "x": part(1), "y": part(1 + size)});
        let sign: Sign = Box::new(move |message| {
            pair.sign(&aws_lc_rs::rand::SystemRandom::new(), message).unwrap().as_ref().to_vec()
        });
        (public, sign)
    };
    match algorithm {
        SigningAlgorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
        SigningAlgorithm::Rs384 => rsa(&RSA_PKCS1_SHA384),
        SigningAlgorithm::Rs512 => rsa(&RSA_PKCS1_SHA512),
        SigningAlgorithm::Ps256 => rsa(&RSA_PSS_SHA256),
        SigningAlgorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", 32),
        SigningAlgorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", 48),
        SigningAlgorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
            let public = json!({"kty": "OKP", "crv": "Ed25519", "kid": "key-0", "use": "sig", "x": x});
            (public, Box::new(move |message| pair.sign(message).as_ref().to_vec()))
        }
    }
}

fn check_with(token: &str, keys: &Value, algorithm: SigningAlgorithm) -> Result<(), IdTokenFault> {
    let keys = serde_json::from_value(json!({"keys": keys})).unwrap();
    let expected = Expected {
        issuer: ISSUER,
        client_id: "portcullis",
        groups_claim: "groups",
        algorithm,
        nonce: ExpectedNonce::Exactly("n"),
        access_token: Some("an access token"),
        now: NOW,
    };
    match verify(token, &expected, &keys) {
        Ok(_) => Ok(()),
        Err(ProviderError::IdToken(fault)) => Err(fault),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn t62_one_algorithm_is_taken_and_no_other() {
    for algorithm in SigningAlgorithm::ALL {
        let (public, sign) = key_for(algorithm);
        let signed = |header: &Value, claims: &Value| {
            let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
            let message = format!("{}.{}", part(header), part(claims));
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(sign(message.as_bytes())))
        };
        let header = json!({"alg": algorithm.name(), "kid": "key-0"});
        let mut claims = good();
        let good = signed(&header, &claims);
        for pinned in SigningAlgorithm::ALL {
            let wanted = if pinned == algorithm { Ok(()) } else { Err(IdTokenFault::Algorithm) };
            assert_eq!(check_with(&good, &json!([public]), pinned), wanted, "{algorithm:?} as {pinned:?}");
        }
        // The half of the hash that goes with it, and that of another function.
        let hash = |function: &'static digest::Algorithm| {
            let whole = digest::digest(function, b"an access token");
            URL_SAFE_NO_PAD.encode(&whole.as_ref()[..function.output_len() / 2])
        };
        let hashes = [&digest::SHA256, &digest::SHA384, &digest::SHA512].map(hash);
        let right = match algorithm.name() {
            "RS256" | "PS256" | "ES256" => 0,
            "RS384" | "ES384" => 1,
            _ => 2,
        };
        for (number, hash) in hashes.into_iter().enumerate() {
            claims["at_hash"] = hash.into();
            let wanted = if number == right { Ok(()) } else { Err(IdTokenFault::AccessToken) };
            assert_eq!(
                check_with(&signed(&header, &claims), &json!([public]), algorithm),
                wanted,
                "{algorithm:?}"
            );
        }
        // A key of another kind under the same name, and a signature with one bit more.
        let other = if public["kty"] == "RSA" { SigningAlgorithm::EdDsa } else { SigningAlgorithm::Rs256 };
        let wrong_kind = key_for(other).0;
        assert_eq!(check_with(&good, &json!([wrong_kind]), algorithm), Err(IdTokenFault::UnknownKey));
        let (head, signature) = good.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        signature[5] ^= 1;
        let bent = format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(check_with(&bent, &json!([public]), algorithm), Err(IdTokenFault::Signature));
    }
}

#[test]
fn t62_the_head_is_bounded_and_said_once() {
    let fault = |header: &str| {
        let token =
            format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(good().to_string()));
        check_with(&token, &json!([jwk(0)]), SigningAlgorithm::Rs256)
    };
    let padded = |bytes: usize| {
        let head = json!({"alg": "RS256", "kid": "key-0", "x5c": "x".repeat(bytes)}).to_string();
        fault(&head)
    };
    // Base64 makes four of three.
    assert_eq!(padded(header::MAX_HEADER_BYTES / 4 * 3 - 100), Err(IdTokenFault::Signature));
    assert_eq!(padded(header::MAX_HEADER_BYTES / 4 * 3 + 1), Err(IdTokenFault::Malformed));
    assert_eq!(fault(r#"{"alg":"RS256","alg":"RS256"}"#), Err(IdTokenFault::Malformed));
    assert_eq!(fault(r#"{"alg":["RS256"]}"#), Err(IdTokenFault::Malformed));
    assert_eq!(fault(r#"{"alg":"rs256"}"#), Err(IdTokenFault::Algorithm));
    assert_eq!(fault(r#"{"alg":"RS256","crit":[]}"#), Err(IdTokenFault::Malformed));
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
    let digest = digest::digest(&digest::SHA256, b"an access token");
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
    let encrypted = |verdict: Result<VerifiedClaims, ProviderError>| {
        assert!(matches!(verdict, Err(ProviderError::IdToken(IdTokenFault::Encrypted))), "{verdict:?}");
    };
    for header in [
        json!({"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF"}),
        json!({"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 2_000_000_000, "p2s": "AA"}),
        json!({"alg": "RS256", "kid": "key-0", "zip": "DEF"}),
        json!({"alg": "RS256", "kid": "key-0", "p2c": 2_000_000_000}),
    ] {
        encrypted(check(&signed(&header, &good().to_string(), 0)));
        // Five parts, as it would come.
        let head = URL_SAFE_NO_PAD.encode(header.to_string());
        encrypted(check(&format!("{head}.AA.AA.AA.AA")));
    }
    for parts in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e.f"] {
        let verdict = check(parts);
        assert!(
            matches!(verdict, Err(ProviderError::IdToken(IdTokenFault::Malformed))),
            "{parts}: {verdict:?}"
        );
    }
}

/// Verified claims with these groups, for the tests of `groups`.
pub(in crate::login) fn claims_with_groups(groups: &Value) -> VerifiedClaims {
    with(&json!({"groups": groups})).unwrap()
}
