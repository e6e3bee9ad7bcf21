//! `portcullis scim log`: the provisioning log, for people and for programs. It names attributes, never their values.

use std::error::Error;

use clap::Args;
use portcullis_store::{ProvisioningEntry, Store};
use serde_json::json;

use super::{ConfigFile, date, say};

#[derive(Debug, Args)]
pub(super) struct Log {
    #[command(flatten)]
    config: ConfigFile,
    /// Of this directory alone
    #[arg(long)]
    directory: Option<String>,
    /// About this user or group alone, by its SCIM id
    #[arg(long)]
    resource: Option<String>,
    /// How many entries, the newest ones
    #[arg(long, default_value_t = 50)]
    last: usize,
    /// One JSON object a line, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(log: &Log) -> Result<(), Box<dyn Error>> {
    let store = Store::open(&log.config.load()?.store_file)?;
    let mut entries = store.provisioning_log(log.directory.as_deref(), log.resource.as_deref(), log.last)?;
    entries.reverse();
    entries.iter().try_for_each(|entry| say(&if log.json { as_json(entry) } else { line(entry) }))
}

/// What a client chose is shown escaped: nobody writes a second line, or to the terminal.
fn line(entry: &ProvisioningEntry) -> String {
    let mut line = format!(
        "{}  {}  key {} ({})  {}  {}",
        date(entry.at),
        entry.directory.escape_debug(),
        entry.key_id,
        entry.key_name.escape_debug(),
        entry.operation.escape_debug(),
        entry.resource.escape_debug()
    );
    if let Some(name) = &entry.name {
        line.push_str(&format!("  {}", name.escape_debug()));
    }
    if let Some((status, reason)) = &entry.refused {
        line.push_str(&format!("  refused {status}: {}", reason.escape_debug()));
    }
    if !entry.changed.is_empty() {
        line.push_str(&format!("  changed {}", entry.changed.join(", ").escape_debug()));
    }
    let counts =
        [("joined", entry.joined), ("left", entry.departed), ("sessions ended", entry.sessions_ended)];
    for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        line.push_str(&format!("  {what} {count}"));
    }
    line
}

fn as_json(entry: &ProvisioningEntry) -> String {
    json!({
        "number": entry.number,
        "at": date(entry.at),
        "directory": entry.directory,
        "key_id": entry.key_id,
        "key_name": entry.key_name,
        "operation": entry.operation,
        "resource": entry.resource,
        "name": entry.name,
        "changed": entry.changed,
        "joined": entry.joined,
        "left": entry.departed,
        "sessions_ended": entry.sessions_ended,
        "status": entry.refused.as_ref().map(|(status, _)| status),
        "reason": entry.refused.as_ref().map(|(_, reason)| reason),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_a_line_of_their_own() {
        let entry = ProvisioningEntry {
            number: 1,
            at: 0,
            directory: "corp".to_owned(),
            key_id: "0a1b2c3d".to_owned(),
            key_name: "okta".to_owned(),
            operation: "POST".to_owned(),
            resource: "Users\n1970".to_owned(),
            name: Some("jane\u{1b}[2J".to_owned()),
            changed: vec!["a\rb".to_owned()],
            joined: 0,
            departed: 2,
            sessions_ended: 1,
            refused: Some((409, "taken\n".to_owned())),
        };
        for text in [line(&entry), as_json(&entry)] {
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
        assert!(
            line(&entry).ends_with("refused 409: taken\\n  changed a\\rb  left 2  sessions ended 1"),
            "{}",
            line(&entry)
        );
    }
}
