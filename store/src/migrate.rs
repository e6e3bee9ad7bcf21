//! Brings a database to the newest schema, step by numbered step; what the steps contain stands in `migrations/`.

use crate::fold::fold;
use crate::open::OpenError;
use crate::random;
use rusqlite::Connection;
use std::time::Duration;

/// `pcls` in the head of the file: this database is ours.
const APPLICATION_ID: i32 = 0x7063_6c73;

/// Each step raises `user_version` by one. A step that has been shipped never changes.
const STEPS: [&str; 13] = [
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
    include_str!("../migrations/0011_rosters.sql"),
    include_str!("../migrations/0012_published_attributes.sql"),
    include_str!("../migrations/0013_below_the_core_schema.sql"),
];

/// The step that made room for folded names. Whoever writes a store that has it behind it fills them in.
const FOLDED_NAMES: usize = 10;
/// How long whoever finds an earlier schema waits for the lock: another process may be running the steps, some seconds for each million people.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(60);

/// Runs the missing steps, all or none. The connection is as patient as `otherwise` again when this returns well.
pub(crate) fn migrate(connection: &Connection, otherwise: Duration) -> Result<(), OpenError> {
    if steps_done(connection)? == STEPS.len() {
        return Ok(());
    }
    connection.busy_timeout(MIGRATION_PATIENCE)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = run_missing(connection);
    connection.execute_batch(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    connection.busy_timeout(otherwise)?;
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
    if (1..FOLDED_NAMES).contains(&done) {
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
    use crate::open::BUSY_TIMEOUT;
    use crate::testing::{Folder, group_content};
    use crate::{GroupId, PersonLookup, Store};
    use rusqlite::Connection;
    use std::time::Duration;

    /// A store as it was before the step that has this in it.
    fn store_before(step_with: &str, filled_with: &str) -> Folder {
        let folder = Folder::new();
        let earlier = STEPS.iter().position(|step| step.contains(step_with)).unwrap();
        let old = Connection::open(folder.database()).unwrap();
        STEPS.iter().take(earlier).for_each(|step| old.execute_batch(step).unwrap());
        old.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {earlier}; \
             INSERT INTO store_epoch VALUES (1, 'e'); \
             INSERT INTO directories (id, name, identity_provider, served) VALUES (1, 'corp', 'okta', 1); \
             {filled_with}"
        ))
        .unwrap();
        folder
    }

    #[test]
    fn people_who_were_there_before_are_counted_and_found_by_name() {
        let folder = store_before(
            "listing_stretches",
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO persons (directory, scim_id, user_name, user_name_folded, display_name, active, document, \
             version, created_at, updated_at) \
             SELECT 1, 's' || i, 'P' || i, 'p' || i, 'Person ' || i, 1, '{}', 1, 1, 1 FROM n",
        );
        let store = Store::open(&folder.database()).unwrap();
        let page = store.list_persons("corp", &PersonLookup::All, 4500, 2).unwrap();
        assert_eq!((page.total, page.items[0].scim_id.as_str()), (5000, "s4501"));
        let page =
            store.list_persons("corp", &PersonLookup::DisplayName("PERSON 77".to_owned()), 0, 2).unwrap();
        assert_eq!((page.total, page.items[0].scim_id.as_str()), (1, "s77"));
    }

    /// Who has a name that is not folded, made by nobody, shows that nobody walked over all people again.
    #[test]
    fn names_are_not_folded_again_where_they_were_before() {
        let folder = store_before(
            "seen_attributes",
            "INSERT INTO persons (id, directory, scim_id, user_name, user_name_folded, display_name, active, document, \
             version, created_at, updated_at) VALUES (1, 1, 'p1', 'a', 'a', 'Ann', 1, '{}', 1, 1, 1)",
        );
        let store = Store::open(&folder.database()).unwrap();
        let page = store.list_persons("corp", &PersonLookup::DisplayName("ann".to_owned()), 0, 2).unwrap();
        assert_eq!(page.total, 0);
    }

    /// One second longer than a statement waits for the lock otherwise.
    #[tokio::test]
    async fn whoever_comes_while_another_brings_the_schema_up_to_date_waits_for_it() {
        let folder = store_before("seen_attributes", "");
        let other = Connection::open(folder.database()).unwrap();
        other.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").unwrap();
        let path = folder.database();
        let opened = std::thread::spawn(move || Store::open(&path));
        std::thread::sleep(BUSY_TIMEOUT + Duration::from_secs(1));
        other.execute_batch("COMMIT").unwrap();
        let store = opened.join().unwrap().unwrap();
        let patience = store.write(|transaction| {
            let read = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            let patience = transaction.connection.query_row("PRAGMA busy_timeout", [], read);
            patience.map_err(crate::StoreError::from)
        });
        assert_eq!(u128::try_from(patience.await.unwrap()).unwrap(), BUSY_TIMEOUT.as_millis());
    }

    #[tokio::test]
    async fn memberships_that_were_there_before_are_in_force_and_no_key_to_groups_is_left() {
        let folder = store_before(
            "abandoned_rosters",
            "INSERT INTO persons (id, directory, scim_id, user_name, user_name_folded, active, document, version, \
             created_at, updated_at) VALUES (1, 1, 'p1', 'a', 'a', 1, '{}', 1, 1, 1), \
             (2, 1, 'p2', 'b', 'b', 1, '{}', 1, 1, 1); \
             INSERT INTO groups (id, directory, scim_id, display_name, display_name_folded, document, version, \
             created_at, updated_at) VALUES (7, 1, 'g7', 'Sales', 'sales', '{}', 1, 1, 1), \
             (9, 1, 'g9', 'Support', 'support', '{}', 1, 1, 1); \
             INSERT INTO memberships VALUES (7, 1), (9, 1), (9, 2)",
        );
        let store = Store::open(&folder.database()).unwrap();
        let groups =
            |store: &Store, id: &str| store.person("corp", id).unwrap().map(|person| person.groups.len());
        assert_eq!((groups(&store, "p1"), groups(&store, "p2")), (Some(2), Some(1)));
        assert_eq!(store.group_members(GroupId(9)).unwrap().len(), 2);
        let new = store.create_group("corp", group_content("New"), vec!["p2".to_owned()], 2).await.unwrap();
        assert_eq!((new.id, groups(&store, "p2")), (GroupId(10), Some(2)));
        store.delete_group("corp", "g9", 3).await.unwrap();
        store.delete_person("corp", "p1", 3).await.unwrap();
        drop(store);
        let after = Connection::open(folder.database()).unwrap();
        let text = |sql: &str| after.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(
            text("SELECT group_concat(\"table\") FROM pragma_foreign_key_list('memberships')"),
            "persons"
        );
        assert_eq!(text("SELECT group_concat(roster || ' ' || person_id) FROM memberships"), "10 2");
        assert_eq!(text("PRAGMA integrity_check"), "ok");
        let broken: i64 =
            after.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
        assert_eq!(broken, 0);
    }

    #[test]
    fn what_was_kept_below_the_core_schema_is_gone() {
        let folder = store_before(
            "What stands below the URN",
            r#"INSERT INTO persons (directory, scim_id, user_name, user_name_folded, active, document, version,
            created_at, updated_at) VALUES (1, 'p1', 'a', 'a', 1,
            '{"urn:ietf:params:scim:schemas:core:2.0:User":{"password":"secret"},"URN:ietf:params:scim:schemas:core:2.0:user:Password":"secret",
            "urn:ietf:params:scim:schemas:core:2.0:Users":{"a\"b":[1,2.50,true]},"title":"urn:ietf:params:scim:schemas:core:2.0:User"}', 4, 1, 1),
            (1, 'p2', 'b', 'b', 1, '{"title":"T"}', 4, 1, 1);
            INSERT INTO groups (directory, scim_id, display_name, display_name_folded, document, version, created_at,
            updated_at) VALUES (1, 'g', 'G', 'g',
            '{"urn:ietf:params:scim:schemas:core:2.0:Group":{"password":"secret"},"own":1}', 4, 1, 1);"#,
        );
        let store = Store::open(&folder.database()).unwrap();
        let person = |id: &str| {
            let person = store.person("corp", id).unwrap().unwrap();
            (serde_json::to_string(&person.content.document).unwrap(), person.version)
        };
        let kept = r#"{"urn:ietf:params:scim:schemas:core:2.0:Users":{"a\"b":[1,2.50,true]},"title":"urn:ietf:params:scim:schemas:core:2.0:User"}"#;
        let of_text = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let (document, version) = person("p1");
        assert_eq!((of_text(&document), version), (of_text(kept), 5));
        assert_eq!(person("p2"), (r#"{"title":"T"}"#.to_owned(), 4));
        let group = store.group("corp", "g").unwrap().unwrap();
        assert_eq!(serde_json::Value::Object(group.content.document), of_text(r#"{"own":1}"#));
    }
}
