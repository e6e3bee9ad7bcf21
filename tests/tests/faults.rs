//! Gateways on one store, with a sidecar and without, real processes, under load, while they are stopped and killed, and while their disk and
//! clock misbehave: no byte of somebody after the 2xx to their deactivation, no acknowledged change lost, no session that comes back.
//! `FAULTS_DEACTIVATIONS` and `FAULTS_SEED` ask for more than a test run has time for (`cargo xtask faults`).
#![allow(missing_docs, clippy::unwrap_used, reason = "test code")]

use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_tests::faults::{self, Plan};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_byte_after_a_2xx_whatever_happens_to_the_processes() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("FAULTS_SEED").unwrap_or(u64::from(now.subsec_nanos()));
    let deactivations = number("FAULTS_DEACTIVATIONS");
    println!("seed {seed}");
    let plan = match deactivations {
        Some(deactivations) => Plan::whole(usize::try_from(deactivations).unwrap(), seed),
        None => Plan::brief(seed),
    };
    let report = Box::pin(faults::run(plan)).await;
    println!("\n{}", report.table());
    if deactivations.is_some() {
        println!("written to {}", report.write().display());
    }
    let violations: Vec<String> = report.violations().collect();
    assert!(violations.is_empty(), "seed {seed}:\n{}", violations.join("\n"));
}
