//! What an allow asks for beyond its rules: a purpose, asked once in each login; access that an approver grants for a while, ends by itself
//! or at once, and dies with its person. And policies that only report.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::time::{Duration, Instant};

use http::Method;
use portcullis_tests::browser::{Browser, Form, Outgoing, Page, Socket};
use portcullis_tests::harness::{ApplicationSettings, Settings, World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const DESIGNER: &str = "designer@corp.example";
const ADMIN: &str = "admin@corp.example";
const PATIENCE: Duration = Duration::from_secs(60);
const FORM: &str = "application/x-www-form-urlencoded";

const POLICIES: &str = r#"
[[policy]]
name = "with-purpose"
action = "allow"
include = [{ everyone = true }]
purpose = { prompt = "Which ticket do you work on?" }

[[policy]]
name = "by-approval"
action = "allow"
include = [{ group = "Engineering" }]
approval = { approvers = [{ email = ["admin@corp.example", "engineer@corp.example"] }], longest = "1h" }

[[policy]]
name = "no-engineers"
action = "block"
include = [{ group = "Engineering" }]
report_only = true
"#;

fn change(settings: &mut Settings) {
    settings.policies.push_str(POLICIES);
    let upstream = settings.applications[0].upstream.clone();
    for (name, policy) in [("vault", "with-purpose"), ("payroll", "by-approval")] {
        settings.applications.push(ApplicationSettings::new(name, &upstream, policy));
    }
    settings.applications[1].policies.insert(0, "no-engineers".to_owned());
}

async fn world() -> World {
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

fn at(world: &World, application: &str, path: &str) -> String {
    format!("{}{path}", world.settings.application_url(application))
}

async fn at_the_canteen(world: &World, login: &str) -> Browser {
    let browser = world.browser();
    let page = browser.log_in(&at(world, "canteen", "/whoami"), login, DEMO_PASSWORD).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    browser
}

/// Where a page of ours leads on by itself.
fn onwards(page: &Page) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("content=\"0;url=").unwrap_or_else(|| panic!("leads nowhere: {text}"));
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

async fn code(browser: &Browser, url: &str) -> (u16, Value) {
    let answer = browser.fetch(url).await.unwrap();
    (answer.status.as_u16(), answer.json()["error"].clone())
}

async fn echoes(socket: &mut Socket, text: &str) {
    socket.send(text).await.unwrap();
    assert_eq!(socket.next().await.as_deref(), Some(text));
}

/// The events of one target.
fn told(world: &World, target: &str) -> Vec<Value> {
    world.gateway.log().events().into_iter().filter(|event| event["target"] == target).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_is_asked_once_in_each_login_and_logged() {
    let world = world().await;
    let browser = at_the_canteen(&world, DESIGNER).await;
    let vault = at(&world, "vault", "/whoami?page=7");
    // The first visit makes the application's session, and leads on to the page.
    let asked = browser.navigate(&vault).await.unwrap();
    assert_eq!(asked.status, 200, "{}", asked.trail());
    assert!(asked.url.as_str().starts_with(&world.settings.auth_url()), "{}", asked.trail());
    assert!(asked.text().contains("Which ticket do you work on?"));
    assert_eq!(code(&browser, &vault).await, (403, "purpose_required".into()));
    // Nothing is given by less than an answer.
    let empty = browser.submit(&asked, &[("purpose", " \n ")]).await.unwrap();
    assert_eq!(empty.status, 400, "{}", empty.text());
    let long = browser.submit(&asked, &[("purpose", &"x".repeat(501))]).await.unwrap();
    assert_eq!(long.status, 400);
    // Nor by another site's form, nor on another's page.
    let form = Form::first(&asked.text()).unwrap();
    let body = format!("request={}&purpose=Ticket", form.fields[0].value);
    let posted = |site: &str| {
        let url = asked.url.as_str().split_once('?').unwrap().0;
        Outgoing::script(Method::POST, url).unwrap().header("sec-fetch-site", site).body(FORM, body.clone())
    };
    assert_eq!(browser.send(&posted("cross-site")).await.unwrap().status, 403);
    let another = at_the_canteen(&world, ENGINEER).await;
    let stale = another.send(&posted("same-origin")).await.unwrap();
    assert_eq!((stale.status.as_u16(), &stale.json()["error"]), (400, &"errand_stale".into()));
    assert_eq!(world.browser().send(&posted("same-origin")).await.unwrap().status, 401);
    assert_eq!(code(&browser, &vault).await.0, 403);

    let done = browser.submit(&asked, &[("purpose", "Ticket 7,\r\nfor <b>Finance</b>")]).await.unwrap();
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(onwards(&done), vault);
    let page = browser.click(&done, &vault).await.unwrap();
    assert_eq!((page.status.as_u16(), page.answer.json()["email"].as_str()), (200, Some(DESIGNER)));
    assert_eq!(browser.fetch(&at(&world, "vault", "/")).await.unwrap().status, 200, "asked once");
    let given =
        world.gateway.log().wait_for(PATIENCE, |event| event["message"] == "a purpose was given").await;
    let given = given.unwrap();
    assert_eq!(
        (&given["purpose"], &given["person"]),
        (&"Ticket 7, for <b>Finance</b>".into(), &DESIGNER.into())
    );
    let decision = world
        .gateway
        .log()
        .wait_for(PATIENCE, |event| event["purpose"] == given["purpose"] && event["verdict"] == "allow");
    assert!(decision.await.is_some());
    // Another login is asked anew.
    let again = world.browser();
    let asked = again.log_in(&vault, DESIGNER, DEMO_PASSWORD).await.unwrap();
    assert!(asked.text().contains("Which ticket"), "{}", asked.trail());
}

/// Asks for access to the payroll.
async fn ask(world: &World, browser: &Browser, reason: &str) -> Page {
    let page = browser.navigate(&at(world, "payroll", "/whoami")).await.unwrap();
    assert!(page.text().contains("Ask for access"), "{}\n{}", page.trail(), page.text());
    let waiting = browser.submit(&page, &[("reason", reason), ("for", "3600")]).await.unwrap();
    assert!(waiting.text().contains("waits for an answer"), "{}", waiting.text());
    waiting
}

async fn requests(world: &World, approver: &Browser) -> Page {
    let page =
        approver.navigate(&format!("{}/cdn-cgi/access/requests", world.settings.auth_url())).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text());
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn access_is_asked_for_granted_ended_at_once_and_logged() {
    let world = world().await;
    let engineer = at_the_canteen(&world, ENGINEER).await;
    let admin = at_the_canteen(&world, ADMIN).await;
    let designer = at_the_canteen(&world, DESIGNER).await;
    let payroll = at(&world, "payroll", "/whoami");
    ask(&world, &engineer, "Year's end").await;
    assert_eq!(code(&engineer, &payroll).await, (403, "approval_required".into()));
    let again = engineer.navigate(&payroll).await.unwrap();
    assert!(again.text().contains("Your request waits"), "{}", again.text());
    // Whom the policy does not concern has nothing to ask for.
    let denied = designer.navigate(&payroll).await.unwrap();
    assert_eq!(denied.status, 403, "{}", denied.text());
    // Who asks sees nothing to answer though the policy lists them, nor does who is not listed; and both are refused.
    let page = requests(&world, &admin).await;
    assert!(page.text().contains(&format!("{ENGINEER} asks for payroll")), "{}", page.text());
    for other in [&engineer, &designer] {
        assert!(requests(&world, other).await.text().contains("Nobody waits"));
    }
    let form = Form::first(&page.text()).unwrap();
    let longer = admin.submit_form(&page, &form.clone().filled(&[("for", "3601")])).await.unwrap();
    assert_eq!(longer.status, 400, "longer than the policy lets it be");
    let sealed = form.fields[0].value.clone();
    let forged = Outgoing::script(Method::POST, page.url.as_str()).unwrap();
    let forged = forged
        .header("sec-fetch-site", "same-origin")
        .body(FORM, format!("request={sealed}&for=60&answer=grant"));
    let refused = engineer.send(&forged).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (400, &"errand_stale".into()));
    let granted =
        admin.submit_form(&page, &form.filled(&[("for", "3600"), ("answer", "grant")])).await.unwrap();
    assert!(granted.text().contains("Access is granted"), "{}", granted.text());

    let page = engineer.navigate(&payroll).await.unwrap();
    assert_eq!(page.answer.json()["email"], ENGINEER, "{}", page.trail());
    let mut socket = engineer.websocket(&at(&world, "payroll", "/ws/echo")).await.unwrap();
    echoes(&mut socket, "while it lasts").await;
    let page = requests(&world, &admin).await;
    assert!(page.text().contains(&format!("{ENGINEER} has access to payroll")), "{}", page.text());
    let begun = Instant::now();
    let ended = admin.submit(&page, &[]).await.unwrap();
    assert!(ended.text().contains("Access has ended"), "{}", ended.text());
    tokio::time::timeout(PATIENCE, socket.closed()).await.expect("cut when access was ended");
    println!("ended to cut: {:?}", begun.elapsed());
    assert_eq!(code(&engineer, &payroll).await, (403, "approval_required".into()));
    let is_ended = |event: &Value| event["target"] == "portcullis::access" && event["state"] == "ended";
    assert!(world.gateway.log().wait_for(PATIENCE, is_ended).await.is_some());
    let states: Vec<_> =
        told(&world, "portcullis::access").iter().map(|event| event["state"].clone()).collect();
    assert_eq!(states, ["waiting", "granted", "ended"]);
    assert!(
        told(&world, "portcullis::access")
            .iter()
            .all(|event| event["reason"] == "Year's end" && event["email"] == ENGINEER)
    );
}

fn command(world: &World, arguments: &[&str]) -> (bool, String) {
    let output = world.gateway.command(arguments);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), shown + &String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_ends_by_itself_and_dies_with_its_person() {
    let world = world().await;
    let engineer = at_the_canteen(&world, ENGINEER).await;
    let payroll = at(&world, "payroll", "/whoami");
    ask(&world, &engineer, "Audit").await;
    let (_, listed) = command(&world, &["access", "list"]);
    assert!(listed.contains("waiting") && listed.contains("\"Audit\""), "{listed}");
    let id = listed.split_once(' ').unwrap().0.to_owned();
    let (granted, shown) = command(&world, &["access", "grant", &id, "--for", "61m"]);
    assert!(!granted && shown.contains("3600 s at most"), "{shown}");
    let (granted, shown) = command(&world, &["access", "grant", &id, "--for", "12s", "--by", "night shift"]);
    assert!(granted && shown.contains("by night shift"), "{shown}");
    let until = Instant::now() + PATIENCE;
    while engineer.fetch(&payroll).await.unwrap().status != 200 {
        assert!(Instant::now() < until, "the gateway does not follow what the command line granted");
    }
    let mut socket = engineer.websocket(&at(&world, "payroll", "/ws/echo")).await.unwrap();
    echoes(&mut socket, "for twelve seconds").await;
    tokio::time::timeout(PATIENCE, socket.closed()).await.expect("cut when its time is over");
    assert_eq!(code(&engineer, &payroll).await, (403, "approval_required".into()));

    // Asked again, granted again, and gone with the person: a reactivation gives nothing back.
    let page = engineer.navigate(&payroll).await.unwrap();
    assert!(page.text().contains("Your last access ended"), "{}", page.text());
    ask(&world, &engineer, "Audit again").await;
    let (_, listed) = command(&world, &["access", "list"]);
    let id = listed.split_once(' ').unwrap().0.to_owned();
    let (granted, shown) = command(&world, &["access", "grant", &id]);
    assert!(granted, "{shown}");
    let until = Instant::now() + PATIENCE;
    while engineer.fetch(&payroll).await.unwrap().status != 200 {
        assert!(Instant::now() < until, "the gateway does not follow what the command line granted");
    }
    world.deactivate(ENGINEER).await;
    world.okta.reactivate(ENGINEER).await.unwrap();
    let back = world.browser();
    let page = back.log_in(&payroll, ENGINEER, DEMO_PASSWORD).await.unwrap();
    assert!(page.text().contains("Ask for access"), "{}\n{}", page.trail(), page.text());
    let (_, listed) = command(&world, &["access", "list", "--all"]);
    assert!(listed.contains("by deactivated"), "{listed}");
    assert!(!command(&world, &["access", "revoke", &id]).0, "it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_only_policy_changes_nothing_and_is_told_and_counted() {
    let world = world().await;
    let engineer = at_the_canteen(&world, ENGINEER).await;
    let designer = at_the_canteen(&world, DESIGNER).await;
    for browser in [&engineer, &designer] {
        assert_eq!(browser.fetch(&at(&world, "canteen", "/")).await.unwrap().status, 200);
    }
    let of = |login: &'static str| {
        move |event: &Value| {
            event["verdict"] == "allow" && event["application"] == "canteen" && event["email"] == login
        }
    };
    let told = world.gateway.log().wait_for(PATIENCE, of(ENGINEER)).await.unwrap();
    assert_eq!(told["reports"], "no-engineers: deny (blocked_by_policy) !");
    let silent = world.gateway.log().wait_for(PATIENCE, of(DESIGNER)).await.unwrap();
    assert!(silent["reports"].is_null(), "{silent}");
    let (_, figures) = world.gateway.inner("/metrics").await.unwrap();
    let counted = "portcullis_report_only_decisions_total{policy=\"no-engineers\",effect=\"changes\"}";
    assert!(figures.contains(counted), "{figures}");
}
