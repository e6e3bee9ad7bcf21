//! `portcullis policy diff`: who gains and who loses what if another configuration were in force, over the people of the directory, or
//! over requests that were recorded. Telling people apart is left to `crowd`, deciding to `compare`, recorded requests to `recorded`.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;

use clap::Args;

use super::asked::Moment;
use super::directory::Directory;
use super::judge::Judge;
use super::{Around, LoggedIn, StoreFile, say};

mod compare;
mod crowd;
mod recorded;
#[cfg(test)]
mod tests;
mod words;

use compare::{Asking, Totals};
use crowd::Crowd;

#[derive(Debug, Args)]
pub(in crate::cli) struct Diff {
    /// The configuration that is in force
    old: PathBuf,
    /// The configuration that might follow it
    new: PathBuf,
    #[command(flatten)]
    store: StoreFile,
    /// Requests that were recorded, in place of all people: a folder of the record of decisions, or one file
    #[arg(long, value_name = "PATH")]
    recorded: Option<PathBuf>,
    /// The method of the requests that are assumed
    #[arg(long, default_value = "GET")]
    method: String,
    /// The path of them; an application's first one, when left out
    #[arg(long)]
    path: Option<String>,
    #[command(flatten)]
    around: Around,
    #[command(flatten)]
    login: LoggedIn,
    /// Name this many of each kind
    #[arg(long, default_value_t = 5)]
    names: usize,
    /// Name all
    #[arg(long)]
    all: bool,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// The configuration before and the one after.
type Both<T> = [T; 2];

pub(in crate::cli) fn run(diff: &Diff) -> Result<(), Box<dyn Error>> {
    let judges = [Judge::load(&diff.old)?, Judge::load(&diff.new)?];
    let [before, _] = &judges;
    let directory = Directory::open(&diff.store, &before.config)?;
    let names = if diff.all { usize::MAX } else { diff.names };
    if let Some(record) = &diff.recorded {
        let replayed = recorded::replay(record, &judges, &directory, names)?;
        return say(&if diff.json { words::recorded_json(&replayed)? } else { words::recorded(&replayed) });
    }
    let at = judges.each_ref().map(|judge| Moment::of_flags(&diff.around, judge));
    let [first, _] = &at;
    let crowd = Crowd::of_directory(&directory, judges.each_ref(), &diff.login, first.now)?;
    let asking = Asking { judges: &judges, at: &at, method: &diff.method, path: diff.path.as_deref(), names };
    let applications = applications(&judges);
    let services = services(&directory)?;
    let mut totals = Totals::new(&crowd);
    let changes = applications
        .iter()
        .filter_map(|application| asking.compare(application, &crowd, &services, &mut totals))
        .collect::<Vec<_>>();
    let told = words::Told {
        asking: &asking,
        login: &diff.login,
        crowd: &crowd,
        changes: &changes,
        totals: &totals,
        left_out: applications.len() - changes.len(),
    };
    say(&if diff.json { told.json()? } else { told.text() })
}

/// The applications of either, in order.
fn applications(judges: &Both<Judge>) -> Vec<String> {
    let all = judges.iter().flat_map(|judge| &judge.config.applications);
    let names: BTreeSet<String> = all.map(|application| application.name.to_string()).collect();
    names.into_iter().collect()
}

/// The services that have a token.
fn services(directory: &Directory) -> Result<Vec<String>, Box<dyn Error>> {
    let tokens = directory.look().service_tokens()?;
    let names: BTreeSet<String> =
        tokens.iter().filter(|token| token.revoked_at.is_none()).map(|token| token.name.clone()).collect();
    Ok(names.into_iter().collect())
}
