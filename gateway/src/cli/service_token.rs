//! `portcullis service-token`: makes, lists, rotates and revokes the tokens of programs. Works beside a running gateway, which
//! follows within a second.

use std::error::Error;

use clap::{Args, Subcommand};
use portcullis_store::{Secret, ServiceTokenRecord, Store};

use super::{ConfigFile, date, say};
use crate::config::Config;
use crate::gateway::now;

/// How long a secret is good, unless told otherwise.
const DEFAULT_LIFE: &str = "365d";
/// How long the secret before stays good beside a new one, unless told otherwise.
const DEFAULT_GRACE: &str = "24h";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token and show its secret, this once
    Create(Create),
    /// List tokens: name, client id, when made, last used, until when its secrets are good
    List(List),
    /// Give a token another secret and show it, this once; the one before stays good for a while
    Rotate(Rotate),
    /// Revoke a token; a running gateway refuses it, and cuts what it has open, within a second
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    config: ConfigFile,
    /// What policies call it: `service_token = "NAME"`
    name: String,
    /// How long the secret is good: `365d`, `12h`, `30m`
    #[arg(long, default_value = DEFAULT_LIFE, value_parser = seconds)]
    expires: i64,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    config: ConfigFile,
    /// The token's name
    name: String,
    /// How long the secret before stays good; `0s`: not at all, and what it has open is cut
    #[arg(long, default_value = DEFAULT_GRACE, value_parser = seconds)]
    grace: i64,
    /// How long the new secret is good
    #[arg(long, default_value = DEFAULT_LIFE, value_parser = seconds)]
    expires: i64,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    config: ConfigFile,
    /// The token's name
    name: String,
}

/// A time as the configuration writes it, in seconds.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let fault = || format!("`{text}` is no time, such as \"365d\", \"12h\", \"30m\" or \"0s\"");
    let unit = text.chars().next_back().ok_or_else(fault)?;
    let count: i64 = text.strip_suffix(unit).and_then(|count| count.parse().ok()).ok_or_else(fault)?;
    let each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(fault()),
    };
    count.checked_mul(each).filter(|seconds| *seconds >= 0).ok_or_else(fault)
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
    let store = Store::open(&config.store_file)?;
    Ok((config, store))
}

async fn run_create(create: &Create) -> Result<(), Box<dyn Error>> {
    let (config, store) = open(&create.config)?;
    check_name(&create.name)?;
    let now = now();
    let expires_at = now.saturating_add(create.expires);
    let (record, secret) = store.create_service_token(&create.name, expires_at, now).await?;
    show(&record, &secret)?;
    if !config.policies.service_token_names().any(|name| name == record.name) {
        say(&format!(
            "No policy of {} names it: it opens what `any_service_token` opens, until a `service_auth` policy has \
             service_token = \"{}\".",
            create.config.file.display(),
            record.name
        ))?;
    }
    Ok(())
}

/// Policies and logs must be able to name it, in one spelling.
fn check_name(name: &str) -> Result<(), Box<dyn Error>> {
    const MAX_NAME_BYTES: usize = 64;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(allowed) {
        return Err(format!(
            "a name is 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` or `.`, and `{}` is not",
            name.escape_default()
        )
        .into());
    }
    Ok(())
}

fn show(record: &ServiceTokenRecord, secret: &Secret<String>) -> Result<(), Box<dyn Error>> {
    say(&format!(
        "name: {}\ngood until: {}\nThe secret below is shown once. The program sends both with each request.\n\
         CF-Access-Client-Id: {}\nCF-Access-Client-Secret: {}",
        record.name,
        record.secrets.first().map_or_else(String::new, |secret| date(secret.expires_at)),
        record.client_id,
        secret.expose()
    ))
}

fn run_list(file: &ConfigFile) -> Result<(), Box<dyn Error>> {
    let (_, store) = open(file)?;
    let now = now();
    for record in store.list_service_tokens()? {
        say(&line(&record, now))?;
    }
    Ok(())
}

fn line(record: &ServiceTokenRecord, now: i64) -> String {
    let good: Vec<String> =
        record.secrets.iter().filter(|it| it.expires_at > now).map(|it| date(it.expires_at)).collect();
    let state = match (record.revoked_at, good.as_slice()) {
        (Some(at), _) => format!("revoked {}", date(at)),
        (None, []) => "expired".to_owned(),
        (None, [newest]) => format!("good until {newest}"),
        (None, [newest, before @ ..]) => {
            format!("good until {newest}, its secret before until {}", before.join(", "))
        }
    };
    let used = record.last_used_at.map_or_else(|| "never".to_owned(), date);
    format!(
        "{}  client id {}  made {}  last used {used}  {state}",
        record.name,
        record.client_id,
        date(record.created_at)
    )
}

async fn run_rotate(rotate: &Rotate) -> Result<(), Box<dyn Error>> {
    let (_, store) = open(&rotate.config)?;
    let now = now();
    let (grace_until, expires_at) = (now.saturating_add(rotate.grace), now.saturating_add(rotate.expires));
    let (record, secret) = store.rotate_service_token(&rotate.name, grace_until, expires_at, now).await?;
    show(&record, &secret)?;
    match record.secrets.get(1) {
        Some(before) => say(&format!("The secret before is good until {}.", date(before.expires_at))),
        None => say("No secret of before is good any more."),
    }
}

async fn run_revoke(revoke: &Revoke) -> Result<(), Box<dyn Error>> {
    let (_, store) = open(&revoke.config)?;
    let record = store.revoke_service_token(&revoke.name, now()).await?;
    say(&format!(
        "service token {} ({}) is revoked; a running gateway obeys within a second",
        record.name, record.client_id
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_in_the_configuration() {
        assert_eq!(seconds("365d"), Ok(365 * 86_400));
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("0s"), Ok(0));
        for wrong in ["", "d", "1", "-1d", "1w", "1 d", "é", "9223372036854775807d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        assert!(check_name("ci-nightly_2.eu").is_ok() && check_name(&"a".repeat(64)).is_ok());
        for wrong in ["", "a b", "bü", "a\n", "a/b", &"a".repeat(65)] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
