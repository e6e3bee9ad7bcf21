//! The gateway as a partner of a provider's protocol: how it proves itself, what it takes a signature by, what it pushes, whom it asks
//! for groups. The provider judges as Okta does, so that a login that works is one that Okta would have taken.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::fmt::Write as _;
use std::sync::OnceLock;

use jsonwebtoken::Algorithm;
use portcullis_tests::browser::{Form, Outgoing, Page};
use portcullis_tests::harness::{Settings, World, WorldConfig};
use portcullis_tests::okta::company::{COLLECTOR, DEMO_CLIENT_ID};
use portcullis_tests::okta::{
    AuthServer, ClaimMode, Client, ClientKey, Company, Endpoint, Fault, GroupFilter, Spoil,
};
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const KEY_VARIABLE: &str = "OKTA_CLIENT_KEY";
const SERVICE_ID: &str = "0oaServiceApp";

/// An algorithm, and the settings that name it.
type Keyed = (Algorithm, fn(&mut Settings));

/// A key is made once for each algorithm: RSA takes its time.
fn key(algorithm: Algorithm) -> &'static ClientKey {
    static KEYS: [OnceLock<ClientKey>; 4] = [const { OnceLock::new() }; 4];
    let number = match algorithm {
        Algorithm::RS256 => 0,
        Algorithm::PS256 => 1,
        Algorithm::ES256 => 2,
        _ => 3,
    };
    KEYS[number].get_or_init(|| ClientKey::generate(algorithm))
}

/// A world without SCIM: what the provider says is all there is.
async fn world(change: fn(&mut Settings)) -> World {
    World::with(WorldConfig { provisioned: false, change, ..WorldConfig::default() }).await
}

/// The gateway proves itself by this key instead of the secret.
fn by_key(settings: &mut Settings, algorithm: Algorithm) {
    let key = key(algorithm);
    settings.client_secret = None;
    settings.secrets.push((KEY_VARIABLE.to_owned(), key.pem.clone()));
    let line = format!(
        "client_key = {{ env = \"{KEY_VARIABLE}\", kid = \"{}\", algorithm = \"{algorithm:?}\" }}",
        key.kid()
    );
    let _ = writeln!(settings.provider_extra, "{line}");
}

async fn assert_login(world: &World) -> Page {
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().json()["email"], ENGINEER);
    page
}

async fn assert_refused(world: &World, status: u16, code: &str) {
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status.as_u16(), status, "{}\n{}", page.trail(), page.text());
    assert!(page.text().contains(code), "`{code}` is missing in {}", page.text());
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 401);
    assert_eq!(world.upstream.recorder().connections(), 0, "the upstream was reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_form_logs_in() {
    let world =
        world(|settings| settings.provider_extra = "client_auth = \"client_secret_post\"\n".to_owned());
    assert_login(&world.await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_each_kind_logs_in_and_a_strangers_does_not() {
    let worlds: [Keyed; 4] = [
        (Algorithm::RS256, |settings| by_key(settings, Algorithm::RS256)),
        (Algorithm::PS256, |settings| by_key(settings, Algorithm::PS256)),
        (Algorithm::ES256, |settings| by_key(settings, Algorithm::ES256)),
        (Algorithm::EdDSA, |settings| by_key(settings, Algorithm::EdDSA)),
    ];
    for (algorithm, change) in worlds {
        let world = world(change).await;
        let redirect_uri = world.settings.redirect_uri();
        world.okta.add_client(Client::with_key(DEMO_CLIENT_ID, key(algorithm), &redirect_uri));
        // Twice, since the provider takes an assertion once.
        assert_login(&world).await;
        assert_login(&world).await;
        if algorithm == Algorithm::ES256 {
            let mut other = ClientKey::generate(algorithm);
            other.public.common.key_id = Some(key(algorithm).kid().to_owned());
            world.okta.add_client(Client::with_key(DEMO_CLIENT_ID, &other, &redirect_uri));
            let (_, page) = world.logged_in(ENGINEER).await.unwrap();
            assert_eq!(page.status, 502, "{}", page.trail());
            assert!(page.text().contains("provider_client_refused"), "{}", page.text());
        }
        let told = world.gateway.log().lines().join("\n");
        assert!(!told.contains("PRIVATE KEY") && !told.contains("eyJ"), "a key or an assertion is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t62_another_algorithm_logs_in_where_it_is_configured_and_nowhere_else() {
    let pinned: [Keyed; 2] = [
        (Algorithm::ES256, |settings| settings.provider_extra = "signing_algorithm = \"ES256\"\n".to_owned()),
        (Algorithm::EdDSA, |settings| settings.provider_extra = "signing_algorithm = \"EdDSA\"\n".to_owned()),
    ];
    for (algorithm, change) in pinned {
        let world = world(change).await;
        assert_refused(&world, 403, "id_token_algorithm").await;
        world.okta.sign_with(algorithm);
        // Keys that were fetched for nothing are refetched for an unknown one.
        assert_login(&world).await;
        world.okta.rotate_keys();
        assert_login(&world).await;
        for (spoil, code) in [
            (Spoil::BrokenSignature, "id_token_signature"),
            (Spoil::HmacWithPublicKey, "id_token_algorithm"),
            (Spoil::AlgNone, "id_token_algorithm"),
            (Spoil::WrongAccessTokenHash, "id_token_access_token"),
        ] {
            world.okta.spoil_id_tokens(Some(spoil));
            let (_, page) = world.logged_in(ENGINEER).await.unwrap();
            assert_eq!(page.status, 403, "{spoil:?}: {}", page.trail());
            assert!(page.text().contains(code), "{spoil:?}: {}", page.text());
        }
    }
}

/// The address at the provider's authorization endpoint that the browser was sent to.
fn sent_to(page: &Page) -> &str {
    let hop = page.chain.iter().find(|hop| hop.url.path().ends_with("/authorize"));
    hop.unwrap_or_else(|| panic!("nobody was sent to the provider: {}", page.trail())).url.query().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_pushed_where_the_provider_takes_it() {
    let world = world(|_| {}).await;
    let page = world.browser().navigate(&world.wiki("/")).await.unwrap();
    let query = sent_to(&page);
    assert!(query.contains("request_uri=urn") && !query.contains("state="), "{query}");
    assert_login(&world).await;
    assert_eq!(world.okta.requests(Endpoint::Par), 2);
    // Where the provider merely has a fault, the browser carries the request.
    for fault in [Fault::Status(503), Fault::RateLimitedS(5), Fault::CutBody] {
        world.okta.misbehave(Endpoint::Par, fault);
        let page = world.browser().navigate(&world.wiki("/")).await.unwrap();
        assert!(sent_to(&page).contains("&state="), "{}", page.trail());
    }
    assert_login(&world).await;
    // An answer that is none is no reason to go around it.
    world.okta.misbehave(Endpoint::Par, Fault::Garbage);
    let page = world.browser().navigate(&world.wiki("/")).await.unwrap();
    assert_eq!(page.status, 502, "{}", page.trail());
    assert!(page.text().contains("provider_bad_answer"), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_must_be_pushed_is_not_sent_otherwise() {
    let required = |settings: &mut Settings| {
        settings.provider_extra = "pushed_authorization_requests = \"required\"\n".to_owned();
    };
    let world = world(required).await;
    assert_login(&world).await;
    world.okta.misbehave(Endpoint::Par, Fault::Status(503));
    let page = world.browser().navigate(&world.wiki("/")).await.unwrap();
    assert_eq!(page.status, 502, "{}", page.trail());
    assert!(page.text().contains("provider_bad_answer"), "{}", page.text());
    world.okta.behave(None);
    world.okta.add_client(Client::confidential(
        DEMO_CLIENT_ID,
        "another secret",
        &world.settings.redirect_uri(),
    ));
    let page = world.browser().navigate(&world.wiki("/")).await.unwrap();
    assert!(page.text().contains("provider_client_refused"), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_pushed_where_that_is_turned_off() {
    let world =
        world(|settings| settings.provider_extra = "pushed_authorization_requests = \"off\"\n".to_owned())
            .await;
    assert_login(&world).await;
    assert_eq!(world.okta.requests(Endpoint::Par), 0);
}

/// RFC 9207: where it is announced, a callback without `iss` is one of somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn t63_a_callback_without_its_issuer_is_refused_where_the_provider_sends_it() {
    let world = world(|_| {}).await;
    world.okta.announce_issuer_parameter();
    let page = assert_login(&world).await;
    let callback = page.chain.iter().find(|hop| hop.url.path().ends_with("/callback")).unwrap();
    assert!(callback.url.query().unwrap().contains("iss=http"), "{}", page.trail());
    let made_up = format!("{}/cdn-cgi/access/callback?error=access_denied&state=", world.settings.auth_url());
    for iss in ["", "&iss=https%3A%2F%2Fother.okta.example", "&iss="] {
        let browser = world.browser();
        let form = browser.navigate(&world.wiki("/")).await.unwrap();
        assert!(form.text().contains("stateToken"), "{}", form.trail());
        // The state of a login that was pushed stands in no address.
        let state = world.okta.last_pushed("state").unwrap();
        let page = browser.navigate(&format!("{made_up}{state}{iss}")).await.unwrap();
        assert_eq!(page.status, 400, "{iss}: {}", page.trail());
        assert!(page.text().contains("issuer_mismatch"), "{iss}: {}", page.text());
    }
}

/// A service app in place of the API token, for whoever's claim is cut.
fn with_service_app(settings: &mut Settings) {
    let key = key(Algorithm::RS256);
    settings.api_token = None;
    settings.secrets.push((KEY_VARIABLE.to_owned(), key.pem.clone()));
    let key = format!("{{ env = \"{KEY_VARIABLE}\", kid = \"{}\" }}", key.kid());
    settings.provider_extra = format!(
        "[identity_provider.groups]\nsource = \"api\"\nservice_app = {{ client_id = \"{SERVICE_ID}\", key = {key} }}\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_app_reads_the_groups() {
    let world = world(with_service_app).await;
    // Unknown, then without the scope, then as it should be.
    assert_refused(&world, 502, "service_app_refused").await;
    let key = key(Algorithm::RS256);
    world.okta.add_client(Client::service(SERVICE_ID, key, &["okta.groups.read"]));
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    assert_refused(&world, 502, "service_app_refused").await;
    world.okta.add_client(Client::service(SERVICE_ID, key, &["okta.users.read"]));
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    let (browser, page) = world.logged_in(COLLECTOR).await.unwrap();
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    let identity = browser.fetch(&world.wiki("/cdn-cgi/access/get-identity")).await.unwrap().json();
    let mut known: Vec<&str> =
        identity["groups"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let mut expected = world.okta.groups_of(COLLECTOR).unwrap();
    known.sort_unstable();
    expected.sort();
    assert_eq!(known, expected);
    // The token is kept, and one that ended early is replaced.
    let tokens = world.okta.requests(Endpoint::Token);
    assert_login(&world).await;
    assert_eq!(world.okta.requests(Endpoint::Token), tokens + 1, "the login's own");
    world.okta.revoke_service_tokens();
    let (_, page) = world.logged_in("admin@corp.example").await.unwrap();
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    assert_eq!(world.okta.requests(Endpoint::Token), tokens + 3, "the login's own and the service app's");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_of_all_sources_are_joined_where_that_is_configured() {
    let joined = |settings: &mut Settings| {
        settings.provider_extra = "[identity_provider.groups]\nsource = \"union\"\n".to_owned();
    };
    let world = world(joined).await;
    world.okta.set_groups_claim(ClaimMode::Whole, GroupFilter::Equals("Everyone".to_owned()));
    // The claim does not hold the group that lets in; the API does.
    assert_login(&world).await;
    assert_eq!(world.okta.requests(Endpoint::UserGroups), 1);
    assert_eq!(world.okta.requests(Endpoint::Users), 1, "whether the person is active");
}

/// Pushed groups alone let in; what the provider says besides lets nobody in, and past no rule that forbids.
#[tokio::test(flavor = "multi_thread")]
async fn where_scim_is_the_source_a_login_proves_no_group_and_hides_none() {
    let change = |settings: &mut Settings| {
        settings.provider_extra = "[identity_provider.groups]\nsource = \"scim\"\n".to_owned();
    };
    let mut company = Company::demo();
    for group in company.groups.iter_mut().filter(|group| group.name == "Contractors") {
        group.pushed = false;
    }
    let world = World::with(WorldConfig { company, change, ..WorldConfig::default() }).await;
    assert_login(&world).await;
    // Engineering is pushed, Contractors is not: the policy excludes whoever the provider calls one.
    let (browser, page) = world.logged_in("contractor@corp.example").await.unwrap();
    assert_eq!(page.status, 403, "{}", page.trail());
    assert!(page.text().contains("unproved_group"), "{}", page.text());
    let identity = browser.fetch(&world.wiki("/cdn-cgi/access/get-identity")).await.unwrap().json();
    assert_eq!(identity["groups"], serde_json::json!(["Engineering"]), "{identity}");
    // The claim still says Engineering, and the directory no longer knows such a group: a doubt, or a no for a claim of the same second.
    world.okta.unlink_group("Engineering").await.unwrap();
    let (_, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 403, "{}\n{}", page.trail(), page.text());
}

/// Ten tabs that log in at once are ten logins and one question.
#[tokio::test(flavor = "multi_thread")]
async fn tabs_that_log_in_together_ask_the_api_once() {
    let world = world(|settings| {
        settings.provider_extra = "[identity_provider.groups]\nsource = \"api\"\n".to_owned();
    })
    .await;
    let browser = world.browser();
    let tabs = (0..10).map(|_| {
        let profile = browser.another_profile();
        let url = world.wiki("/");
        async move { profile.log_in(&url, ENGINEER, "correct horse").await.unwrap() }
    });
    for page in futures_util::future::join_all(tabs).await {
        assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    }
    assert_eq!(world.okta.requests(Endpoint::UserGroups), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_custom_authorization_server_takes_a_key_and_a_pushed_request() {
    let custom = |settings: &mut Settings| {
        settings.issuer = format!("{}/oauth2/default", settings.issuer);
        by_key(settings, Algorithm::RS256);
        settings.provider_extra.push_str("pushed_authorization_requests = \"required\"\n");
    };
    let world = world(custom).await;
    world.okta.add_client(Client::with_key(
        DEMO_CLIENT_ID,
        key(Algorithm::RS256),
        &world.settings.redirect_uri(),
    ));
    let page = assert_login(&world).await;
    assert!(sent_to(&page).contains("request_uri="), "{}", page.trail());
    assert_eq!(world.okta.issuer_of(AuthServer::Default), world.settings.issuer);
}

/// T71: a code is worth nothing without the verifier of its own login, nor a second time.
#[tokio::test(flavor = "multi_thread")]
async fn t71_a_code_belongs_to_one_verifier_and_is_redeemed_once() {
    let world = world(|_| {}).await;
    let page = assert_login(&world).await;
    let spent = page.chain.iter().find(|hop| hop.url.path().ends_with("/callback")).unwrap().url.clone();
    let code = spent.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    // The spent code in another login of the same client, and one that was never spent, of another login.
    let thief = world.browser();
    let fresh = unspent_code(&world).await;
    for code in [code, fresh] {
        thief.navigate(&world.wiki("/")).await.unwrap();
        let state = world.okta.last_pushed("state").unwrap();
        let url = format!("{}/cdn-cgi/access/callback?code={code}&state={state}", world.settings.auth_url());
        let page = thief.navigate(&url).await.unwrap();
        assert_eq!(page.status, 403, "{}\n{}", page.trail(), page.text());
        assert!(page.text().contains("provider_code_refused"), "{}", page.text());
    }
}

/// A code that the provider has given and nobody has brought to the gateway.
async fn unspent_code(world: &World) -> String {
    let browser = world.browser();
    let page = browser.navigate(&world.wiki("/")).await.unwrap();
    let form = Form::login(&page.text()).unwrap().with_login(ENGINEER, "correct horse");
    let action = page.url.join(&form.action).unwrap();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form.fields.iter().map(|field| (&field.name, &field.value)))
        .finish();
    let post = Outgoing::script(http::Method::POST, action.as_str())
        .unwrap()
        .body("application/x-www-form-urlencoded", body);
    let answer = browser.send(&post).await.unwrap();
    let callback = answer.location().unwrap_or_else(|| panic!("{}", answer.text()));
    callback.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}
