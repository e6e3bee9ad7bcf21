//! Decisions recorded in files: found by a deny page's reference, whole after a crash, and nothing changed, removed or cut off
//! unnoticed; and what becomes of requests while nothing can be recorded.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use portcullis_tests::browser::Browser;
use portcullis_tests::harness::{Gateway, Settings, World, WorldConfig};
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";
const CONTRACTOR: &str = "contractor@corp.example";
const PATIENCE: Duration = Duration::from_secs(30);

async fn world(change: fn(&mut Settings)) -> World {
    World::with(WorldConfig { change, ..WorldConfig::default() }).await
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The decisions that a search finds, once there are so many.
async fn found(gateway: &Gateway, wanted: &[&str], count: usize) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = gateway.command(&[&["log", "--json"], wanted].concat());
        assert!(output.status.success(), "{}", text(&output));
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let found: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < until, "{count} wanted: {lines}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ask(browser: &Browser, world: &World, path: &str) -> u16 {
    browser.fetch(&world.wiki(path)).await.unwrap().status.as_u16()
}

fn folder(world: &World) -> PathBuf {
    world.gateway.folder().join("decisions")
}

fn files(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(world)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

fn verify(world: &World) -> (bool, String) {
    let output = world.gateway.command(&["log", "verify"]);
    (output.status.success(), text(&output))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_found_by_its_reference_and_nothing_is_changed_unnoticed() {
    let mut world = world(|settings| {
        settings.extra.push_str("[log.decisions]\nfolder = \"decisions\"\nrotate_bytes = 16384\n");
    })
    .await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let (contractor, _) = world.logged_in(CONTRACTOR).await.unwrap();
    let denied = contractor.fetch(&world.wiki("/whoami?token=secret1")).await.unwrap();
    assert_eq!(denied.status, 403);
    let reference = denied.json()["reference"].as_str().unwrap().to_owned();

    let decision = &found(&world.gateway, &["--reference", &reference], 1).await[0];
    for (name, value) in [
        ("verdict", "deny"),
        ("email", CONTRACTOR),
        ("provider", "okta"),
        ("application", "wiki"),
        ("host", "wiki.localhost"),
        ("path", "/whoami"),
        ("client", "127.0.0.1"),
        ("reason", "no_policy_matched"),
    ] {
        assert_eq!(decision[name], value, "{name} of {decision}");
    }
    assert_eq!(decision["revision"].as_str().unwrap().len(), 16);
    let told =
        text(&world.gateway.command(&["log", "--person", CONTRACTOR, "--verdict", "deny", "--limit", "1"]));
    assert!(told.contains(&format!("[{reference}]")) && told.lines().count() == 1, "{told}");

    for _ in 0..8 {
        let pages = (0..25).map(|_| ask(&browser, &world, "/whoami"));
        assert!(futures_util::future::join_all(pages).await.iter().all(|status| *status == 200));
    }
    assert!(found(&world.gateway, &["--path", "/whoami", "--verdict", "allow"], 200).await.len() >= 200);
    assert!(files(&world).len() > 3, "{:?}", files(&world));
    let recorded: String = files(&world).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(!recorded.contains("secret1"), "a query string must not be recorded");
    let (whole, told) = verify(&world);
    assert!(whole && told.contains("none is missing"), "beside the running gateway: {told}");

    // As a crash in the middle of a write leaves it.
    world.gateway.kill_hard();
    let newest = files(&world).pop().unwrap();
    fs::write(&newest, fs::read_to_string(&newest).unwrap() + "{\"seq\":9").unwrap();
    let (whole, told) = verify(&world);
    assert!(whole && told.contains("8 bytes at the end are no record"), "{told}");
    world.gateway.start_again().await.unwrap();
    ask(&browser, &world, "/after").await;
    found(&world.gateway, &["--path", "/after"], 1).await;
    assert_eq!(world.gateway.stop().await, Some(0));
    let (whole, told) = verify(&world);
    assert!(whole && told.contains("were broken off by a crash"), "{told}");
    assert!(!told.contains("the store knows nothing"), "{told}");

    every_change_is_found(&world);
}

fn every_change_is_found(world: &World) {
    let files = files(world);
    let (first, middle, last) = (&files[0], &files[files.len() / 2], &files[files.len() - 1]);
    let whole = fs::read_to_string(middle).unwrap();
    let is_found = |change: &str, wanted: &[&str]| {
        let (whole, told) = verify(world);
        assert!(!whole, "{change}: {told}");
        for part in wanted {
            assert!(told.contains(part), "{change}: {part} in {told}");
        }
    };
    let place = |file: &Path, line: usize| format!("{}:{line}: ", file.display());
    fs::write(middle, whole.replacen("\"status\":200", "\"status\":201", 1)).unwrap();
    let line = 1 + whole.lines().position(|line| line.contains("\"status\":200")).unwrap();
    is_found("a changed byte", &[&place(middle, line), "is not as the gateway wrote it"]);
    let fewer: Vec<&str> =
        whole.lines().enumerate().filter(|(at, _)| *at != 4).map(|(_, line)| line).collect();
    fs::write(middle, fewer.join("\n") + "\n").unwrap();
    is_found("a removed line", &[&place(middle, 5), "are missing"]);
    fs::remove_file(middle).unwrap();
    is_found("a removed file", &["are missing"]);
    fs::write(middle, &whole).unwrap();
    let oldest = fs::read(first).unwrap();
    fs::remove_file(first).unwrap();
    is_found("the oldest file removed", &["does not say that they were removed"]);
    fs::write(first, oldest).unwrap();
    let end = fs::read_to_string(last).unwrap();
    let cut: Vec<&str> = end.lines().collect();
    fs::write(last, cut[..cut.len() - 1].join("\n") + "\n").unwrap();
    is_found("a cut tail", &["its end was cut off"]);
    fs::write(last, end).unwrap();
    assert!(verify(world).0, "as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_decisions_must_be_recorded_nobody_passes_while_they_cannot_be() {
    let world = world(|settings| {
        let record = "[log.decisions]\nfolder = \"decisions\"\nrotate_bytes = 4096\nrequired = true\n";
        settings.extra.push_str(record);
    })
    .await;
    let (browser, page) = world.logged_in(ENGINEER).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.trail());
    let away = world.gateway.folder().join("away");
    fs::rename(folder(&world), &away).unwrap();
    let until = Instant::now() + PATIENCE;
    let refused = loop {
        let answer = browser.fetch(&world.wiki("/whoami")).await.unwrap();
        if answer.status != 200 {
            break answer;
        }
        assert!(Instant::now() < until, "requests pass that are not recorded");
    };
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (503, &"decisions_unrecorded".into()));
    let (status, told) = world.gateway.inner("/readyz").await.unwrap();
    assert!(status == 503 && told.contains("cannot be recorded"), "{status} {told}");
    let (_, figures) = world.gateway.inner("/metrics").await.unwrap();
    assert!(figures.contains("portcullis_decisions_recorded 0"), "{figures}");
    let said = |event: &Value| event["message"] == "decisions cannot be recorded";
    world.gateway.log().wait_for(PATIENCE, said).await.expect("a line that says so");
    fs::rename(&away, folder(&world)).unwrap();
    while ask(&browser, &world, "/whoami").await != 200 {
        assert!(Instant::now() < until + PATIENCE, "nothing is recorded again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (whole, told) = verify(&world);
    assert!(whole && told.contains("could not be recorded, as the gateway says itself"), "{told}");
}

/// A pipe by name, so that a test can hold it open and not read.
fn pipe() -> PathBuf {
    std::env::temp_dir().join(format!("portcullis-unread-{}", std::process::id()))
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_recorded_also_when_nobody_reads_the_log() {
    // More than what may wait for the output, with the pipe.
    const REQUESTS: usize = 180;
    const PATH_BYTES: usize = 8_000;
    assert!(Command::new("mkfifo").arg(pipe()).status().unwrap().success());
    let _reader: File = OpenOptions::new().read(true).write(true).open(pipe()).unwrap();
    let change = |settings: &mut Settings| {
        let output = format!("[log]\noutput = {:?}\n[log.decisions]\nfolder = \"decisions\"\n", pipe());
        settings.extra.push_str(&output);
    };
    let world = World::with(WorldConfig { change, provisioned: false, ..WorldConfig::default() }).await;
    let browser = world.browser();
    let long = "a".repeat(PATH_BYTES);
    for number in 0..REQUESTS {
        assert_eq!(ask(&browser, &world, &format!("/{number}/{long}")).await, 401);
    }
    assert_eq!(found(&world.gateway, &["--path", "/*"], REQUESTS).await.len(), REQUESTS);
    let (_, figures) = world.gateway.inner("/metrics").await.unwrap();
    assert!(figures.contains("portcullis_decisions_unrecorded_total 0"), "{figures}");
    assert!(!figures.contains("portcullis_log_lost_total 0"), "the output took everything: {figures}");
    fs::remove_file(pipe()).unwrap();
}
