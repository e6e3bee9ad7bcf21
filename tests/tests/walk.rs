//! The whole walk on the real program: log in, be let in or refused by policy, use the application, be dropped.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::time::Duration;

use portcullis_tests::browser::{Browser, Versions};
use portcullis_tests::demo::check;
use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::okta::Dialect;
use portcullis_tests::okta::company::DEMO_PASSWORD;

const ENGINEER: &str = "engineer@corp.example";

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_walk_in_the_wizards_dialect() {
    let world = World::start().await;
    assert!(check::play(&world.scene()).await.is_perfect(), "a step of the walk is wrong; see above");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_walk_in_the_catalogs_dialect() {
    let world = World::with(WorldConfig { dialect: Dialect::Catalog, ..WorldConfig::default() }).await;
    assert!(check::play(&world.scene()).await.is_perfect(), "a step of the walk is wrong; see above");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_http_version_logs_in_and_is_answered_in_kind() {
    let world = World::start().await;
    for (versions, expected) in
        [(Versions::Both, http::Version::HTTP_2), (Versions::Http1, http::Version::HTTP_11)]
    {
        let browser = Browser::speaking(&world.gateway.ca_pem(), versions);
        let page = browser.log_in(&world.wiki("/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
        assert_eq!((page.status.as_u16(), page.version), (200, expected), "{}", page.trail());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_host_only_and_worth_nothing_elsewhere() {
    let world = World::start().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let cookies = browser.jar().all();
    for host in ["wiki.localhost", "auth.localhost"] {
        assert!(cookies.iter().any(|c| c.host == host), "{host} set no cookie that a browser takes");
    }
    for cookie in &cookies {
        if cookie.host.ends_with(".localhost") {
            assert!(cookie.host_only && cookie.secure && cookie.http_only, "{cookie:?}");
            assert!(cookie.name.starts_with("__Host-"), "{cookie:?}");
        }
    }
    // T77: the wiki's cookie, carried to the canteen by hand, in a browser that has nothing else.
    let thief = world.browser();
    for mut cookie in browser.jar().of_host("wiki.localhost") {
        cookie.host = "canteen.localhost".to_owned();
        thief.jar().plant(cookie);
    }
    let answer = thief.fetch(&format!("{}/", world.settings.application_url("canteen"))).await.unwrap();
    assert_eq!(answer.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_cut_in_the_middle_of_a_body() {
    let world = World::start().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let upload = browser.upload(&world.wiki("/upload")).unwrap();
    assert!(upload.send("first piece").await);
    let download = portcullis_tests::browser::Outgoing::script(
        http::Method::GET,
        &world.wiki("/download?bytes=1000000000&pace_ms=20"),
    );
    let mut download = browser.stream(&download.unwrap()).await.unwrap();
    assert!(download.piece().await.unwrap().is_some());
    let arrived = async {
        while !String::from_utf8_lossy(&world.upstream.recorder().raw_received_for("/upload"))
            .contains("first piece")
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived)
        .await
        .expect("the first piece reaches the upstream");

    let dropped = world.deactivate(ENGINEER).await;
    let cut = tokio::time::timeout(Duration::from_secs(20), download.ended()).await;
    assert!(cut.expect("the download ends").is_err(), "a cut download must not look whole");
    let _ = upload.send("second piece").await;
    let answer =
        tokio::time::timeout(Duration::from_secs(20), upload.finish()).await.expect("the upload ends");
    assert!(answer.is_err() || answer.is_ok_and(|a| !a.status.is_success()), "the upload went through");
    assert_eq!(world.upstream.recorder().bytes_after(ENGINEER, dropped), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_the_process_and_a_deactivation_outlives_a_power_cut() {
    let mut world = World::start().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    world.gateway.kill_hard();
    world.gateway.start_again().await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().json()["email"], ENGINEER);

    let dropped = world.deactivate(ENGINEER).await;
    world.gateway.kill_hard();
    world.gateway.start_again().await.unwrap_or_else(|e| panic!("{e}"));
    let answer = browser.fetch(&world.wiki("/whoami")).await.unwrap();
    assert!(answer.is_refusal(), "still {}", answer.status);
    assert_eq!(world.upstream.recorder().bytes_after(ENGINEER, dropped), 0);
}
