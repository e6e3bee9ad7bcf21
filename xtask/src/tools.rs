//! Programs from npm and crates.io, pinned, below `target/tools`; nothing of theirs reaches the rest of the machine.

use std::path::PathBuf;
use std::process::Command;

use crate::step::{Done, cargo, run, step, target};

/// Name, version, purpose. Versions are pinned: `latest` of `emulate` is an unrelated package.
const NPM: [(&str, &str, &str); 2] = [
    ("emulate", "0.12.2", "an Okta that was not written here"),
    ("playwright-core", "1.65.1", "steers the browser; brings none of its own"),
];
const CARGO_DENY: &str = "0.20.2";

/// Where they are.
pub(crate) fn folder() -> PathBuf {
    target().join("tools")
}

/// Says what is needed and what of it will be installed.
pub(crate) fn announce() {
    for (name, version, purpose) in NPM {
        let state =
            if has_npm(name, version) { "is there" } else { "will be fetched by npm into target/tools" };
        println!("  {:<23} {purpose}; {state}", format!("{name}@{version}"));
    }
    let state =
        if deny().is_file() { "is there" } else { "will be built by cargo into target/tools (some minutes)" };
    println!("  {:<23} licences, sources and banned crates; {state}", format!("cargo-deny {CARGO_DENY}"));
}

/// Installs what is absent.
pub(crate) fn install() -> Done {
    let absent: Vec<String> = NPM
        .iter()
        .filter(|(name, version, _)| !has_npm(name, version))
        .map(|(name, version, _)| format!("{name}@{version}"))
        .collect();
    if !absent.is_empty() {
        step(&format!("fetch from npm: {}", absent.join(" ")), || {
            let mut npm = Command::new("npm");
            // No scripts of theirs run here, and nothing but these versions is asked for.
            npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", "--prefix"]);
            run(npm.arg(folder()).args(&absent))
        })?;
    }
    if deny().is_file() {
        return Ok(());
    }
    step(&format!("build cargo-deny {CARGO_DENY}"), || {
        run(cargo()
            .args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--root"])
            .arg(folder()))
    })
}

/// The program `cargo-deny`.
pub(crate) fn deny() -> PathBuf {
    folder().join("bin/cargo-deny")
}

fn has_npm(name: &str, version: &str) -> bool {
    let description = folder().join("node_modules").join(name).join("package.json");
    let text = std::fs::read_to_string(description).unwrap_or_default();
    text.lines().any(|line| line.trim().trim_end_matches(',') == format!("\"version\": \"{version}\""))
}
