//! External evaluations: a service is asked about a person by a signed question, believed by a signed answer to it alone, asked once for
//! many, and asked again for what is open. An evaluator that misbehaves lets nobody in, and a block that cannot be evaluated blocks.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "test code"
)]

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use portcullis_tests::browser::{Browser, Outgoing};
use portcullis_tests::harness::{ApplicationSettings, Settings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const ENGINEER: &str = "engineer@corp.example";
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the evaluator stands is known only when the world is made; its settings are plain functions.
static PORT: Mutex<u16> = Mutex::new(0);
/// One world is made at a time, so that each gets its own evaluator.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What the evaluator does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Yes,
    No,
    /// Never answers.
    Silent,
    /// Status 500, with a right answer.
    Failing,
    /// Says yes to another question.
    OtherNonce,
    /// Says yes by a key that is not published.
    OtherKey,
    /// Says yes by a shared secret: the published key as text.
    Hmac,
    /// Says yes without a signature.
    Unsigned,
    /// Says yes as of an hour ago.
    Old,
    /// Says `"success": "true"`.
    Wordy,
    /// Says yes at great length.
    Large,
}

/// In an application each, with what the log says.
const MISCHIEF: [(&str, Manner, &str); 9] = [
    ("failing", Manner::Failing, "status 500"),
    ("nonce", Manner::OtherNonce, "another question"),
    ("key", Manner::OtherKey, "unknown key"),
    ("hmac", Manner::Hmac, "unknown key"),
    ("unsigned", Manner::Unsigned, "not `{\"token\": ...}`"),
    ("old", Manner::Old, "has expired"),
    ("wordy", Manner::Wordy, "not `{\"token\": ...}`"),
    ("large", Manner::Large, "larger than"),
    ("silent", Manner::Silent, "within the time"),
];
/// What the upstream says to a path that it does not know: the request went through.
const THROUGH: u16 = 404;

struct Evaluator {
    manner: Mutex<Manner>,
    asked: Mutex<Vec<String>>,
    key: EncodingKey,
    other: EncodingKey,
    jwks: String,
    port: u16,
}

/// A new P-256 key: to sign with, and its public half.
fn key() -> (EncodingKey, Value) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let (x, y) = pair.public_key_raw()[1..].split_at(32);
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let jwk =
        json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": "one", "use": "sig" });
    (EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(), jwk)
}

impl Evaluator {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((key, jwk), (other, _)) = (key(), key());
        let jwks = json!({ "keys": [jwk] }).to_string();
        let (manner, asked) = (Mutex::new(Manner::Yes), Mutex::default());
        let evaluator = Arc::new(Self { manner, asked, key, other, jwks, port });
        let serving = evaluator.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let evaluator = serving.clone();
                let service = service_fn(move |request| evaluator.clone().answer(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        evaluator
    }

    fn be(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// The questions that came.
    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == "/keys" {
            return Ok(Response::new(Full::from(self.jwks.clone())));
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let question: Value = serde_json::from_slice(&body).unwrap();
        let token = question["token"].as_str().unwrap().to_owned();
        let claims = claims_of(&token);
        self.asked.lock().unwrap().push(token);
        let manner = *self.manner.lock().unwrap();
        if manner == Manner::Silent {
            std::future::pending::<()>().await;
        }
        let now = claims["iat"].as_i64().unwrap();
        let exp = if manner == Manner::Old { now - 3_600 } else { now + 60 };
        let nonce = if manner == Manner::OtherNonce { "another".into() } else { claims["nonce"].clone() };
        let success = match manner {
            Manner::No => false.into(),
            Manner::Wordy => "true".into(),
            _ => Value::from(true),
        };
        let mut said = json!({ "success": success, "iat": now, "exp": exp, "nonce": nonce });
        if manner == Manner::Large {
            said["reason"] = "x".repeat(64 * 1024).into();
        }
        let header = |algorithm| Header { kid: Some("one".to_owned()), ..Header::new(algorithm) };
        let signed = match manner {
            Manner::OtherKey => jsonwebtoken::encode(&header(Algorithm::ES256), &said, &self.other).unwrap(),
            Manner::Hmac => {
                let secret = EncodingKey::from_secret(self.jwks.as_bytes());
                jsonwebtoken::encode(&header(Algorithm::HS256), &said, &secret).unwrap()
            }
            Manner::Unsigned => {
                let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
                format!("{}.{}.", part(json!({ "alg": "none", "kid": "one" })), part(said))
            }
            _ => jsonwebtoken::encode(&header(Algorithm::ES256), &said, &self.key).unwrap(),
        };
        let mut response = Response::new(Full::from(json!({ "token": signed }).to_string()));
        if manner == Manner::Failing {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        Ok(response)
    }
}

/// What a token says, whoever signed it.
fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn change(settings: &mut Settings) {
    let port = *PORT.lock().unwrap();
    settings.server_extra =
        "forward_auth_from = [\"127.0.0.2\"]\nforward_auth_secret = { env = \"OKTA_CLIENT_SECRET\" }\n"
            .to_owned();
    for (name, cache) in [("posture", "2s"), ("standing", "6s"), ("long", "1h")] {
        settings.extra += &format!(
            "[[external_evaluation]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/{name}\"\nkeys_url = \"http://127.0.0.1:{port}/keys\"\n\
             timeout = \"2s\"\ncache = \"{cache}\"\n"
        );
    }
    let upstream = settings.applications[0].upstream.clone();
    for (name, action, evaluation) in [
        ("allowed", "allow", "posture"),
        ("standing", "allow", "standing"),
        ("long", "allow", "long"),
        ("blocked", "block", "posture"),
    ] {
        settings.policies += &format!(
            "[[policy]]\nname = \"{name}\"\naction = \"{action}\"\ninclude = [{{ external = \"{evaluation}\" }}]\n"
        );
    }
    for (name, policy) in [("standing", "standing"), ("long", "long")] {
        let mut application = ApplicationSettings::new(name, &upstream, policy);
        application.extra = "forward_auth = true\n".to_owned();
        settings.applications.push(application);
    }
    // Answers are kept for each application: these share the canteen's host, and so its session, and nothing else.
    let mut shares = |name: &str, policy: &str| {
        let mut application = ApplicationSettings::new(name, &upstream, policy);
        application.host = "canteen.localhost".to_owned();
        application.extra = format!("paths = [\"/{name}\"]\n");
        settings.applications.push(application);
    };
    MISCHIEF.iter().for_each(|(name, ..)| shares(name, "allowed"));
    shares("crowd", "long");
    shares("blocked", "blocked");
    settings.applications.last_mut().unwrap().policies.push("anybody".to_owned());
}

async fn world() -> (World, Arc<Evaluator>) {
    let evaluator = Evaluator::start().await;
    let _turn = TURN.lock().await;
    *PORT.lock().unwrap() = evaluator.port;
    (World::with(WorldConfig { change, ..WorldConfig::default() }).await, evaluator)
}

fn at(world: &World, application: &str, path: &str) -> String {
    format!("{}{path}", world.settings.application_url(application))
}

/// Known to an application whatever its policies say.
async fn known_at(world: &World, application: &str) -> Browser {
    let browser = world.browser();
    let page = browser.log_in(&at(world, application, "/whoami"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert!(matches!(page.status.as_u16(), 200 | 403), "{}", page.trail());
    browser
}

/// Asks until the last answer has run out and the new one is there.
async fn until(browser: &Browser, url: &str, status: u16) -> Value {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        // What an answer ends is cut, with the request that comes at that moment.
        let answer = browser.fetch(url).await;
        if let Ok(answer) = &answer
            && answer.status == status
        {
            return if status == 403 { answer.json()["error"].clone() } else { Value::Null };
        }
        let told = answer.map(|answer| answer.status);
        assert!(std::time::Instant::now() < deadline, "still {told:?}, not {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_is_asked_signed_and_believed_when_it_is_right() {
    let (world, evaluator) = world().await;
    let browser = known_at(&world, "long").await;
    assert_eq!(browser.fetch(&at(&world, "long", "/whoami")).await.unwrap().status, 200);
    assert_eq!(evaluator.asked(), 1, "an answer counts for a while");
    let token = evaluator.asked.lock().unwrap()[0].clone();
    let certs = browser.fetch(&format!("{}/cdn-cgi/access/certs", world.settings.auth_url())).await.unwrap();
    let keys: JwkSet = serde_json::from_str(&certs.text()).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let key = keys.find(&header.kid.unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    let url = format!("http://127.0.0.1:{}/long", evaluator.port);
    validation.set_audience(&[&url]);
    let claims = jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(key).unwrap(), &validation);
    let claims = claims.unwrap().claims;
    assert_eq!(claims["identity"]["email"], ENGINEER);
    assert_eq!(claims["identity"]["ip"], "127.0.0.1");
    assert!(claims["identity"]["groups"].as_array().unwrap().contains(&"Engineering".into()), "{claims}");
    assert_eq!((&claims["type"], &claims["application"]), (&"external_evaluation".into(), &"long".into()));
    assert_eq!(claims["request"], json!({ "host": "long.localhost", "method": "GET", "path": "/whoami" }));
    assert!(claims["email"].is_null(), "no upstream takes it for an assertion");

    // Many questions at once about one person are one.
    let crowd = known_at(&world, "canteen").await;
    let (before, url) = (evaluator.asked(), at(&world, "crowd", "/crowd"));
    let answers = futures_util::future::join_all((0..20).map(|_| crowd.fetch(&url))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().status == THROUGH));
    assert_eq!(evaluator.asked(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluator_that_misbehaves_lets_nobody_in_and_its_block_blocks() {
    let (world, evaluator) = world().await;
    let browser = known_at(&world, "canteen").await;
    for (name, manner, cause) in MISCHIEF {
        evaluator.be(manner);
        let answer = browser.fetch(&at(&world, name, &format!("/{name}"))).await.unwrap();
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status.as_u16(), error), (403, "evaluation_failed".into()), "{manner:?}");
        let told = world.gateway.log().wait_for(PATIENCE, |event| {
            event["application"] == name && event["cause"].as_str().is_some_and(|told| told.contains(cause))
        });
        assert!(told.await.is_some(), "the log does not say `{cause}` of {manner:?}");
    }
    // Where it would keep somebody out, no answer does, and then its own.
    let blocked = at(&world, "blocked", "/blocked");
    assert_eq!(until(&browser, &blocked, 403).await, "evaluation_failed");
    evaluator.be(Manner::Yes);
    let deadline = std::time::Instant::now() + PATIENCE;
    while browser.fetch(&blocked).await.map_or(true, |answer| answer.json()["error"] != "blocked_by_policy") {
        assert!(std::time::Instant::now() < deadline, "the answer never counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until(&browser, &at(&world, "failing", "/failing"), THROUGH).await;
    evaluator.be(Manner::No);
    until(&browser, &blocked, THROUGH).await;
    assert_eq!(until(&browser, &at(&world, "failing", "/failing"), 403).await, "no_policy_matched");
}

/// What another proxy is told that carries a request of this browser from `ip`.
async fn told_to_a_proxy(world: &World, browser: &Browser, ip: &str) -> u16 {
    let url = format!("{}/cdn-cgi/access/verify", world.settings.auth_url());
    let long = at(world, "long", "/whoami");
    let cookies = browser.jar().header(&long.parse().unwrap()).unwrap();
    let fields = [
        ("x-portcullis-forward-auth", world.settings.client_secret.as_deref().unwrap()),
        ("x-forwarded-for", ip),
        ("x-original-method", "GET"),
        ("x-original-url", &long),
        ("cookie", &cookies),
    ];
    let mut question = Outgoing::script(http::Method::GET, &url).unwrap();
    for (name, value) in fields {
        question = question.header(name, value);
    }
    let proxy = world.browser().at_address(std::net::IpAddr::from([127, 0, 0, 2]));
    proxy.send(&question).await.unwrap().status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_is_asked_also_when_another_proxy_carries_the_request() {
    let (world, evaluator) = world().await;
    let browser = known_at(&world, "long").await;
    let before = evaluator.asked();
    assert_eq!(told_to_a_proxy(&world, &browser, "203.0.113.7").await, 200);
    assert_eq!(evaluator.asked(), before + 1, "an answer about one address is none about another");
    let claims = claims_of(evaluator.asked.lock().unwrap().last().unwrap());
    assert_eq!(claims["identity"]["ip"], "203.0.113.7", "the proxy's address, not the client's");
    assert_eq!(claims["request"], json!({ "host": "long.localhost", "method": "GET", "path": "/whoami" }));
    evaluator.be(Manner::No);
    assert_eq!(told_to_a_proxy(&world, &browser, "203.0.113.7").await, 200, "the answer counts for a while");
    assert_eq!(told_to_a_proxy(&world, &browser, "203.0.113.8").await, 403);
    evaluator.be(Manner::OtherKey);
    assert_eq!(
        told_to_a_proxy(&world, &browser, "203.0.113.9").await,
        403,
        "an answer that is not the evaluator's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_asked_about_again_and_cut_when_that_fails() {
    let (world, evaluator) = world().await;
    let browser = known_at(&world, "standing").await;
    let mut socket = browser.websocket(&at(&world, "standing", "/ws/echo")).await.unwrap();
    let begun = std::time::Instant::now();
    let before = evaluator.asked();
    // Longer than an answer counts: nobody but the gateway asks for this one.
    while begun.elapsed() < Duration::from_millis(6_500) {
        socket.send("still there").await.unwrap();
        assert_eq!(socket.next().await.as_deref(), Some("still there"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(evaluator.asked() > before, "it was asked again in time");
    evaluator.be(Manner::Silent);
    tokio::time::timeout(PATIENCE, socket.closed()).await.expect("cut when nobody answers any more");
    evaluator.be(Manner::Yes);
    until(&browser, &at(&world, "standing", "/whoami"), 200).await;
    let mut socket = browser.websocket(&at(&world, "standing", "/ws/echo")).await.unwrap();
    evaluator.be(Manner::No);
    tokio::time::timeout(PATIENCE, socket.closed()).await.expect("cut by a no");
}
