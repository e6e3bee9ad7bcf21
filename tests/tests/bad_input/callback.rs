//! The two addresses that end a login, with parameters that are missing, doubled, used, or somebody else's: refused with
//! a page, no session, and the login that was begun properly still ends well.

use http::Method;
use portcullis_tests::browser::{Answer, Browser, Outgoing};
use portcullis_tests::harness::World;
use url::Url;

use super::{SESSION, assert_login_works, assert_no_session, assert_page};

const MALFORMED: &[&str] = &["lacks what a sign-in brings back", "callback_malformed"];
const STALE: &[&str] = &["This sign-in has expired", "Open the application again", "login_stale"];

/// A browser in which the provider knows the person and the gateway knows nobody: a login runs through without a form.
async fn known_at_the_provider(world: &World) -> Browser {
    let browser = assert_login_works(world).await;
    let kept: Vec<_> = browser.jar().all().into_iter().filter(|c| !c.host.ends_with(".localhost")).collect();
    browser.jar().clear();
    for cookie in kept {
        browser.jar().plant(cookie);
    }
    assert_no_session(&browser);
    browser
}

/// One hop, as a navigation.
async fn hop(browser: &Browser, url: &str) -> Answer {
    browser.send(&Outgoing::navigation(url).unwrap()).await.unwrap()
}

/// From an application's page to the address of the callback, which is not asked for.
async fn callback_of(browser: &Browser, page: &str) -> Url {
    let to_login = hop(browser, page).await.location().expect("nobody is logged in");
    let to_provider =
        hop(browser, to_login.as_str()).await.location().expect("the login goes to the provider");
    let callback =
        hop(browser, to_provider.as_str()).await.location().expect("the provider knows the person");
    assert_eq!(callback.path(), "/cdn-cgi/access/callback", "{callback}");
    callback
}

/// On to the address that hands the login over to the application, which is not asked for.
async fn hand_over_of(browser: &Browser, page: &str) -> Url {
    let callback = callback_of(browser, page).await;
    let hand_over = hop(browser, callback.as_str()).await.location().expect("the login succeeds");
    assert_eq!(hand_over.path(), "/cdn-cgi/access/authorized", "{hand_over}");
    hand_over
}

fn with_query(url: &Url, query: &str) -> String {
    let mut url = url.clone();
    url.set_query(Some(query).filter(|query| !query.is_empty()));
    url.into()
}

fn value(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned()
}

/// T59, T60
#[tokio::test(flavor = "multi_thread")]
async fn t59_a_callback_that_is_not_one_is_refused_and_spends_nothing() {
    let world = World::start().await;
    let browser = known_at_the_provider(&world).await;
    let callback = callback_of(&browser, &world.wiki("/whoami")).await;
    let (state, code) = (value(&callback, "state"), value(&callback, "code"));
    let stretched = format!("{state}A");
    let cut = &state[..state.len() - 1];
    let cases: [(String, &[&str]); 17] = [
        (String::new(), MALFORMED),
        ("&".to_owned(), MALFORMED),
        ("&&=&".to_owned(), MALFORMED),
        (format!("code={code}"), MALFORMED),
        (format!("state=&code={code}"), MALFORMED),
        (format!("state={state}&state={state}&code={code}"), MALFORMED),
        (format!("state={state}&code={code}&code={code}"), MALFORMED),
        (format!("state={state}&code={code}&state=other"), MALFORMED),
        (format!("state={state}&error=access_denied&error=other"), MALFORMED),
        (format!("state=made-up&code={code}"), STALE),
        (format!("state={stretched}&code={code}"), STALE),
        (format!("state={cut}&code={code}"), STALE),
        (format!("state={}&code={code}", "x".repeat(5_000)), STALE),
        (format!("state=%00%ff%0d%0a&code={code}"), STALE),
        (format!("state={}&code={code}", state.to_ascii_lowercase()), STALE),
        ("state=made-up&error=access_denied".to_owned(), STALE),
        ("state=%3Cscript%3Ealert(1)%3C/script%3E&code=1".to_owned(), STALE),
    ];
    for (query, words) in cases {
        let answer = hop(&browser, &with_query(&callback, &query)).await;
        assert_page(&answer, 400, words);
        assert!(!answer.text().contains("<script"), "{query}");
        assert_no_session(&browser);
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer =
            browser.send(&Outgoing::script(method.clone(), callback.as_str()).unwrap()).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET"), "{method}");
        assert_eq!(answer.json()["error"], "method_not_allowed", "{method}");
    }
    let form = Outgoing::script(Method::POST, &with_query(&callback, "")).unwrap();
    let form = form.body("application/x-www-form-urlencoded", format!("state={state}&code={code}"));
    assert_eq!(browser.send(&form).await.unwrap().status, 405);
    assert_no_session(&browser);
    // After all of that, the true answer still counts.
    let page = browser.navigate(callback.as_str()).await.unwrap();
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/whoami"), "{}", page.trail());
}

#[tokio::test(flavor = "multi_thread")]
async fn t60_a_state_of_another_browser_or_used_before_is_refused() {
    let world = World::start().await;
    let victim = known_at_the_provider(&world).await;
    let attacker = known_at_the_provider(&world).await;
    // Login CSRF: the victim is led to the end of the attacker's login.
    let theirs = callback_of(&attacker, &world.wiki("/whoami")).await;
    assert_page(&hop(&victim, theirs.as_str()).await, 400, STALE);
    assert_no_session(&victim);
    // Even with a login of their own under way, and with the code under their own state.
    let own = callback_of(&victim, &world.wiki("/whoami")).await;
    assert_page(&hop(&victim, theirs.as_str()).await, 400, STALE);
    let crossed = format!("state={}&code={}", value(&own, "state"), value(&theirs, "code"));
    let answer = hop(&victim, &with_query(&own, &crossed)).await;
    assert_page(&answer, 403, &["administrator"]);
    assert_no_session(&victim);
    // The attempt was spent by that; its state is worth nothing any more, with any code.
    assert_page(&hop(&victim, own.as_str()).await, 400, STALE);
    // A good callback works once. The cookies of before are put back, as an attacker would who has seen them.
    let callback = callback_of(&victim, &world.wiki("/whoami")).await;
    let attempt = victim.jar().of_host("auth.localhost");
    assert!(hop(&victim, callback.as_str()).await.location().is_some());
    for cookie in attempt {
        victim.jar().plant(cookie);
    }
    let again = hop(&victim, callback.as_str()).await;
    assert_page(&again, 400, STALE);
    assert!(
        again
            .headers
            .get_all("set-cookie")
            .iter()
            .all(|c| !c.to_str().unwrap().starts_with(&format!("{SESSION}=")))
    );
    assert_login_works(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_provider_is_told_and_spends_the_attempt() {
    let world = World::start().await;
    let browser = known_at_the_provider(&world).await;
    let callback = callback_of(&browser, &world.wiki("/whoami")).await;
    let state = value(&callback, "state");
    let refusal =
        format!("state={state}&error=access_denied&error_description=%3Cb%3EUser+is+not+assigned%3C/b%3E");
    let page = hop(&browser, &with_query(&callback, &refusal)).await;
    assert_page(
        &page,
        403,
        &["refused the sign-in", "access_denied", "&lt;b&gt;User is not assigned", "assigned"],
    );
    assert_no_session(&browser);
    assert_page(&hop(&browser, callback.as_str()).await, 400, STALE);
    // Neither code nor error: the attempt was opened, but there is nothing to redeem.
    let callback = callback_of(&browser, &world.wiki("/whoami")).await;
    let bare = with_query(&callback, &format!("state={}", value(&callback, "state")));
    assert_page(&hop(&browser, &bare).await, 400, MALFORMED);
    assert_no_session(&browser);
    // RFC 9207: the answer of another provider.
    let callback = callback_of(&browser, &world.wiki("/whoami")).await;
    let mixed = format!("{}&iss=https://other.okta.example", callback.query().unwrap());
    assert_page(
        &hop(&browser, &with_query(&callback, &mixed)).await,
        400,
        &["issuer_mismatch", "another issuer"],
    );
    assert_no_session(&browser);
    // A code that the provider never gave.
    let callback = callback_of(&browser, &world.wiki("/whoami")).await;
    let made_up = format!("state={}&code=made-up", value(&callback, "state"));
    let page = hop(&browser, &with_query(&callback, &made_up)).await;
    assert_page(&page, 403, &["refused the sign-in", "Open the application again", "provider_code_refused"]);
    assert_no_session(&browser);
    let page = browser.navigate(&world.wiki("/whoami")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_works_once_here_and_for_this_browser() {
    let world = World::start().await;
    let browser = known_at_the_provider(&world).await;
    let stranger = world.browser();
    let hand_over = hand_over_of(&browser, &world.wiki("/whoami")).await;
    let code = value(&hand_over, "code");
    let flipped =
        format!("{}{}", &code[..code.len() - 4], if code.ends_with("AAAA") { "BBBB" } else { "AAAA" });
    let no_session_here = |browser: &Browser| {
        let cookies = browser.jar().of_host("wiki.localhost");
        assert!(cookies.iter().all(|cookie| cookie.name != SESSION), "{cookies:?}");
    };
    let cases: [(String, &[&str]); 9] = [
        (String::new(), MALFORMED),
        (format!("code={code}&code={code}"), MALFORMED),
        ("code=".to_owned(), STALE),
        ("code=made-up".to_owned(), STALE),
        (format!("code={}", &code[..code.len() - 1]), STALE),
        (format!("code={}", &code[1..]), STALE),
        (format!("code={code}A"), STALE),
        (format!("code={flipped}"), STALE),
        (format!("code={}", "A".repeat(6_000)), STALE),
    ];
    for (query, words) in cases {
        assert_page(&hop(&browser, &with_query(&hand_over, &query)).await, 400, words);
        no_session_here(&browser);
    }
    // Another browser has not the cookie that binds the code: nobody can be logged in as somebody else.
    assert_page(&hop(&stranger, hand_over.as_str()).await, 400, STALE);
    assert_no_session(&stranger);
    // Another host: the code was sealed for one.
    let mut elsewhere = hand_over.clone();
    elsewhere.set_host(Some("canteen.localhost")).unwrap();
    for mut cookie in browser.jar().of_host("wiki.localhost") {
        cookie.host = "canteen.localhost".to_owned();
        browser.jar().plant(cookie);
    }
    assert_page(&hop(&browser, elsewhere.as_str()).await, 400, STALE);
    assert_eq!(
        browser.send(&Outgoing::script(Method::POST, hand_over.as_str()).unwrap()).await.unwrap().status,
        405
    );
    no_session_here(&browser);
    // None of that has spent it. It works once, and not twice, even with its binding cookie put back.
    let binding = browser.jar().of_host("wiki.localhost");
    let first = hop(&browser, hand_over.as_str()).await;
    assert_eq!(first.location().map(|url| url.path().to_owned()).as_deref(), Some("/whoami"));
    for cookie in binding {
        browser.jar().plant(cookie);
    }
    assert_page(&hop(&browser, hand_over.as_str()).await, 400, STALE);
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 200);
    // A login that ended in between hands nothing over.
    let late = known_at_the_provider(&world).await;
    let hand_over = hand_over_of(&late, &world.wiki("/whoami")).await;
    let logout = format!("{}/cdn-cgi/access/logout", world.settings.auth_url());
    assert_eq!(hop(&late, &logout).await.status, 200);
    assert_page(&hop(&late, hand_over.as_str()).await, 400, STALE);
    assert_no_session(&late);
    assert_login_works(&world).await;
}
