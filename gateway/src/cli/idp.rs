//! `portcullis idp`: what an administrator of an identity provider needs from us. The two commands are left to the files beside.

use std::error::Error;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::ConfigFile;
use crate::config::{Config, IdentityProvider};

mod show;
mod test;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print what to paste into the provider's pages
    Show(Show),
    /// Try the provider out, step by step: address, clock, keys, client, redirect URI, groups
    Test(Test),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    config: ConfigFile,
    /// The name of an `[[identity_provider]]`
    name: String,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Test {
    #[command(flatten)]
    config: ConfigFile,
    /// The name of an `[[identity_provider]]`
    name: String,
    /// Somebody, by id or login, whose groups are fetched
    #[arg(long)]
    user: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Show(show) => show::run(show),
        Command::Test(test) => test::run(test),
    }
}

fn load(file: &ConfigFile, name: &str) -> Result<(Config, Arc<IdentityProvider>), Box<dyn Error>> {
    let config = file.load()?;
    if let Some(provider) = config.identity_provider(name).cloned() {
        return Ok((config, provider));
    }
    let known: Vec<&str> = config.identity_providers.iter().map(|it| it.name.as_str()).collect();
    let file = file.file.display();
    Err(format!("no [[identity_provider]] is named `{name}` in {file}; known: {}", known.join(", ")).into())
}
