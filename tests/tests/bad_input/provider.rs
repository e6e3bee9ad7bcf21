//! A provider that is down, slow, broken, huge or endless: a page that says what to do, within the limit, and the next
//! login works.

use std::time::{Duration, Instant};

use portcullis_tests::browser::Browser;
use portcullis_tests::harness::{Gateway, Launch, Settings, World, WorldConfig, ports};
use portcullis_tests::okta::company::{DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_PASSWORD};
use portcullis_tests::okta::{Client, Company, Endpoint, Fault, OktaConfig, OktaSim};
use portcullis_tests::upstream::{Upstream, UpstreamConfig};

use super::{ENGINEER, PATIENCE, assert_login_works, assert_no_session, assert_page};

/// Beyond `provider_timeout` of these tests, and far below any patience.
const LIMIT: Duration = Duration::from_secs(40);
/// A failed fetch is shared by all who ask within a second or so.
const SHARED_FAILURE: Duration = Duration::from_millis(2_100);

const FAULTS: [(Fault, &str, &str); 8] = [
    (Fault::Hang, "Try again", "provider_slow"),
    (Fault::DelayMs(60_000), "Try again", "provider_slow"),
    (Fault::EndlessBodyMs(5), "Try again", "provider_slow"),
    (Fault::Status(500), "Try again", "provider_bad_answer"),
    (Fault::Status(503), "Try again", "provider_bad_answer"),
    (Fault::CutBody, "Try again", "provider_unreachable"),
    (Fault::Garbage, "Tell your administrator", "provider_bad_answer"),
    (Fault::HugeBody(2 << 20), "Tell your administrator", "provider_answer_too_large"),
];

async fn impatient_world() -> World {
    let change = |settings: &mut Settings| {
        settings.extra = "[limits]\nprovider_timeout = \"6s\"\n".to_owned();
    };
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

async fn assert_faults_are_told(world: &World, endpoint: Endpoint, path: &str) {
    for (fault, words, code) in FAULTS {
        world.okta.misbehave(endpoint, fault);
        let begun = Instant::now();
        let (browser, page) = world.logged_in(ENGINEER).await.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        println!("{endpoint:?} {fault:?}: {} after {:?}", page.status, begun.elapsed());
        assert!(begun.elapsed() < LIMIT, "{fault:?} took {:?}", begun.elapsed());
        assert_page(&page, 502, &[words, "administrator", code]);
        assert!(page.url.path().starts_with(path), "{fault:?}: {}", page.trail());
        assert_no_session(&browser);
        assert_eq!(world.upstream.recorder().connections(), 0, "{fault:?}: the upstream was reached");
        tokio::time::sleep(SHARED_FAILURE).await;
    }
    world.okta.behave(None);
    assert_login_works(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_misbehaves() {
    let world = impatient_world().await;
    assert_faults_are_told(&world, Endpoint::Discovery, "/cdn-cgi/access/login/wiki.localhost").await;
    // What was learnt once is kept: a provider whose discovery fails later harms nobody.
    world.okta.misbehave(Endpoint::Discovery, Fault::Status(503));
    assert_login_works(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_set_misbehaves() {
    let world = impatient_world().await;
    assert_faults_are_told(&world, Endpoint::Keys, "/cdn-cgi/access/callback").await;
    world.okta.misbehave(Endpoint::Keys, Fault::Status(503));
    assert_login_works(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_endpoint_misbehaves() {
    let world = impatient_world().await;
    assert_faults_are_told(&world, Endpoint::Token, "/cdn-cgi/access/callback").await;
}

/// Who is logged in already does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_harms_no_session() {
    let world = impatient_world().await;
    let browser = assert_login_works(&world).await;
    for endpoint in
        [Endpoint::Discovery, Endpoint::Authorize, Endpoint::Token, Endpoint::Keys, Endpoint::UserGroups]
    {
        world.okta.misbehave(endpoint, Fault::Hang);
    }
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().json()["email"], ENGINEER);
    // Another application of the same login needs no provider either.
    let canteen = format!("{}/whoami", world.settings.application_url("canteen"));
    let page = browser.navigate(&canteen).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_at_first_is_found_when_it_comes() {
    let (port, upstream) = (ports::free(), Upstream::start(UpstreamConfig::default()).await.unwrap());
    let mut settings = Settings::new(&format!("http://127.0.0.1:{port}"), &upstream.url());
    DEMO_CLIENT_ID.clone_into(&mut settings.client_id);
    settings.client_secret = Some(DEMO_CLIENT_SECRET.to_owned());
    let gateway = Gateway::start(Launch::of(&settings)).await.unwrap_or_else(|e| panic!("{e}"));
    let front = format!("{}/", settings.application_url("wiki"));
    let browser = Browser::new(&gateway.ca_pem());
    let page = browser.navigate(&front).await.unwrap();
    assert_page(&page, 502, &["does not answer", "Try again", "administrator", "provider_unreachable"]);
    assert_no_session(&browser);

    let clients = vec![Client::confidential(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, &settings.redirect_uri())];
    let config = OktaConfig { port, ..OktaConfig::new(Company { clients, ..Company::demo() }) };
    let okta = OktaSim::start(config).await.unwrap();
    tokio::time::sleep(SHARED_FAILURE).await;
    let page = browser.log_in(&front, ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());

    // And when it goes again, in the midst of a login.
    let other = browser.another_profile();
    let form = other.navigate(&front).await.unwrap();
    assert!(form.url.as_str().starts_with(okta.base_url()), "{}", form.trail());
    okta.misbehave(Endpoint::Token, Fault::CutBody);
    let page = other.submit(&form, &[("username", ENGINEER), ("password", DEMO_PASSWORD)]).await.unwrap();
    assert_page(&page, 502, &["does not answer", "Try again", "provider_unreachable"]);
    assert_no_session(&other);
}

/// Discovery answers under an address that is not the issuer which it names.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_issuer_is_told_with_both_names() {
    let world = World::with(WorldConfig {
        provisioned: false,
        change: |settings| settings.issuer = settings.issuer.replace("127.0.0.1", "localhost"),
        ..WorldConfig::default()
    })
    .await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    let announced = world.okta.issuer();
    let words = [
        "not set up correctly",
        "administrator",
        &world.settings.issuer,
        &announced,
        "provider_wrong_issuer",
    ];
    assert_page(&page, 502, &words);
    assert_no_session(&browser);
    let logged =
        world.gateway.log().wait_for(PATIENCE, |event| event["code"] == "provider_wrong_issuer").await;
    assert!(logged.is_some(), "the log does not name the code");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_told() {
    let world = World::start().await;
    let redirect = world.settings.redirect_uri();
    world.okta.add_client(Client::confidential(DEMO_CLIENT_ID, "another secret", &redirect));
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_page(&page, 502, &["administrator", "client id, or its secret", "provider_client_refused"]);
    assert_no_session(&browser);
    assert!(
        !page.text().contains(DEMO_CLIENT_SECRET) && !world.gateway.log().text().contains(DEMO_CLIENT_SECRET)
    );
    world.okta.add_client(Client::confidential(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, &redirect));
    assert_login_works(&world).await;
}

/// Somebody whom the administrator has not assigned: the provider says no, and why.
#[tokio::test(flavor = "multi_thread")]
async fn t59_a_refusal_of_the_provider_is_told_in_its_words() {
    let world = World::start().await;
    world.okta.assign_client(DEMO_CLIENT_ID, Some(vec!["designer@corp.example".to_owned()])).unwrap();
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_page(&page, 403, &["refused the sign-in", "access_denied", "assigned", "provider_refused"]);
    assert_no_session(&browser);
    let logged = world.gateway.log().wait_for(PATIENCE, |event| event["code"] == "provider_refused").await;
    assert!(logged.is_some(), "the log does not name the code");
    world.okta.assign_client(DEMO_CLIENT_ID, None).unwrap();
    assert_login_works(&world).await;
}
