//! Programs that other people wrote and that judge ours: pinned, fetched below `target/tools` when absent. The test command
//! fetches them beforehand; a test that is run alone fetches them itself, and says so.

mod node;
mod pebble;
mod proxy;
mod python;
mod script;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use node::node;
pub use pebble::{EXTERNAL_KEY, Pebble, PebbleSettings};
pub use proxy::{Program, Proxy};
pub use python::{python, scim2, scim2_server};
pub use script::Script;

/// Where they lie.
const VARIABLE: &str = "PORTCULLIS_TOOLS";

fn folder() -> PathBuf {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    named.unwrap_or_else(|| crate::harness::binary::repository().join("target/tools"))
}

/// Runs one step of an installation, in words and to its end.
fn install(what: &str, command: &mut Command) {
    println!("fetching {what}: {command:?}");
    let status = command.status().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    assert!(status.success(), "{command:?} failed: {status}");
}

/// Whether two files hold the same.
fn same(one: &Path, other: &Path) -> bool {
    matches!((std::fs::read(one), std::fs::read(other)), (Ok(one), Ok(other)) if one == other)
}
