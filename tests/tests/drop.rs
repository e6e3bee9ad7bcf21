//! The Drop under load: many people at work, deactivated while requests, WebSockets, uploads and event streams of all of
//! them run. The recorder of the upstream judges, by the kernel's times of arrival.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use futures_util::stream;
use portcullis_tests::browser::Browser;
use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;
use portcullis_tests::okta::{Company, Okta, Person};
use portcullis_tests::upstream::{Keep, UpstreamConfig};
use tokio::task::JoinSet;

const PEOPLE: usize = 100;
/// Logins and deactivations that run side by side.
const SIDE_BY_SIDE: usize = 8;
/// How long everybody works before the first deactivation.
const WORK: Duration = Duration::from_secs(2);
/// How long the upstream is watched after the last one.
const WATCH: Duration = Duration::from_secs(2);
/// Pause between two requests of one person, so that a hundred of them leave the machine some air.
const BETWEEN: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);
const KILLS: u32 = 3;

fn login(number: usize) -> String {
    format!("person{number:03}@corp.example")
}

async fn crowded_world() -> World {
    let demo = Company::demo();
    let people =
        (0..PEOPLE).map(|number| Person::new(&login(number), "Pat", "Person").in_groups(["Engineering"]));
    let company = Company { people: people.collect(), ..demo };
    let upstream = UpstreamConfig { keep: Keep::Times, ..UpstreamConfig::default() };
    World::with(WorldConfig { company, upstream, ..WorldConfig::default() }).await
}

async fn log_everybody_in(world: &World) -> Vec<Browser> {
    let first = world.browser();
    let browsers = stream::iter(0..PEOPLE).map(|number| {
        let (browser, wiki) = (first.another_profile(), world.wiki("/"));
        async move {
            let page = browser.log_in(&wiki, &login(number), DEMO_PASSWORD).await.unwrap();
            assert_eq!(page.status, 200, "{}", page.trail());
            browser
        }
    });
    browsers.buffered(SIDE_BY_SIDE).collect().await
}

/// What one person keeps doing until refused or cut; ends by itself after the person is dropped.
fn work(jobs: &mut JoinSet<()>, browser: &Browser, wiki: &str, answered: &Arc<AtomicU64>) {
    let (requests, counter, whoami) = (browser.clone(), Arc::clone(answered), format!("{wiki}/whoami"));
    jobs.spawn(async move {
        // A cut request is an error and the next one tells why; a refusal is the end.
        loop {
            match requests.fetch(&whoami).await.map(|answer| answer.status.as_u16()) {
                Ok(401 | 403) => return,
                Ok(200) => counter.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
            tokio::time::sleep(BETWEEN).await;
        }
    });
    let (sockets, echo) = (browser.clone(), format!("{wiki}/ws/echo"));
    jobs.spawn(async move {
        let Ok(mut socket) = sockets.websocket(&echo).await else { return };
        while socket.send("at work").await.is_ok() && socket.next().await.is_some() {
            tokio::time::sleep(BETWEEN).await;
        }
    });
    let (streams, events) = (browser.clone(), format!("{wiki}/events"));
    jobs.spawn(async move {
        if let Ok(mut events) = streams.event_stream(&events).await {
            let _ = events.ended().await;
        }
    });
    let (uploads, upload) = (browser.clone(), format!("{wiki}/upload"));
    jobs.spawn(async move {
        let upload = uploads.upload(&upload).unwrap();
        while !upload.is_over() && upload.send("a piece of work ").await {
            tokio::time::sleep(BETWEEN).await;
        }
    });
}

/// Deactivates until the gateway says 2xx, as an administrator does who repeats a failed task; when it said so.
async fn deactivate(okta: Arc<Okta>, login: String) -> (String, Instant) {
    let until = Instant::now() + PATIENCE;
    loop {
        let pushes = okta.deactivate(&login).await.unwrap();
        if let Some(push) = pushes.last().filter(|push| push.accepted()) {
            return (login, push.answered);
        }
        assert!(Instant::now() < until, "{login} cannot be deactivated: {:?}", pushes.last());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn assert_nothing_came_after(world: &World, dropped: &[(String, Instant)]) {
    for (login, at) in dropped {
        let recorder = world.upstream.recorder();
        assert!(!recorder.of(login).is_empty(), "{login} never worked, so the test says nothing");
        let late = recorder.received_after(login, *at);
        let late: Vec<_> = late.iter().map(|c| format!("{} B {} {:?}", c.len, c.path, c.at - *at)).collect();
        assert!(late.is_empty(), "{login}: bytes after the 2xx: {late:?}");
    }
}

async fn assert_everybody_is_out(world: &World, browsers: &[Browser]) {
    for browser in browsers {
        let answer = browser.fetch(&world.wiki("/whoami")).await.unwrap();
        assert!(answer.is_refusal(), "still {}", answer.status);
    }
}

/// Waits until there is load, however slow the machine is.
async fn everybody_works(answered: &AtomicU64) {
    tokio::time::sleep(WORK).await;
    let until = Instant::now() + PATIENCE;
    while answered.load(Ordering::Relaxed) <= PEOPLE as u64 {
        assert!(Instant::now() < until, "there is no load");
        tokio::time::sleep(BETWEEN).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_byte_of_a_hundred_people_after_their_2xx() {
    let world = crowded_world().await;
    let browsers = log_everybody_in(&world).await;
    let wiki = world.settings.application_url("wiki");
    let (mut jobs, answered) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
    for browser in &browsers {
        work(&mut jobs, browser, &wiki, &answered);
    }
    everybody_works(&answered).await;

    let dropping = stream::iter(0..PEOPLE).map(|number| deactivate(world.okta.org_handle(), login(number)));
    let dropped: Vec<_> = dropping.buffer_unordered(SIDE_BY_SIDE).collect().await;
    tokio::time::timeout(PATIENCE, async { while jobs.join_next().await.is_some_and(|job| job.is_ok()) {} })
        .await
        .expect("every stream of every person ends");
    tokio::time::sleep(WATCH).await;
    // Silence proves something only where there was noise until the end.
    let noisy =
        |(login, at): &&(String, Instant)| world.upstream.recorder().bytes_after(login, *at - WORK) > 0;
    assert!(
        dropped.iter().filter(noisy).count() > PEOPLE / 2,
        "most people had stopped before they were dropped"
    );
    assert_nothing_came_after(&world, &dropped);
    assert_everybody_is_out(&world, &browsers).await;
    assert_nothing_came_after(&world, &dropped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_power_cut_loses_no_acknowledged_deactivation() {
    let mut world = crowded_world().await;
    let browsers = log_everybody_in(&world).await;
    let wiki = world.settings.application_url("wiki");
    let (mut jobs, answered) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
    for browser in &browsers {
        work(&mut jobs, browser, &wiki, &answered);
    }
    everybody_works(&answered).await;

    let okta = world.okta.org_handle();
    let dropping = tokio::spawn(async move {
        let dropping = stream::iter(0..PEOPLE).map(|number| deactivate(Arc::clone(&okta), login(number)));
        dropping.buffer_unordered(SIDE_BY_SIDE).collect::<Vec<_>>().await
    });
    for _ in 0..KILLS {
        // Any moment will do; where it falls differs from run to run on purpose.
        let nanoseconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        tokio::time::sleep(Duration::from_millis(u64::from(nanoseconds % 300))).await;
        world.gateway.kill_hard();
        world.gateway.start_again().await.unwrap_or_else(|e| panic!("{e}"));
    }
    let dropped = dropping.await.unwrap();
    jobs.abort_all();
    tokio::time::sleep(WATCH).await;
    assert_nothing_came_after(&world, &dropped);
    assert_everybody_is_out(&world, &browsers).await;
    // What was acknowledged is remembered by the file, not by the process alone.
    world.gateway.kill_hard();
    world.gateway.start_again().await.unwrap_or_else(|e| panic!("{e}"));
    assert_everybody_is_out(&world, &browsers).await;
    assert_nothing_came_after(&world, &dropped);
}
