//! The command line: what can be asked of the program, and how it answers people. Doing it is left to the library.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

mod access;
mod check;
mod directory;
mod idp;
mod keys;
mod log;
mod policy;
mod scim_key;
mod scim_log;
mod service_token;
mod terminal;

use crate::causes::with_causes;
use crate::config::Config;
use crate::{log as program_log, serve, sidecar};

/// An identity-aware reverse proxy: logs people in against Okta, decides every request by identity and group policies, and drops
/// everything of a person the moment Okta deactivates them.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, propagate_version = true, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
A first start, from nothing to a login:
  1. Write config.toml (the one beside the README is documented key by key).
  2. portcullis check                            names every fault at once
  3. portcullis scim key create --directory corp prints the SCIM key for Okta, once
  4. portcullis run                              serves until SIGTERM or Ctrl-C";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until told to stop (SIGTERM or Ctrl-C); open requests may finish
    Run(ConfigFile),
    /// Read the configuration and report every fault with its line; serves nothing
    Check(ConfigFile),
    /// What concerns an identity provider: what to paste there, and whether it works
    #[command(subcommand)]
    Idp(idp::Command),
    /// Keys that sign the assertions for upstreams
    #[command(subcommand)]
    Keys(keys::Command),
    /// Search the recorded decisions, newest last; or verify that none was changed or taken out
    Log(Box<log::Log>),
    /// What a directory holds, and by which rules
    #[command(subcommand)]
    Directory(directory::Command),
    /// Try policies out before they go live, and ask why they decide as they do
    #[command(subcommand)]
    Policy(Box<policy::Command>),
    /// What concerns the provisioning client (Okta's SCIM side)
    #[command(subcommand)]
    Scim(Scim),
    /// Tokens by which programs prove themselves
    #[command(subcommand)]
    ServiceToken(service_token::Command),
    /// Requests for temporary access, and what was granted
    #[command(subcommand)]
    Access(access::Command),
    /// Sign in to an application from a terminal, by a browser here or elsewhere
    Login(terminal::Login),
    /// Print the token of a sign-in; requests show it in the field cf-access-token
    Token(terminal::OfApplication),
    /// Call curl with the token of a sign-in
    Curl(terminal::Curl),
    /// End the sign-in of a terminal
    Logout(terminal::OfApplication),
}

#[derive(Debug, Subcommand)]
enum Scim {
    /// Keys by which the provisioning client proves itself
    #[command(subcommand)]
    Key(scim_key::Command),
    /// Print what provisioning clients wrote, what it changed and ended, and what was refused to them
    Log(scim_log::Log),
    /// Serve SCIM alone, on the store of gateways that run beside it; `[sidecar]` says where
    Serve(ConfigFile),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = "config.toml")]
    file: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Box<dyn Error>> {
        Ok(Config::load(&self.file)?)
    }
}

/// Runs the program. The exit code is 0 when it did what was asked, 1 when it could not, and 2 when it was asked wrongly.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "portcullis: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Run(file) => {
            let config = file.load()?;
            let _written_at_the_end = program_log::start(&config.log)?;
            Ok(serve::run(config)?)
        }
        Command::Check(file) => check::run(&file.load()?),
        Command::Keys(command) => keys::run(command),
        Command::Idp(command) => idp::run(command),
        Command::Policy(command) => policy::run(command),
        Command::Log(asked) => log::run(asked),
        Command::Directory(command) => directory::run(command),
        Command::Scim(Scim::Serve(file)) => {
            let config = file.load()?;
            let _written_at_the_end = program_log::start(&config.log)?;
            Ok(sidecar::run(config)?)
        }
        Command::Scim(Scim::Key(command)) => scim_key::run(command),
        Command::Scim(Scim::Log(log)) => scim_log::run(log),
        Command::ServiceToken(command) => service_token::run(command),
        Command::Access(command) => access::run(command),
        Command::Login(asked) => terminal::login(asked),
        Command::Token(asked) => terminal::token(asked),
        Command::Curl(asked) => terminal::curl(asked),
        Command::Logout(asked) => terminal::logout(asked),
    }
}

/// A time for people.
fn date(at: i64) -> String {
    let rfc3339 = time::format_description::well_known::Rfc3339;
    let known = time::OffsetDateTime::from_unix_timestamp(at).ok().and_then(|at| at.format(&rfc3339).ok());
    known.unwrap_or_else(|| at.to_string())
}

fn say(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(io::stdout(), "{text}")?)
}
