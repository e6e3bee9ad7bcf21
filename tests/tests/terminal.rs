//! People at a terminal: the program's own `login`, `token`, `curl` and `logout` on real processes, by a browser here and by a code.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "test code"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Method;
use portcullis_tests::browser::{Browser, Form, Outgoing, Page};
use portcullis_tests::harness::Folder;
use portcullis_tests::harness::binary;
use portcullis_tests::harness::{Settings, World, WorldConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

const ENGINEER: &str = "engineer@corp.example";
const DEVELOPER: &str = "developer@corp.example";
const TERMINAL: &str = "/cdn-cgi/access/terminal";
const FORM: &str = "application/x-www-form-urlencoded";

/// Somebody's terminal.
struct Terminal {
    home: Folder,
    ca: PathBuf,
    wiki: String,
}

impl Terminal {
    fn of(world: &World) -> Self {
        let wiki = world.wiki("").trim_end_matches('/').to_owned();
        Self { home: Folder::temporary(), ca: world.gateway.ca_file(), wiki }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::portcullis());
        command.args(arguments).env("XDG_STATE_HOME", self.home.path()).env("SSL_CERT_FILE", &self.ca);
        command.env("CURL_CA_BUNDLE", &self.ca).env("BROWSER", "true").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a login; with the address or the code that it shows the person, on its second line.
    fn login(&self, arguments: &[&str]) -> (Child, String) {
        let mut arguments: Vec<&str> = arguments.to_vec();
        arguments.insert(0, "login");
        arguments.push(&self.wiki);
        let mut command = self.command(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = told.next().expect("the login says something").unwrap();
        let shown = told.next().unwrap_or_else(|| panic!("the login said only {first}")).unwrap();
        // What it says later is collected by whoever waits for its end.
        std::thread::spawn(move || told.for_each(|line| println!("the login: {line:?}")));
        (child, shown.trim().to_owned())
    }

    fn kept(&self) -> PathBuf {
        let folder = self.home.path().join("portcullis");
        fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
    }

    fn token(&self) -> String {
        let output = self.run(&["token", &self.wiki]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn ended(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

/// The answer that a page of ours sends on to the program.
fn onwards(page: &Page) -> Url {
    let html = page.text();
    let links = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let onwards = links.filter(|link| link.starts_with("http://127.0.0.1:")).last();
    onwards.unwrap_or_else(|| panic!("no way on in {html}")).replace("&amp;", "&").parse().unwrap()
}

async fn tell(address: &Url) -> String {
    let to = ("127.0.0.1", address.port().unwrap());
    let mut stream = tokio::net::TcpStream::connect(to).await.unwrap();
    let target = &address[url::Position::BeforePath..];
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut told = String::new();
    let _ = stream.read_to_string(&mut told).await;
    told
}

/// A person at the browser says yes to what the terminal shows.
async fn confirm(world: &World, browser: &Browser, terminal: &Terminal) -> Output {
    let (child, shown) = terminal.login(&[]);
    let page = browser.navigate(&shown).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert!(page.text().contains(ENGINEER) && page.text().contains("wiki.localhost"), "{}", page.text());
    let page = browser.submit(&page, &[("answer", "allow")]).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(tell(&onwards(&page)).await.contains("Back to the terminal"));
    let output = ended(child).await;
    assert!(output.status.success(), "{}\n{}", text(&output), world.gateway.log().text());
    output
}

/// With a session of the wiki to begin from.
async fn world() -> (World, Browser, Terminal) {
    let world = World::start().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let terminal = Terminal::of(&world);
    (world, browser, terminal)
}

async fn whoami(world: &World, token: &str) -> portcullis_tests::browser::Answer {
    let asked = Outgoing::script(Method::GET, &world.wiki("/whoami")).unwrap();
    world.browser().send(&asked.header("cf-access-token", token)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_at_a_terminal_and_the_drop_reaches_it() {
    let (world, browser, terminal) = world().await;
    confirm(&world, &browser, &terminal).await;
    let mode = fs::metadata(terminal.kept()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let token = terminal.token();
    assert_eq!(whoami(&world, &token).await.json()["email"], ENGINEER);
    let output = terminal.run(&["curl", "--silent", "--show-error", &world.wiki("/whoami")]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    assert_eq!(told["email"], ENGINEER);
    // What shows who one is goes to the gateway, and no further.
    let sent = String::from_utf8_lossy(&world.upstream.recorder().raw_received_for("/whoami")).into_owned();
    assert!(!sent.contains(&token) && !sent.to_ascii_lowercase().contains("cf-access-token"), "{sent}");
    assert!(!world.gateway.log().text().contains(&token), "the token stands in the log");

    let dropped = world.deactivate(ENGINEER).await;
    let answer = whoami(&world, &token).await;
    assert!(answer.is_refusal(), "still {}", answer.status);
    assert_eq!(world.upstream.recorder().bytes_after(ENGINEER, dropped), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_without_a_browser_shows_a_code() {
    let (world, browser, terminal) = world().await;
    let (child, code) = terminal.login(&["--device"]);
    let page = browser.navigate(&world.wiki("/cdn-cgi/access/device")).await.unwrap();
    let wrong = browser.submit(&page, &[("user_code", "BBBB-BBBB")]).await.unwrap();
    assert_eq!(wrong.status, 404);
    let page = browser.submit(&page, &[("user_code", &code.to_lowercase())]).await.unwrap();
    assert!(page.text().contains(&code) && page.text().contains("127.0.0.1"), "{}", page.text());
    let answered = browser.submit(&page, &[("answer", "allow")]).await.unwrap();
    assert_eq!(answered.status, 200, "{}", answered.text());
    let output = ended(child).await;
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(whoami(&world, &terminal.token()).await.json()["email"], ENGINEER);
    // Answered is answered.
    assert_eq!(browser.submit(&page, &[("answer", "allow")]).await.unwrap().status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_is_told_to_the_program() {
    let (_world, browser, terminal) = world().await;
    let (child, shown) = terminal.login(&[]);
    let page = browser.navigate(&shown).await.unwrap();
    let page = browser.submit(&page, &[("answer", "deny")]).await.unwrap();
    tell(&onwards(&page)).await;
    let output = ended(child).await;
    assert!(!output.status.success(), "{}", text(&output));
    let output = terminal.run(&["token", &terminal.wiki]);
    assert!(!output.status.success() && text(&output).contains("portcullis login"), "{}", text(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_comes_first_where_there_is_none_and_leads_back_to_the_question() {
    let world = World::start().await;
    let terminal = Terminal::of(&world);
    let (mut child, shown) = terminal.login(&[]);
    let browser = world.browser();
    let page =
        browser.log_in(&shown, ENGINEER, portcullis_tests::okta::company::DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert!(page.text().contains("Let a program act as you?"), "{}", page.text());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_its_owner_s_word_and_with_the_login() {
    let (world, browser, terminal) = world().await;
    confirm(&world, &browser, &terminal).await;
    let first = terminal.token();
    let output = terminal.run(&["logout", &terminal.wiki]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(whoami(&world, &first).await.is_refusal());

    confirm(&world, &browser, &terminal).await;
    let second = terminal.token();
    assert_eq!(whoami(&world, &second).await.status, 200);
    browser.navigate(&format!("{}/cdn-cgi/access/logout", world.settings.auth_url())).await.unwrap();
    assert!(whoami(&world, &second).await.is_refusal(), "the token outlives the login");
}

#[tokio::test(flavor = "multi_thread")]
async fn t77_a_token_is_worth_nothing_as_a_cookie_nor_on_another_host_nor_the_other_way_round() {
    let (world, browser, terminal) = world().await;
    confirm(&world, &browser, &terminal).await;
    let token = terminal.token();
    let bare = token.strip_prefix("pct_").unwrap();
    let cookie = |value: &str| format!("__Host-portcullis={value}");
    let ask = async |url: &str, name: &'static str, value: &str| {
        let asked = Outgoing::script(Method::GET, url).unwrap().header(name, value);
        world.browser().send(&asked).await.unwrap().status.as_u16()
    };
    let wiki = world.wiki("/whoami");
    for value in [token.as_str(), bare] {
        assert_eq!(ask(&wiki, "cookie", &cookie(value)).await, 401, "taken for a browser's");
    }
    let canteen = format!("{}/", world.settings.application_url("canteen"));
    assert_eq!(ask(&canteen, "cf-access-token", &token).await, 401);
    let session = browser.jar().of_host("wiki.localhost").into_iter().find(|c| c.name == "__Host-portcullis");
    let session = session.unwrap().value;
    for value in
        [session.clone(), format!("pct_{session}"), String::new(), "pct_".to_owned(), format!("{token}A")]
    {
        assert_eq!(ask(&wiki, "cf-access-token", &value).await, 401, "taken for a terminal's");
    }
    // A spoilt token is not made good by the cookie beside it.
    let both = Outgoing::script(Method::GET, &wiki).unwrap().header("cf-access-token", "pct_wrong");
    assert_eq!(browser.send(&both).await.unwrap().status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn t81_a_cookie_and_a_token_of_two_people_are_refused() {
    let (world, browser, terminal) = world().await;
    confirm(&world, &browser, &terminal).await;
    let token = terminal.token();
    let asked =
        Outgoing::script(Method::GET, &world.wiki("/whoami")).unwrap().header("cf-access-token", &token);
    assert_eq!(browser.send(&asked).await.unwrap().status, 200, "the same person by both");
    let (other, page) = world.logged_in(DEVELOPER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let answer = other.send(&asked).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.json()["error"].as_str()),
        (400, Some("credentials_disagree"))
    );
}

/// The question, as a program would put it that is not ours.
fn question(world: &World, state: &str, verifier: &str) -> String {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    world.wiki(&format!(
        "{TERMINAL}?port=9&state={state}&name=%3Cscript%3E&code_challenge={challenge}&code_challenge_method=S256"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_redeemed_once_and_by_whoever_knows_the_verifier() {
    let (world, browser, _terminal) = world().await;
    let verifier = "v".repeat(43);
    let code = async || {
        let page = browser.navigate(&question(&world, "s", &verifier)).await.unwrap();
        assert!(!page.text().contains("<script"), "{}", page.text());
        let page = browser.submit(&page, &[("answer", "allow")]).await.unwrap();
        onwards(&page).query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
    };
    let redeem = async |code: &str, verifier: &str, host: &str| {
        let body = format!("grant_type=authorization_code&code={code}&code_verifier={verifier}");
        world.browser().post(&format!("{host}/cdn-cgi/access/token"), FORM, body).await.unwrap()
    };
    let wiki = world.wiki("").trim_end_matches('/').to_owned();
    let first = code().await;
    assert_eq!(
        redeem(&first, &verifier, &world.settings.application_url("canteen")).await.json()["error"],
        "invalid_grant"
    );
    assert_eq!(redeem(&first, &verifier, &wiki).await.status, 200);
    assert_eq!(redeem(&first, &verifier, &wiki).await.json()["error"], "invalid_grant");
    // A wrong verifier spends the code.
    let second = code().await;
    assert_eq!(redeem(&second, &"w".repeat(43), &wiki).await.json()["error"], "invalid_grant");
    assert_eq!(redeem(&second, &verifier, &wiki).await.json()["error"], "invalid_grant");
    // A code that was redeemed in vain because its login ended meanwhile.
    let third = code().await;
    browser.navigate(&format!("{}/cdn-cgi/access/logout", world.settings.auth_url())).await.unwrap();
    assert_eq!(redeem(&third, &verifier, &wiki).await.json()["error"], "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_answers_for_somebody_else() {
    let (world, browser, _terminal) = world().await;
    let page = browser.navigate(&question(&world, "s", &"v".repeat(43))).await.unwrap();
    let form = Form::first(&page.text()).unwrap();
    let sealed = form.fields.iter().find(|field| field.name == "question").unwrap().value.clone();
    let body = format!("question={sealed}&answer=allow");
    let url = page.url.to_string();
    let url = url.split('?').next().unwrap().to_owned();
    assert!(
        url.starts_with(&world.settings.auth_url()),
        "the question stands where scripts of the application run: {url}"
    );
    let post = |site: &str| {
        let asked = Outgoing::script(Method::POST, &url).unwrap().header("sec-fetch-mode", "navigate");
        asked.header("accept", "text/html").header("sec-fetch-site", site).body(FORM, body.clone())
    };
    // Another site cannot answer in the person's browser.
    assert_eq!(browser.send(&post("cross-site")).await.unwrap().status, 403);
    // Somebody else cannot answer with the person's question, nor somebody who is not logged in.
    let (other, _) = world.logged_in(DEVELOPER).await.unwrap();
    let answer = other.send(&post("same-origin")).await.unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(world.browser().send(&post("same-origin")).await.unwrap().status, 401);
    assert_eq!(browser.send(&post("same-site")).await.unwrap().status, 403, "a script of the application");
    // The person can, once.
    assert_eq!(browser.send(&post("same-origin")).await.unwrap().status, 200);
    assert_eq!(browser.send(&post("same-origin")).await.unwrap().status, 400);
    // A form over its size is not read.
    let long = Outgoing::script(Method::POST, &url)
        .unwrap()
        .header("sec-fetch-site", "same-origin")
        .body(FORM, format!("question={}", "x".repeat(20_000)));
    assert_eq!(browser.send(&long).await.unwrap().status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_may_give_no_tokens() {
    let change = |settings: &mut Settings| settings.applications[0].extra.push_str("terminals = false\n");
    let world = World::with(WorldConfig { change, ..WorldConfig::default() }).await;
    let terminal = Terminal::of(&world);
    let output = terminal.run(&["login", "--device", &terminal.wiki]);
    assert!(!output.status.success() && text(&output).contains("terminal_off"), "{}", text(&output));
}
