use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::claims::tests::{NOW, good, key_set, signed};
use super::*;
use crate::web_client::tests::{Server, answer};

/// How the provider of a test behaves; changed while it runs.
#[derive(Clone, Default)]
struct Behaviour {
    metadata: Option<Value>,
    keys: Vec<usize>,
    signing_key: usize,
    refusal: Option<(u16, Value)>,
    key_fetches: usize,
    token_request: String,
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
            answer(200, "", &behaviour.metadata.clone().unwrap_or_else(|| metadata(own)).to_string())
        }
        "/keys" => {
            behaviour.key_fetches += 1;
            answer(200, "", &key_set(&behaviour.keys))
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

async fn rig(secret: Option<&str>) -> Rig {
    let behaviour = Arc::new(Mutex::new(Behaviour { keys: vec![0], ..Behaviour::default() }));
    let shared = Arc::clone(&behaviour);
    let server = Server::new(move |own, request| respond(own, request, &mut shared.lock().unwrap())).await;
    let settings = IdentityProvider {
        name: "okta".to_owned(),
        issuer: server.origin.clone(),
        client_id: "portcullis".to_owned(),
        client_secret: secret.map(|secret| Secret::new(secret.to_owned())),
        pkce: true,
        end_provider_session: false,
        refresh: false,
        scopes: vec!["openid".to_owned(), "groups".to_owned()],
        groups_claim: "groups".to_owned(),
        groups_api: None,
        entrance: crate::config::Entrance::default(),
    };
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
    let rig = rig(None).await;
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
    let rig = rig(None).await;
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
    let rig = rig(Some("s:e c%")).await;
    rig.redeem(NOW).await.unwrap();
    let request = rig.behaviour.lock().unwrap().token_request.clone();
    let basic = STANDARD.encode("portcullis:s%3Ae+c%25");
    assert!(request.contains(&format!("authorization: Basic {basic}\r\n")), "{request}");
    assert!(!request.contains("client_id="), "both at once is an invalid request to Okta: {request}");
}

#[tokio::test]
async fn discovery_speaks_for_the_configured_issuer_alone() {
    let rig = rig(None).await;
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
    ] {
        let rig = rig(None).await;
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
    let rig = rig(None).await;
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
    let rig = rig(None).await;
    rig.redeem(NOW).await.unwrap();
    rig.set(|behaviour| (behaviour.keys, behaviour.signing_key) = (Vec::new(), 1));
    let verdict = rig.redeem(NOW).await;
    assert!(matches!(verdict, Err(ProviderError::IdToken(IdTokenFault::UnknownKey))), "{verdict:?}");
    rig.set(|behaviour| behaviour.signing_key = 0);
    rig.redeem(NOW).await.unwrap();
}

#[tokio::test]
async fn refusals_keep_their_cause() {
    let rig = rig(None).await;
    let mut codes = Vec::new();
    let too_many = "The groups claim matched too many groups and must be configured to match fewer groups";
    for (status, body) in [
        (401, json!({"error": "invalid_client", "error_description": "no\u{7} such\nclient"})),
        (400, json!({"error": "invalid_grant", "error_description": "x".repeat(MAX_DESCRIPTION_CHARS + 1)})),
        (400, json!({"error": "invalid_request", "error_description": too_many})),
        (400, json!({"error": "invalid_scope"})),
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
            "provider_bad_answer",
            "id_token_missing"
        ]
    );
}

#[tokio::test]
async fn the_issuer_parameter_is_required_where_announced_and_compared_where_present() {
    for announced in [false, true] {
        let rig = rig(None).await;
        let mut metadata = metadata(&rig.server.origin);
        metadata["authorization_response_iss_parameter_supported"] = announced.into();
        rig.set(|behaviour| behaviour.metadata = Some(metadata));
        let provider = &rig.provider;
        assert_eq!(provider.issuer_parameter_ok(None, NOW).await.unwrap(), !announced);
        assert!(provider.issuer_parameter_ok(Some(&rig.server.origin), NOW).await.unwrap());
        assert!(!provider.issuer_parameter_ok(Some("https://evil.example"), NOW).await.unwrap());
    }
}
