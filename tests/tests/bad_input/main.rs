//! Bad input gets a clear answer and nothing is lost: every test gives the real program something wrong, reads status and
//! words, and then asserts that something right still works.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "test code"
)]

mod configuration;
mod start;

mod id_token;
mod provider;

mod callback;
mod cookies;

mod broken_off;
mod scim;

use std::time::Duration;

use portcullis_tests::browser::{Answer, Browser};
use portcullis_tests::harness::World;

pub const ENGINEER: &str = "engineer@corp.example";
/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The cookie that is a session.
pub const SESSION: &str = "__Host-portcullis";

/// A page for a person: the status, the words, and the marks of a page of ours.
pub fn assert_page(answer: &Answer, status: u16, words: &[&str]) {
    let text = answer.text();
    assert_eq!(answer.status.as_u16(), status, "{}: {text}", answer.url);
    assert!(answer.header("content-type").starts_with("text/html"), "{}: {text}", answer.url);
    assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.url);
    assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{}", answer.url);
    for word in words {
        assert!(text.contains(word), "{}: `{word}` is missing in {text}", answer.url);
    }
}

/// Neither host has given this browser a session.
pub fn assert_no_session(browser: &Browser) {
    let cookies = browser.jar().all();
    let ours: Vec<_> =
        cookies.iter().filter(|cookie| cookie.name == SESSION && !cookie.value.is_empty()).collect();
    assert!(ours.is_empty(), "a session was given: {ours:?}");
}

/// Somebody new logs in and uses the application.
pub async fn assert_login_works(world: &World) -> Browser {
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().json()["email"], ENGINEER);
    browser
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
