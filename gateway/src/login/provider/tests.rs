use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::super::claims::tests::{NOW, good, key_set, signed};
use super::*;
use crate::config::{ClientAuthentication, ClientKey, PushedRequests};
use crate::web_client::tests::{Server, answer};

/// How the provider of a test behaves; changed while it runs.
#[derive(Clone, Default)]
struct Behaviour {
    metadata: Option<Value>,
    keys: Vec<usize>,
    signing_key: usize,
    refusal: Option<(u16, Value)>,
    key_fetches: usize,
    key_request: String,
    token_request: String,
    /// Whether there is an endpoint for pushed requests, and what it answers.
    pushed: Option<(u16, Value)>,
    push_request: String,
}

struct Rig {
    provider: Provider,
    server: Server,
    behaviour: Arc<Mutex<Behaviour>>,
}

fn metadata(own: &str) -> Value {
    json!({
        "issuer": own,
        "authorization_endpoint": format!("{own}/authorize?audience=a"),
        "token_endpoint": format!("{own}/token"),
        "jwks_uri": format!("{own}/keys"),
        "end_session_endpoint": format!("{own}/logout"),
    })
}

fn respond(own: &str, request: &str, behaviour: &mut Behaviour) -> String {
    match request.split(' ').nth(1).unwrap() {
        "/.well-known/openid-configuration" => {
            let mut metadata = behaviour.metadata.clone().unwrap_or_else(|| metadata(own));
            if behaviour.pushed.is_some() {
                metadata["pushed_authorization_request_endpoint"] = format!("{own}/par").into();
            }
            answer(200, "", &metadata.to_string())
        }
        "/keys" | "/keys?client_id=portcullis" => {
            request.clone_into(&mut behaviour.key_request);
            behaviour.key_fetches += 1;
            answer(200, "", &key_set(&behaviour.keys))
        }
        "/par" => {
            request.clone_into(&mut behaviour.push_request);
            let (status, body) = behaviour.pushed.clone().unwrap_or_else(|| panic!("nobody offered that"));
            answer(status, "", &body.to_string())
        }
        "/token" => {
            request.clone_into(&mut behaviour.token_request);
            if let Some((status, body)) = &behaviour.refusal {
                return answer(*status, "", &body.to_string());
            }
            let mut claims = good();
            claims["iss"] = own.into();
            claims["exp"] = (NOW + 2 * kept::MAX_AGE_S).into();
            let kid = format!("key-{}", behaviour.signing_key);
            let token =
                signed(&json!({"alg": "RS256", "kid": kid}), &claims.to_string(), behaviour.signing_key);
            answer(
                200,
                "",
                &json!({"id_token": token, "access_token": "a", "token_type": "Bearer"}).to_string(),
            )
        }
        path => answer(404, "", path),
    }
}

fn with_secret(secret: &str) -> ClientAuthentication {
    ClientAuthentication::SecretBasic(Secret::new(secret.to_owned()))
}

async fn rig(change: impl FnOnce(&mut IdentityProvider)) -> Rig {
    let behaviour = Arc::new(Mutex::new(Behaviour { keys: vec![0], ..Behaviour::default() }));
    let shared = Arc::clone(&behaviour);
    let server = Server::new(move |own, request| respond(own, request, &mut shared.lock().unwrap())).await;
    let mut settings = IdentityProvider::public_client(&server.origin);
    change(&mut settings);
    let http = Arc::new(WebClient::new(Duration::from_secs(20)).unwrap());
    Rig { provider: Provider::new(Arc::new(settings), http), server, behaviour }
}

impl Rig {
    fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    async fn redeem(&self, now: i64) -> Result<(VerifiedClaims, ProviderTokens), ProviderError> {
        self.provider.redeem("https://auth.corp.example/callback", "c+/&", "n", Some("v"), now).await
    }
}

#[tokio::test]
async fn the_authorization_url_says_all_that_binds_the_login() {
    let rig = rig(|_| {}).await;
    // Verifier and challenge of RFC 7636 appendix B.
    let attempt = AuthorizationRequest {
        redirect_uri: "https://auth.corp.example/callback",
        state: "s&t",
        nonce: "n",
        code_verifier: Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        login_hint: None,
        wanted: &Wanted::default(),
    };
    let url = rig.provider.authorization_url(&attempt, NOW).await.unwrap();
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [
        ("audience", "a"),
        ("response_type", "code"),
        ("client_id", "portcullis"),
        ("redirect_uri", "https://auth.corp.example/callback"),
        ("scope", "openid groups"),
        ("state", "s&t"),
        ("nonce", "n"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(query, expected);
    assert_eq!(rig.server.requests(), 1);
}

#[tokio::test]
async fn a_public_client_sends_its_id_and_no_authorization() {
    let rig = rig(|_| {}).await;
    let (claims, tokens) = rig.redeem(NOW).await.unwrap();
    assert_eq!(claims.subject.sub, "00u1");
    assert_eq!(tokens.id_token.expose().split('.').count(), 3);
    let request = rig.behaviour.lock().unwrap().token_request.clone();
    assert!(!request.contains("authorization:"), "{request}");
    let body = request.rsplit("\r\n\r\n").next().unwrap();
    assert_eq!(
        body,
        "grant_type=authorization_code&code=c%2B%2F%26&redirect_uri=https%3A%2F%2Fauth.corp.example%2Fcallback\
         &code_verifier=v&client_id=portcullis"
    );
}

#[tokio::test]
async fn id_and_secret_are_form_encoded_before_basic() {
    let rig = rig(|settings| settings.client_authentication = with_secret("s:e c%")).await;
    rig.redeem(NOW).await.unwrap();
    let request = rig.behaviour.lock().unwrap().token_request.clone();
    let basic = STANDARD.encode("portcullis:s%3Ae+c%25");
    assert!(request.contains(&format!("authorization: Basic {basic}\r\n")), "{request}");
    assert!(!request.contains("client_id="), "both at once is an invalid request to Okta: {request}");
}

/// The fields of the form that a request carries, and whether it names an `Authorization`.
fn form(request: &str) -> (HashMap<String, String>, bool) {
    let body = request.rsplit("\r\n\r\n").next().unwrap();
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let map: HashMap<String, String> = fields.iter().cloned().collect();
    assert_eq!(map.len(), fields.len(), "a field stands twice: {fields:?}");
    (map, request.contains("\r\nauthorization:"))
}

#[tokio::test]
async fn a_secret_in_the_form_stands_there_alone() {
    let rig = rig(|settings| {
        settings.client_authentication = ClientAuthentication::SecretPost(Secret::new("s:e c%".to_owned()));
    })
    .await;
    rig.redeem(NOW).await.unwrap();
    let (form, authorization) = form(&rig.behaviour.lock().unwrap().token_request);
    assert!(!authorization, "both at once is an invalid request to Okta");
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("portcullis", "s:e c%"));
}

/// A key of each kind, as PEM, with its public half.
fn client_keys() -> Vec<(Algorithm, String, DecodingKey)> {
    let pem = |der: &[u8]| {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
    };
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa_pem = pem(AsDer::<Pkcs8V1Der<'_>>::as_der(&rsa).unwrap().as_ref());
    let public = rsa.public_key();
    let rsa_public = DecodingKey::from_rsa_raw_components(
        public.modulus().big_endian_without_leading_zero(),
        public.exponent().big_endian_without_leading_zero(),
    );
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = ec.public_key().as_ref();
    let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    let ec_public = DecodingKey::from_ec_components(&part(1..33), &part(33..65)).unwrap();
    let ed = Ed25519KeyPair::generate().unwrap();
    let ed_public =
        DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(ed.public_key().as_ref())).unwrap();
    vec![
        (Algorithm::RS256, rsa_pem.clone(), rsa_public.clone()),
        (Algorithm::PS256, rsa_pem, rsa_public),
        (Algorithm::ES256, pem(ec.to_pkcs8v1().unwrap().as_ref()), ec_public),
        (Algorithm::EdDSA, pem(ed.to_pkcs8v1().unwrap().as_ref()), ed_public),
    ]
}

#[tokio::test]
async fn a_key_proves_the_client_by_an_assertion_of_its_own_for_each_request() {
    for (algorithm, pem, public) in client_keys() {
        let kid = Some("k1".to_owned());
        let key = ClientKey::new(Secret::new(pem), kid, algorithm).unwrap();
        let rig =
            rig(|settings| settings.client_authentication = ClientAuthentication::PrivateKeyJwt(key)).await;
        let mut seen = Vec::new();
        for _ in 0..2 {
            rig.redeem(NOW).await.unwrap();
            let (form, authorization) = form(&rig.behaviour.lock().unwrap().token_request);
            assert!(!authorization && !form.contains_key("client_secret"));
            assert_eq!(form["client_id"], "portcullis");
            assert_eq!(
                form["client_assertion_type"],
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            let mut validation = Validation::new(algorithm);
            validation.validate_exp = false;
            validation.set_audience(&[format!("{}/token", rig.server.origin)]);
            let token =
                jsonwebtoken::decode::<Value>(&form["client_assertion"], &public, &validation).unwrap();
            assert_eq!(token.header.kid.as_deref(), Some("k1"));
            let claims = token.claims;
            assert_eq!(
                (claims["iss"].as_str(), claims["sub"].as_str()),
                (Some("portcullis"), Some("portcullis"))
            );
            assert!(claims["iat"].as_i64().unwrap() < NOW, "Okta refuses one of its future");
            assert!((NOW + 30..NOW + 3600).contains(&claims["exp"].as_i64().unwrap()));
            seen.push(claims["jti"].as_str().unwrap().to_owned());
        }
        assert_ne!(seen[0], seen[1], "a provider takes each once");
    }
}

#[test]
fn a_key_that_does_not_fit_its_algorithm_is_no_key() {
    let keys = client_keys();
    for (algorithm, _, _) in &keys {
        for (other, pem, _) in &keys {
            let rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::RS256 | Algorithm::PS256);
            let fits = algorithm == other || rsa(algorithm) && rsa(other);
            let made = ClientKey::new(Secret::new(pem.clone()), None, *algorithm);
            assert_eq!(made.is_ok(), fits, "{algorithm:?} by a key for {other:?}");
            let shown = format!("{made:?}");
            assert!(!pem.lines().nth(1).is_some_and(|line| shown.contains(line)), "{shown}");
        }
    }
    for wrong in ["", "no PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        assert!(ClientKey::new(Secret::new(wrong.to_owned()), None, Algorithm::RS256).is_err(), "{wrong}");
    }
}

const ATTEMPT: AuthorizationRequest<'static> = AuthorizationRequest {
    redirect_uri: "https://auth.corp.example/callback",
    state: "s",
    nonce: "n",
    code_verifier: Some("v"),
    login_hint: None,
    wanted: &Wanted { acr_values: None, max_age_s: None, anew: false },
};

#[tokio::test]
async fn a_pushed_request_leaves_the_browser_nothing_to_change() {
    let rig = rig(|settings| settings.client_authentication = with_secret("s3cret")).await;
    rig.set(|behaviour| {
        behaviour.pushed = Some((201, json!({"request_uri": "urn:okta:1&2", "expires_in": 60})));
    });
    let url = rig.provider.authorization_url(&ATTEMPT, NOW).await.unwrap();
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [("audience", "a"), ("client_id", "portcullis"), ("request_uri", "urn:okta:1&2")];
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let (form, authorization) = form(&rig.behaviour.lock().unwrap().push_request);
    assert!(authorization && !form.contains_key("client_secret"));
    for (name, value) in [
        ("client_id", "portcullis"),
        ("response_type", "code"),
        ("state", "s"),
        ("nonce", "n"),
        ("scope", "openid groups"),
    ] {
        assert_eq!(form[name], value);
    }
    assert_eq!(form["code_challenge_method"], "S256");
}

#[tokio::test]
async fn a_request_that_must_be_pushed_is_never_carried_by_the_browser() {
    let refused = (400, json!({"error": "invalid_request", "error_description": "no such redirect URI"}));
    let down = (503, json!({}));
    let endless = (201, json!({"request_uri": "u".repeat(pushed::MAX_REFERENCE_BYTES + 1)}));
    let (auto, off, required) = (PushedRequests::Auto, PushedRequests::Off, PushedRequests::Required);
    for (mode, demanded, answer, code) in [
        (auto, false, Some(refused.clone()), Err("provider_refused")),
        (auto, false, Some(down.clone()), Ok(())),
        (auto, false, Some(endless.clone()), Err("provider_bad_answer")),
        (auto, false, None, Ok(())),
        (auto, true, Some(down.clone()), Err("provider_bad_answer")),
        (auto, true, None, Err("push_unoffered")),
        (required, false, Some(down.clone()), Err("provider_bad_answer")),
        (required, false, Some(refused), Err("provider_refused")),
        (required, false, None, Err("push_unoffered")),
        (off, false, Some(down.clone()), Ok(())),
        (off, true, Some(down), Err("push_demanded")),
    ] {
        let rig = rig(|settings| settings.pushed_requests = mode).await;
        let mut metadata = metadata(&rig.server.origin);
        metadata["require_pushed_authorization_requests"] = demanded.into();
        rig.set(|behaviour| (behaviour.metadata, behaviour.pushed) = (Some(metadata), answer.clone()));
        let url = rig.provider.authorization_url(&ATTEMPT, NOW).await;
        match (&url, code) {
            (Ok(url), Ok(())) => assert!(url.as_str().contains("&state=s&"), "{url}"),
            (Err(error), Err(code)) => assert_eq!(error.code(), code, "{mode:?} {demanded} {answer:?}"),
            _ => panic!("{mode:?} {demanded} {answer:?}: {url:?}"),
        }
    }
}

#[tokio::test]
async fn a_configured_key_address_is_asked_query_and_all() {
    let rig = rig(|settings| {
        settings.jwks_uri = Some(format!("{}/keys?client_id=portcullis", settings.issuer).parse().unwrap());
    })
    .await;
    rig.redeem(NOW).await.unwrap();
    let request = rig.behaviour.lock().unwrap().key_request.clone();
    assert!(request.starts_with("GET /keys?client_id=portcullis HTTP/1.1"), "{request}");
}

#[tokio::test]
async fn discovery_speaks_for_the_configured_issuer_alone() {
    let rig = rig(|_| {}).await;
    let with_slash = format!("{}/", rig.server.origin);
    let mut other = metadata(&rig.server.origin);
    other["issuer"] = with_slash.clone().into();
    rig.set(|behaviour| behaviour.metadata = Some(other));
    match rig.redeem(NOW).await {
        Err(ProviderError::WrongIssuer { announced, .. }) => assert_eq!(announced, with_slash),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn endpoints_elsewhere_are_https() {
    for (name, value) in [
        ("token_endpoint", "http://corp.example/token"),
        ("jwks_uri", "http://192.0.2.1/keys"),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("end_session_endpoint", "http://corp.example/logout"),
        ("pushed_authorization_request_endpoint", "http://corp.example/par"),
    ] {
        let rig = rig(|_| {}).await;
        let mut other = metadata(&rig.server.origin);
        other[name] = value.into();
        rig.set(|behaviour| behaviour.metadata = Some(other));
        let verdict = rig.redeem(NOW).await;
        assert!(matches!(verdict, Err(ProviderError::BadAnswer { .. })), "{name}: {verdict:?}");
        assert!(rig.provider.end_session_endpoint(NOW).await.is_none());
    }
}

#[tokio::test]
async fn t62_a_rotated_key_is_fetched_and_an_unknown_one_once_per_floor() {
    let rig = rig(|_| {}).await;
    rig.redeem(NOW).await.unwrap();
    rig.set(|behaviour| (behaviour.keys, behaviour.signing_key) = (vec![0, 1], 1));
    rig.redeem(NOW + 1).await.unwrap();
    assert_eq!(rig.behaviour.lock().unwrap().key_fetches, 2);
    rig.set(|behaviour| (behaviour.keys, behaviour.signing_key) = (vec![1], 0));
    // The key that was withdrawn is still at hand; one that was never there is asked for once per floor.
    rig.redeem(NOW + 2).await.unwrap();
    let keys = rig.provider.keys.last_good.load_full().unwrap();
    assert_eq!(keys.content.keys().len(), 2);
    for _ in 0..20 {
        let verdict = rig.redeem(NOW + kept::MAX_AGE_S + 2).await;
        assert!(matches!(verdict, Err(ProviderError::IdToken(IdTokenFault::UnknownKey))), "{verdict:?}");
    }
    // One fetch because the set was old, one because of the unknown key.
    assert_eq!(rig.behaviour.lock().unwrap().key_fetches, 4);
}

#[tokio::test]
async fn a_set_without_keys_replaces_nothing() {
    let rig = rig(|_| {}).await;
    rig.redeem(NOW).await.unwrap();
    rig.set(|behaviour| (behaviour.keys, behaviour.signing_key) = (Vec::new(), 1));
    let verdict = rig.redeem(NOW).await;
    assert!(matches!(verdict, Err(ProviderError::IdToken(IdTokenFault::UnknownKey))), "{verdict:?}");
    rig.set(|behaviour| behaviour.signing_key = 0);
    rig.redeem(NOW).await.unwrap();
}

#[tokio::test]
async fn refusals_keep_their_cause() {
    let rig = rig(|_| {}).await;
    let mut codes = Vec::new();
    let too_many = "The groups claim matched too many groups and must be configured to match fewer groups";
    for (status, body) in [
        (401, json!({"error": "invalid_client", "error_description": "no\u{7} such\nclient"})),
        (400, json!({"error": "invalid_grant", "error_description": "x".repeat(MAX_DESCRIPTION_CHARS + 1)})),
        (400, json!({"error": "invalid_request", "error_description": too_many})),
        (400, json!({"error": "invalid_scope"})),
        (
            401,
            json!({"error": "invalid_client", "error_description": "The client_assertion token has been used"}),
        ),
        (429, json!({"errorCode": "E0000047"})),
        (200, json!({"access_token": "a"})),
    ] {
        rig.set(|behaviour| behaviour.refusal = Some((status, body)));
        let error = rig.redeem(NOW).await.unwrap_err();
        let text = error.to_string();
        assert!(!text.chars().any(char::is_control), "{text}");
        assert!(!text.contains(&"x".repeat(MAX_DESCRIPTION_CHARS + 1)), "{text}");
        codes.push(error.code());
    }
    assert_eq!(
        codes,
        [
            "provider_client_refused",
            "provider_code_refused",
            "too_many_groups",
            "provider_refused",
            "provider_client_refused",
            "provider_bad_answer",
            "id_token_missing"
        ]
    );
}

#[tokio::test]
async fn the_issuer_parameter_is_required_where_announced_and_compared_where_present() {
    for announced in [false, true] {
        let rig = rig(|_| {}).await;
        let mut metadata = metadata(&rig.server.origin);
        metadata["authorization_response_iss_parameter_supported"] = announced.into();
        rig.set(|behaviour| behaviour.metadata = Some(metadata));
        let provider = &rig.provider;
        assert_eq!(provider.issuer_parameter_ok(None, NOW).await.unwrap(), !announced);
        assert!(provider.issuer_parameter_ok(Some(&rig.server.origin), NOW).await.unwrap());
        assert!(!provider.issuer_parameter_ok(Some("https://evil.example"), NOW).await.unwrap());
    }
}
