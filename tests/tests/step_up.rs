//! Policies that ask for a stronger or newer login, or for a newer session: people are sent to make one and come back to their
//! page, once; programs are told what is missing; streams end when the login has grown too old.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, Method};
use portcullis_tests::browser::{Answer, Browser, BrowserError, Form, Outgoing, Page};
use portcullis_tests::harness::{ApplicationSettings, Settings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use portcullis_tests::okta::{Endpoint, Neglect, Spoil};

const ENGINEER: &str = "engineer@corp.example";
const DESIGNER: &str = "designer@corp.example";
const PATIENCE: Duration = Duration::from_secs(120);
const TWO_FACTORS: &str = "urn:okta:loa:2fa:any";
/// Twice from the application to the auth host, first back with the login that there is, then to the provider and the callback.
const HOPS_TO_THE_CALLBACK: usize = 7;

const POLICIES: &str = r#"
[[policy]]
name = "strong"
action = "allow"
include = [{ everyone = true }]
require = [{ acr = ["urn:okta:loa:2fa:any", "phr"] }, { amr = "mfa" }]

[[policy]]
name = "new"
action = "allow"
include = [{ everyone = true }]
require = [{ login_age = "15m" }]

[[policy]]
name = "aging"
action = "allow"
include = [{ everyone = true }]
require = [{ login_age = "90s" }]

[[policy]]
name = "brief"
action = "allow"
include = [{ everyone = true }]
session_duration = "20s"

[[policy]]
name = "by-key"
action = "allow"
include = [{ everyone = true }]
require = [{ amr = ["hwk", "swk"] }]
"#;

/// A wiki for engineers, a canteen for everybody, and an application for each of the policies.
fn change(settings: &mut Settings) {
    settings.policies.push_str(POLICIES);
    settings.server_extra =
        "forward_auth_from = [\"127.0.0.2\"]\nforward_auth_secret = { env = \"OKTA_CLIENT_SECRET\" }\n"
            .to_owned();
    let upstream = settings.applications[0].upstream.clone();
    for (name, policy) in
        [("vault", "strong"), ("payroll", "new"), ("aging", "aging"), ("brief", "brief"), ("keys", "by-key")]
    {
        settings.applications.push(ApplicationSettings::new(name, &upstream, policy));
    }
    let mut asked = ApplicationSettings::new("asked", &upstream, "strong");
    asked.extra = "forward_auth = true\n".to_owned();
    settings.applications.push(asked);
}

async fn world() -> World {
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

fn at(world: &World, application: &str, path: &str) -> String {
    format!("{}{path}", world.settings.application_url(application))
}

/// What the provider, which a page was led to, is asked for: pushed there, and left out of the address.
fn asked_of_the_provider(world: &World, page: &Page) -> HashMap<String, String> {
    let url = &page.chain.last().unwrap().url;
    assert!(url.as_str().starts_with(&world.okta.issuer()), "not at the provider\n{}", page.trail());
    assert!(url.query().unwrap().contains("request_uri="), "not pushed\n{}", page.trail());
    let names = ["acr_values", "max_age", "prompt", "login_hint", "state"].into_iter();
    names.filter_map(|name| Some((name.to_owned(), world.okta.last_pushed(name)?))).collect()
}

fn session_at(browser: &Browser, host: &str) -> String {
    let cookies = browser.jar().of_host(host);
    cookies.into_iter().find(|cookie| cookie.name == "__Host-portcullis").unwrap().value
}

fn challenges(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

async fn known_at_the_wiki(world: &World) -> Browser {
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn step_up_a_stronger_login_replaces_the_weak_one_everywhere() {
    let world = world().await;
    let browser = known_at_the_wiki(&world).await;
    let stolen = browser.jar().all();
    let before = session_at(&browser, "auth.localhost");

    let page = browser.navigate(&at(&world, "vault", "/whoami?page=7")).await.unwrap();
    let asked = asked_of_the_provider(&world, &page);
    assert_eq!(asked["acr_values"], format!("{TWO_FACTORS} phr"));
    assert_eq!(asked["login_hint"], ENGINEER);
    assert!(!asked.contains_key("max_age") && !asked.contains_key("prompt"), "{asked:?}");

    let form = Form::login(&page.text()).unwrap().with_login(ENGINEER, DEMO_PASSWORD);
    let page = browser.submit_form(&page, &form).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert_eq!(page.url.as_str(), at(&world, "vault", "/whoami?page=7"));
    assert_eq!(page.answer.json()["email"], ENGINEER);
    assert_eq!(browser.fetch(&at(&world, "vault", "/whoami")).await.unwrap().status, 200);

    // T61: another id; and whoever kept a copy of the former cookies has nothing of either.
    assert_ne!(session_at(&browser, "auth.localhost"), before);
    let thief = world.browser();
    stolen.into_iter().for_each(|cookie| thief.jar().plant(cookie));
    assert_eq!(thief.fetch(&world.wiki("/whoami")).await.unwrap().status, 401);
    assert_eq!(thief.fetch(&at(&world, "vault", "/whoami")).await.unwrap().status, 401);
    let identity = format!("{}/cdn-cgi/access/get-identity", world.settings.auth_url());
    assert_eq!(thief.fetch(&identity).await.unwrap().status, 401);

    // The other applications begin a new session over the auth host, without the provider.
    let asked = world.okta.requests(Endpoint::Authorize);
    let page = browser.navigate(&world.wiki("/whoami")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert_eq!(world.okta.requests(Endpoint::Authorize), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn step_up_an_old_login_is_made_anew() {
    let world = world().await;
    world.okta.backdate_logins(Duration::from_secs(3_600));
    let browser = known_at_the_wiki(&world).await;
    world.okta.backdate_logins(Duration::ZERO);
    let page = browser.navigate(&at(&world, "payroll", "/whoami")).await.unwrap();
    let asked = asked_of_the_provider(&world, &page);
    assert_eq!(asked["max_age"], "780", "two minutes less than the policy's, since clocks differ");
    assert!(!asked.contains_key("acr_values"), "{asked:?}");
    let page = browser.log_in(&at(&world, "payroll", "/whoami"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
}

#[tokio::test(flavor = "multi_thread")]
async fn step_up_for_a_method_asks_for_a_login_anew() {
    let world = world().await;
    let browser = known_at_the_wiki(&world).await;
    let page = browser.navigate(&at(&world, "keys", "/whoami")).await.unwrap();
    let asked = asked_of_the_provider(&world, &page);
    assert_eq!(asked["prompt"], "login");
    // The password again is not what was asked for.
    let form = Form::login(&page.text()).unwrap().with_login(ENGINEER, DEMO_PASSWORD);
    let page = browser.submit_form(&page, &form).await.unwrap();
    unmet(&page, "policy asks for amr hwk or swk", "amr pwd");
}

/// A page that says what was asked for and what came, and not another redirect.
fn unmet(page: &Page, wanted: &str, came: &str) {
    let text = page.text();
    assert_eq!(page.status, 403, "{}", page.trail());
    for part in ["step_up_unmet", wanted, came, "ask your administrator", "<dt>Reference</dt>"] {
        assert!(text.contains(part), "`{part}` is missing in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn step_up_at_a_provider_that_pays_no_heed_ends_in_a_page_and_no_loop() {
    let world = world().await;
    world.okta.backdate_logins(Duration::from_secs(3_600));
    let browser = known_at_the_wiki(&world).await;
    world.okta.neglect(Neglect::AcrValues);
    world.okta.neglect(Neglect::MaxAge);
    for (application, wanted, came) in [
        ("vault", "acr urn:okta:loa:2fa:any or phr, amr mfa", "no acr, amr pwd"),
        ("payroll", "a login no older than 900 s", "a login 36"),
    ] {
        let asked = world.okta.requests(Endpoint::Authorize);
        let page = browser.navigate(&at(&world, application, "/too-weak")).await.unwrap();
        unmet(&page, wanted, came);
        assert_eq!(page.chain.len(), HOPS_TO_THE_CALLBACK, "{}", page.trail());
        assert_eq!(world.okta.requests(Endpoint::Authorize), asked + 1);
    }
    // What was not bettered is not lost either.
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 200);
    assert!(world.upstream.recorder().raw_received_for("/too-weak").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn step_up_what_the_provider_does_not_say_is_not_believed() {
    let world = world().await;
    world.okta.spoil_id_tokens(Some(Spoil::Undescribed));
    let browser = known_at_the_wiki(&world).await;
    for (application, came) in [("vault", "no acr, no amr"), ("payroll", "no auth_time")] {
        let page = browser.log_in(&at(&world, application, "/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
        unmet(&page, "policy asks for", came);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn step_up_programs_are_told_what_is_missing() {
    let world = world().await;
    let browser = known_at_the_wiki(&world).await;
    for application in ["vault", "keys"] {
        // Known to the application, and too weak for it: the hop over the auth host gives no cookie otherwise.
        browser.navigate(&at(&world, application, "/")).await.unwrap();
    }
    let login_url =
        |name: &str| format!("{}/cdn-cgi/access/login/{name}.localhost", world.settings.auth_url());
    let bearer =
        format!("Bearer error=\"insufficient_user_authentication\", acr_values=\"{TWO_FACTORS} phr\"");
    let told = [bearer.clone(), format!("Portcullis login_url=\"{}\"", login_url("vault"))];
    for method in [Method::GET, Method::POST] {
        let request = Outgoing::script(method, &at(&world, "vault", "/whoami")).unwrap();
        let answer = browser.send(&request).await.unwrap();
        assert_eq!(answer.status, 401);
        assert_eq!(challenges(&answer.headers), told);
        assert_eq!(answer.json()["error"], "step_up_required");
        assert_eq!(answer.json()["login_url"], login_url("vault"));
    }
    let refused = browser.websocket(&at(&world, "vault", "/ws/echo")).await.map(|_| ()).unwrap_err();
    let BrowserError::SocketRefused { status, headers } = refused else { panic!("{refused:?}") };
    assert_eq!((status, challenges(&headers)), (401, told.iter().map(String::as_str).collect()));
    let answer = browser.fetch(&at(&world, "keys", "/whoami")).await.unwrap();
    assert_eq!(challenges(&answer.headers)[0], "Bearer error=\"insufficient_user_authentication\"");
    let event = world.gateway.log().wait_for(PATIENCE, |event| event["reason"] == "step_up_required").await;
    let event = event.expect("the decision is in the log");
    assert_eq!((event["verdict"].as_str(), event["rule"].as_str()), (Some("deny"), Some("require[0]")));

    let asked = ask(&world, &browser, |url| Outgoing::script(Method::GET, url)).await;
    assert_eq!((asked.status.as_u16(), challenges(&asked.headers)[0]), (401, bearer.as_str()));
    let asked = ask(&world, &browser, Outgoing::navigation).await;
    assert_eq!(asked.status, 303);
    assert!(asked.header("location").starts_with(&format!("{}?request=", login_url("asked"))));
}

/// Another proxy asks about a request of the browser's.
async fn ask(
    world: &World,
    browser: &Browser,
    question: impl Fn(&str) -> Result<Outgoing, BrowserError>,
) -> Answer {
    browser.navigate(&at(world, "asked", "/")).await.unwrap();
    let host = at(world, "asked", "");
    let cookies = browser.jar().header(&at(world, "asked", "/").parse().unwrap()).unwrap_or_default();
    let question = question(&format!("{}/cdn-cgi/access/verify", world.settings.auth_url()))
        .unwrap()
        .header("x-portcullis-forward-auth", world.settings.client_secret.as_deref().unwrap())
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-forwarded-method", "GET")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", host.trim_start_matches("https://"))
        .header("x-forwarded-uri", "/whoami")
        .header("cookie", &cookies);
    world.browser().at_address(IpAddr::from([127, 0, 0, 2])).send(&question).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn step_up_in_many_tabs_at_once_lets_all_arrive() {
    let world = world().await;
    let browser = known_at_the_wiki(&world).await;
    let vault = at(&world, "vault", "/whoami");
    let opened = (0..6).map(|tab| {
        let (browser, url) = (browser.clone(), format!("{vault}?tab={tab}"));
        async move { browser.navigate(&url).await.unwrap() }
    });
    let opened = futures_util::future::join_all(opened).await;
    let submitted = opened.iter().map(|page| {
        let form = Form::login(&page.text()).unwrap().with_login(ENGINEER, DEMO_PASSWORD);
        let browser = browser.clone();
        async move { browser.submit_form(page, &form).await.unwrap() }
    });
    for page in futures_util::future::join_all(submitted).await {
        assert_eq!(page.status, 200, "{}", page.trail());
    }
    // Somebody else who tries in this browser, and falls short, takes nothing away.
    let page = browser.navigate(&at(&world, "keys", "/")).await.unwrap();
    let form = Form::login(&page.text()).unwrap().with_login(DESIGNER, DEMO_PASSWORD);
    unmet(&browser.submit_form(&page, &form).await.unwrap(), "amr hwk or swk", "amr pwd");
    assert_eq!(browser.fetch(&vault).await.unwrap().json()["email"], ENGINEER);
}

#[tokio::test(flavor = "multi_thread")]
async fn step_up_a_stream_ends_when_its_login_has_grown_too_old() {
    let world = world().await;
    world.okta.backdate_logins(Duration::from_secs(60));
    let browser = world.browser();
    let page = browser.log_in(&at(&world, "aging", "/whoami"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let canteen = browser.navigate(&at(&world, "canteen", "/")).await.unwrap();
    assert_eq!(canteen.status, 200, "{}", canteen.trail());
    let mut aging = browser.websocket(&at(&world, "aging", "/ws/echo")).await.unwrap();
    let mut other = browser.websocket(&at(&world, "canteen", "/ws/echo")).await.unwrap();
    aging.send("while it is new").await.unwrap();
    assert_eq!(aging.next().await.as_deref(), Some("while it is new"));
    tokio::time::timeout(PATIENCE, aging.closed()).await.expect("cut when the login is 90 seconds old");
    let answer = browser.fetch(&at(&world, "aging", "/whoami")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (401, Some("step_up_required")));
    assert!(challenges(&answer.headers)[0].ends_with("max_age=90"));
    other.send("where no age is asked for").await.unwrap();
    assert_eq!(other.next().await.as_deref(), Some("where no age is asked for"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_no_longer_than_the_policy_that_allows_wants() {
    let world = world().await;
    let browser = world.browser();
    let brief = at(&world, "brief", "/whoami");
    let page = browser.log_in(&brief, ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let mut socket = browser.websocket(&at(&world, "brief", "/ws/echo")).await.unwrap();
    let asked = world.okta.requests(Endpoint::Authorize);
    tokio::time::timeout(PATIENCE, socket.closed()).await.expect("cut when the session is 20 seconds old");
    let answer = browser.fetch(&brief).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (401, Some("login_required")));
    let page = browser.navigate(&brief).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert_eq!(world.okta.requests(Endpoint::Authorize), asked, "the login still lives");
}
