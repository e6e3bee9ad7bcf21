//! What the program tells its operators: one event for each request, whoever reads it and however slowly.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portcullis_tests::browser::{Browser, Outgoing, Versions};
use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const PATIENCE: Duration = Duration::from_secs(30);

fn is_decision(event: &Value) -> bool {
    event["target"] == "portcullis::decision"
}

async fn ask(browser: &Browser, world: &World, path: &str) -> u16 {
    browser.fetch(&world.wiki(path)).await.unwrap().status.as_u16()
}

/// The events of a log file by path of the request, once there is one for `path`.
async fn events_of_file(file: &Path, path: &str) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if events.iter().any(|event| event["path"] == path) {
            return events;
        }
        assert!(Instant::now() < until, "no event for {path} in {}:\n{text}", file.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_says_who_asked_what_and_why_it_was_answered_so() {
    let world = World::start().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    assert_eq!(ask(&browser, &world, "/whoami?secret=1").await, 200);
    assert_eq!(ask(&world.browser(), &world, "/whoami").await, 401);
    let log = world.gateway.log();
    let allowed =
        |event: &Value| is_decision(event) && event["verdict"] == "allow" && event["path"] == "/whoami";
    let event = log.wait_for(PATIENCE, allowed).await.expect("an event of the allowed request");
    for (name, value) in [
        ("level", "INFO"),
        ("message", "request"),
        ("application", "wiki"),
        ("host", "wiki.localhost"),
        ("method", "GET"),
        ("client", "127.0.0.1"),
        ("email", ENGINEER),
        ("provider", "okta"),
        ("reason", "allowed_by_policy"),
    ] {
        assert_eq!(event[name], value, "{name} of {event}");
    }
    assert_eq!(event["status"], 200);
    assert!(event["micros"].as_u64().is_some() && event["policy"].is_string() && event["rule"].is_string());
    assert_eq!(event["session"].as_str().unwrap().len(), 16);
    assert_eq!(event["revision"].as_str().unwrap().len(), 16, "by which policies");
    assert!(event["login_at"].as_u64().unwrap() > 0);
    assert!(!log.text().contains("secret=1"), "a query string must not be logged");
    let refused = |event: &Value| is_decision(event) && event["status"] == 401;
    let event = log.wait_for(PATIENCE, refused).await.expect("an event of the refused request");
    assert_eq!((event["verdict"].as_str(), &event["email"]), (Some("login_required"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_trace_context_reaches_the_upstream_and_the_log_and_any_other_neither() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let whole = format!("00-{TRACE}-b7ad6b7169203331-01");
    let world = World::start().await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    for (path, parent) in [("/traced", whole.clone()), ("/untraced", whole.to_uppercase())] {
        let request = Outgoing::script(http::Method::GET, &world.wiki(path)).unwrap();
        let request = request.header("traceparent", &parent).header("tracestate", "vendor=told");
        browser.send(&request).await.unwrap();
    }
    let received = |path: &str| {
        let bytes = world.upstream.recorder().raw_received_for(path);
        String::from_utf8_lossy(&bytes).to_lowercase()
    };
    let (traced, untraced) = (received("/traced"), received("/untraced"));
    assert!(traced.contains(&format!("traceparent: {whole}\r\n")), "{traced}");
    assert!(traced.contains("tracestate: vendor=told\r\n"), "{traced}");
    assert!(untraced.contains("get /untraced "), "{untraced}");
    assert!(!untraced.contains("traceparent") && !untraced.contains("tracestate"), "{untraced}");
    let event = |path: &'static str| move |event: &Value| is_decision(event) && event["path"] == path;
    let log = world.gateway.log();
    assert_eq!(log.wait_for(PATIENCE, event("/traced")).await.unwrap()["trace"], TRACE);
    assert_eq!(log.wait_for(PATIENCE, event("/untraced")).await.unwrap()["trace"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_events_are_written_before_the_program_ends() {
    const REQUESTS: usize = 300;
    let mut world = World::start().await;
    let browser = world.browser();
    for number in 0..REQUESTS {
        assert_eq!(ask(&browser, &world, &format!("/page/{number}")).await, 401);
    }
    assert_eq!(world.gateway.stop().await, Some(0));
    let stopped = |event: &Value| event["message"] == "stopped";
    world.gateway.log().wait_for(PATIENCE, stopped).await.expect("the last line");
    let events = world.gateway.log().events();
    let paths: HashSet<&str> = events.iter().filter_map(|event| event["path"].as_str()).collect();
    let missing = (0..REQUESTS).filter(|number| !paths.contains(format!("/page/{number}").as_str())).count();
    assert_eq!(missing, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_is_opened_anew_on_hangup() {
    let change = |settings: &mut portcullis_tests::harness::Settings| {
        settings.extra.push_str("[log]\noutput = \"events.log\"\n");
    };
    let world = World::with(WorldConfig { change, provisioned: false, ..WorldConfig::default() }).await;
    let browser = world.browser();
    let (file, moved) = (world.gateway.folder().join("events.log"), world.gateway.folder().join("events.1"));
    assert_eq!(ask(&browser, &world, "/before").await, 401);
    events_of_file(&file, "/before").await;
    fs::rename(&file, &moved).unwrap();
    assert_eq!(ask(&browser, &world, "/between").await, 401);
    events_of_file(&moved, "/between").await;
    kill(Pid::from_raw(i32::try_from(world.gateway.id()).unwrap()), Signal::SIGHUP).unwrap();
    let until = Instant::now() + PATIENCE;
    while !file.exists() {
        assert!(Instant::now() < until, "the file was not opened anew");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ask(&browser, &world, "/after").await, 401);
    let events = events_of_file(&file, "/after").await;
    assert!(events.iter().all(|event| event["path"] != "/before"), "{events:?}");
    assert!(world.gateway.log().lines().is_empty(), "{}", world.gateway.log().text());
}

/// A pipe by name, so that a test can hold it open and not read.
fn pipe() -> PathBuf {
    std::env::temp_dir().join(format!("portcullis-log-{}", std::process::id()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nobody_and_says_what_it_lost() {
    // Two batches of 8 MiB may be held, and the pipe; the paths alone are more.
    const REQUESTS: usize = 2_600;
    const PATH_BYTES: usize = 8_000;
    assert!(Command::new("mkfifo").arg(pipe()).status().unwrap().success());
    let reader: File = OpenOptions::new().read(true).write(true).open(pipe()).unwrap();
    let change = |settings: &mut portcullis_tests::harness::Settings| {
        settings.server_extra.push_str("workers = 1\n");
        settings.extra.push_str(&format!("[log]\noutput = {:?}\n", pipe()));
    };
    let world = World::with(WorldConfig { change, provisioned: false, ..WorldConfig::default() }).await;
    let browser = world.browser();
    let long = "a".repeat(PATH_BYTES);
    for number in 0..REQUESTS {
        assert_eq!(ask(&browser, &world, &format!("/{number}/{long}")).await, 401);
    }
    let (lines, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let read = BufReader::new(reader).lines().map_while(Result::ok);
        read.map(|line| lines.send(line)).take_while(Result::is_ok).for_each(drop);
    });
    let (mut written, mut dropped) = (0, 0);
    while dropped == 0 || written + dropped < REQUESTS as u64 {
        let event: Value = serde_json::from_str(&told.recv_timeout(PATIENCE).unwrap()).unwrap();
        written += u64::from(is_decision(&event));
        dropped += event["dropped"].as_u64().unwrap_or_default();
    }
    assert_eq!(written + dropped, REQUESTS as u64);
    fs::remove_file(pipe()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_let_in_is_recorded_also_when_they_leave_before_the_answer() {
    let world = World::start().await;
    for (versions, application) in [(Versions::Http1, "wiki"), (Versions::Http2, "canteen")] {
        let browser = Browser::speaking(&world.gateway.ca_pem(), versions);
        let address = world.settings.application_url(application);
        browser.log_in(&format!("{address}/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
        let url = format!("{address}/slow?ms=60000");
        let asked = tokio::time::timeout(Duration::from_secs(2), browser.fetch(&url)).await;
        assert!(asked.is_err(), "the answer was to take longer");
        drop(browser);
        let theirs = |event: &Value| event["path"] == "/slow" && event["application"] == application;
        let event = world.gateway.log().wait_for(PATIENCE, theirs).await;
        let event = event.unwrap_or_else(|| panic!("nobody recorded what {application} got"));
        assert_eq!(
            (event["verdict"].as_str(), event["status"].as_u64()),
            (Some("allow"), Some(499)),
            "{event}"
        );
        assert_eq!(event["email"], ENGINEER);
    }
}
