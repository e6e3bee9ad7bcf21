//! `portcullis keys`: lists the keys that sign assertions, lets another one follow, and takes one out of use. Works beside a running gateway, which
//! takes a change up within seconds.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use portcullis_store::{SigningKey, SigningKeyState, SigningKeyStep, Store};

use super::{ConfigFile, date, say};
use crate::assertion::{self, Occasion, Signer, Wish};
use crate::config::Config;
use crate::gateway::now;
use crate::seal::Sealer;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List keys: id, algorithm, state, and what becomes of each
    List(List),
    /// Publish a key no more that signs no more, at once: when others may have it
    Forget(Forget),
    /// Make the next key. It is published, and signs when every origin can have fetched it
    Rotate(Rotate),
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
    /// Let it sign at once: origins that keep keys, and do not ask again for one they do not know, refuse people for a while
    #[arg(long)]
    now: bool,
}

#[derive(Debug, Args)]
pub(super) struct Forget {
    #[command(flatten)]
    config: ConfigFile,
    /// The key's id, as `list` shows it
    // Ids are base64url: one of 64 begins with a hyphen, and is no option.
    #[arg(allow_hyphen_values = true)]
    kid: String,
}

pub(super) fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::List(list) => {
            let (config, store) = open(&list.config)?;
            show(&store.signing_keys()?, assertion::wish(&config))
        }
        Command::Rotate(rotate) => runtime()?.block_on(run_rotate(rotate)),
        Command::Forget(forget) => runtime()?.block_on(run_forget(forget)),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn open(file: &ConfigFile) -> Result<(Config, Store), Box<dyn Error>> {
    let config = file.load()?;
    let store = Store::open(Path::new(&config.store_file))?;
    Ok((config, store))
}

async fn run_rotate(rotate: &Rotate) -> Result<(), Box<dyn Error>> {
    let (config, store) = open(&rotate.config)?;
    let sealer = Arc::new(Sealer::from_file(&config.store_key_file)?);
    let (issuer, wish) = (config.origin(&config.server.auth_host), assertion::wish(&config));
    let keys = store.signing_keys()?;
    if !keys.is_empty() {
        // With another key file than the gateway's, the new key would be one that it cannot open.
        Signer::new(issuer.clone(), &keys, &sealer)?;
    }
    let occasion = if rotate.now { Occasion::AskedNow } else { Occasion::Asked };
    show(&assertion::rotate(&store, &sealer, &issuer, wish, occasion, now()).await?, wish)
}

async fn run_forget(forget: &Forget) -> Result<(), Box<dyn Error>> {
    let (config, store) = open(&forget.config)?;
    let kid = forget.kid.clone();
    let is_asked = move |key: &&SigningKey| key.kid == kid && key.state != SigningKeyState::Active;
    let before = store.signing_keys()?;
    let after = store
        .rotate_signing_keys(move |keys| {
            let asked = keys.iter().filter(is_asked);
            asked.map(|key| SigningKeyStep::Delete { kid: key.kid.clone() }).collect()
        })
        .await?;
    if after.len() == before.len() {
        let kid = &forget.kid;
        return Err(format!(
            "no key `{kid}` that does not sign; let another one sign first: keys rotate --now"
        )
        .into());
    }
    show(&after, assertion::wish(&config))
}

fn show(keys: &[SigningKey], wish: Wish) -> Result<(), Box<dyn Error>> {
    keys.iter().try_for_each(|key| say(&line(key, wish)))
}

fn line(key: &SigningKey, wish: Wish) -> String {
    let SigningKey { kid, algorithm, created_at, state_since, .. } = key;
    let stands = match key.state {
        SigningKeyState::Next => format!("next, will sign from {}", date(wish.signs_at(key))),
        SigningKeyState::Active => format!("active, signs since {}", date(*state_since)),
        SigningKeyState::Retired => format!(
            "retired, signs no more since {}, is published until {}",
            date(*state_since),
            date(assertion::deleted_at(key))
        ),
    };
    format!("{kid}  {algorithm}  made {}  {stands}", date(*created_at))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn an_id_that_begins_with_a_hyphen_is_an_id() {
        let line = Line::try_parse_from(["keys", "forget", "--config", "c.toml", "-NF9KzXvu978IUF"]);
        let Ok(Line { command: Command::Forget(forget) }) = line else { panic!("{line:?}") };
        assert_eq!(forget.kid, "-NF9KzXvu978IUF");
        assert!(Line::try_parse_from(["keys", "forget", "abc", "--no-such-option"]).is_err());
        let first = Line::try_parse_from(["keys", "forget", "-NF9KzXvu978IUF", "--config", "c.toml"]);
        assert!(first.is_ok(), "{first:?}");
    }
}
