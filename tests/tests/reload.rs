//! Another configuration while people are at work, and the end of the process, on the real program: no request is lost, none is
//! judged by half of each, and what the new policies deny is cut.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_tests::browser::{Browser, Versions};
use portcullis_tests::harness::{Gateway, Settings, World, WorldConfig};
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const DEVELOPER: &str = "developer@corp.example";
const PATIENCE: Duration = Duration::from_secs(30);
const RELOADED: &str = "the configuration was reloaded";
const REFUSED: &str = "the configuration was not reloaded; the one before stays in force";

/// Waits until something was logged so many times; the last of it.
async fn logged(gateway: &Gateway, message: &str, times: usize) -> Value {
    let said = |event: &Value| event["message"] == message;
    let count = || gateway.log().events().iter().filter(|event| said(event)).count();
    let waiting = async {
        while count() < times {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "`{message}` was not logged {times} times"
    );
    gateway.log().events().into_iter().rfind(said).unwrap()
}

/// The same settings, without a way to the wiki for engineers.
fn without_engineers(settings: &Settings) -> String {
    settings.toml().replace("include = [{ group = \"Engineering\" }]", "include = [{ group = \"Finance\" }]")
}

#[tokio::test(flavor = "multi_thread")]
async fn t90b_a_changed_policy_cuts_what_it_denies_and_nothing_else() {
    let mut world = World::start().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let canteen = world.settings.application_url("canteen");
    assert_eq!(browser.navigate(&format!("{canteen}/")).await.unwrap().status, 200);
    let mut denied = browser.websocket(&world.wiki("/ws/echo")).await.unwrap();
    let mut allowed = browser.websocket(&format!("{canteen}/ws/echo")).await.unwrap();
    let (before, after) = (world.settings.toml(), without_engineers(&world.settings));
    assert_ne!(before, after);
    world.gateway.replace_config(&after);
    world.gateway.hang_up();
    logged(&world.gateway, RELOADED, 1).await;
    assert!(tokio::time::timeout(PATIENCE, denied.closed()).await.is_ok(), "the wiki's stream goes on");
    allowed.send("still here").await.unwrap();
    let echo = tokio::time::timeout(PATIENCE, allowed.next()).await.unwrap();
    assert_eq!(echo.as_deref(), Some("still here"));
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 403);
    // Without a signal: the file is looked at. The session was never lost.
    world.gateway.replace_config(&before);
    logged(&world.gateway, RELOADED, 2).await;
    assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_session_ends_what_is_open_for_longer() {
    let mut world = World::start().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let mut open = browser.websocket(&world.wiki("/ws/echo")).await.unwrap();
    let mut shorter = world.settings.clone();
    shorter.applications[0].extra = "session_duration = \"1s\"\n".to_owned();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    world.gateway.replace_config(&shorter.toml());
    world.gateway.hang_up();
    logged(&world.gateway, RELOADED, 1).await;
    assert!(
        tokio::time::timeout(PATIENCE, open.closed()).await.is_ok(),
        "it lasts as long as it was opened for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t54_a_bad_file_changes_nothing_and_says_why() {
    let mut world = World::start().await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let mut stream = browser.websocket(&world.wiki("/ws/echo")).await.unwrap();
    let good = world.settings.toml();
    let bad_policy =
        good.replace("include = [{ group = \"Engineering\" }]", "include = [{ grup = \"Engineering\" }]");
    let other_port = good.replace(&format!("127.0.0.1:{}\"]", world.settings.port), "127.0.0.1:1\"]");
    let cases = [
        (bad_policy, "did you mean `group`"),
        (without_engineers(&world.settings).replace("[store]", "[stor"), "line"),
        (other_port, "a change of server.listen, server.public_port needs a restart"),
    ];
    for (number, (config, cause)) in cases.iter().enumerate() {
        assert_ne!(*config, good);
        world.gateway.replace_config(config);
        world.gateway.hang_up();
        let said = logged(&world.gateway, REFUSED, number + 1).await;
        assert!(said["cause"].as_str().unwrap().contains(cause), "{said}");
        stream.send("here").await.unwrap();
        assert_eq!(stream.next().await.as_deref(), Some("here"));
        assert_eq!(browser.fetch(&world.wiki("/whoami")).await.unwrap().status, 200);
    }
    world.gateway.replace_config(&good);
    world.gateway.hang_up();
    logged(&world.gateway, RELOADED, 1).await;
}

/// A path that was asked for, and what the answer told.
type Asked = (String, Result<String, String>);

/// Requests, one after the other over kept connections, until told to stop; each of a path of its own.
struct Load {
    stop: Arc<AtomicBool>,
    begun: Arc<AtomicUsize>,
    workers: Vec<tokio::task::JoinHandle<Vec<Asked>>>,
}

impl Load {
    /// What each answer says of itself is its status and its header `X-Revision`.
    async fn start(world: &World, browsers: usize) -> Self {
        let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let canteen = world.settings.application_url("canteen");
        let mut workers = Vec::new();
        for number in 0..browsers {
            let versions = if number % 2 == 0 { Versions::Http1 } else { Versions::Http2 };
            let browser = Browser::speaking(&world.gateway.ca_pem(), versions).asking_once();
            let person = if number % 4 < 2 { ENGINEER } else { DEVELOPER };
            let password = portcullis_tests::okta::company::DEMO_PASSWORD;
            let page = browser.log_in(&format!("{canteen}/"), person, password).await.unwrap();
            assert_eq!(page.status, 200, "{}", page.trail());
            let (stop, begun, canteen) = (stop.clone(), begun.clone(), canteen.clone());
            workers.push(tokio::spawn(async move {
                let mut answers = Vec::new();
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    let path = format!("/n/{number}/{count}");
                    begun.fetch_add(1, Ordering::Relaxed);
                    count += 1;
                    let answer = browser.fetch(&format!("{canteen}{path}")).await;
                    let failed = answer.is_err();
                    let told = answer
                        .map(|answer| format!("{} {}", answer.status.as_u16(), answer.header("x-revision")));
                    answers.push((path, told.map_err(|error| error.to_string())));
                    if failed {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                answers
            }));
        }
        Self { stop, begun, workers }
    }

    async fn at_least(&self, requests: usize) {
        let wanted = self.begun.load(Ordering::Relaxed) + requests;
        while self.begun.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) -> Vec<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for worker in self.workers {
            all.extend(worker.await.unwrap());
        }
        all
    }
}

/// The canteen under one name of its policy, which its answers tell too.
fn revision(settings: &Settings, name: &str) -> String {
    let mut settings = settings.clone();
    settings.policies = settings.policies.replace("\"anybody\"", &format!("\"{name}\""));
    settings.applications[1].policies = vec![name.to_owned()];
    settings.applications[1].extra = format!("[application.response_headers]\n\"X-Revision\" = \"{name}\"\n");
    settings.toml()
}

#[tokio::test(flavor = "multi_thread")]
async fn t55_reloads_under_load_lose_no_request_and_show_none_half_of_each() {
    const RELOADS: usize = 8;
    let mut world = World::start().await;
    world.gateway.replace_config(&revision(&world.settings, "one"));
    world.gateway.hang_up();
    logged(&world.gateway, RELOADED, 1).await;
    let load = Load::start(&world, 6).await;
    for number in 0..RELOADS {
        load.at_least(30).await;
        let name = if number % 2 == 0 { "two" } else { "one" };
        world.gateway.replace_config(&revision(&world.settings, name));
        world.gateway.hang_up();
        logged(&world.gateway, RELOADED, number + 2).await;
    }
    let answers = load.end().await;
    let lost: Vec<_> = answers
        .iter()
        .filter(|(_, told)| !told.as_ref().is_ok_and(|told| told.starts_with("404 ")))
        .collect();
    assert!(lost.is_empty(), "{} of {} requests: {lost:?}", lost.len(), answers.len());
    // The upstream has no such page, and its answer comes through us: the policy that let it in is the revision it tells.
    world.gateway.stop().await;
    let events = world.gateway.log().events();
    let of_path: HashMap<&str, &Value> =
        events.iter().filter_map(|event| event["path"].as_str().map(|path| (path, event))).collect();
    let mut judged = 0;
    for (path, told) in &answers {
        let event = of_path[path.as_str()];
        assert_eq!(format!("404 {}", event["policy"].as_str().unwrap()), *told.as_ref().unwrap(), "{event}");
        judged += 1;
    }
    let told: BTreeSet<&String> = answers.iter().filter_map(|(_, told)| told.as_ref().ok()).collect();
    assert!(judged > RELOADS * 30 && told.len() == 2, "{judged} requests, {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_answers_every_request_that_went_on_to_the_application() {
    let mut world = World::with(WorldConfig::default()).await;
    let (browser, _) = world.logged_in(ENGINEER).await.unwrap();
    let slow = {
        let (browser, url) = (browser, world.wiki("/slow?ms=2000"));
        tokio::spawn(async move { browser.fetch(&url).await })
    };
    let load = Load::start(&world, 6).await;
    load.at_least(300).await;
    assert_eq!(world.gateway.stop().await, Some(0));
    let answers = load.end().await;
    let answered: BTreeSet<&str> =
        answers.iter().filter(|(_, told)| told.is_ok()).map(|(path, _)| path.as_str()).collect();
    let seen: BTreeSet<String> = world
        .upstream
        .recorder()
        .all()
        .into_iter()
        .map(|chunk| chunk.path.to_string())
        .filter(|path| path.starts_with("/n/"))
        .collect();
    let unanswered: Vec<&String> = seen.iter().filter(|path| !answered.contains(path.as_str())).collect();
    assert!(unanswered.is_empty() && seen.len() >= 300, "{unanswered:?} of {}", seen.len());
    let slow = slow.await.unwrap().unwrap();
    assert_eq!(slow.status, 200, "what was under way is finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_fast_is_told_to_wait() {
    const A_SECOND: usize = 5;
    let change = |settings: &mut Settings| {
        settings.extra = format!("[limits]\nrequests_per_person = {A_SECOND}\n");
    };
    let world = World::with(WorldConfig { change, ..WorldConfig::default() }).await;
    let (engineer, _) = world.logged_in(ENGINEER).await.unwrap();
    let canteen = world.settings.application_url("canteen");
    let developer = world.browser();
    let password = portcullis_tests::okta::company::DEMO_PASSWORD;
    developer.log_in(&format!("{canteen}/"), DEVELOPER, password).await.unwrap();
    // All at once, so that no second goes by between them.
    let url = world.wiki("/whoami");
    let asked = (0..A_SECOND * 4).map(|_| engineer.fetch(&url));
    let answers = futures_util::future::join_all(asked).await;
    let refused = answers.iter().flatten().find(|answer| answer.status == 429);
    let refused = refused
        .unwrap_or_else(|| panic!("{:?}", answers.iter().flatten().map(|it| it.status).collect::<Vec<_>>()));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(
        developer.fetch(&format!("{canteen}/whoami")).await.unwrap().status,
        200,
        "somebody else is not concerned"
    );
}
