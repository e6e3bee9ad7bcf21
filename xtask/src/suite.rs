//! `cargo xtask test`: formatting, lints, dependencies, and every test, with one line of numbers at the end.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::step::{self, Done, Trouble, cargo, step, target};
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

#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    /// Adds up lines such as `test result: ok. 3 passed; 0 failed; ...`.
    fn add(&mut self, line: &str) {
        let Some(numbers) = line.strip_prefix("test result: ") else { return };
        let before = |word: &str| {
            let words: Vec<&str> = numbers.split([' ', ';']).collect();
            let pair = words.windows(2).find(|pair| pair.last() == Some(&word));
            pair.and_then(|pair| pair.first()?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += before("passed");
        self.failed += before("failed");
    }
}

fn test(extent: Extent, count: &mut Count) -> Done {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if extent == Extent::Fast {
        command.args(["--", "--skip", "outside::"]);
    }
    run_tests(command, count)?;
    // What a build has only when it is asked for.
    let mut optional = cargo();
    optional.args(["test", "--package", "portcullis", "--features", "otel", "--lib", "telemetry::"]);
    run_tests(optional, count)
}

fn run_tests(mut command: Command, count: &mut Count) -> Done {
    command.env("PORTCULLIS_BIN", target().join("debug/portcullis"));
    command.env("PORTCULLIS_TOOLS", tools::folder());
    command.stdout(Stdio::piped());
    println!("    {}", step::shown(&command));
    let failed = |error| Trouble(format!("`cargo test` cannot be run: {error}"));
    let mut child = command.spawn().map_err(failed)?;
    if let Some(output) = child.stdout.take() {
        // Lines are passed on as they come; a test may print what is no UTF-8.
        for line in BufReader::new(output).split(b'\n') {
            let line = String::from_utf8_lossy(&line.map_err(failed)?).into_owned();
            println!("{line}");
            count.add(&line);
        }
    }
    let status = child.wait().map_err(failed)?;
    if !status.success() || count.failed > 0 {
        return Err(Trouble(format!("tests failed: {status}")));
    }
    if count.passed == 0 {
        return Err(Trouble("no test was run at all".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn results_of_all_test_programs_are_added_up() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: FAILED. 11 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "a test prints: test result: ok. 99 passed",
        ] {
            count.add(line);
        }
        assert_eq!((count.passed, count.failed), (14, 2));
    }
}
