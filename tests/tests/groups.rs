//! A person in many groups logs in: by the claim, by the API, or not at all with a page that says what must be mended.
//! Never with fewer groups than there are.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::time::{Duration, Instant};

use portcullis_tests::browser::{Browser, Page};
use portcullis_tests::harness::{Settings, World, WorldConfig};
use portcullis_tests::okta::company::{COLLECTOR, COLLECTOR_GROUPS, DEMO_PASSWORD};
use portcullis_tests::okta::{CLAIM_LIMIT, ClaimMode, Company, Endpoint, Fault, GroupFilter, Person};
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
/// In more groups than any token should tell of.
const HOARDER: &str = "hoarder@corp.example";
const POWERLESS: &str = "00tokenWithoutPermission";
const PATIENCE: Duration = Duration::from_secs(10);

/// Logins alone: what SCIM knows of groups would hide what the provider says.
fn config(mode: ClaimMode, api_token: Option<&str>, change: fn(&mut Settings)) -> WorldConfig {
    let company = Company {
        claim_mode: mode,
        powerless_api_token: Some(POWERLESS.to_owned()),
        people: Company::demo()
            .people
            .into_iter()
            .chain([Person::new("blocked@corp.example", "Bo", "Blocked")
                .in_groups(
                    (1..=150)
                        .map(|n| format!("Collected {n:03}"))
                        .collect::<Vec<_>>()
                        .iter()
                        .map(String::as_str),
                )
                .in_groups(["Engineering", "Contractors"])])
            .collect(),
        ..Company::demo()
    };
    let api_token = api_token.map(str::to_owned);
    WorldConfig { company, api_token, provisioned: false, change, ..WorldConfig::default() }
}

async fn world(mode: ClaimMode, api_token: Option<&str>) -> World {
    World::with(config(mode, api_token, |_| {})).await
}

fn demo_token() -> Option<String> {
    Company::demo().api_token
}

async fn log_in(world: &World, login: &str) -> (Browser, Page) {
    world.logged_in(login).await.unwrap()
}

/// The groups that the gateway believes somebody to be in.
async fn groups(world: &World, browser: &Browser) -> Vec<String> {
    let identity = browser.fetch(&world.wiki("/cdn-cgi/access/get-identity")).await.unwrap().json();
    let listed = identity["groups"].as_array().unwrap_or_else(|| panic!("no groups in {identity}"));
    listed.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

async fn assert_all_groups(world: &World, browser: &Browser) {
    let mut known = groups(world, browser).await;
    let mut expected = world.okta.groups_of(COLLECTOR).unwrap();
    known.sort();
    expected.sort();
    assert_eq!(expected.len(), COLLECTOR_GROUPS + 1, "the company has changed");
    assert_eq!(known, expected);
}

/// The login ended on a page of ours with this status and these words, and left no session.
async fn assert_refused(world: &World, browser: &Browser, page: &Page, status: u16, words: &[&str]) {
    let text = page.text();
    assert_eq!(page.status.as_u16(), status, "{}\n{text}", page.trail());
    assert_eq!(page.url.path(), "/cdn-cgi/access/callback", "{}", page.trail());
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in {text}");
    }
    for host in ["auth.localhost", "wiki.localhost"] {
        let cookies = browser.jar().of_host(host);
        assert!(cookies.iter().all(|cookie| cookie.name != "__Host-portcullis"), "{host}: {cookies:?}");
    }
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 401);
    assert_eq!(world.upstream.recorder().connections(), 0, "the upstream was reached");
}

async fn assert_logged(world: &World, words: &str) {
    let found = world.gateway.log().wait_for(PATIENCE, |event| event.to_string().contains(words)).await;
    assert!(found.is_some(), "no event says `{words}`");
}

/// Once the provider behaves, the same person gets in.
async fn assert_next_login_works(world: &World) {
    world.okta.behave(None);
    let (browser, page) = log_in(world, COLLECTOR).await;
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    assert_all_groups(world, &browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_claim_alone() {
    let world = world(ClaimMode::Whole, None).await;
    let (browser, page) = log_in(&world, COLLECTOR).await;
    assert_eq!(page.status, 200, "{}", page.trail());
    assert_all_groups(&world, &browser).await;
    assert_eq!(world.okta.requests(Endpoint::UserGroups), 0, "no token, so nothing can be asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_api_over_two_pages_when_the_claim_is_cut_or_absent() {
    for mode in [ClaimMode::CutAtLimit, ClaimMode::Absent] {
        let world = world(mode, demo_token().as_deref()).await;
        for _ in 0..2 {
            let (browser, page) = log_in(&world, COLLECTOR).await;
            assert_eq!(page.status, 200, "{}", page.trail());
            assert_all_groups(&world, &browser).await;
            // 250 groups are two pages of 200, and the second login of a moment later is answered by the first.
            assert_eq!(world.okta.requests(Endpoint::UserGroups), 2, "{COLLECTOR_GROUPS} groups");
        }
        // Few groups in the claim: nobody is asked.
        world.okta.set_groups_claim(ClaimMode::Whole, GroupFilter::Everything);
        let (_, page) = log_in(&world, ENGINEER).await;
        assert_eq!(page.status, 200, "{}", page.trail());
        assert_eq!(world.okta.requests(Endpoint::UserGroups), 2);
    }
}

/// The group that forbids is the one that a cut would hide.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_beyond_the_cut_still_forbids() {
    let world = world(ClaimMode::CutAtLimit, demo_token().as_deref()).await;
    let (browser, page) = log_in(&world, "blocked@corp.example").await;
    assert_eq!(page.status, 403, "{}", page.trail());
    assert!(groups(&world, &browser).await.contains(&"Contractors".to_owned()));
    assert_eq!(world.upstream.recorder().connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_with_the_reason_when_the_claim_is_cut_and_there_is_no_token() {
    let world = world(ClaimMode::CutAtLimit, None).await;
    let (browser, page) = log_in(&world, COLLECTOR).await;
    let words = ["too many groups", "api_token", "read-only API token", "100 groups", "too_many_groups"];
    assert_refused(&world, &browser, &page, 403, &words).await;
    assert_logged(&world, "too many groups").await;
    // One below the cut is whole, and one person's refusal concerns nobody else.
    let fitting = (1..CLAIM_LIMIT - 2).map(|n| format!("Fitting {n:03}")).collect::<Vec<_>>();
    let person = Person::new("fitting@corp.example", "Fay", "Fitting")
        .in_groups(fitting.iter().map(String::as_str))
        .in_groups(["Engineering"]);
    world.okta.add_person(person).unwrap();
    assert_eq!(world.okta.groups_of("fitting@corp.example").unwrap().len(), CLAIM_LIMIT - 1);
    let (browser, page) = log_in(&world, "fitting@corp.example").await;
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    assert_eq!(groups(&world, &browser).await.len(), CLAIM_LIMIT - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_when_the_token_endpoint_refuses_too_many_groups() {
    let world = world(ClaimMode::RefuseAboveLimit, None).await;
    let (browser, page) = log_in(&world, COLLECTOR).await;
    assert_refused(
        &world,
        &browser,
        &page,
        403,
        &["too many groups", "too_many_groups", "`api_token`", "leave the claim out"],
    )
    .await;
    assert_logged(&world, "too many groups").await;
    world.okta.set_groups_claim(ClaimMode::Whole, GroupFilter::Everything);
    assert_next_login_works(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_when_the_token_endpoint_refuses_although_there_is_a_token() {
    let world = world(ClaimMode::RefuseAboveLimit, demo_token().as_deref()).await;
    let (browser, page) = log_in(&world, COLLECTOR).await;
    let words = [
        "too many groups",
        "too_many_groups",
        "Narrow the filter of the groups claim",
        "leave the claim out",
    ];
    assert_refused(&world, &browser, &page, 403, &words).await;
    // What the page advises is true.
    world.okta.set_groups_claim(ClaimMode::Absent, GroupFilter::Everything);
    assert_next_login_works(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_with_the_cause_when_the_api_refuses_the_token() {
    let world = world(ClaimMode::CutAtLimit, Some("00aTokenThatNobodyKnows")).await;
    let (browser, page) = log_in(&world, COLLECTOR).await;
    assert_refused(
        &world,
        &browser,
        &page,
        502,
        &["groups cannot be read", "refused our token", "groups_token_refused"],
    )
    .await;
    assert_logged(&world, "refused our token").await;
    assert!(!world.gateway.log().text().contains("00aTokenThatNobodyKnows"), "the token stands in the log");
    assert!(!page.text().contains("00aTokenThatNobodyKnows"), "the token stands on the page");
    let (_, page) = log_in(&world, ENGINEER).await;
    assert_eq!(page.status, 200, "few groups need no token: {}", page.trail());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_with_the_cause_when_the_api_forbids() {
    let world = world(ClaimMode::CutAtLimit, Some(POWERLESS)).await;
    let (browser, page) = log_in(&world, COLLECTOR).await;
    let words =
        ["groups cannot be read", "may not read users and groups", "ThreatInsight", "groups_forbidden"];
    assert_refused(&world, &browser, &page, 502, &words).await;
    assert_logged(&world, "ThreatInsight").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_api_refuses_and_the_next_login_works() {
    let world = World::with(config(ClaimMode::CutAtLimit, demo_token().as_deref(), |settings| {
        settings.extra = "[limits]\nprovider_timeout = \"6s\"\n".to_owned();
    }))
    .await;
    let unreadable = "groups cannot be read";
    let faults = [
        (Fault::Blocked, 502, unreadable, "groups_forbidden"),
        (Fault::Status(500), 502, unreadable, "groups_api_broken"),
        (Fault::Status(404), 502, unreadable, "groups_user_unknown"),
        (Fault::Status(302), 502, unreadable, "groups_api_broken"),
        (Fault::Garbage, 502, unreadable, "groups_api_broken"),
        (Fault::CutBody, 502, "does not answer", "provider_unreachable"),
        (Fault::HugeBody(2 << 20), 502, "not set up correctly", "provider_answer_too_large"),
        (Fault::Hang, 502, "does not answer", "provider_slow"),
        (Fault::EndlessBodyMs(5), 502, "does not answer", "provider_slow"),
        (Fault::RateLimitedS(600), 503, "Too many sign-ins", "groups_rate_limited"),
    ];
    for (fault, status, words, code) in faults {
        world.okta.misbehave(Endpoint::UserGroups, fault);
        let (browser, page) = log_in(&world, COLLECTOR).await;
        println!("{fault:?}: {}", page.status);
        assert_refused(&world, &browser, &page, status, &[words, code]).await;
    }
    assert_next_login_works(&world).await;
}

/// T67: half of the groups is as dangerous as none.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_page_that_fails_refuses_the_login() {
    for fault in [Fault::CutBody, Fault::Status(500), Fault::Garbage, Fault::RateLimitedS(600)] {
        let world = world(ClaimMode::CutAtLimit, demo_token().as_deref()).await;
        world.okta.misbehave_after(Endpoint::UserGroups, fault, 1);
        let (browser, page) = log_in(&world, COLLECTOR).await;
        assert_eq!(world.okta.requests(Endpoint::UserGroups), 2, "{fault:?}: the second page was asked for");
        let status = if matches!(fault, Fault::RateLimitedS(_)) { 503 } else { 502 };
        assert_refused(&world, &browser, &page, status, &["administrator"][..usize::from(status == 502)])
            .await;
        assert_next_login_works(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_that_ends_soon_is_waited_for() {
    let world = world(ClaimMode::CutAtLimit, demo_token().as_deref()).await;
    world.okta.misbehave_times(Endpoint::UserGroups, Fault::RateLimitedS(2), 1);
    let begun = Instant::now();
    let (browser, page) = log_in(&world, COLLECTOR).await;
    assert_eq!(page.status, 200, "{}\n{}", page.trail(), page.text());
    // The reset is told in whole seconds, so that two of them may be little more than one.
    assert!(begun.elapsed() >= Duration::from_secs(1), "it did not wait");
    assert_eq!(world.okta.requests(Endpoint::UserGroups), 3, "once refused, then two pages");
    assert_all_groups(&world, &browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_as_large_for_one_group_as_for_five_thousand() {
    let mut config = config(ClaimMode::Whole, None, |_| {});
    let many: Vec<String> = (1..=5_000).map(|number| format!("Team {number:04}")).collect();
    let person = Person::new(HOARDER, "Hattie", "Hoarder").in_groups(["Engineering"]);
    config.company.people.push(person.in_groups(many.iter().map(String::as_str)));
    let world = World::with(config).await;
    let mut sizes = Vec::new();
    for (login, count) in [(ENGINEER, 1), (COLLECTOR, COLLECTOR_GROUPS), (HOARDER, 5_001)] {
        let (browser, page) = log_in(&world, login).await;
        assert_eq!(page.status, 200, "{}", page.trail());
        assert!(groups(&world, &browser).await.len() >= count, "{login} has lost groups");
        for host in ["auth.localhost", "wiki.localhost"] {
            let cookies = browser.jar().of_host(host);
            let session: Vec<_> =
                cookies.iter().filter(|cookie| cookie.name == "__Host-portcullis").collect();
            assert_eq!(session.len(), 1, "{host}: {cookies:?}");
            sizes.push(session[0].value.len());
            let header =
                browser.jar().header(&format!("https://{host}:{}/", world.settings.port).parse().unwrap());
            assert!(header.unwrap().len() < 200, "{host}: nothing else is left of the login");
        }
    }
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
    let page = Browser::new(&world.gateway.ca_pem()).log_in(&world.wiki("/"), COLLECTOR, DEMO_PASSWORD).await;
    assert_eq!(page.unwrap().status, 200);
}
