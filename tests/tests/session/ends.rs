//! How a session ends: by lying idle, and by signing out here, everywhere and at the provider.

use super::*;
use http::Method;
use portcullis_tests::browser::{Form, Initiator, Outgoing};
use portcullis_tests::okta::Client;
use portcullis_tests::okta::company::DEMO_PASSWORD;
use url::Url;

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_is_over_and_what_is_open_is_cut() {
    let world = World::with(WorldConfig {
        change: |settings| settings.extra = "[session]\nidle_timeout = \"4s\"\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let browser = logged_in(&world).await;
    let mut open = browser.websocket(&world.wiki("/ws/echo")).await.unwrap();
    // Requests count, so six seconds of them are no idleness.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        assert_eq!(status(&world, &browser).await, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    open.send("still here").await.unwrap();
    assert_eq!(open.next().await.as_deref(), Some("still here"));
    assert!(
        tokio::time::timeout(PATIENCE, open.closed()).await.is_ok(),
        "the stream of an idle session goes on"
    );
    assert_eq!(status(&world, &browser).await, 401);
    logged(&world.gateway, "connections were cut", 1).await;
    let page = browser.log_in(&world.wiki("/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert_eq!(count(&world.gateway, "logged in"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_through_one_gateway_is_idle_at_none() {
    let world = World::with(WorldConfig {
        change: |settings| settings.extra = "[session]\nidle_timeout = \"6s\"\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let (second, port) = world.beside().await;
    let browser = logged_in(&world).await;
    let there = format!("https://wiki.localhost:{port}");
    let mut open = browser.websocket(&format!("wss://wiki.localhost:{port}/ws/echo")).await.unwrap();
    // Longer than the limit, through the first alone.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(9) {
        assert_eq!(status(&world, &browser).await, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    open.send("still here").await.unwrap();
    assert_eq!(open.next().await.as_deref(), Some("still here"), "the stream of a session in use was cut");
    let whoami = format!("{there}/whoami");
    assert_eq!(browser.fetch(&whoami).await.unwrap().status, 200, "refused where it was not used");
    assert!(
        tokio::time::timeout(PATIENCE, open.closed()).await.is_ok(),
        "the stream of an idle session goes on"
    );
    assert_eq!(browser.fetch(&whoami).await.unwrap().status, 401);
    assert_eq!(status(&world, &browser).await, 401);
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_is_known_after_a_restart() {
    let mut world = World::with(WorldConfig {
        change: |settings| settings.extra = "[session]\nidle_timeout = \"12s\"\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let browser = logged_in(&world).await;
    // Longer than the limit since the login, never since the last use.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(14) {
        assert_eq!(status(&world, &browser).await, 200);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    world.gateway.kill_hard();
    world.gateway.start_again().await.unwrap();
    assert_eq!(status(&world, &browser).await, 200, "the last use was not noted");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_everywhere_ends_every_browser_of_one_person_and_nobody_elses() {
    let world = World::start().await;
    let (first, second) = (logged_in(&world).await, logged_in(&world).await);
    let (developer, page) = world.logged_in("developer@corp.example").await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let mut open = second.websocket(&world.wiki("/ws/echo")).await.unwrap();
    let address = format!("{}/cdn-cgi/access/logout/everywhere", world.settings.auth_url());
    let asked = first.navigate(&address).await.unwrap();
    assert_eq!(asked.status, 200, "{}", asked.trail());
    assert!(asked.text().contains("in one other"), "{}", asked.text());
    for browser in [&first, &second] {
        assert_eq!(status(&world, browser).await, 200, "following a link changes nothing");
    }
    // T88: another site, a sibling host, and a page that does not say where it is.
    for from in ["https://evil.example/", &world.wiki("/")] {
        let forged =
            Outgoing::script(Method::POST, &address).unwrap().by(Initiator::Page(Url::parse(from).unwrap()));
        assert_ne!(first.send(&forged).await.unwrap().status, 200, "{from}");
        let sibling = forged.header("sec-fetch-site", "same-site");
        assert_eq!(first.send(&sibling).await.unwrap().status, 403, "{from}");
    }
    for browser in [&first, &second] {
        assert_eq!(status(&world, browser).await, 200, "another site signed somebody out");
    }
    let form = Form::first(&asked.text()).unwrap();
    let done = first.submit_form(&asked, &form).await.unwrap();
    assert_eq!(done.status, 200, "{}", done.trail());
    assert!(
        tokio::time::timeout(PATIENCE, open.closed()).await.is_ok(),
        "the other browser's stream goes on"
    );
    for browser in [&first, &second] {
        assert_eq!(status(&world, browser).await, 401);
    }
    assert_eq!(status(&world, &developer).await, 200, "somebody else was signed out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_out_page_says_what_is_still_open() {
    let world = World::start().await;
    let (first, second) = (logged_in(&world).await, logged_in(&world).await);
    let page = first.navigate(&world.wiki("/cdn-cgi/access/logout/app")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert!(page.text().contains("logout/everywhere"), "{}", page.text());
    let page = first.navigate(&world.wiki("/cdn-cgi/access/logout")).await.unwrap();
    assert!(page.text().contains("one other browser"), "{}", page.text());
    assert!(page.text().contains("still be signed in at your identity provider"), "{}", page.text());
    assert_eq!(status(&world, &first).await, 401);
    assert_eq!(status(&world, &second).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_goes_through_the_provider_and_comes_back_with_its_word() {
    let world = World::with(WorldConfig {
        change: |settings| {
            settings.provider_extra = "end_provider_session = true\nrefresh = true\n".to_owned();
        },
        ..WorldConfig::default()
    })
    .await;
    let (id, redirect) = (&world.settings.client_id, world.settings.redirect_uri());
    let mut client = Client::confidential(id, world.settings.client_secret.as_ref().unwrap(), &redirect);
    client.post_logout_redirect_uris = vec![format!("{}/cdn-cgi/access/logout", world.settings.auth_url())];
    world.okta.add_client(client);
    let browser = logged_in(&world).await;
    let page = browser.navigate(&world.wiki("/cdn-cgi/access/logout")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert!(page.trail().contains(&world.okta.base_url().to_owned()), "{}", page.trail());
    assert!(page.text().contains("signed out at okta too"), "{}", page.text());
    // A state that is none of ours says nothing.
    let address = format!("{}/cdn-cgi/access/logout", world.settings.auth_url());
    for state in ["", "?state=made-up", "?state="] {
        let page = browser.navigate(&format!("{address}{state}")).await.unwrap();
        assert!(!page.text().contains("signed out at"), "{}", page.text());
    }
    let page = browser.navigate(&world.wiki("/")).await.unwrap();
    assert!(Form::login(&page.text()).is_some(), "the provider still knew them: {}", page.trail());
}
