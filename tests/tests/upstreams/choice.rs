//! Several endpoints: who is chosen, what is sent again, who is left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_tests::browser::{Outgoing, Versions};
use portcullis_tests::harness::ports;

use super::rig::{AILING, Act, OK, Told, application, at, get, told, visitor, world};

fn both(one: u16, two: u16) -> String {
    format!("http://127.0.0.1:{one}\", \"http://127.0.0.1:{two}")
}

const NO_EJECTION: &str = "[application.upstream]\noutlier = { failures = 0 }\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_away_is_noticed_by_nobody() {
    let (well, away) = (ports::free(), ports::free());
    let applications = vec![
        application("pair", &both(well, away), NO_EJECTION),
        application("watched", &both(well, away), "[application.upstream]\noutlier = { failures = 2 }\n"),
        application("gone", &both(away, away), NO_EJECTION),
    ];
    let world = world(applications, "[limits]\nupstream_retry_budget = 100\n").await;
    let upstream = Told::listen(well, |_| OK).await;
    let browser = visitor(&world, Versions::Both, &["pair", "watched", "gone"]).await;
    for _ in 0..20 {
        assert_eq!(get(&browser, &world, "pair", "/page").await.status, 200);
        // What was never begun may be sent again whatever it is.
        let posted = Outgoing::script(http::Method::POST, &at(&world, "pair", "/empty")).unwrap();
        assert_eq!(browser.send(&posted).await.unwrap().status, 200);
        assert_eq!(get(&browser, &world, "watched", "/page").await.status, 200);
        // All are tried when none is well, and the failure is told.
        assert_eq!(get(&browser, &world, "gone", "/page").await.status, 502);
    }
    assert_eq!(upstream.heads("GET /page").len(), 40);
    told(&world, "failed too often and is left alone", &format!("127.0.0.1:{away}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t47_only_what_cannot_happen_twice_is_sent_again() {
    let (well, failing) = (ports::free(), ports::free());
    let applications = vec![
        application("pair", &both(well, failing), NO_EJECTION),
        application("single", &format!("http://127.0.0.1:{failing}"), ""),
        application(
            "never",
            &both(well, failing),
            "[application.upstream]\nretries = 0\noutlier = { failures = 0 }\n",
        ),
    ];
    let world = world(applications, "[limits]\nupstream_retry_budget = 100\n").await;
    let good = Told::listen(well, |_| OK).await;
    let bad = Told::listen(failing, |_| Act::Close).await;
    let browser = visitor(&world, Versions::Both, &["pair", "single", "never"]).await;
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"] {
        let path = format!("/twice-{method}");
        let mut failed = 0;
        for _ in 0..12 {
            let sent = Outgoing::script(method.parse().unwrap(), &at(&world, "pair", &path)).unwrap();
            let answer = browser.send(&sent).await.unwrap();
            failed += usize::from(answer.status == 502);
        }
        let (reached, broken) = (good.heads(&path).len(), bad.heads(&path).len());
        if ["POST", "PATCH"].contains(&method) {
            assert_eq!((reached + broken, failed), (12, broken), "{method} was sent again");
        } else {
            assert_eq!((reached, failed), (12, 0), "{method} was not sent again");
        }
        assert!(broken > 0, "{method}: the failing endpoint was never chosen");
    }
    // A body that was begun is not sent again, whatever the method.
    for number in 0..12 {
        let path = format!("/body-{number}");
        let sent = Outgoing::script(http::Method::PUT, &at(&world, "pair", &path)).unwrap();
        let status = browser.send(&sent.body("text/plain", "once")).await.unwrap().status;
        let times = good.heads(&path).len() + bad.heads(&path).len();
        assert_eq!((times, status == 502), (1, good.heads(&path).is_empty()), "{status}");
    }
    assert_eq!(get(&browser, &world, "single", "/page").await.status, 502);
    let mut broken = 0;
    for _ in 0..12 {
        broken += usize::from(get(&browser, &world, "never", "/page").await.status == 502);
    }
    assert!(broken > 0, "without retries a failure is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_share_requests_and_the_busy_get_fewer() {
    let (light, heavy) = (ports::free(), ports::free());
    let list = format!(
        "http://127.0.0.1:{light}\", {{ url = \"http://127.0.0.1:{heavy}\", weight = 4 }}, \"http://127.0.0.1:{light}"
    );
    let world = world(vec![application("shared", &list, "")], "").await;
    let (one, two) = (Told::listen(light, |_| OK).await, Told::listen(heavy, |_| OK).await);
    let browser = visitor(&world, Versions::Both, &["shared"]).await;
    for _ in 0..300 {
        get(&browser, &world, "shared", "/page").await;
    }
    let (light, heavy) = (one.heads("/page").len(), two.heads("/page").len());
    assert_eq!(light + heavy, 300);
    assert!((150..=250).contains(&heavy), "two thirds are 200, not {heavy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_checks_take_an_endpoint_out_and_back_in() {
    let (one, two) = (ports::free(), ports::free());
    let how = "[application.upstream]\nhealth = { path = \"/healthz\", interval = \"1s\", timeout = \"10s\", healthy_after = 2, \
               unhealthy_after = 2 }\n";
    let ailing = Arc::new(AtomicBool::new(false));
    let steady = Told::listen(one, |_| OK).await;
    let sick = ailing.clone();
    let other =
        Told::listen(
            two,
            move |head| {
                if head.contains("/healthz") && sick.load(Ordering::SeqCst) { AILING } else { OK }
            },
        )
        .await;
    // Both listen before they are asked: who is away at first is said to be not well too.
    let world = world(vec![application("asked", &both(one, two), how)], "").await;
    let browser = visitor(&world, Versions::Both, &["asked"]).await;
    let name = format!("127.0.0.1:{two}");
    ailing.store(true, Ordering::SeqCst);
    told(&world, "an endpoint is not well", &name).await;
    for _ in 0..20 {
        assert_eq!(get(&browser, &world, "asked", "/while-ill").await.status, 200);
    }
    assert_eq!((steady.heads("/while-ill").len(), other.heads("/while-ill").len()), (20, 0));
    assert!(!other.heads("/healthz")[0].contains("cf-access"), "a question tells nobody's identity");
    ailing.store(false, Ordering::SeqCst);
    told(&world, "an endpoint is well again", &name).await;
    for _ in 0..40 {
        get(&browser, &world, "asked", "/while-well").await;
    }
    assert!(!other.heads("/while-well").is_empty(), "it is asked again");
}
