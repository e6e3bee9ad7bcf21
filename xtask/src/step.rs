//! Runs other programs, one step after the other, each announced, timed, and an error when it fails.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What went wrong, in words for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Trouble(pub(crate) String);

pub(crate) type Done = Result<(), Trouble>;

/// Announces a step, runs it and tells its time.
pub(crate) fn step<T>(name: &str, run: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    println!("\n==> {name}");
    let begun = Instant::now();
    let done = run();
    let outcome = if done.is_ok() { "done" } else { "FAILED" };
    println!("==> {name}: {outcome} in {:.1} s", begun.elapsed().as_secs_f64());
    done
}

/// Runs a program to its end; anything but success is trouble.
pub(crate) fn run(command: &mut Command) -> Done {
    println!("    {}", shown(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Trouble(format!("`{}` failed: {status}", shown(command)))),
        Err(error) => Err(Trouble(format!("`{}` cannot be started: {error}", shown(command)))),
    }
}

/// The command line, to be read and repeated by people.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Cargo, the one that runs us, in the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root());
    command
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    named.map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Where a program of this name lies, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps servers where the path of an ordinary user does not lead.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}
