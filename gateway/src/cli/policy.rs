//! `portcullis policy`: tries policies out before they go live, and says why they decide as they do. Reads files and looks at a store;
//! nothing here needs a running gateway, disturbs one, or writes. The four commands are left to the files beside.

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use portcullis_policy::CountryCode;

use super::say;
use crate::config::{answer, moment};

mod asked;
mod diff;
mod directory;
mod explain;
mod judge;
mod lines;
mod lint;
mod persona;
mod test;
mod trace;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run cases from files: somebody, a request, and what is to become of it
    Test(test::Test),
    /// Say what becomes of one request and why: every policy, every rule, what was compared with what
    Explain(explain::Explain),
    /// Say who would gain or lose what if another configuration were in force
    Diff(diff::Diff),
    /// Find policies that are hardly meant so: unreachable, swallowed, unmatchable, open to everyone
    Lint(lint::Lint),
}

pub(super) fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Test(test) => test::run(test),
        Command::Explain(explain) => explain::run(explain),
        Command::Diff(diff) => diff::run(diff),
        Command::Lint(lint) => lint::run(lint),
    }
}

/// What is known of a request without knowing who asks, from the command line.
#[derive(Debug, Clone, Args)]
pub(super) struct Around {
    /// The address that asks
    #[arg(long, default_value = "192.0.2.1")]
    ip: IpAddr,
    /// The country of that address, such as DE; looked up where the configuration says how, when left out
    #[arg(long)]
    country: Option<CountryCode>,
    /// When, such as 2026-03-02T09:30:00Z; now, when left out
    #[arg(long, value_parser = time)]
    time: Option<i64>,
    /// The common name in the client's certificate; that there is none, unless told
    #[arg(long, value_name = "NAME")]
    common_name: Option<String>,
    /// What an external evaluation says: NAME=yes, NAME=no or NAME=nothing; it was not asked, unless told
    #[arg(long, value_name = "NAME=ANSWER", value_parser = told)]
    external: Vec<(String, Option<bool>)>,
}

/// How somebody logged in, from the command line.
#[derive(Debug, Clone, Args)]
pub(super) struct LoggedIn {
    /// The context of the login (acr)
    #[arg(long)]
    acr: Option<String>,
    /// A method of the login (amr); can be given several times
    #[arg(long)]
    amr: Vec<String>,
    /// How many seconds ago the login was
    #[arg(long, value_name = "SECONDS")]
    login_age: Option<i64>,
}

/// Another store than the configuration's.
#[derive(Debug, Clone, Args)]
pub(super) struct StoreFile {
    /// The store with the people; the configuration's own, when left out
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

fn time(text: &str) -> Result<i64, String> {
    moment(text).ok_or_else(|| format!("`{text}` is no time, such as 2026-03-02T09:30:00Z"))
}

fn told(text: &str) -> Result<(String, Option<bool>), String> {
    let fault = || format!("`{text}` is not such as device=yes, device=no or device=nothing");
    let (name, word) = text.split_once('=').ok_or_else(fault)?;
    Ok((name.to_owned(), answer(word, || {}).ok_or_else(fault)?))
}

/// How many there are of something, in words.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `12,345`
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written_as_people_do() {
        assert_eq!(
            ["0", "12", "123", "1,234", "1,234,567"].map(str::to_owned),
            [0, 12, 123, 1_234, 1_234_567].map(thousands)
        );
        assert_eq!(count(1, "person", "people"), "1 person");
        assert_eq!(told("device=no"), Ok(("device".to_owned(), Some(false))));
        assert!(told("device").is_err() && told("device=perhaps").is_err() && time("noon").is_err());
    }
}
