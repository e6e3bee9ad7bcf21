//! Programs from npm, PyPI and crates.io, pinned, below `target/tools`; nothing of theirs reaches the rest of the machine.

use std::path::PathBuf;
use std::process::Command;

use crate::step::{Done, Trouble, cargo, root, run, step, target};

/// What pins the packages of npm and of Python, below `tests`, and what they are for. Beside the installed packages lies a
/// copy of it, which tells what was installed.
const PINNED: [Pinned; 2] = [
    Pinned {
        folder: "node",
        pins: &["package.json", "package-lock.json"],
        installed: "node_modules",
        purpose: "by npm: identity providers and verifiers of tokens that were not written here, what steers the browser",
    },
    Pinned {
        folder: "python",
        pins: &["requirements.txt"],
        installed: "bin/scim2",
        purpose: "by pip: a judge of SCIM endpoints, a gRPC client and server, a verifier of tokens",
    },
];

struct Pinned {
    folder: &'static str,
    pins: &'static [&'static str],
    installed: &'static str,
    purpose: &'static str,
}

impl Pinned {
    fn from(&self) -> PathBuf {
        root().join("tests").join(self.folder)
    }

    fn to(&self) -> PathBuf {
        folder().join(self.folder)
    }

    fn is_there(&self) -> bool {
        let read = |folder: PathBuf, pin: &str| std::fs::read(folder.join(pin)).ok();
        self.to().join(self.installed).exists()
            && self.pins.iter().all(|pin| {
                let installed = read(self.to(), pin);
                installed.is_some() && installed == read(self.from(), pin)
            })
    }

    fn copy_pins(&self) -> Done {
        let failed = |error| Trouble(format!("the pins of tests/{} cannot be copied: {error}", self.folder));
        std::fs::create_dir_all(self.to()).map_err(failed)?;
        for pin in self.pins {
            std::fs::copy(self.from().join(pin), self.to().join(pin)).map_err(failed)?;
        }
        Ok(())
    }

    fn install(&self) -> Done {
        if self.folder == "node" {
            self.copy_pins()?;
            // No scripts of theirs run here, and nothing but what the lock file pins is fetched.
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            return run(npm.current_dir(self.to()));
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(self.to()))?;
        let mut pip = Command::new(self.to().join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
        run(pip.arg(self.from().join("requirements.txt")))?;
        self.copy_pins()
    }
}

const CARGO_DENY: &str = "0.20.2";

/// Where they are.
pub(crate) fn folder() -> PathBuf {
    target().join("tools")
}

/// Says what is needed and what of it will be installed.
pub(crate) fn announce() {
    for pinned in &PINNED {
        let state = if pinned.is_there() { "is there" } else { "will be fetched into target/tools" };
        println!("  {:<23} {}; {state}", format!("tests/{}", pinned.folder), pinned.purpose);
    }
    let state =
        if deny().is_file() { "is there" } else { "will be built by cargo into target/tools (some minutes)" };
    println!("  {:<23} licences, sources and banned crates; {state}", format!("cargo-deny {CARGO_DENY}"));
}

/// Installs what is absent.
pub(crate) fn install() -> Done {
    for pinned in PINNED.iter().filter(|pinned| !pinned.is_there()) {
        step(&format!("fetch what tests/{} pins", pinned.folder), || pinned.install())?;
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
