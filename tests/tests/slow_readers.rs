//! People on slow lines get the whole of what they asked for, over both versions of HTTP: slow is not stuck.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::time::{Duration, Instant};

use portcullis_tests::browser::{Browser, Outgoing, Versions};
use portcullis_tests::harness::{World, WorldConfig};
use portcullis_tests::okta::company::DEMO_PASSWORD;

const ENGINEER: &str = "engineer@corp.example";
const ANSWER_BYTES: u32 = 6_000_000;
/// Longer than a connection may be idle, and than a peer may take nothing.
const AT_LEAST: Duration = Duration::from_secs(8);

async fn impatient_world() -> World {
    World::with(WorldConfig {
        change: |settings| {
            settings.extra = "[limits]\nheader_timeout = \"3s\"\nidle_timeout = \"4s\"\n".to_owned();
        },
        ..WorldConfig::default()
    })
    .await
}

async fn slow_download(versions: Versions) {
    let world = impatient_world().await;
    let browser = Browser::speaking(&world.gateway.ca_pem(), versions);
    browser.log_in(&world.wiki("/"), ENGINEER, DEMO_PASSWORD).await.unwrap();
    let address = world.wiki(&format!("/download?bytes={ANSWER_BYTES}"));
    let wanted = Outgoing::navigation(&address).unwrap();
    let mut answer = browser.stream(&wanted).await.unwrap();
    let (begun, mut received) = (Instant::now(), 0_u32);
    while let Some(piece) =
        answer.piece().await.unwrap_or_else(|error| panic!("after {received} bytes: {error}"))
    {
        received += u32::try_from(piece.len()).unwrap();
        // In step with the clock: a tenth of the time for a tenth of the bytes.
        let share = AT_LEAST.mul_f64(f64::from(received) / f64::from(ANSWER_BYTES));
        tokio::time::sleep(share.saturating_sub(begun.elapsed())).await;
    }
    assert_eq!(received, ANSWER_BYTES);
    assert!(begun.elapsed() >= AT_LEAST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_everything_over_http1() {
    slow_download(Versions::Http1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_everything_over_http2() {
    slow_download(Versions::Http2).await;
}
