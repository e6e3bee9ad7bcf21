//! Runs the test targets, some side by side, since most of their time is waiting; the output of each comes in one piece. What is
//! built, and with which features, is left to `suite`.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::step::{self, Done, Trouble, cargo, root, target};
use crate::tools;

/// How many run at once.
const LANES: usize = 2;

/// What the test runner said, in numbers.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
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

/// Runs every library, program, example of the documentation and integration test of the workspace. `rest` goes to each.
pub(crate) fn run_workspace(rest: &[&str], count: &mut Count) -> Done {
    let mut targets: Vec<Vec<String>> = vec![vec!["--lib".to_owned(), "--bins".to_owned()]];
    targets.extend(integration_tests()?.into_iter().map(|name| vec!["--test".to_owned(), name]));
    targets.push(vec!["--doc".to_owned()]);
    let commands = targets.iter().map(|target| {
        let mut command = cargo();
        command.args(["test", "--workspace", "--no-fail-fast"]).args(target).args(rest);
        command
    });
    run(commands.collect(), count)
}

/// The names of the integration tests of all crates: `x.rs` and `x/main.rs` below `tests/`.
fn integration_tests() -> Result<Vec<String>, Trouble> {
    let read = |folder: &Path| {
        let entries = std::fs::read_dir(folder)
            .map_err(|error| Trouble(format!("`{}` cannot be read: {error}", folder.display())))?;
        Ok(entries.filter_map(Result::ok).map(|entry| entry.path()).collect::<Vec<_>>())
    };
    let mut names = Vec::new();
    for krate in read(&root())?.into_iter().filter(|path| path.join("Cargo.toml").is_file()) {
        // A crate with a workspace of its own is not tested here.
        let tests = krate.join("tests");
        if krate.ends_with("fuzz") || !tests.is_dir() {
            continue;
        }
        let is_test =
            |path: &Path| path.extension() == Some(OsStr::new("rs")) || path.join("main.rs").is_file();
        names.extend(
            read(&tests)?
                .iter()
                .filter(|path| is_test(path))
                .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())),
        );
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Runs these commands of cargo to their ends, and adds up what they say.
pub(crate) fn run(commands: Vec<Command>, count: &mut Count) -> Done {
    let waiting = Mutex::new(VecDeque::from(commands));
    let outcome = Mutex::new((count, Vec::new()));
    std::thread::scope(|lanes| {
        for _ in 0..LANES {
            lanes.spawn(|| {
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(mut command) = next() {
                    let run = run_one(&mut command);
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    match run {
                        Ok((output, succeeded)) => {
                            println!("    {}", step::shown(&command));
                            // Printed under the lock: whole pieces, one after the other.
                            for line in output.lines() {
                                println!("{line}");
                                outcome.0.add(line);
                            }
                            if !succeeded {
                                outcome.1.push(step::shown(&command));
                            }
                        }
                        Err(Trouble(why)) => outcome.1.push(why),
                    }
                }
            });
        }
    });
    let (count, failed) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() || count.failed > 0 {
        return Err(Trouble(format!("tests failed: {}", failed.join(" · "))));
    }
    if count.passed == 0 {
        return Err(Trouble("no test was run at all".to_owned()));
    }
    Ok(())
}

/// What it said on both of its streams, in order, and whether it succeeded.
fn run_one(command: &mut Command) -> Result<(String, bool), Trouble> {
    command.env("PORTCULLIS_BIN", target().join("debug/portcullis"));
    command.env("PORTCULLIS_TOOLS", tools::folder());
    let shown = step::shown(command);
    let failed = |error| Trouble(format!("`{shown}` cannot be run: {error}"));
    let (mut ours, theirs) = std::io::pipe().map_err(failed)?;
    command.stdout(theirs.try_clone().map_err(failed)?).stderr(theirs);
    let mut child = command.spawn().map_err(failed)?;
    // Our copies of the writing end go, or the reading would never end.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut output = Vec::new();
    ours.read_to_end(&mut output).map_err(failed)?;
    let status = child.wait().map_err(failed)?;
    Ok((String::from_utf8_lossy(&output).into_owned(), status.success()))
}
