//! Nothing secret is told: after logins, refusals, provisioning and failures of every kind, at the most talkative log level, no
//! secret and no token that was in play stands in a log, on a page, in what commands print, or in clear in the store.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use http::Method;
use portcullis_tests::browser::{Browser, Outgoing, Page};
use portcullis_tests::harness::{Folder, Settings, World, WorldConfig, binary};
use portcullis_tests::okta::company::{COLLECTOR, DEMO_PASSWORD};
use portcullis_tests::okta::{Endpoint, Fault, Rotation, Spoil};
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const DEVELOPER: &str = "developer@corp.example";
const DESIGNER: &str = "designer@corp.example";
const PATIENCE: Duration = Duration::from_secs(30);
/// What is shorter stands somewhere by chance.
const SHORTEST: usize = 12;
const PLANTED: &str = "planted-secret-of-no-worth";

/// What must not be told, by its value, and what it is.
type Secrets = BTreeMap<String, String>;
/// Where it is looked for, by name.
type Haystacks = BTreeMap<String, String>;

/// Everybody who takes part, and what they saw.
struct Scene {
    world: World,
    secrets: Secrets,
    pages: Haystacks,
    browsers: Vec<Browser>,
}

impl Scene {
    async fn start() -> Self {
        let change = |settings: &mut Settings| {
            settings.extra = "[session]\nrenew_every = \"2s\"\n[log]\nlevel = \"debug\"\n".to_owned();
            settings.provider_extra = "end_provider_session = true\nrefresh = true".to_owned();
            settings.applications[1].extra =
                "[application.headers]\n\"X-Upstream-Secret\" = { env = \"OKTA_API_TOKEN\" }\n".to_owned();
        };
        let world = World::with(WorldConfig { change, ..WorldConfig::default() }).await;
        world.okta.rotate_refresh_tokens(Rotation::SingleUse);
        Self { world, secrets: Secrets::new(), pages: Haystacks::new(), browsers: Vec::new() }
    }

    fn secret(&mut self, what: &str, value: &str) {
        if value.len() >= SHORTEST {
            self.secrets.insert(value.to_owned(), what.to_owned());
        }
    }

    /// Remembers a page of ours, and what the addresses on the way to it held.
    fn saw(&mut self, what: &str, page: &Page) {
        // What an application makes of its own headers is its own affair.
        if page.url.path().starts_with("/cdn-cgi/access/") || page.status.as_u16() >= 400 {
            let number = self.pages.len();
            self.pages.insert(format!("page {number}: {what}"), page.text());
        }
        for hop in &page.chain {
            let is_ours = hop.url.path().starts_with("/cdn-cgi/access/");
            for (name, value) in hop.url.query_pairs().filter(|_| is_ours) {
                self.secret(&format!("`{name}` in the address of {}", hop.url.path()), &value);
            }
        }
    }

    async fn log_in(&mut self, what: &str, person: &str, application: &str) -> Browser {
        let browser = self.world.browser();
        let url = format!("{}/", self.world.settings.application_url(application));
        if let Ok(page) = browser.log_in(&url, person, DEMO_PASSWORD).await {
            println!("{what}: {} {}", page.status, page.url.path());
            self.saw(what, &page);
        }
        self.browsers.push(browser.clone());
        browser
    }

    async fn visit(&mut self, what: &str, browser: &Browser, url: &str) {
        let page = browser.navigate(url).await.unwrap();
        println!("{what}: {} {}", page.status, page.url.path());
        self.saw(what, &page);
    }

    /// Sessions are renewed: well, and by a provider that repeats the refresh token in its error.
    async fn renewals(&mut self) {
        let browser = self.log_in("a login to be renewed", DEVELOPER, "wiki").await;
        let whoami = self.world.wiki("/whoami");
        for fault in [None, Some(Fault::Echo)] {
            if let Some(fault) = fault {
                self.world.okta.misbehave(Endpoint::Token, fault);
            }
            let (before, until) = (self.world.okta.requests(Endpoint::Token), Instant::now() + PATIENCE);
            while self.world.okta.requests(Endpoint::Token) == before {
                assert!(Instant::now() < until, "nothing is renewed");
                let _ = browser.fetch(&whoami).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        self.world.okta.behave(Some(Endpoint::Token));
    }

    /// People come and go.
    async fn sessions(&mut self) {
        let settings = &self.world.settings;
        let (wiki, canteen, auth) =
            (settings.application_url("wiki"), settings.application_url("canteen"), settings.auth_url());
        let engineer = self.log_in("a login", ENGINEER, "wiki").await;
        self.visit("a second application", &engineer, &format!("{canteen}/whoami")).await;
        for base in [&wiki, &auth] {
            self.visit("who somebody is", &engineer, &format!("{base}/cdn-cgi/access/get-identity")).await;
        }
        self.visit("the keys", &engineer, &format!("{auth}/cdn-cgi/access/certs")).await;
        self.visit("a sign-out of one application", &engineer, &format!("{wiki}/cdn-cgi/access/logout/app"))
            .await;
        self.visit("a sign-out", &engineer, &format!("{auth}/cdn-cgi/access/logout")).await;
        self.log_in("somebody who is denied", DESIGNER, "wiki").await;
        self.log_in("groups by the API", COLLECTOR, "wiki").await;
        let deactivated = self.log_in("a login before a deactivation", ENGINEER, "canteen").await;
        self.world.deactivate(ENGINEER).await;
        self.visit("after a deactivation", &deactivated, &format!("{canteen}/")).await;
        self.log_in("somebody deactivated", ENGINEER, "wiki").await;
    }

    /// What forged or doubled requests are answered with.
    async fn forgeries(&mut self) {
        let auth = self.world.settings.auth_url();
        let (wiki, scim) = (self.world.wiki("/"), format!("{}/Users", self.world.scim_url()));
        let browser = self.log_in("a login to be replayed", "admin@corp.example", "canteen").await;
        let replayed =
            self.secrets.iter().filter(|(_, what)| what.contains("callback") || what.contains("authorized"));
        let replayed: Vec<String> = replayed.map(|(value, _)| value.clone()).take(8).collect();
        for value in replayed {
            for path in ["callback?code=x&state=", "authorized?code="] {
                let url = format!("{auth}/cdn-cgi/access/{path}{value}");
                self.visit("a replay", &browser, &url).await;
            }
        }
        browser.jar().tamper("canteen.localhost", |value| format!("A{value}"));
        self.visit("a forged cookie", &browser, &self.world.settings.application_url("canteen")).await;
        for authorization in ["Bearer wrong-key-of-no-worth-at-all", "Basic d3Jvbmc6a2V5LW9mLW5vLXdvcnRo"] {
            self.secret("a wrong key", authorization.split_once(' ').unwrap().1);
            let asked = Outgoing::script(Method::GET, &scim).unwrap().header("authorization", authorization);
            let answer = browser.send(&asked).await.unwrap();
            assert_eq!(answer.status, 401);
            let number = self.pages.len();
            self.pages.insert(format!("page {number}: a refused key"), answer.text());
        }
        let stranger = self.world.browser();
        let answer = stranger.fetch(&wiki).await.unwrap();
        self.pages.insert("page: a program without a session".to_owned(), answer.text());
    }

    /// Services, and somebody at a terminal.
    async fn programs(&mut self) {
        let (wiki, canteen) = (self.world.wiki("/whoami"), self.world.settings.application_url("canteen"));
        for arguments in [["service-token", "create", "ci"], ["service-token", "rotate", "ci"]] {
            let output = self.world.gateway.command(&arguments);
            assert!(output.status.success(), "{output:?}");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let shown = |name: &str| {
                let line = said.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_else(|| panic!("no {name} in {said}")).trim().to_owned()
            };
            let (id, secret) = (shown("CF-Access-Client-Id:"), shown("CF-Access-Client-Secret:"));
            self.secret("a service token", &secret);
            for secret in [secret.clone(), format!("{secret}A")] {
                for url in [&wiki, &canteen] {
                    let asked =
                        Outgoing::script(Method::GET, url).unwrap().header("cf-access-client-id", &id);
                    let asked = asked.header("cf-access-client-secret", &secret);
                    let answer = self.world.browser().send(&asked).await.unwrap();
                    println!("a service token: {}", answer.status);
                    if answer.status.as_u16() >= 400 {
                        let number = self.pages.len();
                        self.pages.insert(format!("page {number}: a service token"), answer.text());
                    }
                }
            }
        }
        self.terminal().await;
    }

    async fn terminal(&mut self) {
        let home = Folder::temporary();
        let wiki = self.world.settings.application_url("wiki");
        let command = |arguments: &[&str]| {
            let mut command = Command::new(binary::portcullis());
            command.args(arguments).arg(&wiki).env("XDG_STATE_HOME", home.path()).stdin(Stdio::null());
            command.env("SSL_CERT_FILE", self.world.gateway.ca_file()).env("BROWSER", "true");
            command
        };
        let browser = self.world.browser();
        browser.log_in(&wiki, DEVELOPER, DEMO_PASSWORD).await.unwrap();
        let mut login =
            command(&["login", "--device"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(login.stderr.take().unwrap()).lines();
        let code = said.by_ref().nth(1).unwrap().unwrap();
        let page = browser.navigate(&format!("{wiki}/cdn-cgi/access/device")).await.unwrap();
        let page = browser.submit(&page, &[("user_code", code.trim())]).await.unwrap();
        let page = browser.submit(&page, &[("answer", "allow")]).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.text());
        let (rest, login) = tokio::task::spawn_blocking(move || {
            let rest: Vec<String> = said.map_while(Result::ok).collect();
            (rest, login.wait_with_output().unwrap())
        })
        .await
        .unwrap();
        assert!(login.status.success(), "{rest:?}");
        let token = String::from_utf8(command(&["token"]).output().unwrap().stdout).unwrap();
        self.secret("a token of a terminal", token.trim());
        for token in [token.trim().to_owned(), format!("{}A", token.trim())] {
            let asked = Outgoing::script(Method::GET, &format!("{wiki}/whoami")).unwrap();
            let answer = self.world.browser().send(&asked.header("cf-access-token", &token)).await.unwrap();
            println!("a token of a terminal: {}", answer.status);
        }
        self.pages.insert("page: what a terminal is told".to_owned(), rest.join("\n"));
        self.saw("what a terminal may do", &page);
        self.browsers.push(browser);
    }

    /// A provider that fails in every way, and one that repeats our secrets in its errors.
    async fn failures(&mut self) {
        for spoil in
            [Spoil::AlgNone, Spoil::BrokenSignature, Spoil::Expired, Spoil::WrongNonce, Spoil::Replayed]
        {
            self.world.okta.spoil_id_tokens(Some(spoil));
            self.log_in(&format!("{spoil:?}"), COLLECTOR, "wiki").await;
        }
        self.world.okta.spoil_id_tokens(None);
        for endpoint in [Endpoint::Token, Endpoint::UserGroups] {
            for fault in [
                Fault::Echo,
                Fault::Garbage,
                Fault::Status(401),
                Fault::Status(500),
                Fault::Blocked,
                Fault::CutBody,
            ] {
                self.world.okta.misbehave(endpoint, fault);
                self.log_in(&format!("{endpoint:?} {fault:?}"), COLLECTOR, "wiki").await;
                self.world.okta.behave(Some(endpoint));
            }
        }
    }

    /// What an operator does meanwhile.
    async fn operations(&mut self) {
        for arguments in
            [&["check"][..], &["scim", "key", "list"], &["keys", "rotate", "--now"], &["keys", "list"]]
        {
            let output = self.world.gateway.command(arguments);
            let said = [output.stdout, output.stderr].concat();
            self.pages.insert(
                format!("what `{}` prints", arguments.join(" ")),
                String::from_utf8_lossy(&said).into_owned(),
            );
        }
        let wrong = self.world.settings.toml().replace("listen = ", "lisen = ");
        self.world.gateway.replace_config(&wrong);
        self.world.gateway.hang_up();
        let refused = |event: &Value| event.to_string().contains("was not reloaded");
        assert!(self.world.gateway.log().wait_for(PATIENCE, refused).await.is_some());
    }

    /// Everything that was in play, from the records of those who took part.
    fn collect(&mut self) {
        for confided in self.world.okta.confided() {
            self.secret(confided.what, &confided.value);
            // Part of a token is as bad as the whole; its head is the same for all.
            for part in confided.value.split('.').skip(1) {
                self.secret(&format!("a part of {}", confided.what), part);
            }
        }
        for cookie in self.browsers.iter().flat_map(|browser| browser.jar().ever()).collect::<Vec<_>>() {
            if cookie.name.starts_with("__Host-portcullis") {
                self.secret(&format!("the cookie {}", cookie.name), &cookie.value);
            }
        }
        let received: Vec<u8> = {
            let chunks = self.world.upstream.recorder().all();
            chunks.into_iter().filter_map(|chunk| chunk.bytes).flatten().collect()
        };
        for line in String::from_utf8_lossy(&received).lines() {
            if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("cf-access-jwt-assertion")
            {
                self.secret("an assertion", value);
            }
        }
        let settings = self.world.settings.clone();
        for (what, value) in [
            ("the client's secret", settings.client_secret.unwrap()),
            ("the API token", settings.api_token.unwrap()),
            ("the SCIM key", self.world.scim_key.clone()),
            ("the password", DEMO_PASSWORD.to_owned()),
        ] {
            self.secret(what, &value);
        }
        let key_file = fs::read_to_string(self.world.gateway.folder().join("portcullis.db.key")).unwrap();
        self.secret("the key file", key_file.trim());
    }

    /// Everything that could tell: pages, prints, logs, and every file beside the store but the key itself.
    fn haystacks(&self) -> Haystacks {
        let mut all = self.pages.clone();
        all.insert("the log".to_owned(), self.world.gateway.log().text());
        all.insert("what is written to standard error".to_owned(), self.world.gateway.errors().text());
        for entry in fs::read_dir(self.world.gateway.folder()).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() && !name.ends_with(".key") {
                all.insert(
                    format!("the file {name}"),
                    String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned(),
                );
            }
        }
        all
    }
}

/// Each secret that stands somewhere, as it is or percent-encoded, and where.
fn found(secrets: &Secrets, haystacks: &Haystacks) -> Vec<String> {
    let mut found = Vec::new();
    for (value, what) in secrets {
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        for (name, haystack) in haystacks {
            if haystack.contains(value) || haystack.contains(&encoded) {
                found.push(format!("{what} stands in {name}"));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn t70_t78_no_secret_and_no_token_is_told_anywhere() {
    let mut scene = Scene::start().await;
    scene.renewals().await;
    scene.sessions().await;
    scene.forgeries().await;
    scene.programs().await;
    scene.failures().await;
    scene.operations().await;
    scene.collect();
    let haystacks = scene.haystacks();
    for what in [
        "id_token",
        "refresh_token",
        "access_token",
        "code_verifier",
        "nonce",
        "state",
        "code",
        "an assertion",
        "authorization",
        "a service token",
        "a token of a terminal",
    ] {
        assert!(scene.secrets.values().any(|known| known == what), "no {what} was in play");
    }
    for what in [
        "__Host-portcullis",
        "__Host-portcullis-login",
        "__Host-portcullis-return",
        "address of /cdn-cgi/access/authorized",
    ] {
        assert!(scene.secrets.values().any(|known| known.contains(what)), "no {what} was in play");
    }
    for name in ["the file portcullis.db", "the file portcullis.db-wal", "the log"] {
        assert!(haystacks.get(name).is_some_and(|bytes| bytes.len() > 1_000), "{name} holds nothing");
    }
    assert!(
        scene.world.gateway.log().text().contains("\"level\":\"DEBUG\""),
        "the log does not tell all it could"
    );
    println!("{} secrets, {} places", scene.secrets.len(), haystacks.len());
    let told = found(&scene.secrets, &haystacks);
    assert!(told.is_empty(), "{told:#?}");

    // The search itself is tried: what is planted in any one place is found there.
    let planted = Secrets::from([(PLANTED.to_owned(), "planted".to_owned())]);
    for (name, text) in haystacks {
        let place = Haystacks::from([(name.clone(), text + PLANTED)]);
        assert_eq!(found(&planted, &place), [format!("planted stands in {name}")]);
    }
}
