//! The figures as text in the form of OpenMetrics, which Prometheus reads. Names, labels and their meaning stand here and nowhere else.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};

use super::application::{Application, BOUNDS_MICROS, Distribution};
use super::{Counts, METRICS};
use crate::forward::EndpointState;

/// What the text says of itself.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Figures that are known elsewhere, at the moment of asking.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// The upstreams of all applications.
    pub(crate) endpoints: Vec<EndpointState>,
    /// Until when the certificates of hosts are good, in unix seconds.
    pub(crate) certificates: BTreeMap<String, i64>,
    /// Spans that did not reach their collector.
    pub(crate) spans_lost: u64,
    /// Logins that live.
    pub(crate) sessions: usize,
    /// Application sessions that live.
    pub(crate) application_sessions: usize,
    /// The number of the last change in the store's feed.
    pub(crate) changes: u64,
    /// Events of the log that are lost.
    pub(crate) log_lost: u64,
    /// Whether decisions are recorded, where that is configured, and how many were not.
    pub(crate) record: Option<(bool, u64)>,
}

/// Everything, as text.
pub(crate) fn text(figures: Figures) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("portcullis");
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Exposition(encoder);
        out.info()?;
        out.applications()?;
        out.gauge("connections", "Open client connections", METRICS.connections.load(Ordering::Relaxed))?;
        let in_flight = METRICS.in_flight.iter().map(|share| share.0.load(Ordering::Relaxed)).sum();
        out.gauge("requests_in_flight", "Requests whose answer has not left yet", in_flight)?;
        out.counts(
            "tls_handshakes",
            "TLS handshakes by result, version and kind",
            ["result", "version", "kind"],
            &METRICS.handshakes,
        )?;
        out.counts("cuts", "Connections cut, by the change that cut them", ["change"], &METRICS.cuts)?;
        out.counts(
            "session_renewals",
            "Sessions about which a provider was asked anew, by what came of it",
            ["outcome"],
            &METRICS.renewals,
        )?;
        out.counts(
            "external_evaluations",
            "Questions to external evaluations, by their answer",
            ["answer"],
            &METRICS.evaluations,
        )?;
        out.reports()?;
        out.counts(
            "scim_requests",
            "Answers to the provisioning client",
            ["method", "status"],
            &METRICS.scim,
        )?;
        let kinds = [("login", self.sessions), ("application", self.application_sessions)];
        out.gauges(
            "sessions",
            "Sessions in memory, live or ended and not yet forgotten",
            ["kind"],
            kinds.map(|(kind, count)| ([kind], whole(count))),
        )?;
        out.counter(
            "store_changes",
            "Changes that the store has fed to the gateway, over all its life",
            self.changes,
        )?;
        out.counter("log_lost", "Log events that were dropped or could not be written", self.log_lost)?;
        if let Some((records, lost)) = self.record {
            out.gauge(
                "decisions_recorded",
                "Whether decisions are recorded: 1, or 0 while they cannot be",
                records.into(),
            )?;
            out.counter("decisions_unrecorded", "Decisions that were not recorded", lost)?;
        }
        out.counter("spans_lost", "Spans that did not reach the collector", self.spans_lost)?;
        out.endpoints(&self.endpoints)?;
        out.certificates(&self.certificates)?;
        out.counts(
            "config_reloads",
            "Attempts to take a changed configuration",
            ["result"],
            &METRICS.reloads,
        )?;
        let revision = METRICS.revision.load(Ordering::Relaxed);
        out.gauge("config_revision", "Configurations taken since the start", whole(revision))
    }
}

struct Exposition<'a>(DescriptorEncoder<'a>);

impl Exposition<'_> {
    fn info(&mut self) -> fmt::Result {
        let mut build = self.0.encode_descriptor("build", "The program", None, MetricType::Info)?;
        build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }

    fn applications(&mut self) -> fmt::Result {
        let known = METRICS.applications.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut requests = self.descriptor(
            "requests",
            "Requests by application, verdict and first digit of the status",
            MetricType::Counter,
        )?;
        for (name, application) in &known {
            for (verdict, class, count) in application.answers().filter(|(_, _, count)| *count > 0) {
                let class = format!("{class}xx");
                let labels =
                    [("application", name.as_str()), ("verdict", verdict.as_str()), ("status", &class)];
                count_of(&mut requests.encode_family(&labels)?, count)?;
            }
        }
        type Read = fn(&Application) -> Distribution;
        let durations: [(&str, &str, Read); 2] = [
            (
                "request_duration",
                "Time from a request's head to the head of its answer",
                Application::answered,
            ),
            (
                "upstream_duration",
                "Time from the permit to the head of the upstream's answer",
                Application::upstream,
            ),
        ];
        for (name, help, read) in durations {
            let mut histogram =
                self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
            for (name, application) in &known {
                let labels = [("application", name.as_str())];
                distribution(&mut histogram.encode_family(&labels)?, &read(application))?;
            }
        }
        Ok(())
    }

    fn reports(&mut self) -> fmt::Result {
        let reports = METRICS.reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let help =
            "Requests that a report-only policy would have decided, and whether that changed the verdict";
        let mut metric = self.descriptor("report_only_decisions", help, MetricType::Counter)?;
        for ((policy, effect), count) in reports {
            count_of(&mut metric.encode_family(&[("policy", policy.as_str()), ("effect", effect)])?, count)?;
        }
        Ok(())
    }

    fn endpoints(&mut self, endpoints: &[EndpointState]) -> fmt::Result {
        type Read = fn(&EndpointState) -> i64;
        let read: [(&str, &str, Read); 2] = [
            ("upstream_up", "Whether an upstream is asked: 1, or 0 while it is left alone", |it| {
                it.usable.into()
            }),
            ("upstream_in_flight", "Exchanges under way with an upstream", |it| whole(it.in_flight)),
        ];
        for (name, help, read) in read {
            let mut metric = self.descriptor(name, help, MetricType::Gauge)?;
            for endpoint in endpoints {
                let labels = [("application", endpoint.application.as_str()), ("upstream", &endpoint.url)];
                metric.encode_family(&labels)?.encode_gauge(&read(endpoint))?;
            }
        }
        Ok(())
    }

    fn certificates(&mut self, certificates: &BTreeMap<String, i64>) -> fmt::Result {
        let help = "When the certificate that is shown for a host ends, in unix seconds";
        let mut metric = self.descriptor("certificate_not_after_seconds", help, MetricType::Gauge)?;
        for (host, not_after) in certificates {
            metric.encode_family(&[("host", host.as_str())])?.encode_gauge(not_after)?;
        }
        Ok(())
    }

    fn descriptor<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn counts<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        counts: &Counts<N>,
    ) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Counter)?;
        for (values, count) in counts.all() {
            let mut set = labels.map(|label| (label, ""));
            set.iter_mut().zip(values).for_each(|(pair, value)| pair.1 = value);
            count_of(&mut metric.encode_family(&set)?, count)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        count_of(&mut self.descriptor(name, help, MetricType::Counter)?, count)
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) -> fmt::Result {
        self.descriptor(name, help, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        values: impl IntoIterator<Item = ([&'static str; N], i64)>,
    ) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Gauge)?;
        for (words, value) in values {
            let mut set = labels.map(|label| (label, ""));
            set.iter_mut().zip(words).for_each(|(pair, word)| pair.1 = word);
            metric.encode_family(&set)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

fn count_of(metric: &mut MetricEncoder<'_>, count: u64) -> fmt::Result {
    metric.encode_counter(&count, None::<&Exemplar<NoLabelSet, u64>>)
}

fn distribution(metric: &mut MetricEncoder<'_>, distribution: &Distribution) -> fmt::Result {
    let ends = BOUNDS_MICROS.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = ends.zip(distribution.buckets).collect();
    let count = distribution.buckets.iter().sum();
    let none = None::<&HashMap<usize, Exemplar<NoLabelSet, f64>>>;
    metric.encode_histogram(seconds(distribution.sum_micros), count, &buckets, none)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for a graph")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn whole(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
