//! Where log events go: standard output, one line each. What is logged, and that no secret is in it, is left to those who log.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Sends events of the gateway and its parts to standard output. Called once.
pub fn start(format: LogFormat) {
    let ours = Targets::new().with_default(Level::WARN).with_target("portcullis", Level::INFO);
    let registry = tracing_subscriber::registry().with(ours);
    let started = match format {
        LogFormat::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(io::stdout))
            .try_init(),
        LogFormat::Text => registry.with(fmt::layer().compact().with_writer(io::stdout)).try_init(),
    };
    // A second start keeps the first: there is one log.
    drop(started);
}
