//! `cargo xtask test`: formatting, lints, dependencies, and every test, with one line of numbers at the end.

use std::process::Command;

use crate::lanes::{self, Count};
use crate::step::{self, Done, cargo, step};
use crate::{system, tools};

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Everything,
    /// Without the tests that need other people's programs: those in modules named `outside`.
    Fast,
}

/// The command.
pub(crate) fn run(extent: Extent) -> Done {
    announce(extent);
    if extent == Extent::Everything {
        system::install(&system::OF_TESTS)?;
        tools::install()?;
    }
    step("formatting", || run_cargo(&["fmt", "--all", "--check"]))?;
    step("lints", || run_cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    step("build", || run_cargo(&["build", "--workspace", "--bins"]))?;
    if extent == Extent::Everything {
        step("dependencies", dependencies)?;
    }
    let mut count = Count::default();
    let tested = step("tests", || test(extent, &mut count));
    if extent == Extent::Fast {
        println!("--fast left out: installing tools, cargo deny, and the tests in modules named `outside`");
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    tested
}

fn announce(extent: Extent) {
    println!(
        "This checks formatting, lints and dependencies of Portcullis, builds it, and runs all tests on loopback."
    );
    if extent == Extent::Fast {
        println!(
            "With --fast it installs nothing and leaves out the tests that need other people's programs."
        );
        return;
    }
    println!("It needs these programs:");
    system::announce(&system::OF_TESTS);
    tools::announce();
}

fn run_cargo(arguments: &[&str]) -> Done {
    step::run(cargo().args(arguments))
}

/// Licences, sources and bans always; advisories when their database can be reached.
fn dependencies() -> Done {
    let deny = || {
        let mut command = Command::new(tools::deny());
        command.current_dir(step::root());
        command
    };
    step::run(deny().args(["check", "bans", "licenses", "sources"]))?;
    if step::run(deny().args(["fetch", "db"])).is_err() {
        println!("    NOT CHECKED: security advisories, since their database cannot be reached from here");
        return Ok(());
    }
    step::run(deny().args(["--offline", "check", "advisories"]))
}

fn test(extent: Extent, count: &mut Count) -> Done {
    run_cargo(&["test", "--workspace", "--no-run"])?;
    let rest: &[&str] = if extent == Extent::Fast { &["--", "--skip", "outside::"] } else { &[] };
    let tested = lanes::run_workspace(rest, count);
    // What a build has only when it is asked for.
    let mut optional = cargo();
    optional.args(["test", "--package", "portcullis", "--features", "otel", "--lib", "telemetry::"]);
    tested.and(lanes::run(vec![optional], count))
}
