//! `cargo xtask demo`: builds the programs in release and becomes the demo.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::step::{self, Done, Trouble};

/// Builds, then runs `target/release/demo` with the same arguments.
pub(crate) fn run(arguments: &[&str]) -> Done {
    println!(
        "This builds Portcullis in release (some minutes the first time) and then starts, on loopback only:"
    );
    println!("a simulated Okta, an application, and the gateway between them. Nothing is installed.");
    step::step("build in release", || {
        step::run(step::cargo().args([
            "build",
            "--release",
            "-p",
            "portcullis",
            "-p",
            "portcullis-tests",
            "--bins",
        ]))
    })?;
    println!();
    let mut demo = Command::new(step::target().join("release/demo"));
    demo.args(arguments).current_dir(step::root());
    // This process becomes the demo, so that Ctrl-C reaches it alone and it can stop what it started.
    let error = demo.exec();
    Err(Trouble(format!("`{}` cannot be started: {error}", step::shown(&demo))))
}
