//! Finds the program `portcullis`, and builds it once when nobody named it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names the program to test; without it, it is built.
pub const VARIABLE: &str = "PORTCULLIS_BIN";

static BUILT: OnceLock<PathBuf> = OnceLock::new();

/// The program, built if need be in the profile of the running test.
///
/// # Panics
/// When it cannot be built: nothing can be tested then.
#[must_use]
pub fn portcullis() -> &'static Path {
    BUILT.get_or_init(|| match std::env::var_os(VARIABLE) {
        Some(named) => {
            let path = PathBuf::from(named);
            assert!(path.is_file(), "{VARIABLE} names `{}`, which is no file", path.display());
            path
        }
        None => build(),
    })
}

/// The folder of the running program's profile, such as `target/debug`.
#[must_use]
pub fn profile_folder() -> PathBuf {
    let running = std::env::current_exe().expect("a running program has a path");
    let folder = running.parent().expect("a program lies in a folder");
    // Tests lie one folder deeper, in `deps`.
    if folder.ends_with("deps") { folder.parent().unwrap_or(folder).to_owned() } else { folder.to_owned() }
}

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}

fn build() -> PathBuf {
    let folder = profile_folder();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "portcullis", "--bin", "portcullis"]).current_dir(repository());
    command.arg("--target-dir").arg(folder.parent().unwrap_or(&folder));
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "`cargo build -p portcullis` failed");
    folder.join("portcullis")
}
