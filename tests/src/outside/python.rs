//! `scim2-cli` with its tester, in a virtual environment of their own.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::binary::repository;

/// The program `scim2`, installed if need be from the pins in `tests/python/requirements.txt`.
///
/// # Panics
/// When python or pip fails.
#[must_use]
pub fn scim2() -> PathBuf {
    let (folder, pins) = (super::folder().join("python"), repository().join("tests/python/requirements.txt"));
    let (program, installed) = (folder.join("bin/scim2"), folder.join("requirements.txt"));
    if !program.is_file() || !super::same(&pins, &installed) {
        super::install("a Python of its own", Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
        super::install("what tests/python/requirements.txt pins", pip.arg(&pins));
        std::fs::copy(&pins, &installed).expect("the pins can be copied");
    }
    program
}
