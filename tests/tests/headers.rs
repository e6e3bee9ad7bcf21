//! Header fields on their way to an upstream and back, on the real program: what is configured arrives, encoded, and nothing
//! that a client made up does. What goes whatever is configured is tested in `doors`.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use portcullis_tests::browser::Browser;
use portcullis_tests::harness::{Settings, World, WorldConfig};

const ENGINEER: &str = "engineer@corp.example";
/// Stands in every value that a client made up.
const MARK: &str = "forged-by-the-client";

const HEADERS: &str = r#"
[application.headers]
"X-Stage" = "test"
"Subject" = { claim = "sub" }
"Team" = { groups = "; ", encoding = "percent" }
"Engineering" = { groups = ",", only = ["Engineering"] }
"Absent" = { claim = "no_such_claim" }
"Authorization" = { env = "OKTA_CLIENT_SECRET" }
[application.response_headers]
"Strict-Transport-Security" = "max-age=31536000"
"Content-Type" = false
"#;

async fn world() -> World {
    let change = |settings: &mut Settings| settings.applications[0].extra = HEADERS.to_owned();
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

/// The lines of the one request to `/echo` that reached the upstream, in lower case.
fn arrived(world: &World) -> Vec<String> {
    let received = world.upstream.recorder().raw_received_for("/echo");
    String::from_utf8_lossy(&received).to_ascii_lowercase().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn t28_t29_t37_configured_fields_arrive_and_a_clients_own_do_not() {
    let world = world().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let cookie = browser.jar().header(&world.wiki("/").parse().unwrap()).unwrap();
    let host = format!("wiki.localhost:{}", world.settings.port);
    world.upstream.recorder().clear();
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-STAGE: {MARK}\r\nsubject: {MARK}\r\nTeam: {MARK}\r\n\
         TEAM: {MARK}\r\nengineering: {MARK}\r\nAbsent: {MARK}\r\nauthorization: {MARK}\r\nConnection: close, team\r\n\r\n"
    );
    let answer = browser.raw(&world.wiki("/echo"), request.as_bytes()).await.unwrap();
    assert_eq!(Browser::raw_status(&answer), 200, "{}", String::from_utf8_lossy(&answer));
    let lines = arrived(&world);
    assert!(!lines.is_empty() && !lines.iter().any(|line| line.contains(MARK)), "{lines:#?}");
    let subject = lines.iter().find(|line| line.starts_with("subject: "));
    assert!(subject.is_some_and(|line| line.len() > "subject: ".len()), "{lines:#?}");
    let secret = world.settings.client_secret.as_ref().unwrap().to_ascii_lowercase();
    for wanted in [
        "x-stage: test",
        "engineering: engineering",
        &format!("authorization: {secret}"),
        &format!("x-forwarded-port: {}", world.settings.port),
        &format!("forwarded: for=127.0.0.1;host=\"{host}\";proto=https"),
    ] {
        assert_eq!(lines.iter().filter(|line| *line == wanted).count(), 1, "{wanted}: {lines:#?}");
    }
    let team = lines.iter().find(|line| line.starts_with("team: ")).unwrap();
    assert!(team.contains("engineering"), "{team}");
    assert!(!lines.iter().any(|line| line.starts_with("absent")), "{lines:#?}");
    let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let head = head.split("\r\n\r\n").next().unwrap();
    assert!(head.contains("strict-transport-security: max-age=31536000"), "{head}");
    assert!(!head.contains("content-type"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_change_are_told_with_the_next_request() {
    let world = world().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let team = async || {
        world.upstream.recorder().clear();
        assert_eq!(browser.fetch(&world.wiki("/echo")).await.unwrap().status, 200);
        let lines = arrived(&world);
        lines.into_iter().find(|line| line.starts_with("team: ")).unwrap_or_default()
    };
    let before = team().await;
    assert!(!before.contains("finance"), "{before}");
    world.okta.add_member("Finance", ENGINEER).await.unwrap();
    let after = team().await;
    assert!(after.contains("finance") && after.contains("engineering"), "{after}");
}
