//! `portcullis access`: requests for temporary access, listed and answered on the machine. Works beside a running gateway, which follows
//! within a second.

use std::error::Error;

use clap::{Args, Subcommand};
use portcullis_store::{AccessDecision, AccessRequest, AccessState, Decider, Store};

use super::service_token::seconds;
use super::{ConfigFile, date, say};
use crate::config::Config;
use crate::gateway::now;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List requests that wait and access that is granted; with --all those that are over, too
    List(List),
    /// Grant a request; it ends by itself
    Grant(Grant),
    /// Refuse a request
    Refuse(One),
    /// End granted access at once; a running gateway cuts what it has open within a second
    Revoke(One),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigFile,
    /// Those that are over, too, the newest first
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct Grant {
    #[command(flatten)]
    one: One,
    /// For how long: `4h`, `30m`; as long as was asked for, unless told otherwise
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    length: Option<i64>,
}

#[derive(Debug, Args)]
pub(super) struct One {
    #[command(flatten)]
    config: ConfigFile,
    /// The request's id, or enough of its beginning
    id: String,
    /// Who answers, for the log
    #[arg(long, default_value = "the command line")]
    by: String,
}

pub(super) fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::List(list) => run_list(list),
        Command::Grant(grant) => runtime.block_on(run_grant(grant)),
        Command::Refuse(one) => runtime.block_on(run_refuse(one)),
        Command::Revoke(one) => runtime.block_on(run_revoke(one)),
    }
}

fn open(file: &ConfigFile) -> Result<(Config, Store), Box<dyn Error>> {
    let config = file.load()?;
    let store = Store::open(&config.store_file)?;
    Ok((config, store))
}

fn run_list(list: &List) -> Result<(), Box<dyn Error>> {
    let (_, store) = open(&list.config)?;
    let requests = if list.all { store.access_requests()? } else { store.open_access_requests(now())? };
    for request in requests {
        say(&line(&request))?;
    }
    Ok(())
}

/// What somebody wrote may hold anything: it is shown with its control characters escaped.
fn line(request: &AccessRequest) -> String {
    let who = request.email.clone().unwrap_or_else(|| format!("{} at {}", request.subject, request.provider));
    let state = match (request.state, request.until, request.decided_at) {
        (AccessState::Granted, Some(until), _) => format!("granted until {}", date(until)),
        (AccessState::Refused, _, Some(at)) => format!("refused {}", date(at)),
        (state, ..) => request
            .ended_at
            .map_or_else(|| state.as_str().to_owned(), |at| format!("{} {}", state.as_str(), date(at))),
    };
    let by = request.ended_by.as_ref().or(request.decided_by.as_ref());
    let by = by.map(|by| format!(" by {}", by.escape_debug())).unwrap_or_default();
    format!(
        "{}  {}  application {}  policy {}  asked {} for {} s  {state}{by}  \"{}\"",
        request.id,
        who.escape_debug(),
        request.application,
        request.policy,
        date(request.asked_at),
        request.wanted_s,
        request.reason.escape_debug()
    )
}

/// The one open request whose id begins so.
fn find(store: &Store, id: &str) -> Result<AccessRequest, Box<dyn Error>> {
    let mut found: Vec<AccessRequest> =
        store.open_access_requests(now())?.into_iter().filter(|it| it.id.starts_with(id)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) if !id.is_empty() => Ok(one),
        (Some(_), _) => Err(format!("several requests begin with `{}`", id.escape_default()).into()),
        (None, _) => Err(format!(
            "no request that waits or is in force begins with `{}`; `portcullis access list` shows them",
            id.escape_default()
        )
        .into()),
    }
}

fn decider(one: &One) -> Decider {
    Decider { name: one.by.clone(), session: None }
}

async fn run_grant(grant: &Grant) -> Result<(), Box<dyn Error>> {
    let (config, store) = open(&grant.one.config)?;
    let request = find(&store, &grant.one.id)?;
    let length = grant.length.unwrap_or(request.wanted_s);
    let approval = config.policies.policy_named(&request.policy).and_then(|it| config.policies.approval(it));
    let Some(approval) = approval else {
        return Err(format!("no policy `{}` asks for an approval any more", request.policy).into());
    };
    let longest = i64::try_from(approval.longest.as_secs()).unwrap_or(i64::MAX);
    if !(1..=longest).contains(&length) {
        return Err(
            format!("policy `{}` lets access be granted for {longest} s at most", request.policy).into()
        );
    }
    let now = now();
    let decision = AccessDecision::Grant { until: now.saturating_add(length) };
    let granted = store.decide_access(&request.id, decision, decider(&grant.one), now).await?;
    say(&line(&granted))
}

async fn run_refuse(one: &One) -> Result<(), Box<dyn Error>> {
    let (_, store) = open(&one.config)?;
    let id = find(&store, &one.id)?.id;
    say(&line(&store.decide_access(&id, AccessDecision::Refuse, decider(one), now()).await?))
}

async fn run_revoke(one: &One) -> Result<(), Box<dyn Error>> {
    let (_, store) = open(&one.config)?;
    let id = find(&store, &one.id)?.id;
    say(&line(&store.end_access(&id, decider(one), now()).await?))
}
