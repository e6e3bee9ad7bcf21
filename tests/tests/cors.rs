//! Requests of pages of other origins, on the real program: which preflights are answered or passed on, which answers such a page
//! may read, and whether our cookie comes along.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use http::Method;
use portcullis_tests::browser::{Answer, Browser, Outgoing, Versions};
use portcullis_tests::harness::{Settings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;

const ENGINEER: &str = "engineer@corp.example";
const PAGE: &str = "https://app.corp.example";

/// The wiki passes preflights on; the canteen answers them, and has a cookie that comes along nowhere from outside.
async fn world() -> World {
    let change = |settings: &mut Settings| {
        settings.applications[0].extra =
            "cors = \"pass\"\n[application.headers]\n\"X-Key\" = { env = \"OKTA_CLIENT_SECRET\" }\n"
                .to_owned();
        settings.applications[1].extra = format!(
            "same_site = \"strict\"\ncors = {{ origins = [\"{PAGE}\"], methods = [\"PUT\"], headers = [\"X-Own\"], \
             expose = [\"X-Count\"], max_age = \"15m\" }}\n"
        );
    };
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

fn preflight(url: &str, origin: &str) -> Outgoing {
    Outgoing::script(Method::OPTIONS, url)
        .unwrap()
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
}

async fn send(browser: &Browser, outgoing: Outgoing) -> Answer {
    browser.send(&outgoing).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_a_preflight_passes_without_anybody_and_nothing_else_does() {
    let world = world().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    world.upstream.recorder().clear();
    let cookie = browser.jar().header(&world.wiki("/").parse().unwrap()).unwrap();
    let asked = preflight(&world.wiki("/echo"), PAGE)
        .header("cookie", &format!("own=1; {cookie}"))
        .header("authorization", "Basic made-up")
        .header("x-key", "made-up")
        .header("cf-access-authenticated-user-email", "made-up")
        .header("x-api-key", "made-up")
        .header("tracestate", "made-up=1")
        .header("content-type", "text/made-up")
        .header("access-control-request-headers", "x-own");
    assert_eq!(send(&browser.another_profile(), asked).await.status, 200);
    let arrived =
        String::from_utf8_lossy(&world.upstream.recorder().raw_received_for("/echo")).to_ascii_lowercase();
    assert!(arrived.starts_with("options /echo "), "{arrived}");
    for gone in ["made-up", "cookie", "__host-", "cf-access-", "x-key", "authorization"] {
        assert!(!arrived.contains(gone), "{gone}: {arrived}");
    }
    assert!(arrived.contains(&format!("origin: {PAGE}")), "{arrived}");
    assert!(arrived.contains("access-control-request-headers: x-own"), "{arrived}");
    world.upstream.recorder().clear();
    let url = world.wiki("/echo");
    let requested = ("access-control-request-method", "PUT");
    for (method, fields) in [
        (Method::OPTIONS, vec![("origin", PAGE)]),
        (Method::OPTIONS, vec![requested]),
        (Method::OPTIONS, vec![("origin", PAGE), requested, requested]),
        (Method::PUT, vec![("origin", PAGE), requested]),
        (Method::GET, vec![("origin", PAGE), requested, ("x-http-method-override", "OPTIONS")]),
    ] {
        let mut asked = Outgoing::script(method.clone(), &url).unwrap();
        for (name, value) in &fields {
            asked = asked.header(name, value);
        }
        let answer = send(&browser.another_profile(), asked).await;
        assert_eq!(answer.status, 401, "{method} {fields:?}");
    }
    let with_body = preflight(&url, PAGE).body("text/plain", "carried");
    assert_eq!(send(&browser.another_profile(), with_body).await.status, 401, "a preflight has no body");
    assert!(world.upstream.recorder().all().is_empty(), "nothing of these reached the application");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_opened_by_our_own_page_and_by_listed_ones() {
    let world = world().await;
    let nobody = Browser::speaking(&world.gateway.ca_pem(), Versions::Http1);
    let own = world.settings.application_url("canteen");
    let ask = async |application: &str, origins: &[&str]| {
        let url = format!("{}/ws/echo", world.settings.application_url(application));
        let asked = Outgoing::script(Method::GET, &url)
            .unwrap()
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let asked = origins.iter().fold(asked, |asked, origin| asked.header("origin", origin));
        send(&nobody, asked).await.status.as_u16()
    };
    for origins in [&[][..], &[PAGE], &[&own]] {
        assert_eq!(ask("canteen", origins).await, 401, "{origins:?} may ask, and must log in");
    }
    for origins in [&["https://evil.corp.example"][..], &["null"], &[PAGE, PAGE]] {
        assert_eq!(ask("canteen", origins).await, 403, "{origins:?}");
        assert_eq!(ask("wiki", origins).await, 401, "no origins are listed there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_origins_are_answered_and_may_read_where_to_log_in() {
    let world = world().await;
    let url = format!("{}/echo", world.settings.application_url("canteen"));
    let nobody = world.browser();
    let answer = send(&nobody, preflight(&url, PAGE)).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    for (name, value) in [
        ("access-control-allow-origin", PAGE),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "PUT"),
        ("access-control-allow-headers", "x-own"),
        ("access-control-max-age", "900"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let other = send(&nobody, preflight(&url, "https://evil.corp.example")).await;
    assert_eq!((other.status.as_u16(), other.header("access-control-allow-origin")), (403, ""));
    let asked = |origin: &str| Outgoing::script(Method::GET, &url).unwrap().header("origin", origin);
    let refused = send(&nobody, asked(PAGE)).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("access-control-allow-origin"), PAGE);
    let exposed: Vec<_> = refused.headers.get_all("access-control-expose-headers").iter().collect();
    assert_eq!(exposed, ["x-count", "www-authenticate"]);
    let unlisted = send(&nobody, asked("https://evil.corp.example")).await;
    assert_eq!((unlisted.status.as_u16(), unlisted.header("access-control-allow-origin")), (401, ""));
    assert!(world.upstream.recorder().all().is_empty(), "nothing of these reached the application");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_cookie_survives_the_way_back_from_the_login() {
    let world = world().await;
    let browser = world.browser();
    let url = format!("{}/whoami", world.settings.application_url("canteen"));
    let page = browser.log_in(&url, ENGINEER, DEMO_PASSWORD).await.unwrap();
    // The page that begins the request on our side leads on by itself.
    assert_eq!(page.status, 200, "{}", page.trail());
    assert!(page.text().contains(&format!("content=\"0;url={url}\"")), "{}", page.text());
    let cookie =
        browser.jar().of_host("canteen.localhost").into_iter().find(|it| it.name == "__Host-portcullis");
    assert_eq!(cookie.unwrap().same_site, portcullis_tests::browser::SameSite::Strict);
    let there = browser.click(&page, &url).await.unwrap();
    assert_eq!(there.json()["email"], ENGINEER, "{}", there.trail());
}
