//! The scripts of `tests/node` beside the packages that they need. Running them is left to `script`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::binary::repository;

/// What pins the packages; a copy beside them tells which were installed.
const PINS: [&str; 2] = ["package.json", "package-lock.json"];

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The folder with scripts and packages, filled if need be.
///
/// # Panics
/// When npm fails.
#[must_use]
pub fn node() -> &'static PathBuf {
    FOLDER.get_or_init(|| {
        let (from, to) = (repository().join("tests/node"), super::folder().join("node"));
        std::fs::create_dir_all(&to).expect("a folder for node");
        let installed = to.join("node_modules").is_dir();
        if !installed || PINS.iter().any(|pin| !super::same(&from.join(pin), &to.join(pin))) {
            for pin in PINS {
                std::fs::copy(from.join(pin), to.join(pin)).expect("the pins can be copied");
            }
            // No scripts of theirs run here, and nothing but what is pinned is fetched.
            super::install(
                "what tests/node/package-lock.json pins",
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(&to),
            );
        }
        // Node looks for packages beside the script, so the scripts go to the packages.
        for entry in std::fs::read_dir(&from).expect("the folder of the scripts").flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "mjs") {
                std::fs::copy(entry.path(), to.join(entry.file_name())).expect("the scripts can be copied");
            }
        }
        to
    })
}
