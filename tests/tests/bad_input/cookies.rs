//! Cookies that are no session, or no longer, or not here: the way to the login, and not one byte for the upstream.

use std::time::Duration;

use http::Method;
use portcullis_tests::browser::{Browser, Outgoing, Versions};
use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;

use super::{ENGINEER, PATIENCE, SESSION, assert_login_works};

struct Rig {
    world: World,
    http1: Browser,
    http2: Browser,
    /// The wiki's session, and those of the login host and of the canteen.
    wiki: String,
    auth: String,
    canteen: String,
}

impl Rig {
    async fn start() -> Self {
        let world = World::start().await;
        let browser = assert_login_works(&world).await;
        let canteen = format!("{}/", world.settings.application_url("canteen"));
        assert_eq!(browser.navigate(&canteen).await.unwrap().status, 200);
        let token = |host: &str| {
            let cookies = browser.jar().of_host(host);
            cookies.iter().find(|cookie| cookie.name == SESSION).unwrap().value.clone()
        };
        let (wiki, auth, canteen) =
            (token("wiki.localhost"), token("auth.localhost"), token("canteen.localhost"));
        let http1 = Browser::speaking(&world.gateway.ca_pem(), Versions::Http1);
        let http2 = Browser::speaking(&world.gateway.ca_pem(), Versions::Http2);
        Self { world, http1, http2, wiki, auth, canteen }
    }

    /// A page navigation is sent to log in, a script is told so, over both versions of HTTP; nothing reaches the upstream.
    async fn assert_nobody(&self, what: &str, cookies: &[String]) {
        self.world.upstream.recorder().clear();
        let url = self.world.wiki("/whoami");
        for browser in [&self.http1, &self.http2] {
            for (outgoing, expected) in [
                (Outgoing::navigation(&url).unwrap(), 303),
                (Outgoing::script(Method::GET, &url).unwrap(), 401),
            ] {
                let outgoing = cookies.iter().fold(outgoing, |it, line| it.header("cookie", line));
                let answer = browser.another_profile().send(&outgoing).await.unwrap();
                assert_eq!(answer.status.as_u16(), expected, "{what}: {}", answer.text());
                if expected == 401 {
                    assert_eq!(answer.json()["error"], "login_required", "{what}");
                    let login =
                        format!("{}/cdn-cgi/access/login/wiki.localhost", self.world.settings.auth_url());
                    assert!(answer.header("www-authenticate").contains(&login), "{what}");
                }
            }
        }
        let seen = self.world.upstream.recorder().all();
        assert!(seen.is_empty(), "{what}: {seen:?} reached the upstream");
    }

    async fn assert_good(&self) {
        for browser in [&self.http1, &self.http2] {
            let outgoing = Outgoing::script(Method::GET, &self.world.wiki("/whoami")).unwrap();
            let outgoing = outgoing.header("cookie", &session(&self.wiki));
            let answer = browser.another_profile().send(&outgoing).await.unwrap();
            assert_eq!((answer.status.as_u16(), &answer.json()["email"]), (200, &ENGINEER.into()));
        }
    }
}

fn session(token: &str) -> String {
    format!("{SESSION}={token}")
}

/// T58, T74, T76, T77
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_session_of_this_host_is_nobody() {
    let rig = Rig::start().await;
    let token = rig.wiki.as_str();
    rig.assert_good().await;
    let one = |line: String| vec![line];
    let cases = [
        ("forged", one(session(&"A".repeat(43)))),
        ("empty", one(session(""))),
        ("truncated at the end", one(session(&token[..42]))),
        ("truncated at the start", one(session(&token[1..]))),
        ("one too many", one(session(&format!("{token}A")))),
        ("padded", one(session(&format!("{token}=")))),
        ("quoted", one(session(&format!("\"{token}\"")))),
        ("in another case", one(session(&token.to_ascii_uppercase()))),
        ("under another name", one(format!("{}={token}", SESSION.to_ascii_lowercase()))),
        ("under a longer name", one(format!("{SESSION}-x={token}"))),
        ("twice in one line", one(format!("{}; {}", session(token), session(token)))),
        ("twice in two lines", vec![session(token), session(token)]),
        ("after a forged one", one(format!("{}; {}", session(&"A".repeat(43)), session(token)))),
        ("before a forged one", one(format!("{}; {}", session(token), session(&"A".repeat(43))))),
        ("the login host's", one(session(&rig.auth))),
        ("another application's", one(session(&rig.canteen))),
        ("20 kB", one(session(&"A".repeat(20_000)))),
    ];
    for (what, lines) in &cases {
        rig.assert_nobody(what, lines).await;
    }
    // And the other way round: an application's session says nothing on the login host.
    let url = format!("{}/cdn-cgi/access/get-identity", rig.world.settings.auth_url());
    for (token, expected) in [(&rig.wiki, 401), (&rig.canteen, 401), (&rig.auth, 200)] {
        let outgoing = Outgoing::script(Method::GET, &url).unwrap().header("cookie", &session(token));
        assert_eq!(rig.http1.another_profile().send(&outgoing).await.unwrap().status.as_u16(), expected);
    }
    rig.assert_good().await;
}

/// T74: each character of the token counts, the last one too.
#[tokio::test(flavor = "multi_thread")]
async fn t74_a_token_with_one_flipped_character_is_nobody() {
    let rig = Rig::start().await;
    for position in 0..rig.wiki.len() {
        let mut flipped = rig.wiki.clone().into_bytes();
        // The neighbour in the alphabet, which in the last place differs in unused bits alone.
        flipped[position] = match flipped[position] {
            b'Z' | b'z' | b'9' | b'-' | b'_' => b'A',
            other => other + 1,
        };
        let flipped = String::from_utf8(flipped).unwrap();
        rig.assert_nobody(&format!("flipped at {position}"), &[session(&flipped)]).await;
    }
    rig.assert_good().await;
}

/// T58: larger than a head may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_a_megabyte_is_refused_by_its_size() {
    let rig = Rig::start().await;
    rig.world.upstream.recorder().clear();
    let url = rig.world.wiki("/whoami");
    for (size, expected) in [(70_000, 431), (1_000_000, 431), (20_000, 401)] {
        let request = format!(
            "GET /whoami HTTP/1.1\r\nHost: wiki.localhost:{}\r\nCookie: {}; a={}\r\n\r\n",
            rig.world.settings.port,
            session(&"A".repeat(43)),
            "b".repeat(size)
        );
        let answer = rig.http1.raw(&url, request.as_bytes()).await.unwrap();
        assert_eq!(Browser::raw_status(&answer), expected, "{size}: {}", String::from_utf8_lossy(&answer));
    }
    // With a good session it is no better; HTTP/2 may refuse by a status or by closing the stream.
    let outgoing = Outgoing::script(Method::GET, &url).unwrap();
    let outgoing = outgoing.header("cookie", &format!("{}; a={}", session(&rig.wiki), "b".repeat(1_000_000)));
    let answer = rig.http2.another_profile().send(&outgoing).await;
    assert!(answer.as_ref().is_err() || answer.as_ref().is_ok_and(|a| a.status == 431), "{answer:?}");
    assert!(rig.world.upstream.recorder().all().is_empty(), "something reached the upstream");
    rig.assert_good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_is_nobody_and_its_streams_end() {
    let world = World::with(WorldConfig {
        change: |settings| settings.extra = "[session]\nduration = \"5s\"\n".to_owned(),
        ..WorldConfig::default()
    })
    .await;
    let browser = assert_login_works(&world).await;
    let cookies = browser.jar().header(&world.wiki("/").parse().unwrap()).unwrap();
    let mut socket = browser.websocket(&world.wiki("/ws/clock")).await.unwrap();
    let mut events = browser.event_stream(&world.wiki("/events")).await.unwrap();
    assert!(socket.next().await.is_some());
    assert!(events.next().await.unwrap().is_some());
    let closing = tokio::time::timeout(PATIENCE, socket.closed()).await;
    assert!(closing.is_ok(), "the socket outlived its session");
    let ended = tokio::time::timeout(PATIENCE, events.ended()).await;
    assert!(ended.is_ok(), "the events outlived their session");
    // What runs on an expired session is looked for each second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.upstream.recorder().clear();
    let thief = world.browser();
    for (outgoing, expected) in [
        (Outgoing::navigation(&world.wiki("/whoami")).unwrap(), 303),
        (Outgoing::script(Method::GET, &world.wiki("/whoami")).unwrap(), 401),
    ] {
        let answer = thief.another_profile().send(&outgoing.header("cookie", &cookies)).await.unwrap();
        assert_eq!(answer.status.as_u16(), expected, "{}", answer.text());
    }
    let late = world.upstream.recorder().all();
    assert!(
        late.iter().all(|chunk| chunk.direction != portcullis_tests::upstream::Direction::Received),
        "{late:?}"
    );
    // The provider still knows the person, so that logging in again takes no password.
    let page = browser.navigate(&world.wiki("/whoami")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let again = browser.log_in(&world.wiki("/whoami"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert_eq!(again.status, 200, "{}", again.trail());
}
