//! `portcullis check`: every fault of the configuration; and, where there is a store already, what the policies name and nobody in it bears.
//! Nothing is served, and the store is only looked at.

use std::error::Error;

use portcullis_store::{StoreError, StoreLook};

use super::say;
use crate::config::{Config, Mention, Named};
use crate::live::Bearers;

pub(super) fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    say(&format!(
        "{}: no fault; {} applications, {} identity providers, {} directories",
        config.file.display(),
        config.applications.len(),
        config.identity_providers.len(),
        config.directories.len()
    ))?;
    // Before the first start there is none.
    if config.mentions.is_empty() || !config.store_file.is_file() {
        return Ok(());
    }
    let look = match StoreLook::open(&config.store_file) {
        Ok(look) => look,
        Err(error) => {
            return say(&format!("warning: names in policies were not looked for in the store: {error}"));
        }
    };
    for mention in missing(config, &look)? {
        let place = match &mention.file {
            Some(_) => mention.to_string(),
            None => format!("{mention} of `{}`", config.file.display()),
        };
        say(&format!("warning: {place}: nobody bears {}", mention.named))?;
    }
    Ok(())
}

fn missing<'c>(config: &'c Config, look: &StoreLook) -> Result<Vec<&'c Mention>, StoreError> {
    let groups = look.groups()?;
    let tokens = look.service_tokens()?;
    let living = tokens.iter().filter(|token| token.revoked_at.is_none()).map(|token| token.name.clone());
    let bearers = Bearers::new(groups.iter(), living, config.directories.len());
    let mut missing = Vec::new();
    for mention in bearers.missing(&config.mentions) {
        if !is_known_user(look, &mention.named)? {
            missing.push(mention);
        }
    }
    Ok(missing)
}

/// Whether it is a user whom a directory or a session knows.
fn is_known_user(look: &StoreLook, named: &Named) -> Result<bool, StoreError> {
    let Named::User(user) = named else { return Ok(false) };
    let provider = &user.identity_provider;
    let of_provider: Vec<_> =
        look.directories()?.into_iter().filter(|it| it.identity_provider == *provider).collect();
    let is_they = |person: &portcullis_store::Person| {
        let named = person.external_id.as_deref() == Some(&user.subject);
        named && of_provider.iter().any(|directory| directory.name == person.directory)
    };
    if look.persons_called(&user.subject)?.iter().any(is_they) {
        return Ok(true);
    }
    let sessions = look.sessions()?;
    Ok(sessions.iter().any(|session| session.provider == *provider && session.subject == user.subject))
}
