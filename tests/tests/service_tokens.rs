//! Programs with a token of their own: what it opens, what it never opens, what a wrong one is told, and how fast a token that was
//! taken away is worth nothing, with everything that it had open.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::Method;
use portcullis_tests::browser::{Answer, Browser, EventStream, Outgoing};
use portcullis_tests::harness::{Gateway, Settings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const PATIENCE: Duration = Duration::from_secs(30);
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const POLICY: &str = r#"
[[policy]]
name = "ci"
action = "service_auth"
include = [{ service_token = "ci" }]
"#;

fn ci_may_use_the_wiki(settings: &mut Settings) {
    settings.applications[0].policies.push("ci".to_owned());
    settings.policies.push_str(POLICY);
}

async fn world_with(change: fn(&mut Settings)) -> World {
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

async fn world() -> World {
    world_with(ci_may_use_the_wiki).await
}

/// What the command line shows once.
#[derive(Debug, Clone)]
struct Token {
    client_id: String,
    secret: String,
}

impl Token {
    fn create(gateway: &Gateway, name: &str, more: &[&str]) -> Self {
        Self::shown(gateway, &[&["service-token", "create", name], more].concat())
    }

    fn rotate(gateway: &Gateway, name: &str, more: &[&str]) -> Self {
        Self::shown(gateway, &[&["service-token", "rotate", name], more].concat())
    }

    fn shown(gateway: &Gateway, arguments: &[&str]) -> Self {
        let shown = command(gateway, arguments);
        let line = |name: &str| {
            let found = shown.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no line `{name}` in {shown}")).to_owned()
        };
        Self { client_id: line("CF-Access-Client-Id: "), secret: line("CF-Access-Client-Secret: ") }
    }

    fn fields(&self) -> [(&str, &str); 2] {
        [("CF-Access-Client-Id", &self.client_id), ("CF-Access-Client-Secret", &self.secret)]
    }

    /// Both halves in one field.
    fn pair(&self) -> String {
        let Self { client_id, secret } = self;
        format!("{{\"cf-access-client-id\": \"{client_id}\", \"cf-access-client-secret\": \"{secret}\"}}")
    }
}

fn command(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = gateway.command(arguments);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {shown}{}", String::from_utf8_lossy(&output.stderr));
    shown
}

fn request(url: &str, fields: &[(&str, &str)]) -> Outgoing {
    let get = Outgoing::script(Method::GET, url).unwrap();
    fields.iter().fold(get, |outgoing, (name, value)| outgoing.header(name, value))
}

async fn get(browser: &Browser, url: &str, fields: &[(&str, &str)]) -> Answer {
    browser.send(&request(url, fields)).await.unwrap()
}

/// Asks as a program does, with nothing but these fields.
async fn ask(world: &World, url: &str, fields: &[(&str, &str)]) -> Answer {
    get(&world.browser(), url, fields).await
}

/// What a refused program is told: JSON, and nowhere to go.
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.header("content-type").starts_with("application/json"), "{}", answer.text());
    assert_eq!(answer.header("location"), "");
    assert_eq!(answer.json()["error"], code, "{}", answer.text());
    assert_eq!(answer.json()["login_url"], Value::Null, "{}", answer.text());
    assert!(!answer.text().contains("cookie"), "{}", answer.text());
}

/// Asks until it is answered so.
async fn until(world: &World, token: &Token, status: u16, code: &str) {
    let begun = Instant::now();
    loop {
        let answer = ask(world, &world.wiki("/whoami"), &token.fields()).await;
        if answer.status == status {
            if status != 200 {
                refused(&answer, status, code);
            }
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "still {}, not {status}: {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn open(world: &World, token: &Token) -> EventStream {
    let mut stream = world.browser().stream(&request(&world.wiki("/events"), &token.fields())).await.unwrap();
    assert_eq!(stream.status, 200);
    stream.next().await.unwrap().unwrap();
    stream
}

/// The stream was broken off, not ended as if it were whole.
async fn is_cut(mut stream: EventStream) {
    let cut = async { while let Ok(Some(_)) = stream.next().await {} };
    assert!(tokio::time::timeout(PATIENCE, cut).await.is_ok(), "the stream goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_let_in_by_its_policy_and_told_as_a_service() {
    let world = world().await;
    let token = Token::create(&world.gateway, "ci", &[]);
    until(&world, &token, 200, "").await;
    let answer = ask(&world, &world.wiki("/whoami"), &token.fields()).await;
    let told = answer.json();
    assert_eq!(told["email"], Value::Null, "{told}");
    let assertion = &told["assertion"];
    assert_eq!(assertion["common_name"], token.client_id.as_str(), "{assertion}");
    assert_eq!((&assertion["sub"], &assertion["type"]), (&Value::from(""), &Value::from("app")));
    assert_eq!(assertion["aud"][0], "wiki");
    assert_eq!((&assertion["email"], &assertion["identity_nonce"]), (&Value::Null, &Value::Null));
    // What it proved itself with goes no further, in no spelling.
    world.upstream.recorder().clear();
    let spelled = [("cf_access_client_secret", "forged"), ("cf.access.client.id", "forged")];
    let fields = [&token.fields()[..], &spelled[..]].concat();
    assert_eq!(ask(&world, &world.wiki("/echo"), &fields).await.status, 200);
    let received = String::from_utf8(world.upstream.recorder().raw_received_for("/echo")).unwrap();
    assert!(received.contains("cf-access-jwt-assertion"), "{received}");
    for hidden in [token.client_id.as_str(), token.secret.as_str(), "forged", "authenticated-user-email"] {
        assert!(!received.contains(hidden), "{hidden} in {received}");
    }
    // Who, in the log; and never by what.
    let of_service = |event: &Value| event["service"] == "ci" && event["path"] == "/echo";
    let event = world.gateway.log().wait_for(PATIENCE, of_service).await.expect("an event of the service");
    assert_eq!(event["verdict"], "allow");
    assert_eq!(event["reason"], "allowed_by_service_auth");
    assert_eq!(event["policy"], "ci");
    assert_eq!(event["subject"], token.client_id.as_str());
    assert_eq!((&event["email"], &event["provider"]), (&Value::Null, &Value::Null));
    assert!(!world.gateway.log().text().contains(token.secret.trim_start_matches("pcsvc_")));
}

#[tokio::test(flavor = "multi_thread")]
async fn t82_a_service_token_opens_nothing_but_what_a_policy_about_services_says() {
    let world = world().await;
    let token = Token::create(&world.gateway, "ci", &[]);
    let other = Token::create(&world.gateway, "backup", &[]);
    until(&world, &token, 200, "").await;
    until(&world, &other, 403, "no_policy_matched").await;
    world.upstream.recorder().clear();
    // The canteen lets everybody in, and a service is nobody. As a page it would be a page, but not for a service.
    let canteen = format!("{}/whoami", world.settings.application_url("canteen"));
    for page in [&[][..], &[("accept", HTML), ("sec-fetch-mode", "navigate")]] {
        let fields = [&token.fields()[..], page].concat();
        refused(&ask(&world, &canteen, &fields).await, 403, "no_service_auth");
        let fields = [&other.fields()[..], page].concat();
        refused(&ask(&world, &world.wiki("/whoami"), &fields).await, 403, "no_policy_matched");
    }
    // On our own endpoints it is nobody, and no key of the provisioning client.
    let auth = world.settings.auth_url();
    for url in [format!("{auth}/cdn-cgi/access/get-identity"), world.wiki("/cdn-cgi/access/get-identity")] {
        refused(&ask(&world, &url, &token.fields()).await, 401, "no_identity");
    }
    let pair = token.pair();
    let bearer = format!("Bearer {}", token.secret);
    for fields in [&token.fields()[..], &[("authorization", &pair)], &[("authorization", &bearer)]] {
        assert_eq!(ask(&world, &format!("{}/Users", world.scim_url()), fields).await.status, 401);
    }
    // Nor is it a session.
    for (name, value) in
        [("cookie", format!("__Host-portcullis={}", token.secret)), ("cf-access-token", token.secret.clone())]
    {
        assert_eq!(ask(&world, &world.wiki("/whoami"), &[(name, &value)]).await.status, 401, "{name}");
    }
    assert!(world.upstream.recorder().all().is_empty(), "something reached the upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn t81_a_service_token_counts_alone_whatever_stands_beside_it() {
    let world = world().await;
    let token = Token::create(&world.gateway, "ci", &[]);
    until(&world, &token, 200, "").await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let canteen = format!("{}/", world.settings.application_url("canteen"));
    assert_eq!(browser.log_in(&canteen, ENGINEER, DEMO_PASSWORD).await.unwrap().status, 200);
    // The engineer's cookies would do, and do not help.
    assert_eq!(get(&browser, &canteen, &[]).await.status, 200);
    refused(&get(&browser, &canteen, &token.fields()).await, 403, "no_service_auth");
    let answer = get(&browser, &world.wiki("/whoami"), &token.fields()).await;
    assert_eq!(answer.json()["email"], Value::Null, "{}", answer.text());
    let wrong = [token.fields()[0], ("CF-Access-Client-Secret", "guessed")];
    refused(&get(&browser, &world.wiki("/whoami"), &wrong).await, 401, "service_token_malformed");
    let identity = world.wiki("/cdn-cgi/access/get-identity");
    assert_eq!(get(&browser, &identity, &[]).await.status, 200);
    refused(&get(&browser, &identity, &token.fields()).await, 401, "no_identity");
    // Two of them are two answers to the question who asks.
    let twice = [&token.fields()[..], &token.fields()[..]].concat();
    refused(&get(&browser, &world.wiki("/whoami"), &twice).await, 400, "service_token_ambiguous");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_service_token_is_refused_in_one_way_and_never_becomes_a_login() {
    let world = world().await;
    let (token, other) =
        (Token::create(&world.gateway, "ci", &[]), Token::create(&world.gateway, "backup", &[]));
    until(&world, &token, 200, "").await;
    world.upstream.recorder().clear();
    let unknown = format!("{}.access", "0".repeat(32));
    let [id, secret] = token.fields();
    let typo = token.secret.replace(char::is_numeric, "7");
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[("CF-Access-Client-Id", &unknown), secret], "service_token_unknown"),
        (&[id, other.fields()[1]], "service_token_unknown"),
        (&[id, ("CF-Access-Client-Secret", &typo)], "service_token_malformed"),
        (&[("CF-Access-Client-Id", ""), secret], "service_token_malformed"),
        (&[id, ("CF-Access-Client-Secret", "é")], "service_token_malformed"),
        (&[id], "service_token_malformed"),
        (&[secret], "service_token_malformed"),
    ];
    let mut told = Vec::new();
    for (fields, code) in cases {
        for page in [&[][..], &[("accept", HTML), ("sec-fetch-mode", "navigate")]] {
            let answer = ask(&world, &world.wiki("/whoami"), &[fields, page].concat()).await;
            refused(&answer, 401, code);
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, format!("Portcullis error=\"{code}\""), "{fields:?}");
            assert_eq!(answer.header("set-cookie"), "");
            told.push((code, answer.json()["message"].clone()));
        }
    }
    // An unknown id and a wrong secret are told in the same words.
    told.retain(|(code, _)| *code == "service_token_unknown");
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(world.upstream.recorder().all().is_empty(), "something reached the upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_service_tokens_are_limited_and_right_ones_are_not() {
    let world = world_with(|settings| {
        ci_may_use_the_wiki(settings);
        settings.extra = "[limits]\nlogin_per_minute = 20\n".to_owned();
    })
    .await;
    let token = Token::create(&world.gateway, "ci", &[]);
    // Until the gateway knows it, it is a wrong one too: at another's cost.
    let elsewhere = world.browser().at_address(IpAddr::from([127, 0, 0, 9]));
    let begun = Instant::now();
    while get(&elsewhere, &world.wiki("/whoami"), &token.fields()).await.status != 200 {
        assert!(begun.elapsed() < PATIENCE, "the gateway does not know the token");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let wrong = [token.fields()[0], ("CF-Access-Client-Secret", "guessed")];
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(ask(&world, &world.wiki("/whoami"), &wrong).await.status.as_u16());
    }
    assert_eq!(statuses[..20], [401; 20]);
    assert!(statuses[20..].contains(&429), "{statuses:?}");
    assert_eq!(ask(&world, &world.wiki("/whoami"), &token.fields()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_by_the_command_line_is_obeyed_and_cuts_what_is_open() {
    let world = world().await;
    let token = Token::create(&world.gateway, "ci", &[]);
    until(&world, &token, 200, "").await;
    let stream = open(&world, &token).await;
    let shown = command(&world.gateway, &["service-token", "revoke", "ci"]);
    assert!(shown.contains("is revoked"), "{shown}");
    let revoked_at = Instant::now();
    is_cut(stream).await;
    until(&world, &token, 401, "service_token_revoked").await;
    assert!(revoked_at.elapsed() < PATIENCE);
    let is_cut = |event: &Value| event["target"] == "portcullis::drop" && event["change"] == "service_token";
    assert!(world.gateway.log().wait_for(PATIENCE, is_cut).await.is_some());
    // The name is free, and policies speak of names: the next one of that name opens the same.
    let next = Token::create(&world.gateway, "ci", &[]);
    until(&world, &next, 200, "").await;
    until(&world, &token, 401, "service_token_revoked").await;
    let listed = command(&world.gateway, &["service-token", "list"]);
    assert!(listed.contains("revoked") && listed.contains("good until"), "{listed}");
    assert!(!listed.contains("pcsvc_"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_lets_two_secrets_be_good_and_one_without_grace_cuts() {
    let world = world().await;
    let first = Token::create(&world.gateway, "ci", &[]);
    until(&world, &first, 200, "").await;
    let mut stream = open(&world, &first).await;
    let second = Token::rotate(&world.gateway, "ci", &[]);
    assert_eq!(first.client_id, second.client_id);
    until(&world, &second, 200, "").await;
    until(&world, &first, 200, "").await;
    stream.next().await.unwrap().expect("the stream goes on during the grace");
    let mut kept = open(&world, &second).await;
    let third = Token::rotate(&world.gateway, "ci", &["--grace", "2h"]);
    until(&world, &third, 200, "").await;
    until(&world, &first, 401, "service_token_unknown").await;
    is_cut(stream).await;
    kept.next().await.unwrap().expect("the stream of the secret before goes on");
    let fourth = Token::rotate(&world.gateway, "ci", &["--grace", "0s"]);
    is_cut(kept).await;
    until(&world, &fourth, 200, "").await;
    until(&world, &third, 401, "service_token_unknown").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_secret_is_refused_and_cut_and_survives_no_restart() {
    let mut world = world().await;
    let token = Token::create(&world.gateway, "ci", &["--expires", "5s"]);
    until(&world, &token, 200, "").await;
    is_cut(open(&world, &token).await).await;
    until(&world, &token, 401, "service_token_expired").await;
    let good = Token::rotate(&world.gateway, "ci", &[]);
    until(&world, &good, 200, "").await;
    world.gateway.start_again().await.unwrap();
    assert_eq!(ask(&world, &world.wiki("/whoami"), &good.fields()).await.status, 200);
    assert_eq!(ask(&world, &world.wiki("/whoami"), &token.fields()).await.status, 401);
    // When it was used last is written now and then.
    let begun = Instant::now();
    while command(&world.gateway, &["service-token", "list"]).contains("last used never") {
        assert!(begun.elapsed() < PATIENCE, "a use is not noted");
        assert_eq!(ask(&world, &world.wiki("/whoami"), &good.fields()).await.status, 200);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t90b_a_policy_that_no_longer_names_a_token_cuts_what_it_has_open() {
    let mut world = world().await;
    let token = Token::create(&world.gateway, "ci", &[]);
    until(&world, &token, 200, "").await;
    let stream = open(&world, &token).await;
    let config = world.settings.toml().replace("service_token = \"ci\"", "service_token = \"other\"");
    world.gateway.replace_config(&config);
    world.gateway.hang_up();
    is_cut(stream).await;
    until(&world, &token, 403, "no_policy_matched").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_field_of_an_applications_choice_holds_both_halves_and_goes_no_further() {
    let world = world_with(|settings| {
        ci_may_use_the_wiki(settings);
        settings.applications[0].extra = "service_token_header = \"Authorization\"\n".to_owned();
    })
    .await;
    let token = Token::create(&world.gateway, "ci", &[]);
    until(&world, &token, 200, "").await;
    let pair = token.pair();
    let answer = ask(&world, &world.wiki("/echo"), &[("Authorization", &pair)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().to_ascii_lowercase().contains("authorization"), "{}", answer.text());
    assert!(!answer.text().contains(&token.secret), "{}", answer.text());
    let broken = pair.replace("access-client-secret", "access-secret");
    let answer = ask(&world, &world.wiki("/whoami"), &[("Authorization", &broken)]).await;
    refused(&answer, 401, "service_token_malformed");
    let both = [&token.fields()[..], &[("Authorization", pair.as_str())]].concat();
    refused(&ask(&world, &world.wiki("/whoami"), &both).await, 400, "service_token_ambiguous");
    // A person's request keeps the application's own.
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let answer = get(&browser, &world.wiki("/echo"), &[("Authorization", "Basic kept")]).await;
    assert!(answer.text().contains("Basic kept"), "{}", answer.text());
    // Where nobody said so, the field is the application's own too, and nobody asks.
    let canteen = format!("{}/whoami", world.settings.application_url("canteen"));
    assert_eq!(ask(&world, &canteen, &[("Authorization", &pair)]).await.json()["error"], "login_required");
}
