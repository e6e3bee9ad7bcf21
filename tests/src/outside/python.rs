//! What is written in Python, in a virtual environment of its own: `scim2-cli` with its tester, `scim2-server`, and what the scripts of
//! `tests/python` need. Running the scripts is left to `script`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::binary::repository;

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The program `scim2`.
///
/// # Panics
/// When python or pip fails.
#[must_use]
pub fn scim2() -> PathBuf {
    environment().join("bin/scim2")
}

/// The program `scim2-server`, a SCIM sink that keeps everything in memory.
///
/// # Panics
/// When python or pip fails.
#[must_use]
pub fn scim2_server() -> PathBuf {
    environment().join("bin/scim2-server")
}

/// The Python that knows the pinned packages.
///
/// # Panics
/// When python or pip fails.
#[must_use]
pub fn python() -> PathBuf {
    environment().join("bin/python")
}

/// The environment, filled if need be from the pins in `tests/python/requirements.txt`.
fn environment() -> &'static PathBuf {
    FOLDER.get_or_init(|| {
        let (folder, pins) =
            (super::folder().join("python"), repository().join("tests/python/requirements.txt"));
        let (program, installed) = (folder.join("bin/scim2"), folder.join("requirements.txt"));
        if !program.is_file() || !super::same(&pins, &installed) {
            super::install("a Python of its own", Command::new("python3").args(["-m", "venv"]).arg(&folder));
            let mut pip = Command::new(folder.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
            super::install("what tests/python/requirements.txt pins", pip.arg(&pins));
            std::fs::copy(&pins, &installed).expect("the pins can be copied");
        }
        folder
    })
}
