//! T72: the provider is asked again, once, and what it says counts at once.

use super::*;
use portcullis_tests::okta::{Fault, Spoil};
use tokio::task::JoinSet;

const RENEWED: &str = "a session was renewed";
const RELOADED: &str = "the configuration was reloaded";

/// Many tabs at once; their statuses.
async fn burst(world: &World, browser: &Browser, requests: usize) -> Vec<u16> {
    let mut tabs = JoinSet::new();
    for _ in 0..requests {
        let (tab, address) = (browser.clone(), world.wiki("/whoami"));
        tabs.spawn(async move { tab.fetch(&address).await.unwrap().status.as_u16() });
    }
    tabs.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_fifty_requests_at_a_renewal_redeem_once() {
    let world = renewing(|settings| session(settings, "renew_every = \"10s\"\nrenewal_grace = \"1h\"")).await;
    let browser = logged_in(&world).await;
    let before = redeemed(&world);
    tokio::time::sleep(Duration::from_secs(11)).await;
    world.okta.misbehave(Endpoint::Token, Fault::DelayMs(3_000));
    assert_eq!(burst(&world, &browser, 50).await, [200; 50], "requests go on meanwhile");
    logged(&world.gateway, RENEWED, 1).await;
    assert_eq!(redeemed(&world), before + 1);
    assert_eq!(burst(&world, &browser, 50).await, [200; 50]);
    let (_, figures) = world.gateway.inner("/metrics").await.unwrap();
    let counted = figures.lines().any(|line| {
        line.starts_with("portcullis_session_renewals_total{outcome=\"done\"}") && line.ends_with(" 1")
    });
    assert!(counted, "{figures}");
    assert_eq!(count(&world.gateway, "logged in"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_a_reload_during_a_renewal_does_not_redeem_again() {
    let mut world =
        renewing(|settings| session(settings, "renew_every = \"8s\"\nrenewal_grace = \"1h\"")).await;
    let browser = logged_in(&world).await;
    let before = redeemed(&world);
    tokio::time::sleep(Duration::from_secs(9)).await;
    world.okta.misbehave(Endpoint::Token, Fault::DelayMs(4_000));
    assert_eq!(status(&world, &browser).await, 200);
    let other = world.settings.toml().replace("renewal_grace = \"1h\"", "renewal_grace = \"2h\"");
    world.gateway.replace_config(&other);
    world.gateway.hang_up();
    logged(&world.gateway, RELOADED, 1).await;
    assert_eq!(burst(&world, &browser, 20).await, [200; 20]);
    logged(&world.gateway, RENEWED, 1).await;
    assert_eq!(redeemed(&world), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_what_lay_unused_waits_for_the_renewal_and_goes_on() {
    let world = renewing(|settings| session(settings, "renew_every = \"2s\"\nrenewal_grace = \"1s\"")).await;
    let browser = logged_in(&world).await;
    // No connection is left open that would have the session renewed meanwhile.
    let later = browser.clone().at_address([127, 0, 0, 1].into());
    drop(browser);
    tokio::time::sleep(Duration::from_secs(4)).await;
    world.okta.misbehave(Endpoint::Token, Fault::DelayMs(500));
    assert_eq!(status(&world, &later).await, 200);
    assert!(count(&world.gateway, RENEWED) >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_a_renewal_survives_a_restart_with_the_token_that_was_rotated() {
    let mut world =
        renewing(|settings| session(settings, "renew_every = \"2s\"\nrenewal_grace = \"1h\"")).await;
    let browser = logged_in(&world).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(status(&world, &browser).await, 200);
    logged(&world.gateway, RENEWED, 1).await;
    world.gateway.stop().await;
    world.gateway.start_again().await.unwrap();
    let before = count(&world.gateway, RENEWED);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(status(&world, &browser).await, 200);
    logged(&world.gateway, RENEWED, before + 1).await;
    assert_eq!(status(&world, &browser).await, 200);
    assert_eq!(count(&world.gateway, "logged in"), 1, "the session is the one from before");
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_a_group_that_a_renewal_takes_away_cuts_what_is_open() {
    let world = renewing(|settings| session(settings, "renew_every = \"2s\"\nrenewal_grace = \"1h\"")).await;
    let browser = logged_in(&world).await;
    let mut open = browser.websocket(&world.wiki("/ws/echo")).await.unwrap();
    open.send("here").await.unwrap();
    assert_eq!(open.next().await.as_deref(), Some("here"));
    world.okta.remove_member("Engineering", ENGINEER).await.unwrap();
    // Nobody asks for anything: what is open has the session renewed.
    assert!(tokio::time::timeout(PATIENCE, open.closed()).await.is_ok(), "the stream goes on");
    assert_eq!(status(&world, &browser).await, 403);
    let canteen = world.settings.application_url("canteen");
    assert_eq!(browser.navigate(&format!("{canteen}/")).await.unwrap().status, 200, "the session lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_t90c_a_refused_renewal_ends_the_session_and_what_is_open() {
    let world = renewing(|settings| session(settings, "renew_every = \"2s\"\nrenewal_grace = \"1h\"")).await;
    let browser = logged_in(&world).await;
    let mut open = browser.websocket(&world.wiki("/ws/echo")).await.unwrap();
    // A suspension pushes nothing over SCIM.
    world.okta.suspend(ENGINEER, true).unwrap();
    assert!(tokio::time::timeout(PATIENCE, open.closed()).await.is_ok(), "the stream goes on");
    let page = browser.navigate(&world.wiki("/")).await.unwrap();
    assert_eq!(page.status, 403, "{}", page.trail());
    assert!(page.text().contains("not_renewed"), "{}", page.text());
    let asked = redeemed(&world);
    assert_eq!(status(&world, &browser).await, 403);
    assert_eq!(redeemed(&world), asked, "the token is forgotten");
    world.okta.suspend(ENGINEER, false).unwrap();
    assert_eq!(status(&world, &browser).await, 403, "what has ended stays over");
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_a_renewed_token_of_somebody_else_ends_the_session() {
    let world = renewing(|settings| session(settings, "renew_every = \"2s\"\nrenewal_grace = \"1h\"")).await;
    let browser = logged_in(&world).await;
    world.okta.spoil_id_tokens(Some(Spoil::AnotherSubject));
    until(&world, &browser, 403).await;
    let refused = logged(&world.gateway, "a session is not renewed, and ends", 1).await;
    assert_eq!(refused["code"], "another_subject");
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_t89_a_provider_that_fails_logs_nobody_out() {
    let world = renewing(|settings| session(settings, "renew_every = \"2s\"\nrenewal_grace = \"4s\"")).await;
    let browser = logged_in(&world).await;
    let mut open = browser.websocket(&world.wiki("/ws/echo")).await.unwrap();
    // The fault comes after the work: where each token is good for once, one would be lost with it.
    world.okta.rotate_refresh_tokens(Rotation::ByClient);
    world.okta.misbehave(Endpoint::Token, Fault::Status(503));
    logged(&world.gateway, "a session could not be renewed yet", 1).await;
    assert_eq!(status(&world, &browser).await, 200, "within the grace requests go on");
    until(&world, &browser, 503).await;
    assert!(tokio::time::timeout(PATIENCE, open.closed()).await.is_ok(), "the stream goes on without a word");
    let page = browser.navigate(&world.wiki("/")).await.unwrap();
    assert_eq!(page.status, 503, "{}", page.trail());
    assert!(page.text().contains("provider_unavailable"), "{}", page.text());
    world.okta.behave(None);
    until(&world, &browser, 200).await;
    assert_eq!(count(&world.gateway, "logged in"), 1, "nobody had to log in anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn t72_a_renewal_that_says_little_frees_nobody_and_ends_nobody() {
    let world = renewing(|settings| {
        settings.provider_type = "oidc".to_owned();
        settings.api_token = None;
        session(settings, "renew_every = \"2s\"\nrenewal_grace = \"1h\"");
        settings.provider_extra.push_str("domains = [\"corp.example\"]\n");
        settings.policies.push_str(
            "\n[[policy]]\nname = \"not-engineers\"\naction = \"block\"\ninclude = [{ group = \"Engineering\" }]\n",
        );
        let wiki = settings.applications.iter_mut().find(|application| application.name == "wiki").unwrap();
        wiki.policies = vec!["not-engineers".to_owned(), "anybody".to_owned()];
    })
    .await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 403, "{}", page.trail());
    world.okta.spoil_id_tokens(Some(Spoil::Terse));
    let before = count(&world.gateway, RENEWED);
    let canteen = format!("{}/", world.settings.application_url("canteen"));
    let end = Instant::now() + PATIENCE;
    while count(&world.gateway, RENEWED) < before + 2 {
        assert!(Instant::now() < end, "nothing was renewed: {}", world.gateway.log().text());
        assert_eq!(status(&world, &browser).await, 403, "a silent provider freed somebody who is blocked");
        assert_eq!(browser.navigate(&canteen).await.unwrap().status, 200, "the session ended");
        tokio::time::sleep(LOOK).await;
    }
    assert_eq!(status(&world, &browser).await, 403);
}
