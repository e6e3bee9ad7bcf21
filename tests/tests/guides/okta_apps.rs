//! The kinds of app that the guides make in Okta, each by a login as its guide describes it.

use portcullis_tests::harness::{Settings, World, WorldConfig};
use portcullis_tests::okta::{ClaimMode, Company, Endpoint};

const ENGINEER: &str = "engineer@corp.example";

async fn logs_in(world: &World) {
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().json()["email"], ENGINEER);
}

/// Appenate: a native app has no secret, and proves by PKCE that it is the one that asked. SCIM is an app of its own beside it.
#[tokio::test(flavor = "multi_thread")]
async fn appenate_a_native_app_logs_in_by_pkce_without_a_secret() {
    let change = |settings: &mut Settings| settings.client_secret = None;
    let world = World::with(WorldConfig { change, ..WorldConfig::default() }).await;
    logs_in(&world).await;
}

/// Cloudflare Access: a web app whose groups claim has the filter `.*`, and a read-only token for people in more than a hundred.
#[tokio::test(flavor = "multi_thread")]
async fn cloudflare_people_in_more_than_a_hundred_groups_log_in_with_an_api_token() {
    let company = Company { claim_mode: ClaimMode::CutAtLimit, ..Company::demo() };
    let world = World::with(WorldConfig { company, ..WorldConfig::default() }).await;
    let collector = portcullis_tests::okta::company::COLLECTOR;
    let (_, page) = world.logged_in(collector).await.unwrap();
    assert!(matches!(page.status.as_u16(), 200 | 403), "{}\n{}", page.trail(), page.text());
    assert!(world.okta.requests(Endpoint::UserGroups) >= 2, "the groups were not asked for");
    logs_in(&world).await;
}

/// ConfigCat and Federated Directory: people are pushed before they ever log in, and the login finds them.
#[tokio::test(flavor = "multi_thread")]
async fn configcat_somebody_pushed_before_their_first_login_is_found_by_it() {
    let world = World::start().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let told = browser.fetch(&world.wiki("/cdn-cgi/access/get-identity")).await.unwrap().json();
    assert!(told["user_uuid"].is_string(), "the login is nobody's: {told}");
    let dropped = world.deactivate(ENGINEER).await;
    assert!(browser.fetch(&world.wiki("/whoami")).await.unwrap().is_refusal());
    assert_eq!(world.upstream.recorder().bytes_after(ENGINEER, dropped), 0);
}
