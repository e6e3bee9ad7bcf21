//! The question of another proxy, asked by hand on the real program: who may ask, what is understood, and that nothing which is
//! not understood is ever a yes. The real proxies ask in `verify_outside`.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use portcullis_tests::browser::{Answer, Browser, Outgoing};
use portcullis_tests::harness::{Settings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
/// What says that it is the proxy who asks.
const PROOF: &str = "x-portcullis-forward-auth";
const VERIFY: &str = "/cdn-cgi/access/verify";
/// Where the tests say that their client is.
const CLIENT: &str = "203.0.113.7";
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// The wiki and the canteen are carried by another proxy; so the tests are one.
async fn world(change: fn(&mut Settings)) -> World {
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

fn asked_from_here(settings: &mut Settings) {
    settings.server_extra =
        "forward_auth_from = [\"127.0.0.2\"]\nforward_auth_secret = { env = \"OKTA_CLIENT_SECRET\" }\n"
            .to_owned();
    settings.applications[0].extra = "forward_auth = true\n\
         [application.headers]\n\"X-Team\" = { groups = \",\" }\n\"X-Nothing\" = { claim = \"no_such_claim\" }\n"
        .to_owned();
}

/// A browser that keeps no cookies of its own, as a proxy does, and somebody's cookies.
struct Asker<'w> {
    world: &'w World,
    proxy: Browser,
    cookies: String,
}

impl<'w> Asker<'w> {
    async fn for_somebody(world: &'w World, login: &str) -> Self {
        let browser = world.browser();
        let page = browser.log_in(&world.wiki("/whoami"), login, DEMO_PASSWORD).await.unwrap();
        assert!(matches!(page.status.as_u16(), 200 | 403), "{}", page.trail());
        let cookies = browser.jar().header(&world.wiki("/").parse().unwrap()).unwrap();
        world.upstream.recorder().clear();
        Self { world, proxy: proxy(world), cookies }
    }

    async fn ask_at(&self, url: &str, fields: &[(&str, &str)]) -> Answer {
        let secret = self.world.settings.client_secret.as_deref().unwrap();
        let mut question = Outgoing::script(Method::GET, url).unwrap().header(PROOF, secret);
        if !self.cookies.is_empty() {
            question = question.header("cookie", &format!("theme=dark; {}", self.cookies));
        }
        for (name, value) in fields {
            question = question.header(name, value);
        }
        self.proxy.another_profile().send(&question).await.unwrap()
    }

    async fn ask(&self, fields: &[(&str, &str)]) -> Answer {
        self.ask_at(&format!("{}{VERIFY}", self.world.settings.auth_url()), fields).await
    }
}

/// The one that may ask.
fn proxy(world: &World) -> Browser {
    world.browser().at_address(IpAddr::from([127, 0, 0, 2]))
}

/// As Traefik and Caddy ask.
fn forwarded<'f>(method: &'f str, host: &'f str, uri: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("x-forwarded-for", CLIENT),
        ("x-forwarded-method", method),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", host),
        ("x-forwarded-uri", uri),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn t26b_nobody_may_ask_unless_named() {
    let world = world(|settings| {
        settings.applications[0].extra = "forward_auth = true\n".to_owned();
    })
    .await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    for base in [world.settings.auth_url(), world.settings.application_url("wiki")] {
        let mut question = Outgoing::script(Method::GET, &format!("{base}{VERIFY}")).unwrap();
        for (name, value) in forwarded("GET", "wiki.localhost", "/whoami") {
            question = question.header(name, value);
        }
        assert_eq!(browser.send(&question).await.unwrap().status, 404, "{base}");
    }
    // Nor is anybody believed about addresses: the log has the peer.
    let told =
        Outgoing::script(Method::GET, &world.wiki("/whoami")).unwrap().header("x-forwarded-for", CLIENT);
    assert_eq!(browser.send(&told).await.unwrap().status, 200);
    let logged = |event: &Value| event["path"] == "/whoami" && event["verdict"] == "allow";
    let logged = world.gateway.log().wait_for(Duration::from_secs(20), logged).await.unwrap();
    assert_eq!(logged["client"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_let_in_is_told_to_each_kind_of_proxy() {
    let world = world(asked_from_here).await;
    let asker = Asker::for_somebody(&world, ENGINEER).await;
    let wiki = format!("wiki.localhost:{}", world.settings.port);
    let url = format!("https://{wiki}/whoami?a=b");
    let traefik = asker.ask(&forwarded("GET", &wiki, "/whoami?a=b")).await;
    let nginx = [("x-forwarded-for", CLIENT), ("x-original-method", "GET"), ("x-original-url", url.as_str())];
    let nginx = asker.ask(&nginx).await;
    let envoy = format!("{}{VERIFY}/whoami?a=b", world.settings.application_url("wiki"));
    let envoy = asker.ask_at(&envoy, &[("x-forwarded-for", CLIENT), ("x-forwarded-proto", "https")]).await;
    for (name, answer) in [("traefik", traefik), ("nginx", nginx), ("envoy", envoy)] {
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.header("cf-access-authenticated-user-email"), ENGINEER, "{name}");
        assert!(answer.header("cf-access-jwt-assertion").starts_with("ey"), "{name}");
        assert_eq!(answer.header("x-team"), "Engineering,Everyone", "{name}");
        assert_eq!(answer.headers.get("x-nothing").unwrap(), "", "{name}: what is absent replaces a forgery");
        assert_eq!(answer.header("cookie"), "theme=dark", "{name}: our cookie stays with us");
        assert!(answer.header("cache-control").contains("no-store") && answer.body.is_empty(), "{name}");
    }
    assert!(world.upstream.recorder().all().is_empty(), "asking forwards nothing");
    let told = |event: &Value| {
        event["path"] == "/whoami" && event["client"] == CLIENT && event["verdict"] == "allow"
    };
    assert!(world.gateway.log().wait_for(Duration::from_secs(20), told).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_in_a_form_that_each_proxy_understands() {
    let world = world(asked_from_here).await;
    let nobody = Asker { world: &world, proxy: proxy(&world), cookies: String::new() };
    let url = world.wiki("/page");
    let page = [("accept", HTML), ("sec-fetch-mode", "navigate")];
    let relays: Vec<_> = forwarded("GET", "wiki.localhost", "/page").into_iter().chain(page).collect();
    let redirect = nobody.ask(&relays).await;
    assert_eq!(redirect.status, 303);
    let entrance = format!("{}/cdn-cgi/access/login/wiki.localhost", world.settings.auth_url());
    assert!(redirect.header("location").starts_with(&format!("{entrance}?request=")));
    assert!(redirect.header("set-cookie").starts_with("__Host-portcullis-return-"));
    let nginx = [("x-forwarded-for", CLIENT), ("x-original-method", "GET"), ("x-original-url", url.as_str())];
    let nginx: Vec<_> = nginx.into_iter().chain(page).collect();
    let unauthorised = nobody.ask(&nginx).await;
    assert_eq!(unauthorised.status, 401, "auth_request knows no redirect");
    assert!(unauthorised.header("location").starts_with(&format!("{entrance}?request=")));
    for asked in
        [forwarded("GET", "wiki.localhost", "/page"), forwarded("OPTIONS", "wiki.localhost", "/page")]
    {
        let program = nobody.ask(&asked).await;
        assert_eq!(program.status, 401);
        assert_eq!(program.json()["login_url"], entrance);
        assert_eq!(program.header("www-authenticate"), format!("Portcullis login_url=\"{entrance}\""));
    }
    let designer = Asker::for_somebody(&world, "designer@corp.example").await;
    let denied = designer.ask(&forwarded("GET", "wiki.localhost", "/whoami")).await;
    assert_eq!((denied.status.as_u16(), denied.header("cf-access-authenticated-user-email")), (403, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_t26_t58_what_has_no_single_meaning_is_never_a_yes() {
    let world = world(asked_from_here).await;
    let asker = Asker::for_somebody(&world, ENGINEER).await;
    let mut asked = Vec::new();
    for uri in [
        "/public/../admin",
        "/%2e%2e/admin",
        "/a/%2E%2e/b",
        "//admin",
        "/a%2fb",
        "/a%5Cb",
        "/a;b/c",
        "/%zz",
        "/%",
        "/%00",
        "/%c0%af",
        "/a#b",
        "/a?b#c",
        "/a b",
        "",
        "whoami",
        "*",
        "https://wiki.localhost/whoami",
        "/cdn-cgi/access/get-identity",
        "/cdn-cgi/access/authorized",
        VERIFY,
        "/cdn-cgi/access",
    ] {
        asked.push(forwarded("GET", "wiki.localhost", uri));
    }
    for host in [
        "",
        "wiki.localhost.",
        "a@wiki.localhost",
        "wiki.localhost, wiki.localhost",
        "auth.localhost",
        "unknown.localhost",
        "canteen.localhost",
        "[::1]",
    ] {
        asked.push(forwarded("GET", host, "/whoami"));
    }
    for method in ["", "get", "CONNECT", "TRACE", "GET, GET"] {
        asked.push(forwarded(method, "wiki.localhost", "/whoami"));
    }
    let whole = forwarded("GET", "wiki.localhost", "/whoami");
    for (at, field) in whole.iter().enumerate() {
        let mut twice = whole.clone();
        twice.push(*field);
        if field.0 != "x-forwarded-for" {
            asked.push(twice);
        }
        if field.0 != "x-forwarded-proto" {
            asked.push(
                whole.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, it)| *it).collect(),
            );
        }
    }
    for more in [
        ("x-original-url", "https://wiki.localhost/other"),
        ("x-original-url", "https://other.localhost/whoami"),
        ("x-original-uri", "/other"),
        ("x-original-method", "POST"),
        ("forwarded", "for=203.0.113.8"),
        ("forwarded", "for=unknown"),
    ] {
        asked.push(whole.iter().copied().chain([more]).collect());
    }
    for fields in &asked {
        let answer = asker.ask(fields).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404 | 501), "{fields:?}: {}", answer.status);
        assert_eq!(answer.header("cf-access-authenticated-user-email"), "", "{fields:?}");
    }
    assert_eq!(asker.ask(&whole).await.status, 200, "the same without a flaw is understood");
    // T58: a cookie that is not whole is nobody's, not an error that lets pass.
    let token = asker.cookies.clone();
    let long = format!("__Host-portcullis={}", "A".repeat(20_000));
    let cut = token.get(..token.len() - 1).unwrap().to_owned();
    for cookies in
        [cut, format!("{token}; {token}"), format!("{token}A"), long, "__Host-portcullis=".to_owned()]
    {
        let broken = Asker { cookies, proxy: proxy(&world), world: &world };
        let answer = broken.ask(&whole).await;
        assert_eq!(answer.status, 401, "{}", broken.cookies.len());
        assert_eq!(answer.header("cf-access-authenticated-user-email"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_counts_for_the_next_question() {
    let world = world(asked_from_here).await;
    let asker = Asker::for_somebody(&world, ENGINEER).await;
    let whole = forwarded("GET", "wiki.localhost", "/whoami");
    assert_eq!(asker.ask(&whole).await.status, 200);
    let _ = world.deactivate(ENGINEER).await;
    let refused = asker.ask(&whole).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"].as_str()), (403, Some("deactivated")));
}
