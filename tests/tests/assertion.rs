//! What upstreams are told about people, signed, on the real program: what it says, with which key, and how one key follows
//! another. Whether other people's programs accept it is left to `assertion_outside`.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Method;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, TokenData, Validation};
use portcullis_tests::browser::{Browser, Outgoing};
use portcullis_tests::harness::{Settings, World, WorldConfig};
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const PATIENCE: Duration = Duration::from_secs(30);

const OWN: &str = "assertion_audience = \"4714c1358e65fe4b\"\nassertion_claims = [\"groups\", \"name\", \"no_such_claim\"]\n";
const ASSERTION: &str = "[assertion]\nlife = \"10m\"\n";

async fn world() -> World {
    let change = |settings: &mut Settings| {
        settings.applications[0].extra = OWN.to_owned();
        settings.extra = ASSERTION.to_owned();
    };
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

/// The assertion that the wiki's server gets with the next request.
async fn told(world: &World, browser: &Browser) -> String {
    world.upstream.recorder().clear();
    let answer = browser.fetch(&world.wiki("/echo")).await.unwrap();
    assert_eq!(answer.status, 200);
    received(world)
}

fn received(world: &World) -> String {
    let received = world.upstream.recorder().raw_received_for("/echo");
    let received = String::from_utf8_lossy(&received).into_owned();
    let field = received.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("cf-access-jwt-assertion").then(|| value.to_owned())
    });
    field.unwrap_or_else(|| panic!("no assertion: {received}"))
}

/// T79: what is kept of one person and application is told of no other.
#[tokio::test(flavor = "multi_thread")]
async fn t79_what_is_kept_for_one_person_and_application_is_told_of_no_other() {
    let world = World::start().await;
    let canteen = world.settings.application_url("canteen");
    let mut people = Vec::new();
    for login in [ENGINEER, "developer@corp.example"] {
        let (browser, page) = world.logged_in(login).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.trail());
        let page = browser.navigate(&canteen).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.trail());
        people.push((login, browser));
    }
    for _ in 0..3 {
        for (login, browser) in &people {
            for (application, url) in [("wiki", world.wiki("/echo")), ("canteen", format!("{canteen}/echo"))]
            {
                world.upstream.recorder().clear();
                assert_eq!(browser.fetch(&url).await.unwrap().status, 200);
                let assertion = received(&world);
                let claims = assertion.split('.').nth(1).unwrap();
                let claims: Value =
                    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
                assert_eq!(
                    (&claims["email"], &claims["aud"][0]),
                    (&Value::from(*login), &Value::from(application))
                );
            }
        }
    }
}

async fn published(world: &World, base: &str) -> Value {
    let answer = world.browser().fetch(&format!("{base}/cdn-cgi/access/certs")).await.unwrap();
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    answer.json()
}

fn kid(assertion: &str) -> String {
    jsonwebtoken::decode_header(assertion).unwrap().kid.unwrap()
}

/// What the assertion says, if one of the published keys signed it.
fn verified(assertion: &str, published: &Value) -> Option<TokenData<Value>> {
    let header = jsonwebtoken::decode_header(assertion).unwrap();
    let set: JwkSet = serde_json::from_value(published.clone()).unwrap();
    let key = DecodingKey::from_jwk(set.find(&header.kid?)?).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&["4714c1358e65fe4b"]);
    Some(jsonwebtoken::decode(assertion, &key, &validation).unwrap())
}

fn keys(world: &World, arguments: &[&str]) -> String {
    let output = world.gateway.command(&[&["keys"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Waits until another key signs than this one; the first assertion that it signed.
async fn signed_by_another(world: &World, browser: &Browser, than: &str) -> String {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let assertion = told(world, browser).await;
        if kid(&assertion) != than {
            return assertion;
        }
        assert!(tokio::time::Instant::now() < until, "the former key still signs");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_says_who_somebody_is_to_this_application() {
    let world = world().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let assertion = told(&world, &browser).await;
    let claims = verified(&assertion, &published(&world, &world.settings.auth_url()).await).unwrap().claims;
    assert_eq!(claims["aud"], serde_json::json!(["4714c1358e65fe4b"]));
    assert_eq!(claims["iss"], world.settings.auth_url());
    assert_eq!(claims["email"], ENGINEER);
    assert_eq!(claims["type"], "app");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    let custom = claims["custom"].as_object().unwrap();
    assert!(custom["groups"].as_array().unwrap().iter().any(|group| group == "Engineering"), "{claims}");
    assert!(custom["name"].is_string() && !custom.contains_key("no_such_claim"), "{claims}");
    assert_eq!(told(&world, &browser).await, assertion, "each request is signed anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_identity_says_what_is_known_in_the_shape_of_cloudflare_access() {
    let world = world().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let wiki = world.settings.application_url("wiki");
    for base in [&wiki, &world.settings.auth_url()] {
        let answer = browser.fetch(&format!("{base}/cdn-cgi/access/get-identity")).await.unwrap();
        assert_eq!(answer.header("cache-control"), "no-store");
        let said = answer.json();
        assert_eq!(said["email"], ENGINEER, "{said}");
        assert_eq!(said["ip"], "127.0.0.1", "{said}");
        assert_eq!(said["idp"]["type"], "okta", "{said}");
        assert_eq!(said["idp"]["id"], "okta", "{said}");
        assert!(said["user_uuid"].is_string() && said["iat"].is_i64() && said["amr"].is_array(), "{said}");
        assert!(said["groups"].as_array().unwrap().iter().any(|group| group == "Engineering"), "{said}");
        assert!(!said.as_object().unwrap().values().any(Value::is_null), "a guess: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn get_identity_answers_a_server_that_shows_an_assertion_as_long_as_the_session_lives() {
    let world = world().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let assertion = told(&world, &browser).await;
    let address = format!("{}/cdn-cgi/access/get-identity", world.settings.auth_url());
    let server = world.browser();
    let shown = |name: &'static str, value: String| {
        let (server, asked) =
            (server.clone(), Outgoing::script(Method::GET, &address).unwrap().header(name, &value));
        async move { server.send(&asked).await.unwrap() }
    };
    for (name, value) in
        [("cookie", format!("CF_Authorization={assertion}")), ("cf-access-jwt-assertion", assertion.clone())]
    {
        let said = shown(name, value).await.json();
        assert_eq!(said["email"], ENGINEER, "{name}: {said}");
        assert!(said["groups"].as_array().unwrap().iter().any(|group| group == "Engineering"), "{said}");
        assert!(said.get("ip").is_none(), "what the server is was taken for the person: {said}");
    }
    let (head, rest) = assertion.split_at(assertion.len() - 8);
    let forged = format!("{head}{}", rest.chars().rev().collect::<String>());
    for (name, value) in [("cookie", "CF_Authorization=".to_owned()), ("cf-access-jwt-assertion", forged)] {
        assert_eq!(shown(name, value).await.status, 401, "{name}");
    }
    world.okta.deactivate(ENGINEER).await.unwrap();
    assert_eq!(shown("cf-access-jwt-assertion", assertion).await.status, 401, "the session is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_publishes_first_and_the_former_key_stays_published() {
    let world = world().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let first = told(&world, &browser).await;
    assert_eq!(keys(&world, &["list"]).lines().count(), 1);

    let rotated = keys(&world, &["rotate"]);
    let next = rotated.lines().find(|line| line.contains("  next, will sign from ")).unwrap();
    let next = next.split_whitespace().next().unwrap();
    let until = tokio::time::Instant::now() + PATIENCE;
    let base = world.settings.auth_url();
    while published(&world, &base).await["keys"].as_array().unwrap().len() < 2 {
        assert!(tokio::time::Instant::now() < until, "the next key is not published");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(kid(&told(&world, &browser).await), kid(&first), "it signs before its time");

    keys(&world, &["rotate", "--now"]);
    let second = signed_by_another(&world, &browser, &kid(&first)).await;
    assert_eq!(kid(&second), next, "another key signs than the one that was published");
    for base in [&base, &world.settings.application_url("wiki")] {
        let published = published(&world, base).await;
        assert_eq!(published["public_cert"]["kid"], next);
        assert!(verified(&first, &published).is_some() && verified(&second, &published).is_some());
    }
    let listed = keys(&world, &["list"]);
    assert!(listed.contains("  active, signs since ") && listed.contains("  retired, "), "{listed}");

    let refused = world.gateway.command(&["keys", "forget", next]);
    assert!(!refused.status.success(), "the key that signs was forgotten");
    keys(&world, &["forget", &kid(&first)]);
    let until = tokio::time::Instant::now() + PATIENCE;
    while verified(&first, &published(&world, &base).await).is_some() {
        assert!(tokio::time::Instant::now() < until, "a forgotten key is still published");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(verified(&second, &published(&world, &base).await).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_algorithm_is_published_after_a_reload_and_signs_when_told_to() {
    let mut world = world().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let first = told(&world, &browser).await;
    let config = world.settings.toml().replace("[assertion]", "[assertion]\nalgorithm = \"EdDSA\"");
    world.gateway.replace_config(&config);
    let published_later = |event: &Value| event.to_string().contains("is published, and will sign later");
    assert!(world.gateway.log().wait_for(PATIENCE, published_later).await.is_some());
    assert_eq!(kid(&told(&world, &browser).await), kid(&first));
    keys(&world, &["rotate", "--now"]);
    let second = signed_by_another(&world, &browser, &kid(&first)).await;
    let token = verified(&second, &published(&world, &world.settings.auth_url()).await).unwrap();
    assert_eq!(token.header.alg, jsonwebtoken::Algorithm::EdDSA);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_file_is_refused_in_words_and_changes_nothing() {
    let world = world().await;
    let file = world.gateway.folder().join("portcullis.db.key");
    let ours = std::fs::read(&file).unwrap();
    let before = keys(&world, &["list"]);
    std::fs::write(&file, format!("{}\n", "ab".repeat(32))).unwrap();
    let refused = world.gateway.command(&["keys", "rotate", "--now"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("restore the key file"), "{words}");
    std::fs::write(&file, ours).unwrap();
    assert_eq!(keys(&world, &["list"]), before);
}
