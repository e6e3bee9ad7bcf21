//! `portcullis log`: searches the recorded decisions, and verifies that they are as they were recorded. Works beside a running gateway
//! and changes nothing. How a decision is worded is left to `words`.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use portcullis_store::Store;

mod words;

use super::ConfigFile;
use crate::config::Decisions;
use crate::decision_log::{ChainKey, Follow, GAP, Query, Record, Search, check, known};
use crate::seal::Sealer;
use words::{Shown, moment, several_lines, single_line};

/// The most that a search keeps in memory.
const MAX_LIMIT: u64 = 1_000_000;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Log {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that every record is as the gateway wrote it, that none is missing, and that the end was not cut off
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    config: ConfigFile,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Wanted {
    #[command(flatten)]
    config: ConfigFile,
    /// Search these files instead: a folder, or one file
    #[arg(long, value_name = "PLACE")]
    place: Option<PathBuf>,
    /// E-mail address or subject of a person, or name of a service
    #[arg(long, value_name = "WHO")]
    person: Option<String>,
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// allow, deny, login_required, failed, preflight or own
    #[arg(long, value_name = "WORD")]
    verdict: Option<String>,
    /// Such as blocked_by_policy
    #[arg(long, value_name = "WORD")]
    reason: Option<String>,
    /// The policy that decided
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// The reference that a page shows; tells all that is recorded
    #[arg(long, visible_alias = "request", value_name = "ID")]
    reference: Option<String>,
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// One path, or "/a/*" for all below
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// 2026-01-31, 2026-01-31T09:00:00Z, or how long ago: 90s, 15m, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,
    /// As --since
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<i64>,
    /// Only the newest so many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=MAX_LIMIT), conflicts_with = "follow")]
    limit: Option<u64>,
    /// Go on as decisions are recorded
    #[arg(long)]
    follow: bool,
    /// The records as they are, one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(asked: &Log) -> Result<(), Box<dyn Error>> {
    match &asked.command {
        Some(Command::Verify(verify)) => run_verify(verify),
        None => search(&asked.wanted),
    }
}

fn settings(file: &ConfigFile) -> Result<(crate::config::Config, Decisions), Box<dyn Error>> {
    let config = file.load()?;
    let settings = config.log.decisions.clone();
    let settings = settings.ok_or("decisions are not recorded: the configuration has no [log.decisions]")?;
    Ok((config, settings))
}

fn search(wanted: &Wanted) -> Result<(), Box<dyn Error>> {
    let place = match &wanted.place {
        Some(place) => place.clone(),
        None => settings(&wanted.config)?.1.folder,
    };
    let search = Search::new(Query {
        person: wanted.person.clone(),
        application: wanted.application.clone(),
        reason: wanted.reason.clone(),
        verdict: wanted.verdict.clone(),
        policy: wanted.policy.clone(),
        reference: wanted.reference.clone(),
        host: wanted.host.clone(),
        path: wanted.path.clone(),
        since: wanted.since,
        until: wanted.until,
    });
    let mut out = BufWriter::new(io::stdout().lock());
    let mut show = |line: &str, record: &Record| {
        match (record.record.as_str(), wanted.json) {
            (GAP, _) => {
                let timestamp = Shown(&record.timestamp);
                writeln!(io::stderr(), "{timestamp}: {} decisions were not recorded", record.lost)?;
            }
            (_, true) => writeln!(out, "{line}")?,
            (_, false) if wanted.reference.is_some() => write!(out, "{}", several_lines(line))?,
            (_, false) => writeln!(out, "{}", single_line(record))?,
        }
        if wanted.follow { out.flush() } else { Ok(()) }
    };
    let found = match wanted.limit.map(usize::try_from) {
        Some(limit) => search.newest(&place, limit?, &mut show),
        None => search.all(&place, if wanted.follow { Follow::Yes } else { Follow::No }, &mut show),
    };
    match found.and_then(|()| out.flush()) {
        // Whoever reads has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("cannot read `{}`: {error}", place.display()).into()),
        Ok(()) => Ok(()),
    }
}

fn run_verify(asked: &Verify) -> Result<(), Box<dyn Error>> {
    let (config, settings) = settings(&asked.config)?;
    if !config.store_key_file.exists() {
        return Err(format!(
            "the key file `{}` is not there: without it nothing can be verified",
            config.store_key_file.display()
        )
        .into());
    }
    let sealer = Sealer::from_file(&config.store_key_file)?;
    let known = if config.store_file.exists() {
        known(&Store::open(&config.store_file)?, &sealer, &settings.folder)?
    } else {
        None
    };
    let folder = &settings.folder;
    let found = check(folder, &ChainKey::new(sealer.decisions_key()), known)
        .map_err(|error| format!("cannot read `{}`: {error}", folder.display()))?;
    let mut out = io::stdout().lock();
    if asked.json {
        writeln!(out, "{}", words::report_json(&found))?;
    } else {
        write!(out, "{}", words::report(&found))?;
    }
    match found.faults.len() as u64 + found.more {
        0 => Ok(()),
        count => {
            Err(format!("the record of decisions in `{}` is not whole; faults: {count}", folder.display())
                .into())
        }
    }
}
