//! What a cookie is worth, where, for how long, and for how many.

use super::*;
use portcullis_tests::browser::{Cookie, Outgoing};
use portcullis_tests::okta::company::DEMO_PASSWORD;

const SESSION: &str = "__Host-portcullis";
const BINDING: &str = "__Host-portcullis-binding";

fn host(world: &World, name: &str) -> String {
    world.settings.applications.iter().find(|application| application.name == name).unwrap().host.clone()
}

fn value(browser: &Browser, host: &str, name: &str) -> Option<String> {
    browser.jar().of_host(host).into_iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value)
}

async fn with_cookies(world: &World, cookies: &str) -> u16 {
    let request =
        Outgoing::script(http::Method::GET, &world.wiki("/whoami")).unwrap().header("cookie", cookies);
    world.browser().send(&request).await.unwrap().status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn t61_every_login_has_a_new_id_and_what_was_there_before_is_worth_nothing() {
    let world = World::start().await;
    let browser = world.browser();
    let hosts = [host(&world, "wiki"), world.settings.auth_host.clone()];
    let planted = "A".repeat(43);
    for host in &hosts {
        browser.jar().plant(Cookie {
            name: SESSION.to_owned(),
            value: planted.clone(),
            host: host.clone(),
            host_only: true,
            path: "/".to_owned(),
            secure: true,
            http_only: true,
            same_site: portcullis_tests::browser::SameSite::Lax,
            expires: None,
        });
    }
    let page = browser.log_in(&world.wiki("/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let first = hosts.each_ref().map(|host| value(&browser, host, SESSION).unwrap());
    assert!(!first.contains(&planted), "a session took over an id that was there before");
    assert_ne!(first[0], first[1]);
    assert_eq!(with_cookies(&world, &format!("{SESSION}={planted}")).await, 401);
    browser.navigate(&world.wiki("/cdn-cgi/access/logout")).await.unwrap();
    let page = browser.log_in(&world.wiki("/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    for (host, before) in hosts.iter().zip(&first) {
        assert_ne!(value(&browser, host, SESSION).as_ref(), Some(before), "{host}");
        assert_eq!(with_cookies(&world, &format!("{SESSION}={before}")).await, 401, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t75_t77_a_cookie_is_one_and_of_its_host() {
    let world = World::start().await;
    let browser = logged_in(&world).await;
    let canteen = format!("{}/", world.settings.application_url("canteen"));
    assert_eq!(browser.navigate(&canteen).await.unwrap().status, 200);
    let of = |name: &str| value(&browser, name, SESSION).unwrap();
    let (wiki, canteen, auth) =
        (of(&host(&world, "wiki")), of(&host(&world, "canteen")), of(&world.settings.auth_host));
    assert_eq!(with_cookies(&world, &format!("{SESSION}={wiki}")).await, 200);
    for elsewhere in [&canteen, &auth] {
        assert_eq!(with_cookies(&world, &format!("{SESSION}={elsewhere}")).await, 401, "of another host");
    }
    for (first, rest) in [wiki.split_at(20)] {
        let chunks = [
            format!("{SESSION}-0={first}; {SESSION}-1={rest}"),
            format!("{SESSION}_0={first}; {SESSION}_1={rest}; {SESSION}_chunks=99999999"),
            format!("{SESSION}.0={first}; {SESSION}.2={rest}"),
            format!("{SESSION}={first}; {SESSION}={rest}"),
            format!("{SESSION}=; {SESSION}-session_chunks=99999999"),
        ];
        for cookies in chunks {
            assert_eq!(with_cookies(&world, &cookies).await, 401, "{cookies}");
        }
    }
    let cookies = format!("{SESSION}={wiki}; {SESSION}-0=x; {SESSION}-chunks=99999999; other=1");
    assert_eq!(with_cookies(&world, &cookies).await, 200, "names of no meaning change nothing");
}

/// The byte is changed to every other kind of it; what is answered does not tell which.
#[tokio::test(flavor = "multi_thread")]
async fn t74_an_attempt_with_one_flipped_byte_is_told_like_any_other() {
    // A pushed request would keep the state out of the address.
    let change = |settings: &mut Settings| {
        settings.provider_extra = "pushed_authorization_requests = \"off\"\n".to_owned();
    };
    let world = World::with(WorldConfig { change, ..WorldConfig::default() }).await;
    let browser = world.browser();
    let form = browser.navigate(&world.wiki("/")).await.unwrap();
    let auth = world.settings.auth_host.clone();
    let attempt =
        browser.jar().of_host(&auth).into_iter().find(|cookie| cookie.name.contains("-login-")).unwrap();
    assert_eq!(form.status, 200, "{}", form.trail());
    let begun = form.chain.iter().find_map(|hop| {
        let url =
            hop.url.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned());
        url.filter(|state| attempt.name.ends_with(state.get(..8).unwrap()))
    });
    let state = begun.or_else(|| {
        form.url.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned())
    });
    let callback = format!("{}?state={}&code=none", world.settings.redirect_uri(), state.unwrap());
    let mut told = Vec::new();
    for at in (0..attempt.value.len()).step_by(attempt.value.len() / 24) {
        let mut bytes = attempt.value.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let cookie = format!("{}={}", attempt.name, String::from_utf8(bytes).unwrap());
        let request = Outgoing::navigation(&callback).unwrap().header("cookie", &cookie);
        let answer = world.browser().send(&request).await.unwrap();
        assert!(answer.text().contains("login_stale"), "{at}: {}", answer.text());
        told.push(answer.status.as_u16());
    }
    assert_eq!(told, vec![400; told.len()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t80_what_was_allowed_once_is_judged_by_the_clock_again() {
    let world = World::with(WorldConfig {
        change: |settings| settings.applications[0].extra = "session_duration = \"5s\"\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let browser = logged_in(&world).await;
    let before = value(&browser, &host(&world, "wiki"), SESSION).unwrap();
    assert_eq!(status(&world, &browser).await, 200);
    until(&world, &browser, 401).await;
    assert_eq!(with_cookies(&world, &format!("{SESSION}={before}")).await, 401);
    // For a person one hop through the auth host decides again.
    let page = browser.navigate(&world.wiki("/whoami")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert_eq!(count(&world.gateway, "logged in"), 1, "nobody had to log in anew");
    assert_ne!(value(&browser, &host(&world, "wiki"), SESSION).unwrap(), before);
    world.deactivate(ENGINEER).await;
    assert_eq!(status(&world, &browser).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_session_needs_both_of_its_cookies() {
    let world = World::with(WorldConfig {
        change: |settings| settings.applications[0].extra = "binding_cookie = true\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let browser = logged_in(&world).await;
    let wiki = host(&world, "wiki");
    let (session, binding) =
        (value(&browser, &wiki, SESSION).unwrap(), value(&browser, &wiki, BINDING).unwrap());
    assert_ne!(session, binding);
    assert_eq!(with_cookies(&world, &format!("{SESSION}={session}; {BINDING}={binding}")).await, 200);
    for cookies in [
        format!("{SESSION}={session}"),
        format!("{BINDING}={binding}"),
        format!("{SESSION}={session}; {BINDING}="),
        format!("{SESSION}={session}; {BINDING}={session}"),
        format!("{SESSION}={session}; {BINDING}={binding}; {BINDING}={binding}"),
        format!("{SESSION}={binding}; {BINDING}={session}"),
    ] {
        assert_eq!(with_cookies(&world, &cookies).await, 401, "{cookies}");
    }
    let seen = world.upstream.recorder().raw_received_for("/whoami");
    assert!(!String::from_utf8_lossy(&seen).contains("portcullis-binding"), "it went on to the application");
    let canteen = format!("{}/", world.settings.application_url("canteen"));
    assert_eq!(browser.navigate(&canteen).await.unwrap().status, 200);
    assert_eq!(value(&browser, &host(&world, "canteen"), BINDING), None, "nobody asked for it there");
    browser.navigate(&world.wiki("/cdn-cgi/access/logout/app")).await.unwrap();
    assert_eq!(value(&browser, &wiki, BINDING), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_before_a_binding_was_asked_for_is_begun_anew() {
    let mut world = World::start().await;
    let browser = logged_in(&world).await;
    let mut bound = world.settings.clone();
    bound.applications[0].extra = "binding_cookie = true\n".to_owned();
    world.gateway.replace_config(&bound.toml());
    world.gateway.hang_up();
    logged(&world.gateway, "the configuration was reloaded", 1).await;
    assert_eq!(status(&world, &browser).await, 401);
    assert_eq!(browser.navigate(&world.wiki("/")).await.unwrap().status, 200);
    assert_eq!(status(&world, &browser).await, 200);
    assert_eq!(count(&world.gateway, "logged in"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t60_a_hand_over_is_used_once_and_where_it_was_asked_for() {
    let world = World::start().await;
    let browser = world.browser();
    let page = browser.log_in(&world.wiki("/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    let hop = page.chain.iter().find(|hop| hop.url.path().ends_with("/authorized")).unwrap();
    let used = hop.url.to_string();
    assert_eq!(hop.status, 303, "{}", page.trail());
    let again = browser.navigate(&used).await.unwrap();
    assert!(again.status == 400 && again.text().contains("login_stale"), "{}", again.trail());
    let elsewhere = world.browser().navigate(&used).await.unwrap();
    assert!(elsewhere.status == 400 && elsewhere.text().contains("login_stale"), "{}", elsewhere.trail());
    // One that is fresh opens nothing in a browser that did not ask for it, nor on another host.
    let fresh = fresh_hand_over(&world, &browser).await;
    let stolen = world.browser().navigate(&fresh).await.unwrap();
    assert!(stolen.status == 400 && stolen.text().contains("login_stale"), "{}", stolen.trail());
    let (wiki, canteen) = (host(&world, "wiki"), host(&world, "canteen"));
    let moved = browser.navigate(&fresh.replace(&wiki, &canteen)).await.unwrap();
    assert!(moved.status == 400 && moved.text().contains("login_stale"), "{}", moved.trail());
    assert_eq!(browser.navigate(&fresh).await.unwrap().status, 200, "what others tried spends nothing");
}

/// The address that a browser without a session on the wiki is led to by the auth host, which knows it.
async fn fresh_hand_over(world: &World, browser: &Browser) -> String {
    browser.navigate(&world.wiki("/cdn-cgi/access/logout/app")).await.unwrap();
    let mut next = world.wiki("/");
    for _ in 0..4 {
        let answer = browser.send(&Outgoing::navigation(&next).unwrap()).await.unwrap();
        next = answer.location().unwrap().to_string();
        if next.contains("/authorized") {
            return next;
        }
    }
    panic!("no hand-over came: {next}");
}
