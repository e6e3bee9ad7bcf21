//! What the gateway is to reach, as ratios of CPU time for each request within one run, or as figures of its own.

use super::row::{Metric, Row};
use super::stage::WITH_AUTH;

/// One aim.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aim {
    pub(super) row: Row,
    pub(super) metric: Metric,
    /// Whom the gateway is compared with; nobody when the figure stands for itself.
    pub(super) against: Option<&'static str>,
    pub(super) bound: Bound,
}

/// Which side of the figure is good.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    pub(super) fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("<= {bound}"),
            Self::AtLeast(bound) => format!(">= {bound}"),
        }
    }
}

const fn cpu(row: Row, against: &'static str, bound: f64) -> Aim {
    Aim { row, metric: Metric::CpuUs, against: Some(against), bound: Bound::AtMost(bound) }
}

const fn alone(row: Row, metric: Metric, bound: Bound) -> Aim {
    Aim { row, metric, against: None, bound }
}

pub(super) const AIMS: [Aim; 15] = [
    cpu(Row::Http1, "floor", 1.05),
    cpu(Row::Http1, "nginx", 0.90),
    cpu(Row::Http1, WITH_AUTH, 0.45),
    cpu(Row::Http2, "nginx", 1.00),
    cpu(Row::Http2, "haproxy", 1.20),
    cpu(Row::Http2, WITH_AUTH, 0.45),
    cpu(Row::Handshake, "nginx", 0.40),
    cpu(Row::Handshake, "floor", 1.05),
    alone(Row::Resumed, Metric::ResumedPercent, Bound::AtLeast(98.0)),
    cpu(Row::Download, "nginx", 0.95),
    cpu(Row::Upload, "nginx", 0.75),
    cpu(Row::WebSocket, "nginx", 0.75),
    alone(Row::Http1, Metric::Syscalls, Bound::AtMost(4.1)),
    alone(Row::Http2, Metric::Syscalls, Bound::AtMost(2.6)),
    alone(Row::Idle, Metric::KibPerConnection, Bound::AtMost(16.0)),
];
