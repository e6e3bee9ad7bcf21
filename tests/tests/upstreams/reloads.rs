//! What must hold while something changes: the configuration, or what is true of a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portcullis_tests::browser::{Browser, Versions};
use portcullis_tests::harness::ports;
use portcullis_tests::okta::company::DEMO_PASSWORD;

use super::rig::{Act, ENGINEER, OK, PATIENCE, Told, application, at, get, visitor, world_of_one_worker};

const DRIP: Act = Act::Drip(
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    "9\r\ndata: x\n\n\r\n",
    Duration::from_millis(100),
);

async fn drips(port: u16) -> Told {
    Told::listen(port, |head| if head.contains("/stream") { DRIP } else { OK }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_all_connections_of_an_application() {
    let (one, two) = (ports::free(), ports::free());
    let applications = ["wide", "other"].into_iter().zip([one, two]);
    let applications =
        applications.map(|(name, port)| application(name, &format!("http://127.0.0.1:{port}"), ""));
    let limits = "[limits]\nupstream_connections_per_person = 2\n";
    let world = world_of_one_worker(applications.collect(), limits).await;
    let _upstreams = (drips(one).await, drips(two).await);
    let browser = visitor(&world, Versions::Http2, &["wide", "other"]).await;
    let somebody = Browser::speaking(&world.gateway.ca_pem(), Versions::Http2);
    somebody.log_in(&world.wiki("/"), "developer@corp.example", DEMO_PASSWORD).await.unwrap();
    somebody.navigate(&at(&world, "wide", "/first")).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(browser.event_stream(&at(&world, "wide", "/stream")).await.unwrap());
    }
    let refused = get(&browser, &world, "wide", "/page").await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(get(&browser, &world, "other", "/page").await.status, 200, "another application");
    assert_eq!(get(&somebody, &world, "wide", "/page").await.status, 200, "another person");
    streams.clear();
    let again = async {
        while get(&browser, &world, "wide", "/page").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("what is over does not count");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_makes_room_for_one_to_another_endpoint() {
    let (one, two) = (ports::free(), ports::free());
    let list = format!("http://127.0.0.1:{one}\", \"http://127.0.0.1:{two}");
    let limits = "[limits]\nupstream_connections = 1\n";
    let world = world_of_one_worker(vec![application("wide", &list, "")], limits).await;
    let upstreams = [drips(one).await, drips(two).await];
    let browser = visitor(&world, Versions::Http2, &["wide"]).await;
    while upstreams.iter().any(|upstream| upstream.heads("/page").is_empty()) {
        let answer = get(&browser, &world, "wide", "/page").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_before_a_reload_count_after_it() {
    let port = ports::free();
    let wide = application("wide", &format!("http://127.0.0.1:{port}"), "");
    let world = world_of_one_worker(vec![wide], "[limits]\nupstream_connections = 1\n").await;
    let _upstream = drips(port).await;
    let browser = visitor(&world, Versions::Http2, &["wide"]).await;
    let mut stream = browser.event_stream(&at(&world, "wide", "/stream")).await.unwrap();
    stream.next().await.unwrap();
    assert_eq!(get(&browser, &world, "wide", "/page").await.status, 503);
    kill(Pid::from_raw(i32::try_from(world.gateway.id()).unwrap()), Signal::SIGHUP).unwrap();
    let reloaded = world
        .gateway
        .log()
        .wait_for(PATIENCE, |event| event.to_string().contains("the configuration was reloaded"));
    assert!(reloaded.await.is_some(), "it was not reloaded");
    assert_eq!(get(&browser, &world, "wide", "/page").await.status, 503, "the stream of before goes on");
    drop(stream);
    let again = async {
        while get(&browser, &world, "wide", "/page").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("it is over");
}

/// The endpoint that is asked first breaks off after the person has left a group: what was told to it is not told to the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_left_is_not_told_by_a_retry() {
    let (one, two) = (ports::free(), ports::free());
    let list = format!("http://127.0.0.1:{one}\", \"http://127.0.0.1:{two}");
    let world = world_of_one_worker(vec![application("wide", &list, "")], "").await;
    let (changed, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let manner = {
        let (changed, asked) = (changed.clone(), asked.clone());
        move |head: &str| {
            if !head.contains("/told") || asked.fetch_add(1, Ordering::SeqCst) > 0 {
                return OK;
            }
            tokio::task::block_in_place(|| {
                while !changed.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            Act::Close
        }
    };
    let _upstreams = (Told::listen(one, manner.clone()).await, Told::listen(two, manner).await);
    let browser = visitor(&world, Versions::Http2, &["wide"]).await;
    let telling = async { get(&browser, &world, "wide", "/told").await };
    let leaving = async {
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let pushes = world.okta.remove_member("Engineering", ENGINEER).await;
        changed.store(true, Ordering::SeqCst);
        pushes
    };
    let (answer, _pushes) = tokio::join!(telling, leaving);
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(asked.load(Ordering::SeqCst), 1, "what was true before was told again");
    assert_eq!(get(&browser, &world, "wide", "/told").await.status, 200, "what is true now is");
}
