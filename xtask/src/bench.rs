//! `cargo xtask bench`: builds the gateway, the floor and the benchmarks as they would be shipped, and becomes the benchmarks.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::step::{self, Done, Trouble};
use crate::system;

/// The core of load and upstream; the benchmarks pin the proxies to the first.
const CORE: &str = "1";
const PROFILE: &str = "dist";

/// Builds, then runs the program `bench` with the other arguments.
pub(crate) fn run(words: &[&str]) -> Done {
    let (profile, words) = profile(words)?;
    if let ["people", words @ ..] = words.as_slice() {
        return people(profile, words);
    }
    println!(
        "This measures Portcullis beside other proxies, on loopback, on two cores. It needs these programs:"
    );
    system::announce(&system::OF_BENCH);
    println!("Debian starts nginx as a service when it installs it: stop that, since it needs nothing here.");
    system::install(&system::OF_BENCH)?;
    let build =
        |arguments: &[&str]| step::run(step::cargo().args(["build", "--profile", profile]).args(arguments));
    step::step(&format!("build in profile {profile}"), || {
        if !words.contains(&"--portcullis") {
            build(&["-p", "portcullis", "--bin", "portcullis"])?;
        }
        build(&["-p", "portcullis-tests", "--bin", "bench", "--bin", "floor"])
    })?;
    let mut bench = Command::new("taskset");
    bench.args(["-c", CORE]).arg(step::target().join(profile).join("bench")).args(&words);
    // This process becomes the benchmarks, so that Ctrl-C reaches it alone and it can stop what it started.
    let error = bench.exec();
    Err(Trouble(format!("`{}` cannot be started: {error}", step::shown(&bench))))
}

/// The directory of a million people: the gateway alone, on the whole machine.
fn people(profile: &str, words: &[&str]) -> Done {
    println!("This fills a store of some gigabytes in a temporary folder, and takes some minutes.");
    step::step(&format!("build in profile {profile}"), || {
        let build = ["build", "--profile", profile, "-p"];
        step::run(step::cargo().args(build).args(["portcullis", "--bin", "portcullis"]))?;
        step::run(step::cargo().args(build).args(["portcullis-tests", "--bin", "people"]))
    })?;
    let built = step::target().join(profile);
    let mut people = Command::new(built.join("people"));
    people.args(words).env("PORTCULLIS_BIN", built.join("portcullis"));
    let error = people.exec();
    Err(Trouble(format!("`{}` cannot be started: {error}", step::shown(&people))))
}

/// The profile to build in, and what is left of the words.
fn profile<'w>(words: &[&'w str]) -> Result<(&'w str, Vec<&'w str>), Trouble> {
    let mut rest = words.to_vec();
    let Some(at) = rest.iter().position(|word| *word == "--profile") else { return Ok((PROFILE, rest)) };
    if at + 1 >= rest.len() {
        return Err(Trouble("`--profile` names no profile".to_owned()));
    }
    rest.remove(at);
    let named = rest.remove(at);
    Ok((named, rest))
}
