//! Policies on the real program, with facts that change while somebody is at work: groups and attributes that are pushed, hours, the
//! country of an address; and the bypass, which asks nobody who they are.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code"
)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::Method;
use portcullis_tests::browser::{Answer, Browser, Outgoing, Socket};
use portcullis_tests::country_file;
use portcullis_tests::harness::{ApplicationSettings, Settings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const PATIENCE: Duration = Duration::from_secs(60);
const RELOADED: &str = "the configuration was reloaded";
const POLICIES: &str = r#"
[[policy]]
name = "finance"
action = "allow"
include = [{ attribute = 'user.department eq "Finance" and not (claims.email sw "guest")' }]

[[policy]]
name = "public"
action = "bypass"
include = [{ path = ["/ws", "/echo", "/whoami"] }]
exclude = [{ method = "DELETE" }]

[[policy]]
name = "reading"
action = "allow"
include = [{ group = "Engineering" }]
require = [{ rule_group = "quiet" }]

[[rule_group]]
name = "quiet"
include = [{ path = "/whoami" }, { path = "/ws/echo" }]
exclude = [{ path = "/ws/clock" }]

[[policy]]
name = "abroad"
action = "allow"
include = [{ country = ["DE", "FR"] }]
exclude = [{ country = "FR" }]
"#;

fn change(settings: &mut Settings) {
    settings.policies.push_str(POLICIES);
    settings.server_extra =
        "forward_auth_from = [\"127.0.0.2\"]\nforward_auth_secret = { env = \"OKTA_CLIENT_SECRET\" }\n"
            .to_owned();
    let upstream = settings.applications[0].upstream.clone();
    let mut application = |name: &str, policies: &[&str], extra: &str| {
        let mut made = ApplicationSettings::new(name, &upstream, "");
        made.policies = policies.iter().map(|&policy| policy.to_owned()).collect();
        made.extra = extra.to_owned();
        settings.applications.push(made);
    };
    application("ledger", &["finance"], "");
    application(
        "site",
        &["public", "engineering"],
        "forward_auth = true\n[application.headers]\n\"X-Stage\" = \"production\"\n\"X-User\" = { claim = \"sub\" }\n",
    );
    application("library", &["reading"], "");
    application("shop", &["abroad"], "");
    std::fs::write(country_file_of(settings), country_file::database(&[([127, 0, 0, 0], 8, "DE")])).unwrap();
    settings.extra = format!("[country]\nfile = \"{}\"\n", country_file_of(settings));
}

/// Where a world's countries are: each has its own port.
fn country_file_of(settings: &Settings) -> String {
    let file = format!("portcullis-policies-{}-{}.mmdb", std::process::id(), settings.port);
    std::env::temp_dir().join(file).to_str().unwrap().to_owned()
}

async fn world() -> World {
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

fn at(world: &World, application: &str, path: &str) -> String {
    format!("{}{path}", world.settings.application_url(application))
}

async fn logged_in_at(world: &World, application: &str, login: &str) -> Browser {
    let browser = world.browser();
    let page = browser.log_in(&at(world, application, "/whoami"), login, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    browser
}

async fn status(browser: &Browser, url: &str) -> u16 {
    browser.fetch(url).await.unwrap().status.as_u16()
}

async fn open(browser: &Browser, url: &str) -> Socket {
    let mut socket = browser.websocket(url).await.unwrap();
    speaks(&mut socket).await;
    socket
}

async fn speaks(socket: &mut Socket) {
    socket.send("here").await.unwrap();
    let echo = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
    assert_eq!(echo.as_deref(), Some("here"));
}

/// How long after a moment it was cut.
async fn cut_after(mut socket: Socket, since: Instant) -> Duration {
    assert!(tokio::time::timeout(PATIENCE, socket.closed()).await.is_ok(), "the stream goes on");
    since.elapsed()
}

async fn decided(world: &World, wanted: impl Fn(&Value) -> bool) -> Value {
    let event = world.gateway.log().wait_for(PATIENCE, wanted).await;
    event.expect("an event of the decision")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_decides_the_next_request_and_what_is_open_without_a_login() {
    let world = world().await;
    let department = |name: &'static str| {
        let pushed = world.okta.update_person(ENGINEER, move |person| person.department = Some(name.into()));
        async { assert!(pushed.await.unwrap().iter().all(portcullis_tests::okta::Push::accepted)) }
    };
    department("Finance").await;
    let browser = logged_in_at(&world, "ledger", ENGINEER).await;
    let page = browser.navigate(&at(&world, "library", "/whoami")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let (ledger, library) = (at(&world, "ledger", "/whoami"), at(&world, "library", "/whoami"));

    let socket = open(&browser, &at(&world, "ledger", "/ws/echo")).await;
    let sent = Instant::now();
    department("Sales").await;
    let answered = sent.elapsed();
    let cut = cut_after(socket, sent).await;
    assert_eq!(status(&browser, &ledger).await, 403);
    println!("attribute change: answered after {answered:?}, stream cut after {cut:?}");
    department("finance").await;
    assert_eq!(status(&browser, &ledger).await, 200, "an attribute that comes back opens it without a login");

    let socket = open(&browser, &at(&world, "library", "/ws/echo")).await;
    let sent = Instant::now();
    let pushes = world.okta.remove_member("Engineering", ENGINEER).await.unwrap();
    assert!(pushes.iter().all(portcullis_tests::okta::Push::accepted));
    let answered = sent.elapsed();
    let cut = cut_after(socket, sent).await;
    assert_eq!(status(&browser, &library).await, 403);
    println!("group change: answered after {answered:?}, stream cut after {cut:?}");
    world.okta.add_member("Engineering", ENGINEER).await.unwrap();
    assert_eq!(status(&browser, &library).await, 200);

    // What was asked with stays: a request to another path is decided by that, on the same connection, and cuts nothing.
    let mut socket = open(&browser, &at(&world, "library", "/ws/echo")).await;
    assert_eq!(status(&browser, &at(&world, "library", "/ws/clock")).await, 403);
    assert_eq!(status(&browser, &at(&world, "library", "/")).await, 403);
    department("Sales").await;
    speaks(&mut socket).await;
    // A policy follows a group by its name: who renames it is told what that does.
    world.okta.rename_group("Engineering", "Builders").await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, socket.closed()).await.is_ok());
    let warned = decided(&world, |event| event["message"] == "a group that policies name was renamed").await;
    assert_eq!(
        (&warned["group"], &warned["renamed_to"]),
        (&Value::from("Engineering"), &Value::from("Builders"))
    );
    assert!(warned["mentioned"].as_str().unwrap().contains("policy `reading`"), "{warned}");
    let checked = world.gateway.command(&["check"]);
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{said}");
    assert!(
        said.contains("policy `reading`") && said.contains("nobody bears the group `Engineering`"),
        "{said}"
    );
    assert!(!said.contains("nobody bears the group `Contractors`"), "{said}");
}

fn forged(url: &str, cookies: &str) -> Outgoing {
    let post = Outgoing::script(Method::POST, url).unwrap().body("text/plain", "a body");
    let fields = [
        ("cf-access-jwt-assertion", "forged"),
        ("cf-access-authenticated-user-email", "admin@corp.example"),
        ("x-user", "forged"),
        ("x-stage", "forged"),
        ("cf-access-client-id", "forged.access"),
        ("cf-access-client-secret", "forged"),
        ("x-own", "kept"),
        ("cookie", cookies),
    ];
    fields.into_iter().fold(post, |outgoing, (name, value)| outgoing.header(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bypass_asks_nobody_and_tells_nobody_who_it_is() {
    let mut world = world().await;
    let browser = logged_in_at(&world, "wiki", ENGINEER).await;
    let page = browser.navigate(&at(&world, "site", "/")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let cookie = browser.jar().header(&at(&world, "site", "/").parse().unwrap()).unwrap();
    world.upstream.recorder().clear();
    // With somebody's cookie, and whatever else one could try.
    let cookies = format!("theme=dark; {cookie}");
    let answer = world.browser().send(&forged(&at(&world, "site", "/echo"), &cookies)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = String::from_utf8(world.upstream.recorder().raw_received_for("/echo")).unwrap();
    for kept in ["theme=dark", "x-own: kept", "a body", "x-stage: production"] {
        assert!(received.contains(kept), "no {kept} in {received}");
    }
    for gone in ["forged", "assertion", "user-email", "x-user", "__Host-portcullis"] {
        assert!(!received.contains(gone), "{gone} in {received}");
    }
    let event = decided(&world, |event| event["path"] == "/echo").await;
    assert_eq!((&event["verdict"], &event["reason"]), (&Value::from("allow"), &Value::from("bypassed")));
    assert_eq!((&event["policy"], &event["action"]), (&Value::from("public"), &Value::from("bypass")));
    assert_eq!((&event["rule"], &event["email"]), (&Value::from("include[0]"), &Value::Null));
    assert!(event["revision"].is_string() && event["subject"].is_null(), "{event}");

    // The rest of the site asks, and so does what the bypass leaves out or what only some servers would take for it.
    let nobody = world.browser();
    for path in ["/", "/Whoami", "/whoami.", "/echoes"] {
        assert_eq!(status(&nobody, &at(&world, "site", path)).await, 401, "{path}");
    }
    let delete = Outgoing::script(Method::DELETE, &at(&world, "site", "/echo")).unwrap();
    assert_eq!(nobody.send(&delete).await.unwrap().status, 401);
    let told = browser.fetch(&at(&world, "site", "/whoami")).await.unwrap().json();
    assert_eq!((&told["email"], &told["assertion"]), (&Value::Null, &Value::Null), "{told}");

    let answer = asked_by_a_proxy(&world, "/whoami", &cookie).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for empty in ["cf-access-jwt-assertion", "cf-access-authenticated-user-email", "x-user"] {
        let value = answer.headers.get(empty).unwrap_or_else(|| panic!("`{empty}` would pass as it came"));
        assert!(value.is_empty(), "{empty}");
    }
    assert_eq!(asked_by_a_proxy(&world, "/", "").await.status, 401);

    // Nobody's stream ends when the bypass does.
    let socket = open(&nobody, &at(&world, "site", "/ws/echo")).await;
    let closed = world.settings.toml().replace("[\"/ws\", \"/echo\", \"/whoami\"]", "[\"/echo\"]");
    world.gateway.replace_config(&closed);
    world.gateway.hang_up();
    cut_after(socket, Instant::now()).await;
    assert_eq!(status(&nobody, &at(&world, "site", "/ws/echo")).await, 401);
}

async fn asked_by_a_proxy(world: &World, path: &str, cookie: &str) -> Answer {
    let question = format!("{}/cdn-cgi/access/verify", world.settings.auth_url());
    let authority = at(world, "site", "");
    let fields = [
        ("x-portcullis-forward-auth", world.settings.client_secret.as_deref().unwrap()),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", authority.trim_start_matches("https://")),
        ("x-forwarded-uri", path),
        ("cookie", cookie),
    ];
    let question = Outgoing::script(Method::GET, &question).unwrap();
    let question = fields.into_iter().fold(question, |outgoing, (name, value)| outgoing.header(name, value));
    let proxy = world.browser().at_address(IpAddr::from([127, 0, 0, 2]));
    proxy.send(&question).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_country_ends_what_is_open() {
    let world = world().await;
    let browser = logged_in_at(&world, "shop", ENGINEER).await;
    let identity = at(&world, "shop", "/cdn-cgi/access/get-identity");
    let told = browser.fetch(&identity).await.unwrap().json();
    assert_eq!(told["geo"]["country"], "DE", "{told}");
    let socket = open(&browser, &at(&world, "shop", "/ws/echo")).await;
    // The file is replaced as such files are: another one takes its name. Nobody sends a signal.
    let file = country_file_of(&world.settings);
    let next = format!("{file}.next");
    std::fs::write(&next, country_file::database(&[([127, 0, 0, 0], 8, "FR")])).unwrap();
    std::fs::rename(&next, &file).unwrap();
    let cut = cut_after(socket, Instant::now()).await;
    println!("country file replaced: stream cut after {cut:?}");
    assert_eq!(status(&browser, &at(&world, "shop", "/whoami")).await, 403);
    assert!(world.gateway.log().events().iter().any(|event| event["message"] == RELOADED));
}
