//! `cargo xtask model`: runs the model of the lease protocol with many seeds, and counts in how many of them each weakened variant is
//! found out. What the model is stands in `lease/tests/model`.

use crate::step::{self, Done, Trouble, cargo, step};

const DEFAULT_SEEDS: u64 = 1_000;

/// The command.
pub(crate) fn run(words: &[&str]) -> Done {
    let seeds = match words {
        [] => DEFAULT_SEEDS,
        ["--seeds", number] => number
            .parse()
            .ok()
            .filter(|seeds| *seeds > 0)
            .ok_or_else(|| Trouble(format!("`{number}` is no number of seeds")))?,
        _ => return Err(Trouble("`cargo xtask model` takes `--seeds N` and nothing else".to_owned())),
    };
    step(&format!("model of the lease protocol, {seeds} seeds"), || {
        let mut command = cargo();
        command.env("MODEL_SEEDS", seeds.to_string());
        command.args(["test", "--release", "-p", "portcullis-lease", "--test", "model", "--", "--nocapture"]);
        step::run(&mut command)
    })
}
