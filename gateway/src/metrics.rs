//! What is counted, for `/metrics` on the inner listener. Whoever does something counts it here; which names it gets is left to
//! `exposition`. No label is ever filled by a peer: applications are those of the configuration, everything else is a word of ours.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

mod application;
mod exposition;

pub(crate) use application::{Answer, Application};
pub(crate) use exposition::{CONTENT_TYPE, Figures, text};

/// Workers beyond these share their figures with others, which is slower and not wrong.
const SHARES: usize = 8;

/// A process has one set of figures, as it has one log.
static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::default);

#[derive(Debug, Default)]
struct Metrics {
    applications: Mutex<BTreeMap<String, Arc<Application>>>,
    connections: AtomicI64,
    in_flight: [Alone; SHARES],
    handshakes: Counts<3>,
    cuts: Counts<1>,
    scim: Counts<2>,
    renewals: Counts<1>,
    evaluations: Counts<1>,
    /// By policy: those of the configuration, whose names are no words of ours.
    reports: Mutex<BTreeMap<(String, &'static str), u64>>,
    reloads: Counts<1>,
    /// How many configurations have been taken since the start.
    revision: AtomicU64,
}

/// Counters of one name that differ by labels. For what is rare: each count takes a lock.
#[derive(Debug)]
struct Counts<const LABELS: usize>(Mutex<BTreeMap<[&'static str; LABELS], u64>>);

impl<const LABELS: usize> Default for Counts<LABELS> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<const LABELS: usize> Counts<LABELS> {
    fn add(&self, labels: [&'static str; LABELS], count: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(labels).or_default() += count;
    }

    fn all(&self) -> BTreeMap<[&'static str; LABELS], u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The figures of an application, found once for each configuration. They go on counting over a reload.
pub(crate) fn application(name: &str) -> Arc<Application> {
    let mut applications = METRICS.applications.lock().unwrap_or_else(PoisonError::into_inner);
    applications.entry(name.to_owned()).or_default().clone()
}

/// The figures of requests that are no application's: those for the auth host, and those that lead nowhere.
pub(crate) fn elsewhere() -> &'static Application {
    static ELSEWHERE: LazyLock<Arc<Application>> = LazyLock::new(|| application(""));
    &ELSEWHERE
}

/// A request under way, until its answer has left; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(usize);

/// A counter that shares its cache line with nothing.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone(AtomicI64);

impl InFlight {
    /// Counts one more for a worker.
    pub(crate) fn begin(worker: usize) -> Self {
        let counted = Self(worker);
        counted.add(1);
        counted
    }

    fn add(&self, count: i64) {
        if let Some(share) = METRICS.in_flight.get(self.0 % SHARES) {
            share.0.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.add(-1);
    }
}

/// An open client connection; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Connection(());

impl Connection {
    pub(crate) fn open() -> Self {
        METRICS.connections.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        METRICS.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A handshake that was done, with the version of TLS and how it was begun.
pub(crate) fn shaken(connection: &rustls::ServerConnection) {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
        _ => "",
    };
    let kind = match connection.handshake_kind() {
        Some(rustls::HandshakeKind::Resumed) => "resumed",
        _ => "full",
    };
    METRICS.handshakes.add(["done", version, kind], 1);
}

/// A handshake that was not.
pub(crate) fn not_shaken(result: &'static str) {
    METRICS.handshakes.add([result, "", ""], 1);
}

/// Connections that a change has cut.
pub(crate) fn cut(change: &'static str, connections: usize) {
    METRICS.cuts.add([change], connections as u64);
}

/// What became of an attempt to renew a session at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// The provider said anew who it is.
    Done,
    /// The provider does not vouch for it any more.
    Refused,
    /// There was no usable answer; it is tried again.
    Failed,
}

/// A provider was asked about a session.
pub(crate) fn renewed(outcome: Renewed) {
    let outcome = match outcome {
        Renewed::Done => "done",
        Renewed::Refused => "refused",
        Renewed::Failed => "failed",
    };
    METRICS.renewals.add([outcome], 1);
}

/// An external evaluation was asked: yes, no, or no answer.
pub(crate) fn evaluated(holds: Option<bool>) {
    let answer = match holds {
        Some(true) => "yes",
        Some(false) => "no",
        None => "none",
    };
    METRICS.evaluations.add([answer], 1);
}

/// A report-only policy would have decided a request, as it was decided or otherwise.
pub(crate) fn reported(policy: &str, effect: &'static str) {
    let mut reports = METRICS.reports.lock().unwrap_or_else(PoisonError::into_inner);
    *reports.entry((policy.to_owned(), effect)).or_default() += 1;
}

/// An answer to the provisioning client.
pub(crate) fn provisioned(method: &http::Method, status: http::StatusCode) {
    let method = match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    };
    METRICS.scim.add([method, class(status)], 1);
}

/// What became of an attempt to take a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    /// It is in force.
    Taken,
    /// It was wrong, and the one before stays in force.
    Refused,
}

/// A configuration was read again.
pub(crate) fn reloaded(reload: Reload) {
    match reload {
        Reload::Taken => {
            METRICS.revision.fetch_add(1, Ordering::Relaxed);
            METRICS.reloads.add(["taken"], 1);
        }
        Reload::Refused => METRICS.reloads.add(["refused"], 1),
    }
}

/// The first digit of a status.
fn class(status: http::StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
