//! ID tokens that are wrong in every way that the simulator knows: refused with the fault's name, and no session is given.

use portcullis_tests::harness::World;
use portcullis_tests::okta::Spoil;

use super::{ENGINEER, PATIENCE, assert_login_works, assert_no_session, assert_page};

/// T62, T63, T64: each fault and its name.
const SPOILT: [(Spoil, &str); 13] = [
    (Spoil::WrongAudience, "id_token_audience"),
    (Spoil::WrongIssuer, "id_token_issuer"),
    (Spoil::AlgNone, "id_token_algorithm"),
    (Spoil::HmacWithPublicKey, "id_token_algorithm"),
    (Spoil::Expired, "id_token_expired"),
    (Spoil::FromTheFuture, "id_token_issued_in_future"),
    (Spoil::WrongNonce, "id_token_nonce"),
    (Spoil::MissingNonce, "id_token_nonce"),
    (Spoil::Replayed, "id_token_nonce"),
    (Spoil::UnknownKey, "id_token_unknown_key"),
    (Spoil::BrokenSignature, "id_token_signature"),
    (Spoil::MissingSubject, "id_token_malformed"),
    (Spoil::WrongAccessTokenHash, "id_token_access_token"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_spoilt_token_is_refused_by_its_name() {
    let world = World::start().await;
    // A good login first, so that there are keys at hand and a token to replay.
    assert_login_works(&world).await;
    for (spoil, code) in SPOILT {
        let (lines, connections) =
            (world.gateway.log().lines().len(), world.upstream.recorder().connections());
        world.okta.spoil_id_tokens(Some(spoil));
        let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
        println!("{spoil:?}: {} {}", page.status, page.trail());
        assert_page(&page, 403, &["cannot be trusted", "administrator", code]);
        assert_eq!(page.url.path(), "/cdn-cgi/access/callback", "{spoil:?}");
        assert_no_session(&browser);
        assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 401, "{spoil:?}");
        assert_eq!(world.upstream.recorder().connections(), connections, "{spoil:?}");
        let logged = |event: &serde_json::Value| event["code"] == code;
        assert!(
            world.gateway.log().wait_for(PATIENCE, logged).await.is_some(),
            "{spoil:?}: no event says {code}"
        );
        // T70: the token, which the page could have quoted, stands nowhere.
        let told = world.gateway.log().lines()[lines..].join("\n");
        assert!(!told.contains("eyJ") && !page.text().contains("eyJ"), "{spoil:?}: a token is told");
        world.okta.spoil_id_tokens(None);
        assert_login_works(&world).await;
    }
}

/// T65: an address that nobody verified is nobody's address; who it is says the subject.
#[tokio::test(flavor = "multi_thread")]
async fn an_unverified_address_is_not_believed() {
    let world = World::start().await;
    world.okta.spoil_id_tokens(Some(Spoil::EmailUnverified));
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    // The group of the subject opens the wiki; the address of the token does not count.
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    let identity = browser.fetch(&world.wiki("/cdn-cgi/access/get-identity")).await.unwrap().json();
    let ignored = |event: &serde_json::Value| event["unverified_email_ignored"] == true;
    assert!(world.gateway.log().wait_for(PATIENCE, ignored).await.is_some(), "{identity}");
    world.okta.spoil_id_tokens(None);
    assert_login_works(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_keys_break_no_login() {
    let world = World::start().await;
    let browser = assert_login_works(&world).await;
    world.okta.rotate_keys();
    assert_login_works(&world).await;
    world.okta.rotate_keys_in_emergency();
    assert_login_works(&world).await;
    // Who was logged in before stays so: a session does not hang on the provider's keys.
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 200);
}
