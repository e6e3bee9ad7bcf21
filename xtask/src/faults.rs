//! `cargo xtask faults`: several gateways on one store, with a sidecar and without, under load, while they are stopped and killed, and while their
//! disk and clock misbehave, for many deactivations. What is done and looked for stands in `tests/src/faults.rs`.

use crate::step::{self, Done, Trouble, cargo, step, target};

const DEFAULT_DEACTIVATIONS: u64 = 10_000;

/// What the command line asks for.
struct Wanted {
    deactivations: u64,
    seed: Option<u64>,
}

/// The command.
pub(crate) fn run(words: &[&str]) -> Done {
    let wanted = wanted(words)?;
    step("build", || {
        step::run(cargo().args(["build", "--release", "-p", "portcullis", "--bin", "portcullis"]))
    })?;
    step(&format!("{} deactivations under faults", wanted.deactivations), || {
        let mut command = cargo();
        command.env("FAULTS_DEACTIVATIONS", wanted.deactivations.to_string());
        if let Some(seed) = wanted.seed {
            command.env("FAULTS_SEED", seed.to_string());
        }
        command.env("PORTCULLIS_BIN", target().join("release/portcullis"));
        command.args([
            "test",
            "--release",
            "-p",
            "portcullis-tests",
            "--test",
            "faults",
            "--",
            "--nocapture",
        ]);
        step::run(&mut command)
    })
}

fn wanted(words: &[&str]) -> Result<Wanted, Trouble> {
    let mut wanted = Wanted { deactivations: DEFAULT_DEACTIVATIONS, seed: None };
    for pair in words.chunks(2) {
        let number = |text: &str| {
            text.parse()
                .map_err(|_| Trouble(format!("`{text}` is no number that `cargo xtask faults` can use")))
        };
        match pair {
            ["--deactivations", text] => wanted.deactivations = number(text)?,
            ["--seed", text] => wanted.seed = Some(number(text)?),
            _ => {
                return Err(Trouble(
                    "`cargo xtask faults` takes `--deactivations N`, `--seed N` and nothing else".to_owned(),
                ));
            }
        }
    }
    Ok(wanted)
}
