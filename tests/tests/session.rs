//! Sessions that last, are renewed at their provider, lie idle, are bound and end: on the real program, against a provider whose refresh
//! tokens can be used once.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

#[path = "session/cookies.rs"]
mod cookies;
#[path = "session/ends.rs"]
mod ends;
#[path = "session/renewal.rs"]
mod renewal;

use std::time::{Duration, Instant};

use portcullis_tests::browser::Browser;
use portcullis_tests::harness::{Gateway, Settings, World, WorldConfig};
use portcullis_tests::okta::{Endpoint, Rotation};
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const PATIENCE: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(50);

/// A world whose people come from the provider alone, with renewals at a provider that takes each refresh token once.
async fn renewing(change: fn(&mut Settings)) -> World {
    let world = World::with(WorldConfig { provisioned: false, change, ..WorldConfig::default() }).await;
    world.okta.rotate_refresh_tokens(Rotation::SingleUse);
    world
}

/// `[session]` with these lines, and a provider that is asked for refresh tokens.
fn session(settings: &mut Settings, lines: &str) {
    settings.provider_extra = "refresh = true\n".to_owned();
    settings.extra = format!("[session]\n{lines}\n");
}

async fn logged_in(world: &World) -> Browser {
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    browser
}

/// The status for a program.
async fn status(world: &World, browser: &Browser) -> u16 {
    browser.fetch(&world.wiki("/whoami")).await.unwrap().status.as_u16()
}

/// Asks until the status is that one.
async fn until(world: &World, browser: &Browser, wanted: u16) {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = status(world, browser).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < end, "still {found}, not {wanted}: {}", world.gateway.log().text());
        tokio::time::sleep(LOOK).await;
    }
}

/// How often the provider handed out tokens, or refused to.
fn redeemed(world: &World) -> u64 {
    world.okta.requests(Endpoint::Token)
}

fn count(gateway: &Gateway, message: &str) -> usize {
    gateway.log().events().iter().filter(|event| event["message"] == message).count()
}

/// Waits until something was logged so many times.
async fn logged(gateway: &Gateway, message: &str, times: usize) -> Value {
    let end = Instant::now() + PATIENCE;
    while count(gateway, message) < times {
        assert!(Instant::now() < end, "`{message}` was not logged {times} times: {}", gateway.log().text());
        tokio::time::sleep(LOOK).await;
    }
    gateway.log().events().into_iter().rfind(|event| event["message"] == message).unwrap()
}
