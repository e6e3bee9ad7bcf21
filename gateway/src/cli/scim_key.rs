//! `portcullis scim key`: makes, lists, rotates and revokes the keys of a directory. Works beside a running gateway, which obeys at once.

use std::error::Error;
use std::path::Path;

use clap::{Args, Subcommand};
use portcullis_store::{KeyRecord, Secret, Store};

use super::service_token::seconds;
use super::{ConfigFile, date, say};
use crate::assemble::declare_directories;
use crate::config::Config;
use crate::gateway::now;

/// How long a key stays valid beside its successor, unless told otherwise.
const DEFAULT_GRACE: &str = "7d";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key and show it, this once
    Create(Create),
    /// List keys: id, directory, name, when made, last used, until when they are valid
    List(List),
    /// Make another key for the same client and show it, this once; the one before stays valid for a while
    Rotate(Rotate),
    /// Revoke a key; requests with it are refused from then on
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    config: ConfigFile,
    /// The directory that the key opens
    #[arg(long)]
    directory: String,
    /// What the key is for, to know it again in the list
    #[arg(long, default_value = "okta")]
    name: String,
    /// How long it is valid, such as `365d`; without it, until it is revoked
    #[arg(long, value_parser = seconds)]
    expires: Option<i64>,
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    config: ConfigFile,
    /// The key's id, as `list` shows it
    key_id: String,
    /// How long the key before stays valid; `0s`: not at all
    #[arg(long, default_value = DEFAULT_GRACE, value_parser = seconds)]
    grace: i64,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    config: ConfigFile,
    /// The key's id, as `list` shows it
    key_id: String,
}

pub(super) fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::Create(create) => runtime.block_on(run_create(create)),
        Command::List(list) => run_list(&list.config),
        Command::Rotate(rotate) => runtime.block_on(run_rotate(rotate)),
        Command::Revoke(revoke) => runtime.block_on(run_revoke(revoke)),
    }
}

fn open(file: &ConfigFile) -> Result<(Config, Store), Box<dyn Error>> {
    let config = file.load()?;
    let store = Store::open(Path::new(&config.store_file))?;
    Ok((config, store))
}

async fn run_create(create: &Create) -> Result<(), Box<dyn Error>> {
    let (config, store) = open(&create.config)?;
    if !config.directories.iter().any(|directory| directory.name == create.directory) {
        let known: Vec<&str> = config.directories.iter().map(|directory| directory.name.as_str()).collect();
        return Err(format!(
            "no [[directory]] is named `{}` in {}; known: {}",
            create.directory,
            create.config.file.display(),
            known.join(", ")
        )
        .into());
    }
    // A gateway that serves has declared them; only then may nobody else, since declaring can end sessions.
    if let Ok(_lock) = store.lock_alone() {
        declare_directories(&store, &config).await?;
    }
    let now = now();
    let expires_at = create.expires.map(|seconds| now.saturating_add(seconds));
    let (record, token) =
        store.create_scim_key_until(&create.directory, &create.name, now, expires_at).await?;
    show(&config, &record, &token)
}

fn show(config: &Config, record: &KeyRecord, token: &Secret<String>) -> Result<(), Box<dyn Error>> {
    if let Some(at) = record.expires_at {
        say(&format!("valid until: {}", date(at)))?;
    }
    say(&format!(
        "key id: {}\ndirectory: {}\nbase URL: {}\nThe token below is shown once. Paste it into Okta as the API token.\ntoken: {}",
        record.key_id,
        record.directory,
        config.scim_base_url(&record.directory),
        token.expose()
    ))
}

async fn run_rotate(rotate: &Rotate) -> Result<(), Box<dyn Error>> {
    let (config, store) = open(&rotate.config)?;
    let now = now();
    let (record, token) = store.rotate_scim_key(&rotate.key_id, rotate.grace, now).await?;
    show(&config, &record, &token)?;
    say(&format!(
        "The key {} is valid until {}; give the client the new one by then.",
        rotate.key_id,
        date(now.saturating_add(rotate.grace))
    ))
}

fn run_list(file: &ConfigFile) -> Result<(), Box<dyn Error>> {
    let (_, store) = open(file)?;
    for record in store.list_scim_keys()? {
        say(&line(&record, now()))?;
    }
    Ok(())
}

pub(super) fn line(record: &KeyRecord, now: i64) -> String {
    let state = match (record.revoked_at, record.expires_at) {
        (Some(at), _) => format!("revoked {}", date(at)),
        (None, Some(at)) if at <= now => format!("expired {}", date(at)),
        (None, Some(at)) => format!("valid until {}", date(at)),
        (None, None) => "valid".to_owned(),
    };
    let used = record.last_used_at.map_or_else(|| "never".to_owned(), date);
    format!(
        "{}  directory {}  name {}  made {}  last used {used}  {state}",
        record.key_id,
        record.directory,
        record.name,
        date(record.created_at)
    )
}

async fn run_revoke(revoke: &Revoke) -> Result<(), Box<dyn Error>> {
    let (_, store) = open(&revoke.config)?;
    let record = store.revoke_scim_key(&revoke.key_id, now()).await?;
    say(&format!("key {} of directory {} is revoked", record.key_id, record.directory))
}
