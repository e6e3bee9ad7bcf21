//! Brings a database to the newest schema, step by numbered step; what the steps contain stands in `migrations/`.

use crate::fold::fold;
use crate::open::OpenError;
use crate::random;
use rusqlite::Connection;

/// `pcls` in the head of the file: this database is ours.
const APPLICATION_ID: i32 = 0x7063_6c73;

/// Each step raises `user_version` by one. A step that has been shipped never changes.
const STEPS: [&str; 10] = [
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_lasting_sessions.sql"),
    include_str!("../migrations/0003_service_tokens.sql"),
    include_str!("../migrations/0004_signing_keys.sql"),
    include_str!("../migrations/0005_terminals.sql"),
    include_str!("../migrations/0006_sealed_items.sql"),
    include_str!("../migrations/0007_beyond_yes_and_no.sql"),
    include_str!("../migrations/0008_provisioning.sql"),
    include_str!("../migrations/0009_members.sql"),
    include_str!("../migrations/0010_a_million_people.sql"),
];

/// Runs the missing steps, all or none.
pub(crate) fn migrate(connection: &Connection) -> Result<(), OpenError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = run_missing(connection);
    connection.execute_batch(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    outcome
}

/// Whoever only reads understands the newest schema alone.
pub(crate) fn expect_newest(connection: &Connection) -> Result<(), OpenError> {
    let done = steps_done(connection)?;
    if done < STEPS.len() {
        return Err(OpenError::OlderSchema { version: i32::try_from(done).unwrap_or_default() });
    }
    Ok(())
}

/// How many steps the database has behind it, none if it is empty.
fn steps_done(connection: &Connection) -> Result<usize, OpenError> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && number("PRAGMA application_id")? != APPLICATION_ID {
        return Err(OpenError::NotAStore);
    }
    let version = number("PRAGMA user_version")?;
    let done = usize::try_from(version).map_err(|_| OpenError::NotAStore)?;
    if done > STEPS.len() { Err(OpenError::NewerSchema { version }) } else { Ok(done) }
}

fn run_missing(connection: &Connection) -> Result<(), OpenError> {
    let done = steps_done(connection)?;
    for step in STEPS.iter().skip(done) {
        connection.execute_batch(step)?;
    }
    if done > 0 && done < STEPS.len() {
        fold_display_names(connection)?;
    }
    if done == 0 {
        let epoch = random::uuid().map_err(|_| OpenError::NoRandomness)?;
        connection.execute("INSERT INTO store_epoch (only_row, uuid) VALUES (1, $1)", [epoch])?;
        connection.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
    }
    connection.execute_batch(&format!("PRAGMA user_version = {}", STEPS.len()))?;
    Ok(())
}

/// Fills in what SQL cannot: the folded names of people who were there before they were looked for by name.
fn fold_display_names(connection: &Connection) -> rusqlite::Result<()> {
    let mut named = connection.prepare(
        "SELECT id, display_name FROM persons WHERE display_name IS NOT NULL AND display_name_folded IS NULL",
    )?;
    let mut update = connection.prepare("UPDATE persons SET display_name_folded = $1 WHERE id = $2")?;
    let named = named.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    // Read before anything is written: a row that was written could come up again.
    for (id, name) in named.collect::<rusqlite::Result<Vec<_>>>()? {
        update.execute((fold(&name), id))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{APPLICATION_ID, STEPS};
    use crate::testing::Folder;
    use crate::{PersonLookup, Store};
    use rusqlite::Connection;

    #[test]
    fn people_who_were_there_before_are_counted_and_found_by_name() {
        let folder = Folder::new();
        let earlier = STEPS.iter().position(|step| step.contains("listing_stretches")).unwrap();
        let old = Connection::open(folder.database()).unwrap();
        STEPS.iter().take(earlier).for_each(|step| old.execute_batch(step).unwrap());
        old.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {earlier}; \
             INSERT INTO store_epoch VALUES (1, 'e'); \
             INSERT INTO directories (id, name, identity_provider, served) VALUES (1, 'corp', 'okta', 1); \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO persons (directory, scim_id, user_name, user_name_folded, display_name, active, document, \
             version, created_at, updated_at) \
             SELECT 1, 's' || i, 'P' || i, 'p' || i, 'Person ' || i, 1, '{{}}', 1, 1, 1 FROM n"
        ))
        .unwrap();
        drop(old);
        let store = Store::open(&folder.database()).unwrap();
        let page = store.list_persons("corp", &PersonLookup::All, 4500, 2).unwrap();
        assert_eq!((page.total, page.items[0].scim_id.as_str()), (5000, "s4501"));
        let page =
            store.list_persons("corp", &PersonLookup::DisplayName("PERSON 77".to_owned()), 0, 2).unwrap();
        assert_eq!((page.total, page.items[0].scim_id.as_str()), (1, "s77"));
    }
}
