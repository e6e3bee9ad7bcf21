//! Which memberships are in force: each group names its roster, and is left by many at once by naming another. Whoever stands in a roster that
//! was abandoned is in no group by it, and its memberships are swept away in small steps. Who joins and leaves is left to `members`.

use crate::error::StoreError;
use crate::limits::{ABANDONED_ROSTERS, MEMBERSHIPS_AT_ONCE, sql_count};
use crate::model::{GroupId, PersonId};
use crate::sql;
use crate::store::Store;
use rusqlite::{Connection, Result};
use std::collections::BTreeSet;

impl Store {
    /// Deletes memberships of rosters that were abandoned, a step's at most; whether there may be more. Several processes may do it at once.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be deleted; the next step takes them.
    pub async fn sweep_rosters(&self) -> std::result::Result<bool, StoreError> {
        // Whoever finds nothing to do takes no turn of the writer's.
        if self.read(oldest_abandoned)?.is_none() {
            return Ok(false);
        }
        self.write(|transaction| {
            transaction.concerns_nobody = true;
            Ok(sweep(transaction.connection)?)
        })
        .await
    }
}

/// The roster that a group names now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roster(i64);

impl Roster {
    pub(super) fn of(connection: &Connection, group: GroupId) -> Result<Self> {
        let roster =
            sql::row(connection, "SELECT roster FROM groups WHERE id = $1", [group], |row| row.get(0))?;
        roster.map(Self).ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    pub(super) fn members(self, connection: &Connection) -> Result<BTreeSet<PersonId>> {
        let sql = "SELECT person_id FROM memberships WHERE roster = $1";
        Ok(sql::rows(connection, sql, [self.0], |row| row.get(0))?.into_iter().collect())
    }

    /// How many they are, without reading them.
    pub(super) fn count(self, connection: &Connection) -> Result<usize> {
        let sql = "SELECT count(*) FROM memberships WHERE roster = $1";
        let count = sql::row(connection, sql, [self.0], |row| row.get::<_, i64>(0))?;
        Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(0))
    }

    /// Takes people in; those who were not members.
    pub(super) fn join(self, connection: &Connection, people: &BTreeSet<PersonId>) -> Result<Vec<PersonId>> {
        let sql = "INSERT INTO memberships (roster, person_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.each(connection, sql, people)
    }

    /// Lets people go; those who were members.
    pub(super) fn leave(self, connection: &Connection, people: &BTreeSet<PersonId>) -> Result<Vec<PersonId>> {
        let sql = "DELETE FROM memberships WHERE roster = $1 AND person_id = $2";
        self.each(connection, sql, people)
    }

    fn each(self, connection: &Connection, sql: &str, people: &BTreeSet<PersonId>) -> Result<Vec<PersonId>> {
        let mut concerned = Vec::new();
        for person in people {
            if sql::run(connection, sql, (self.0, person))? > 0 {
                concerned.push(*person);
            }
        }
        Ok(concerned)
    }
}

/// A new group has the roster of its own number.
pub(super) fn begin(connection: &Connection, group: GroupId) -> Result<usize> {
    sql::run(connection, "UPDATE groups SET roster = id WHERE id = $1", [group])
}

/// Whether so many leave at once that a new roster with everybody who is wanted in it costs less, and there is room for the former one. Where
/// there is none, since nobody sweeps, the write takes its time.
pub(super) fn is_to_be_abandoned(connection: &Connection, leaving: usize, wanted: usize) -> Result<bool> {
    if leaving <= MEMBERSHIPS_AT_ONCE || leaving < wanted {
        return Ok(false);
    }
    let sql = "SELECT count(*) FROM abandoned_rosters";
    let waiting: Option<i64> = sql::row(connection, sql, [], |row| row.get(0))?;
    Ok(waiting.unwrap_or(0) < sql_count(ABANDONED_ROSTERS))
}

/// Gives a group another roster, with these people in it.
pub(super) fn exchange(connection: &Connection, group: GroupId, members: &BTreeSet<PersonId>) -> Result<()> {
    let abandon =
        "INSERT INTO abandoned_rosters (roster) SELECT roster FROM groups WHERE id = $1 RETURNING number";
    let number: i64 = sql::row(connection, abandon, [group], |row| row.get(0))?
        .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    // Negative, so that it is never the number of a group.
    let roster = Roster(-number);
    sql::run(connection, "UPDATE groups SET roster = $1 WHERE id = $2", (roster.0, group))?;
    roster.join(connection, members)?;
    Ok(())
}

fn oldest_abandoned(connection: &Connection) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT number, roster FROM abandoned_rosters ORDER BY number LIMIT 1";
    sql::row(connection, sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// In the order in which both indexes of memberships lie on the disk.
fn sweep(connection: &Connection) -> Result<bool> {
    let Some((number, roster)) = oldest_abandoned(connection)? else { return Ok(false) };
    let next: Option<PersonId> = sql::row(
        connection,
        "SELECT person_id FROM memberships WHERE roster = $1 ORDER BY person_id LIMIT 1 OFFSET $2",
        (roster, sql_count(MEMBERSHIPS_AT_ONCE)),
        |row| row.get(0),
    )?;
    if let Some(next) = next {
        let sql = "DELETE FROM memberships WHERE roster = $1 AND person_id < $2";
        sql::run(connection, sql, (roster, next))?;
        return Ok(true);
    }
    sql::run(connection, "DELETE FROM memberships WHERE roster = $1", [roster])?;
    sql::run(connection, "DELETE FROM abandoned_rosters WHERE number = $1", [number])?;
    Ok(oldest_abandoned(connection)?.is_some())
}

#[cfg(test)]
mod tests;
