//! The commands of the README: `cargo xtask demo`, `test`, `bench`, `fuzz`, `faults` and `model`. They install and start what is needed and
//! say so; what is built and tested lies in the other crates.

mod bench;
mod demo;
mod faults;
mod fuzz;
mod lanes;
mod model;
mod step;
mod suite;
mod system;
mod tools;

use std::process::ExitCode;

use step::Trouble;

const USAGE: &str = "\
usage: cargo xtask demo [--check]   see Portcullis at work, or have the whole walk played and checked
       cargo xtask test [--fast]    every check and every test; installs what is missing and says what
       cargo xtask bench [--quick] [--profile NAME] [--portcullis PROGRAM] [--before PROGRAM] [--against CONTESTANT]... [ROW]...
                                    what a request costs, beside other proxies; best on a machine that does nothing else
       cargo xtask bench people [NUMBER]
                                    what a directory of a million people costs, or of as many as named: import, start, memory, changes
       cargo xtask fuzz [--minutes N] [TARGET]...
                                    looks for bytes on which the gateway breaks its word
       cargo xtask faults [--deactivations N] [--seed N]
                                    several gateways on one store under load, stopped, killed, with a full disk, a slow one and clocks that
                                    are set; 10,000 unless said
       cargo xtask model [--seeds N]
                                    plays the lease protocol through faults, as it is and weakened; 1,000 seeds unless said

  --check   play the walk without a browser, print each step with its time, fail when one is wrong
  --fast    install nothing, and leave out the tests that need other people's programs
  --quick   less of each row, under three minutes: a first look only
  --profile, --portcullis
            the profile to build in (`dist` unless named), or a program that is built already
  --before  an earlier build, which takes part for comparison
  --against floor, nginx, `nginx auth_request` or haproxy; all unless named
  ROW       http1, http2, handshake, resumed, download, upload, websocket, big or idle; all unless named
  --minutes how long each fuzz target is tried: 10 unless said
  TARGET    path, headers, cookies, connection, scim_patch or filter; all unless named";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::run(&[]),
        ["demo", "--check"] => demo::run(&["--check"]),
        ["test"] => suite::run(suite::Extent::Everything),
        ["test", "--fast"] => suite::run(suite::Extent::Fast),
        ["bench", words @ ..] => bench::run(words),
        ["fuzz", words @ ..] => fuzz::run(words),
        ["faults", words @ ..] => faults::run(words),
        ["model", words @ ..] => model::run(words),
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
