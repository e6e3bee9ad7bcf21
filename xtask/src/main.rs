//! The two commands of the README, `cargo xtask demo` and `cargo xtask test`. They install and start what is needed and
//! say so; what is built and tested lies in the other crates.

mod demo;
mod step;
mod suite;
mod system;
mod tools;

use std::process::ExitCode;

use step::Trouble;

const USAGE: &str = "\
usage: cargo xtask demo [--check]   see Portcullis at work, or have the whole walk played and checked
       cargo xtask test [--fast]    every check and every test; installs what is missing and says what

  --check   play the walk without a browser, print each step with its time, fail when one is wrong
  --fast    install nothing, and leave out the tests that need other people's programs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::run(&[]),
        ["demo", "--check"] => demo::run(&["--check"]),
        ["test"] => suite::run(suite::Extent::Everything),
        ["test", "--fast"] => suite::run(suite::Extent::Fast),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => Err(Trouble(format!("these arguments are not known\n\n{USAGE}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble(what)) => {
            eprintln!("xtask: {what}");
            ExitCode::FAILURE
        }
    }
}
