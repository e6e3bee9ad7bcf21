//! `cargo xtask faults`: two gateways and a sidecar on one store, stopped and killed under load, for many deactivations. What is done to them and
//! what is looked for stands in `tests/tests/faults.rs`.

use crate::step::{self, Done, Trouble, cargo, step, target};

const DEFAULT_DEACTIVATIONS: u64 = 10_000;

/// The command.
pub(crate) fn run(words: &[&str]) -> Done {
    let deactivations = match words {
        [] => DEFAULT_DEACTIVATIONS,
        ["--deactivations", number] => {
            let wrong = |_| Trouble(format!("`{number}` is no number of deactivations"));
            number.parse().map_err(wrong)?
        }
        _ => {
            return Err(Trouble(
                "`cargo xtask faults` takes `--deactivations N` and nothing else".to_owned(),
            ));
        }
    };
    step("build", || {
        step::run(cargo().args(["build", "--release", "-p", "portcullis", "--bin", "portcullis"]))
    })?;
    step(&format!("{deactivations} deactivations under faults"), || {
        let mut command = cargo();
        command.env("FAULTS_DEACTIVATIONS", deactivations.to_string());
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
