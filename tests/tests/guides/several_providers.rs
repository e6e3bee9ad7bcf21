//! Several providers: each application offers those that it accepts, and a login at another opens it for nobody.

use portcullis_tests::browser::Page;
use portcullis_tests::okta::company::DEMO_PASSWORD;

use super::rig::{ENGINEER, GUEST, PATIENCE, TwoProviders, email, links};

/// More redirects than a login takes make a loop.
const MOST_HOPS: usize = 8;

fn assert_no_loop(page: &Page) {
    assert!(page.chain.len() <= MOST_HOPS, "{}", page.trail());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_offers_the_providers_that_it_accepts() {
    let rig =
        TwoProviders::start("display_name = \"Corp staff\"\n", "display_name = \"Partners & <guests>\"\n")
            .await;
    let page = rig.world.browser().navigate(&rig.url("wiki", "/")).await.unwrap();
    assert!(TwoProviders::is_at(&page, &rig.world.okta), "{}", page.trail());
    let page = rig.world.browser().navigate(&rig.url("canteen", "/")).await.unwrap();
    assert!(TwoProviders::is_at(&page, &rig.partners), "{}", page.trail());
    let browser = rig.world.browser();
    let page = browser.navigate(&rig.url("lobby", "/deep?a=b")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert_eq!(page.url.host_str(), Some("auth.localhost"));
    let links = links(&page);
    let labels: Vec<&str> = links.iter().map(|(_, label)| label.as_str()).collect();
    assert_eq!(labels, ["Continue with Corp staff", "Continue with Partners &amp; &lt;guests&gt;"]);
    // Going on from the page that is open ends where the person wanted to go.
    let page = browser.click(&page, &links[1].0).await.unwrap();
    assert!(TwoProviders::is_at(&page, &rig.partners), "{}", page.trail());
    let page = browser.submit(&page, &[("username", GUEST), ("password", DEMO_PASSWORD)]).await.unwrap();
    assert_eq!(page.url.as_str(), rig.url("lobby", "/deep?a=b"), "{}", page.trail());
    assert_eq!(email(&browser, &rig.url("lobby", "")).await, GUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_accepted_cannot_be_picked() {
    let rig = TwoProviders::start("", "").await;
    let browser = rig.world.browser();
    let page = browser.navigate(&rig.url("wiki", "/")).await.unwrap();
    let asked = page.chain.iter().find(|hop| hop.url.path().contains("/login/")).unwrap();
    for provider in ["partners", "nobody", "", "okta&provider=partners"] {
        let answer = browser.fetch(&format!("{}&provider={provider}", asked.url)).await.unwrap();
        if provider.starts_with("okta") {
            // Named twice is not named at all: there is one choice, and it is the accepted one.
            assert!(answer.url.as_str().starts_with("https://auth.localhost"), "{}", answer.url);
            assert_eq!(
                answer.location().unwrap().port(),
                rig.world.okta.base_url().rsplit(':').next().unwrap().parse().ok()
            );
        } else {
            assert_eq!(answer.status, 404, "{provider}");
        }
    }
    let answer = browser.fetch(&format!("{}&provider=okta", asked.url)).await.unwrap();
    assert_eq!(answer.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_provider_leads_to_a_login_at_an_accepted_one() {
    let rig = TwoProviders::start("", "").await;
    let (browser, page) = rig.world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    // The session of okta is good where both are accepted, without another login.
    let page = browser.navigate(&rig.url("lobby", "/")).await.unwrap();
    assert_eq!((page.status.as_u16(), page.url.as_str()), (200, rig.url("lobby", "/").as_str()));
    let page = browser.navigate(&rig.url("canteen", "/menu")).await.unwrap();
    assert!(TwoProviders::is_at(&page, &rig.partners), "{}", page.trail());
    assert_no_loop(&page);
    let page = browser.submit(&page, &[("username", GUEST), ("password", DEMO_PASSWORD)]).await.unwrap();
    assert_eq!(page.url.as_str(), rig.url("canteen", "/menu"), "{}", page.trail());
    assert_eq!(email(&browser, &rig.url("canteen", "")).await, GUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_accepted_no_longer_opens_nothing_and_its_streams_are_cut() {
    let mut rig = TwoProviders::start("", "").await;
    let (browser, _) = rig.world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(browser.navigate(&rig.url("lobby", "/")).await.unwrap().status, 200);
    let mut stream = browser.websocket(&rig.url("lobby", "/ws/echo")).await.unwrap();
    rig.world.settings.applications[2].extra = "identity_providers = [\"partners\"]\n".to_owned();
    rig.reload().await;
    assert!(tokio::time::timeout(PATIENCE, stream.closed()).await.is_ok(), "the stream goes on");
    let answer = browser.fetch(&rig.url("lobby", "/whoami")).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (401, &"login_required".into()));
    let page = browser.navigate(&rig.url("lobby", "/")).await.unwrap();
    assert!(TwoProviders::is_at(&page, &rig.partners), "{}", page.trail());
    assert_no_loop(&page);
    // What still accepts it is open as before.
    assert_eq!(browser.fetch(&rig.world.wiki("/whoami")).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_a_provider_that_was_taken_out_opens_nothing() {
    let mut rig = TwoProviders::start("", "").await;
    let browser = rig.world.browser();
    let page = browser.navigate(&rig.url("canteen", "/")).await.unwrap();
    let page = browser.submit(&page, &[("username", GUEST), ("password", DEMO_PASSWORD)]).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert_eq!(browser.navigate(&rig.url("lobby", "/")).await.unwrap().status, 200);
    let mut stream = browser.websocket(&rig.url("lobby", "/ws/echo")).await.unwrap();
    rig.world.settings.extra.clear();
    rig.world.settings.applications[1].extra.clear();
    rig.reload().await;
    assert!(tokio::time::timeout(PATIENCE, stream.closed()).await.is_ok(), "the stream goes on");
    let refused = async |rig: &TwoProviders| {
        let answer = browser.fetch(&rig.url("lobby", "/whoami")).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (401, &"login_required".into()));
    };
    refused(&rig).await;
    rig.world.gateway.kill_hard();
    rig.world.gateway.start_again().await.unwrap_or_else(|e| panic!("{e}"));
    refused(&rig).await;
}

/// T66: a domain that one provider has claimed is nobody else's to vouch for, also where the other has claimed none.
#[tokio::test(flavor = "multi_thread")]
async fn t66_no_provider_vouches_for_a_domain_that_another_has_claimed() {
    let rig = TwoProviders::start("domains = [\"partner.example\"]\n", "").await;
    let browser = rig.world.browser();
    let page = browser.navigate(&rig.url("canteen", "/")).await.unwrap();
    let page = browser.submit(&page, &[("username", GUEST), ("password", DEMO_PASSWORD)]).await.unwrap();
    assert_eq!(page.status, 403, "{}", page.trail());
    assert!(page.text().contains("email_domain_refused"), "{}", page.text());
}
