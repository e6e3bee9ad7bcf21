//! Puts the directory into the store of a gateway that is not running: a million people over SCIM would take longer than anybody wants to
//! wait for figures. What SCIM itself costs is measured on top, by `import`.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::Size;
use super::line::{Outcome, told};

/// Ids of what is put in place begin above those of the demo's company.
const FIRST: usize = 1001;

/// What stands in the store.
pub(super) struct Directory {
    pub(super) size: Size,
    store: PathBuf,
}

impl Directory {
    /// The SCIM id of a person.
    pub(super) fn person(&self, number: usize) -> String {
        scim_id('a', number)
    }

    /// The SCIM id of the group that is large.
    pub(super) fn large(&self) -> String {
        scim_id('b', self.size.groups)
    }

    /// The SCIM id of another one like it.
    pub(super) fn second_large(&self) -> String {
        scim_id('b', self.size.groups + 1)
    }

    /// Whether no memberships wait to be swept away, as the store says.
    pub(super) fn is_swept(&self) -> Outcome<bool> {
        let store = Connection::open_with_flags(&self.store, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let count = store.and_then(|store| {
            store.query_row("SELECT count(*) FROM abandoned_rosters", [], |row| row.get::<_, i64>(0))
        });
        Ok(count.map_err(told("store"))? == 0)
    }
}

/// Scattered over the index like the random ids that the sink gives.
fn scim_id(kind: char, number: usize) -> String {
    format!("{:08x}-5ca1-4000-8000-{kind}{number:011}", number * 2_654_435_761 % (1 << 32))
}

pub(super) fn user_name(number: usize) -> String {
    format!("person{number}@corp.example")
}

pub(super) fn external_id(number: usize) -> String {
    format!("00uscale{number}")
}

pub(super) fn display_name(number: usize) -> String {
    format!("Given Family{number}")
}

pub(super) fn group_name(number: usize) -> String {
    format!("Team {number}")
}

/// Everything that Okta's default profile tells, beside the names.
const DOCUMENT: &str = r#"'{"name":{"givenName":"Given","familyName":"Family' || n || '"},"emails":[{"value":"person' || n || '@corp.example","type":"work","primary":true}],"title":"Engineer ' || (n % 50) || '","userType":"Employee","locale":"en-US","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Department ' || (n % 300) || '","employeeNumber":"' || n || '","costCenter":"C' || (n % 1000) || '","organization":"Corp"}}'"#;

/// Writes everything, in one transaction that no power cut must survive.
pub(super) fn seed(store: &Path, size: Size) -> Outcome<Directory> {
    let connection = Connection::open(store).map_err(told("store"))?;
    let Size { people, groups, members, large, many } = size;
    let each = (people / large).max(1);
    let scim_id =
        |kind: char| format!("printf('%08x-5ca1-4000-8000-{kind}%011d', n * 2654435761 % 4294967296, n)");
    let numbers = |name: &str, limit: usize| {
        format!(
            "WITH RECURSIVE {name} (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM {name} WHERE n + 1 < {limit})"
        )
    };
    let statements = [
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; BEGIN".to_owned(),
        format!(
            "{} INSERT INTO persons (id, directory, scim_id, user_name, user_name_folded, external_id, display_name, \
             display_name_folded, active, document, version, created_at, updated_at) \
             SELECT {FIRST} + n, 1, {}, 'person' || n || '@corp.example', 'person' || n || '@corp.example', \
             '00uscale' || n, 'Given Family' || n, 'given family' || n, 1, {DOCUMENT}, 1, 1, 1 FROM p",
            numbers("p", people),
            scim_id('a')
        ),
        format!(
            "{} INSERT INTO person_emails (person, position, email) \
             SELECT {FIRST} + n, 0, 'person' || n || '@corp.example' FROM p",
            numbers("p", people)
        ),
        format!(
            "{} INSERT INTO groups (id, roster, directory, scim_id, display_name, display_name_folded, document, version, \
             created_at, updated_at) \
             SELECT {FIRST} + n, {FIRST} + n, 1, {}, 'Team ' || n, 'team ' || n, '{{}}', 1, 1, 1 FROM g",
            numbers("g", groups + 2),
            scim_id('b')
        ),
        // Spread over the whole directory, so that no two groups have the same people. Sorted first, since both indexes want that.
        format!(
            "{}, {} INSERT OR IGNORE INTO memberships (roster, person_id) \
             SELECT {FIRST} + g.n, {FIRST} + (g.n * 7919 + m.n * 10007) % {people} AS p FROM g, m ORDER BY 1, 2",
            numbers("g", groups),
            numbers("m", members).trim_start_matches("WITH RECURSIVE ")
        ),
        format!(
            "{}, {} INSERT OR IGNORE INTO memberships (roster, person_id) \
             SELECT {FIRST} + {groups} + g.n, {FIRST} + l.n * {each} FROM g, l ORDER BY 1, 2",
            numbers("g", 2),
            numbers("l", large).trim_start_matches("WITH RECURSIVE ")
        ),
        format!(
            "{} INSERT OR IGNORE INTO memberships (roster, person_id) SELECT {FIRST} + n, {FIRST} FROM k",
            numbers("k", many)
        ),
        "DELETE FROM listing_stretches; \
         INSERT INTO listing_stretches SELECT directory, 'person', id / 4096, count(*) FROM persons GROUP BY 1, 3; \
         INSERT INTO listing_stretches SELECT directory, 'group', id / 4096, count(*) FROM groups GROUP BY 1, 3; \
         COMMIT; PRAGMA journal_mode = WAL"
            .to_owned(),
    ];
    for statement in statements {
        connection.execute_batch(&statement).map_err(told("seed"))?;
    }
    Ok(Directory { size, store: store.to_owned() })
}
