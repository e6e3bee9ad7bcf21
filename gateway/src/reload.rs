//! Puts a changed configuration in force without closing a connection: on SIGHUP, or when the file, or a file that it names, has
//! changed. A configuration with a fault changes nothing and says why.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use tokio::signal::unix::{SignalKind, signal};

use crate::assemble;
use crate::config::{Config, ConfigError};
use crate::gateway::{Current, now};
use crate::live::warn_of_unborne;
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
    warn_of_unborne(&next);
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

/// From this size on a file is known by its stamps rather than by its content, which is read every two seconds: databases of countries.
const LARGE_FILE_BYTES: u64 = 1024 * 1024;

/// What a file holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fingerprint {
    Content([u8; 32]),
    /// Inode, bytes, and when it was changed.
    Stamps([i64; 6]),
    /// It cannot be read.
    Unreadable,
}

impl Fingerprint {
    fn of(path: &Path) -> Self {
        Self::read(path).unwrap_or(Self::Unreadable)
    }

    fn read(path: &Path) -> Option<Self> {
        let told = std::fs::metadata(path).ok()?;
        if told.len() >= LARGE_FILE_BYTES {
            let (inode, bytes) = (told.ino().cast_signed(), told.size().cast_signed());
            let (changed, touched) = ([told.mtime(), told.mtime_nsec()], [told.ctime(), told.ctime_nsec()]);
            return Some(Self::Stamps([inode, bytes, changed[0], changed[1], touched[0], touched[1]]));
        }
        let content = std::fs::read(path).ok()?;
        digest::digest(&digest::SHA256, &content).as_ref().try_into().ok().map(Self::Content)
    }
}

/// What the configuration and the files that it names hold now.
fn fingerprints(config: &Config) -> HashMap<PathBuf, Fingerprint> {
    let files = config.files.iter().chain([&config.file]).cloned();
    let files = files.chain(config.policy_files.found());
    files.map(|file| (file.clone(), Fingerprint::of(&file))).collect()
}
