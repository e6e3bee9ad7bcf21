//! What is known of one endpoint: whether it is well, and how much it has to do. Shared by all workers, and kept over a reload. Who
//! asks it is left to `health`, who is chosen to `balance`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::addresses::Addresses;
use super::clock::in_ms;
use crate::config::Outlier;

/// The least share of an endpoint that has just come back, in a hundred.
const FIRST_SHARE: u64 = 10;

/// One endpoint of an application.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) application: String,
    /// Its address as configured.
    pub(super) url: String,
    pub(super) addresses: Addresses,
    /// Exchanges under way, over all workers.
    in_flight: AtomicUsize,
    unhealthy: AtomicBool,
    /// Failures in a row.
    failures: AtomicU32,
    /// Until when it is left alone; 0 when it is not.
    ejected_until_ms: AtomicU64,
    /// When it came back; 0 when it was never away.
    back_since_ms: AtomicU64,
}

/// One exchange under way at an endpoint.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Endpoint>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Endpoint {
    pub(super) fn new(application: &str, url: &str) -> Self {
        Self {
            application: application.to_owned(),
            url: url.to_owned(),
            addresses: Addresses::default(),
            in_flight: AtomicUsize::new(0),
            unhealthy: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            ejected_until_ms: AtomicU64::new(0),
            back_since_ms: AtomicU64::new(0),
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it may be chosen. An ejection that is over ends here.
    pub(super) fn is_usable(&self, now_ms: u64) -> bool {
        !self.unhealthy.load(Ordering::Relaxed) && !self.is_ejected(now_ms)
    }

    pub(super) fn is_ejected(&self, now_ms: u64) -> bool {
        let until = self.ejected_until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return false;
        }
        if now_ms < until {
            return true;
        }
        let ours = self.ejected_until_ms.compare_exchange(until, 0, Ordering::AcqRel, Ordering::Relaxed);
        if ours.is_ok() {
            self.failures.store(0, Ordering::Relaxed);
            self.back_since_ms.store(now_ms.max(1), Ordering::Relaxed);
            self.tell("an endpoint is tried again");
        }
        false
    }

    /// Its share in a hundred: grows from little to all during `slow_start` after it came back.
    pub(super) fn share(&self, now_ms: u64, slow_start: Option<Duration>) -> u64 {
        let since = self.back_since_ms.load(Ordering::Relaxed);
        let Some(whole) = slow_start.map(in_ms).filter(|_| since > 0) else { return 100 };
        let passed = now_ms.saturating_sub(since);
        if passed >= whole { 100 } else { (passed.saturating_mul(100) / whole.max(1)).max(FIRST_SHARE) }
    }

    pub(super) fn note_success(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure; true when it is now one too many.
    pub(super) fn note_failure(&self, outlier: &Outlier) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        outlier.failures > 0 && failures >= outlier.failures
    }

    /// Leaves it alone until then.
    pub(super) fn eject(&self, until_ms: u64, outlier: &Outlier) {
        let fresh = self.ejected_until_ms.compare_exchange(0, until_ms, Ordering::AcqRel, Ordering::Relaxed);
        if fresh.is_ok() {
            tracing::warn!(
                target: "portcullis::upstream",
                application = self.application,
                endpoint = self.url,
                failures = outlier.failures,
                seconds = outlier.eject_for.as_secs(),
                "an endpoint failed too often and is left alone"
            );
        }
    }

    /// What the questions to it came to.
    pub(super) fn set_healthy(&self, healthy: bool, now_ms: u64, cause: &str) {
        let was = !self.unhealthy.swap(!healthy, Ordering::AcqRel);
        if was == healthy {
            return;
        }
        if healthy {
            self.back_since_ms.store(now_ms.max(1), Ordering::Relaxed);
            self.tell("an endpoint is well again");
        } else {
            tracing::warn!(
                target: "portcullis::upstream",
                application = self.application,
                endpoint = self.url,
                cause,
                "an endpoint is not well"
            );
        }
    }

    fn tell(&self, event: &'static str) {
        tracing::info!(target: "portcullis::upstream", application = self.application, endpoint = self.url, "{event}");
    }
}
