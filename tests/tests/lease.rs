//! A gateway that may not serve since its lease of the store is over: it was stopped for longer than that lasts, and goes on while the store
//! takes no write. What it says at each door, what it lets through, and what becomes of a connection that was told something before. Several
//! processes under load are left to `faults`.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::Method;
use portcullis_tests::browser::{Browser, Outgoing};
use portcullis_tests::harness::{ApplicationSettings, Settings, World, WorldConfig};
use rusqlite::Connection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const ENGINEER: &str = "engineer@corp.example";
const OTHER: &str = "contractor@corp.example";
const PATIENCE: Duration = Duration::from_secs(60);
/// A little longer than a lease lasts.
const STANDSTILL: Duration = Duration::from_millis(10_500);
const PROOF: &str = "x-portcullis-forward-auth";
const SECRET: &str = "demo-forward-auth";
const WITHOUT_A_LEASE: &str = "lease_lost";

fn doors(settings: &mut Settings) {
    settings.server_extra = "forward_auth_from = [\"127.0.0.2\"]\n\
                             forward_auth_secret = { env = \"FORWARD_AUTH_SECRET\" }\n"
        .to_owned();
    settings.secrets.push(("FORWARD_AUTH_SECRET".to_owned(), SECRET.to_owned()));
    settings.applications[0].extra = "forward_auth = true\n".to_owned();
    let upstream = settings.applications[0].upstream.clone();
    settings.applications.push(ApplicationSettings::new("open", &upstream, "open"));
    settings.policies +=
        "[[policy]]\nname = \"open\"\naction = \"bypass\"\ninclude = [{ everyone = true }]\n";
}

/// Nobody else writes while it lives.
fn hold_the_store(world: &World) -> Connection {
    let held = Connection::open(world.gateway.folder().join("portcullis.db")).unwrap();
    held.busy_timeout(PATIENCE).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    held
}

/// The fields by which another proxy asks whether somebody may pass.
fn question(world: &World, cookies: &str) -> Vec<(&'static str, String)> {
    let fields = [
        (PROOF, SECRET.to_owned()),
        ("x-forwarded-for", "203.0.113.7".to_owned()),
        ("x-forwarded-method", "GET".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
        ("x-forwarded-host", format!("wiki.localhost:{}", world.settings.port)),
        ("x-forwarded-uri", "/whoami".to_owned()),
        ("cookie", cookies.to_owned()),
    ];
    fields.to_vec()
}

/// A request on a connection that is kept.
fn kept_request(url: &str, fields: &[(&'static str, String)]) -> String {
    let url: url::Url = url.parse().unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {} HTTP/1.1\r\nhost: {host}:{port}\r\n{fields}\r\n", url.path())
}

/// A connection on which something was told of somebody.
struct Told<S> {
    what: &'static str,
    stream: S,
    request: String,
}

async fn told(
    what: &'static str,
    browser: &Browser,
    url: &str,
    fields: &[(&'static str, String)],
) -> Told<impl AsyncRead + AsyncWrite + Unpin> {
    let request = kept_request(url, fields);
    let mut stream = browser.raw_connection(url).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut answer, mut space) = (Vec::new(), vec![0; 64 * 1024]);
    // Heads and bodies of these answers are small; what is left of one is read by whoever waits for the next byte.
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        let len = tokio::time::timeout(PATIENCE, stream.read(&mut space)).await.unwrap().unwrap();
        assert!(len > 0, "{what}: the connection was closed");
        answer.extend_from_slice(&space[..len]);
    }
    assert_eq!(Browser::raw_status(&answer), 200, "{what}");
    // The rest of the body.
    while let Ok(read) = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut space)).await {
        assert!(read.unwrap() > 0, "{what}: the connection was closed");
    }
    Told { what, stream, request }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Told<S> {
    async fn ask_again(&mut self) {
        // On a connection that was cut already this fails, and the end is found below.
        let _ = self.stream.write_all(self.request.as_bytes()).await;
    }

    async fn ends_without_a_word(&mut self) {
        let mut space = [0; 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut space)).await;
        match read.unwrap_or_else(|_| panic!("{}: the connection stays open", self.what)) {
            Ok(0) | Err(_) => {}
            Ok(len) => panic!("{}: told {:?}", self.what, String::from_utf8_lossy(&space[..len])),
        }
    }
}

async fn is_ready(world: &World, wanted: u16) -> String {
    let begun = Instant::now();
    loop {
        if let Ok((status, text)) = world.gateway.inner("/readyz").await
            && status == wanted
        {
            return text;
        }
        assert!(begun.elapsed() < PATIENCE, "never {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The same person, on connections that have carried nothing yet.
fn afresh(browser: &Browser) -> Browser {
    browser.clone().at_address(IpAddr::from([127, 0, 0, 1]))
}

/// Every way in, for somebody and for nobody.
async fn every_door_is_shut(world: &World, browser: &Browser, proxy: &Browser, cookies: &str) {
    let (wiki, auth) = (world.settings.application_url("wiki"), world.settings.auth_url());
    let (open, browser) = (world.settings.application_url("open"), afresh(browser));
    let somebodys = ["/whoami", "/cdn-cgi/access/get-identity"].map(|path| format!("{wiki}{path}"));
    let of_auth = ["requests", "logout"].map(|page| format!("{auth}/cdn-cgi/access/{page}"));
    let mut answers = Vec::new();
    for url in somebodys.iter().chain(&of_auth).chain([&format!("{open}/whoami")]) {
        answers.push((url.clone(), browser.fetch(url).await.unwrap()));
        answers.push((format!("nobody at {url}"), browser.another_profile().fetch(url).await.unwrap()));
    }
    let mut verify = Outgoing::script(Method::GET, &format!("{auth}/cdn-cgi/access/verify")).unwrap();
    for (name, value) in question(world, cookies) {
        verify = verify.header(name, &value);
    }
    answers.push(("verify".to_owned(), proxy.send(&verify).await.unwrap()));
    for (door, answer) in answers {
        assert_eq!(answer.status, 503, "{door}: {}", answer.text());
        assert!(answer.text().contains(WITHOUT_A_LEASE), "{door}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_lease_every_door_is_shut_and_nothing_passes() {
    let world = World::with(WorldConfig { change: doors, ..WorldConfig::default() }).await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let cookies = browser.jar().header(&world.wiki("/").parse().unwrap()).unwrap();
    let proxy = world.browser().at_address(IpAddr::from([127, 0, 0, 2]));
    let (identity, verify) = (
        world.wiki("/cdn-cgi/access/get-identity"),
        format!("{}/cdn-cgi/access/verify", world.settings.auth_url()),
    );
    let own = [("cookie", cookies.clone())];
    let asked = question(&world, &cookies);
    let mut meanwhile = [
        told("identity meanwhile", &browser, &identity, &own).await,
        told("verify meanwhile", &proxy, &verify, &asked).await,
    ];
    let mut afterwards = [
        told("identity afterwards", &browser, &identity, &own).await,
        told("verify afterwards", &proxy, &verify, &asked).await,
    ];
    let mut socket = browser.websocket(&world.wiki("/ws/echo")).await.unwrap();
    socket.send("at work").await.unwrap();
    assert_eq!(socket.next().await.as_deref(), Some("at work"));
    let recorder = world.upstream.recorder();
    assert!(recorder.of(ENGINEER).iter().any(|chunk| chunk.path.starts_with("/ws/echo")));

    let held = hold_the_store(&world);
    world.gateway.freeze();
    // What lies in its sockets when it goes on.
    for told in &mut meanwhile {
        told.ask_again().await;
    }
    socket.send("sent while it stood still").await.unwrap();
    tokio::time::sleep(STANDSTILL).await;
    let thawed = Instant::now();
    world.gateway.thaw();
    let okta = world.okta.org_handle();
    let pushing = tokio::spawn(async move { okta.deactivate(OTHER).await.unwrap() });
    assert!(is_ready(&world, 503).await.contains("lease"));
    every_door_is_shut(&world, &browser, &proxy, &cookies).await;
    let late = recorder.received_after(ENGINEER, thawed);
    assert!(late.is_empty(), "went on to the upstream: {} pieces", late.len());
    assert!(
        !pushing.is_finished() || !pushing.await.unwrap().last().unwrap().accepted(),
        "a push was acknowledged"
    );

    drop(held);
    is_ready(&world, 200).await;
    for told in &mut afterwards {
        told.ask_again().await;
    }
    for told in meanwhile.iter_mut().chain(&mut afterwards) {
        told.ends_without_a_word().await;
    }
    let answer = afresh(&browser).fetch(&world.wiki("/whoami")).await.unwrap();
    assert_eq!(answer.status, 200, "sessions are kept: {}", answer.text());
}
