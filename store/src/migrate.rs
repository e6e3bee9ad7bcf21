//! Brings a database to the newest schema, step by numbered step; what the steps contain stands in `migrations/`.

use crate::open::OpenError;
use crate::random;
use rusqlite::Connection;

/// `pcls` in the head of the file: this database is ours.
const APPLICATION_ID: i32 = 0x7063_6c73;

/// Each step raises `user_version` by one. A step that has been shipped never changes.
const STEPS: [&str; 7] = [
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_lasting_sessions.sql"),
    include_str!("../migrations/0003_service_tokens.sql"),
    include_str!("../migrations/0004_signing_keys.sql"),
    include_str!("../migrations/0005_terminals.sql"),
    include_str!("../migrations/0006_sealed_items.sql"),
    include_str!("../migrations/0007_beyond_yes_and_no.sql"),
];

/// Runs the missing steps, all or none.
pub(crate) fn migrate(connection: &Connection) -> Result<(), OpenError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = run_missing(connection);
    connection.execute_batch(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    outcome
}

fn run_missing(connection: &Connection) -> Result<(), OpenError> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && number("PRAGMA application_id")? != APPLICATION_ID {
        return Err(OpenError::NotAStore);
    }
    let version = number("PRAGMA user_version")?;
    let done = usize::try_from(version).map_err(|_| OpenError::NotAStore)?;
    if done > STEPS.len() {
        return Err(OpenError::NewerSchema { version });
    }
    for step in STEPS.iter().skip(done) {
        connection.execute_batch(step)?;
    }
    if done == 0 {
        let epoch = random::uuid().map_err(|_| OpenError::NoRandomness)?;
        connection.execute("INSERT INTO store_epoch (only_row, uuid) VALUES (1, $1)", [epoch])?;
        connection.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
    }
    connection.execute_batch(&format!("PRAGMA user_version = {}", STEPS.len()))?;
    Ok(())
}
