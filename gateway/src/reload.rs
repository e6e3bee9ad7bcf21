//! Puts a changed configuration in force without closing a connection: on SIGHUP, or when the file, or a file that it names, has
//! changed. A configuration with a fault changes nothing and says why.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use tokio::signal::unix::{SignalKind, signal};

use crate::assemble;
use crate::config::{Config, ConfigError};
use crate::gateway::{Current, now};
use crate::metrics::{self, Reload};
use crate::serve::ServeError;

/// How often the files are looked at. A change counts when two looks in a row have found the same: a file that is being
/// written may parse, and lack the policies at its end.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Why the configuration in force stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("a change of {} needs a restart", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
    #[error("{0}")]
    Serve(#[from] ServeError),
}

/// Reloads whenever told to, until the runtime ends.
pub(crate) async fn watch(current: Arc<Current>) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut in_force = fingerprints(&current.get().config);
    let mut seen = in_force.clone();
    loop {
        let told = tokio::select! {
            _ = hangup.recv() => true,
            () = tokio::time::sleep(LOOK_INTERVAL) => false,
        };
        let found = fingerprints(&current.get().config);
        let settled = found == seen;
        seen.clone_from(&found);
        if told || (settled && found != in_force) {
            report(&current, reload(&current).await);
            // What was found before the files were read counts, so that a change meanwhile is not missed. A configuration with
            // a fault is not tried again until it changes.
            in_force = fingerprints(&current.get().config);
            in_force.extend(
                found.into_iter().filter(|(file, _)| in_force.contains_key(file)).collect::<Vec<_>>(),
            );
            seen.clone_from(&in_force);
        }
    }
}

/// Reads the file again and puts it in force, whole or not at all.
async fn reload(current: &Current) -> Result<(), ReloadError> {
    let before = current.get();
    let config = Config::load(&before.config.file)?;
    let fixed = before.config.needs_restart(&config);
    if !fixed.is_empty() {
        return Err(ReloadError::NeedsRestart(fixed));
    }
    let next = Arc::new(assemble::next(config, &before).await?);
    // New requests first, then what is open: a request that still began under the policies before is found by `adopt`, or finds
    // itself superseded. The other way round it could be let in by them after everything was looked through.
    current.replace(next.clone());
    before.fleet.rest();
    let longest = |application: &str| {
        let applications = &next.config.applications;
        applications.iter().find(|known| *known.name == *application).and_then(|known| known.session_duration)
    };
    next.process.live.limit_idleness(next.config.session.idle_timeout);
    let cuts = next.process.live.adopt(next.policies.clone(), longest, now());
    if cuts.0 > 0 {
        metrics::cut("configuration", cuts.0);
        tracing::info!(target: "portcullis::drop", change = "configuration", connections = cuts.0, "connections were cut");
    }
    Ok(())
}

fn report(current: &Current, reloaded: Result<(), ReloadError>) {
    metrics::reloaded(if reloaded.is_ok() { Reload::Taken } else { Reload::Refused });
    let gateway = current.get();
    let file = gateway.config.file.display().to_string();
    match reloaded {
        Ok(()) => tracing::info!(
            target: "portcullis::reload",
            file,
            generation = gateway.policies.generation,
            revision = format!("{:016x}", gateway.policies.set.revision()),
            applications = gateway.config.applications.len(),
            "the configuration was reloaded"
        ),
        Err(cause) => tracing::error!(
            target: "portcullis::reload",
            file,
            generation = gateway.policies.generation,
            %cause,
            "the configuration was not reloaded; the one before stays in force"
        ),
    }
}

type Fingerprint = Option<[u8; 32]>;

/// What the configuration and the files that it names hold now, by their hash; none for a file that cannot be read.
fn fingerprints(config: &Config) -> HashMap<PathBuf, Fingerprint> {
    let hash = |path: &Path| {
        let content = std::fs::read(path).ok()?;
        digest::digest(&digest::SHA256, &content).as_ref().try_into().ok()
    };
    let files = config.files.iter().chain([&config.file]);
    files.map(|file| (file.clone(), hash(file))).collect()
}
