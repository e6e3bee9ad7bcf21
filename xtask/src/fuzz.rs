//! `cargo xtask fuzz`: looks for bytes on which the gateway breaks its word, for some minutes each way. What must hold is said
//! in `gateway/src/fuzzing.rs` and `scim-sink/src/fuzzing.rs`; what was found is replayed by its tests.

use std::path::PathBuf;
use std::process::Command;

use crate::step::{self, Done, Trouble, cargo, step, target};
use crate::tools;

const CARGO_FUZZ: &str = "0.13.2";
const TARGETS: [&str; 6] = ["path", "headers", "cookies", "connection", "scim_patch", "filter"];
const DEFAULT_MINUTES: u64 = 10;
const LONGEST_INPUT: u32 = 16 * 1024;

/// Runs the targets that were named, or all of them.
pub(crate) fn run(words: &[&str]) -> Done {
    let (minutes, named) = match words {
        ["--minutes", number, named @ ..] => {
            let wrong = |_| Trouble(format!("`{number}` is no number of minutes"));
            (number.parse().map_err(wrong)?, named)
        }
        named => (DEFAULT_MINUTES, named),
    };
    if let Some(unknown) = named.iter().find(|name| !TARGETS.contains(name)) {
        return Err(Trouble(format!("there is no fuzz target `{unknown}`, only {}", TARGETS.join(", "))));
    }
    install()?;
    for name in TARGETS.iter().filter(|name| named.is_empty() || named.contains(name)) {
        step(&format!("fuzz {name} for {minutes} min"), || look(name, minutes))?;
        step(&format!("keep of {name} what tells things apart"), || step::run(&mut fuzz("cmin", name)))?;
    }
    Ok(())
}

fn look(name: &str, minutes: u64) -> Done {
    let mut command = fuzz("run", name);
    command
        .arg("--")
        .arg(format!("-max_total_time={}", minutes * 60))
        .arg(format!("-max_len={LONGEST_INPUT}"));
    step::run(command.args(["-timeout=30", "-rss_limit_mb=2048", "-print_final_stats=1"]))
}

/// Coverage is counted by a flag that the stable compiler keeps to itself, without which `cargo fuzz` would ask for a nightly one.
fn fuzz(what: &str, name: &str) -> Command {
    let mut command = cargo();
    command.env("RUSTC_BOOTSTRAP", "1").env("PATH", path()).args(["fuzz", what, "--sanitizer", "none"]);
    command.arg("--target-dir").arg(target().join("fuzz")).arg(name);
    command
}

/// Our tools before those of the machine.
fn path() -> std::ffi::OsString {
    let theirs = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(tools::folder().join("bin")).chain(std::env::split_paths(&theirs));
    std::env::join_paths(folders).unwrap_or(theirs)
}

fn install() -> Done {
    let program: PathBuf = tools::folder().join("bin/cargo-fuzz");
    if program.is_file() {
        return Ok(());
    }
    step(&format!("build cargo-fuzz {CARGO_FUZZ}"), || {
        let mut command = cargo();
        command.args(["install", "cargo-fuzz", "--version", CARGO_FUZZ, "--locked", "--root"]);
        step::run(command.arg(tools::folder()))
    })
}
