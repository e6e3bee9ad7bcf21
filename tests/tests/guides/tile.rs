//! A click on a provider's tile, and every other start from elsewhere (OpenID Connect Core 1.0 section 4).

use http::Method;
use portcullis_tests::browser::{Answer, Browser, Initiator, Outgoing};
use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use url::form_urlencoded::Serializer;

use super::rig::{ENGINEER, GUEST, TwoProviders, email};

/// What the gateway reads of a posted start.
const MAX_FORM_BYTES: usize = 16 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";

fn form(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn start(world: &World, pairs: &[(&str, &str)]) -> String {
    format!("{}/cdn-cgi/access/initiate?{}", world.settings.auth_url(), form(pairs))
}

/// A form that a page of the provider posts by itself.
async fn post(world: &World, browser: &Browser, kind: &str, body: String) -> Answer {
    let url = format!("{}/cdn-cgi/access/initiate", world.settings.auth_url());
    let page = world.okta.base_url().parse().unwrap();
    let outgoing = Outgoing::script(Method::POST, &url).unwrap().by(Initiator::Page(page));
    browser.send(&outgoing.body(kind, body)).await.unwrap()
}

fn assert_refused(answer: &Answer, code: &str, words: &str) {
    let text = answer.text();
    assert_eq!(answer.status, 400, "{}: {text}", answer.url);
    assert!(text.contains(&format!("<dd>{code}</dd>")) && text.contains(words), "{code}, {words}: {text}");
    assert!(answer.header("set-cookie").is_empty(), "{code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cronofy_a_click_on_the_tile_ends_in_the_application() {
    let mut world = World::start().await;
    world.settings.provider_extra = format!("initiate_to = \"{}\"\n", world.wiki("/home?tab=1"));
    let config = world.settings.toml();
    world.gateway.write_config(&config);
    world.gateway.start_again().await.unwrap_or_else(|e| panic!("{e}"));
    let tile = start(&world, &[("iss", &world.okta.issuer())]);
    let browser = world.browser();
    let page = browser.log_in(&tile, ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.url.as_str(), world.wiki("/home?tab=1"), "{}", page.trail());
    assert_eq!(email(&browser, &world.wiki("")).await, ENGINEER);
    // A second click needs nothing of the provider.
    let page = browser.navigate(&tile).await.unwrap();
    assert_eq!(page.url.as_str(), world.wiki("/home?tab=1"), "{}", page.trail());
    let asked = page.chain.iter().any(|hop| hop.url.as_str().starts_with(world.okta.base_url()));
    assert!(!asked, "{}", page.trail());
    // By a form of the dashboard it is the same.
    let answer = post(&world, &world.browser(), FORM, form(&[("iss", &world.okta.issuer())])).await;
    assert_eq!(
        (answer.status.as_u16(), answer.location().unwrap().as_str()),
        (303, &*world.wiki("/home?tab=1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_leads_by_the_named_provider_with_the_hint_to_the_named_page_once() {
    let rig = TwoProviders::start("", "").await;
    let target = rig.url("lobby", "/deep?a=b");
    let pairs = [
        ("iss", &*rig.partners.issuer()),
        ("login_hint", GUEST),
        ("target_link_uri", &format!("{target}#part")),
    ];
    let browser = rig.world.browser();
    let page = browser.navigate(&start(&rig.world, &pairs)).await.unwrap();
    assert!(TwoProviders::is_at(&page, &rig.partners), "{}", page.trail());
    assert!(page.text().contains(&format!("value=\"{GUEST}\"")), "{}", page.text());
    let page = browser.submit(&page, &[("username", GUEST), ("password", DEMO_PASSWORD)]).await.unwrap();
    assert_eq!(page.url.as_str(), target, "{}", page.trail());
    // What was wished for is spent: another login of this browser chooses anew.
    browser.navigate(&format!("{}/cdn-cgi/access/logout", rig.world.settings.auth_url())).await.unwrap();
    let page = browser.navigate(&rig.url("lobby", "/")).await.unwrap();
    assert!(page.text().contains("Choose how to sign in"), "{}", page.trail());
    // An application that does not accept the provider is led to all the same, by one that it accepts.
    let pairs = [("iss", &*rig.partners.issuer()), ("target_link_uri", &rig.url("wiki", "/"))];
    let page = rig.world.browser().navigate(&start(&rig.world, &pairs)).await.unwrap();
    assert!(TwoProviders::is_at(&page, &rig.world.okta), "{}", page.trail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_leads_nowhere_says_what_must_be_mended() {
    let world = World::start().await;
    let browser = world.browser();
    let issuer = world.okta.issuer();
    let slash = format!("{issuer}/");
    let elsewhere = "https://evil.example/";
    let other_port = "https://wiki.localhost/";
    let ours = format!("{}/cdn-cgi/access/logout", world.settings.auth_url());
    let reserved = world.wiki("/cdn-cgi/access/logout");
    for (pairs, code, words) in [
        (vec![("iss", "https://evil.example")], "initiate_unknown_issuer", "letter by letter"),
        (vec![("iss", slash.as_str())], "initiate_unknown_issuer", "Compare slashes at the end"),
        (vec![], "initiate_malformed", "`iss`"),
        (vec![("iss", &issuer), ("iss", &issuer)], "initiate_malformed", "said it twice"),
        (vec![("iss", &issuer)], "initiate_no_target", "initiate_to"),
        (vec![("iss", &issuer), ("target_link_uri", elsewhere)], "initiate_target", "not followed"),
        (vec![("iss", &issuer), ("target_link_uri", other_port)], "initiate_target", "not followed"),
        (vec![("iss", &issuer), ("target_link_uri", &ours)], "initiate_target", "not followed"),
        (vec![("iss", &issuer), ("target_link_uri", &reserved)], "initiate_target", "not followed"),
        (vec![("iss", &issuer), ("id_token", "a.b.c")], "initiate_id_token", "OIDC Compliant"),
    ] {
        assert_refused(&browser.navigate(&start(&world, &pairs)).await.unwrap(), code, words);
        let posted = post(&world, &browser, FORM, form(&pairs)).await;
        let told = posted.json();
        let code_told = if told.is_null() { posted.text().contains(code) } else { told["error"] == code };
        assert!(posted.status == 400 && code_told, "{code}: {}", posted.text());
    }
    assert!(browser.jar().of_host("auth.localhost").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_start_over_its_limit_is_refused() {
    let world = World::start().await;
    let browser = world.browser();
    let filled = |bytes: usize| {
        let body =
            form(&[("iss", &world.okta.issuer()), ("target_link_uri", &world.wiki("/")), ("more", "")]);
        let fill = "a".repeat(bytes - body.len());
        body + &fill
    };
    let answer = post(&world, &browser, FORM, filled(MAX_FORM_BYTES)).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let answer = post(&world, &browser, FORM, filled(MAX_FORM_BYTES + 1)).await;
    assert!(answer.status == 413 && answer.text().contains("form_too_large"), "{}", answer.text());
    for kind in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        let answer = post(&world, &browser, kind, filled(1_000)).await;
        assert!(answer.status == 415 && answer.text().contains("form_unreadable"), "{}", answer.text());
    }
    let put = format!("{}/cdn-cgi/access/initiate", world.settings.auth_url());
    let answer = browser.send(&Outgoing::script(Method::PUT, &put).unwrap()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_that_names_no_page_opens_the_only_application() {
    let world = World::with(WorldConfig {
        change: |settings| settings.applications.truncate(1),
        ..WorldConfig::default()
    })
    .await;
    let tile = start(&world, &[("iss", &world.okta.issuer())]);
    let page = world.browser().log_in(&tile, ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.url.as_str(), world.wiki("/"), "{}", page.trail());
}
