//! What a change of groups means for the sessions of those who are in them, by the rule of their directory. Writing the groups is left to
//! `group`, `members` and `roster`.

use super::OnGroupChange;
use super::declare::Served;
use super::roster;
use crate::change::Change;
use crate::model::{EndReason, GroupId, PersonId, SessionId};
use crate::session::end;
use crate::sql;
use crate::transaction::WriteTransaction;
use rusqlite::{Connection, Result};
use std::collections::{BTreeSet, HashSet};

/// With more people than this, all live sessions are looked at once instead of those of each person.
const FEW: usize = 256;

/// Who really joined and left.
pub(super) struct Moved {
    pub(super) added: Vec<PersonId>,
    pub(super) removed: Vec<PersonId>,
}

/// Everybody else left, and was not read for it.
pub(super) struct Replaced<'m> {
    /// The members from now on.
    pub(super) members: &'m BTreeSet<PersonId>,
    /// Those of them who were none before.
    pub(super) added: &'m BTreeSet<PersonId>,
    /// How many left.
    pub(super) left: usize,
}

/// Says who really joined and left a group, which is written already; whether anybody did.
pub(super) fn moved(
    transaction: &mut WriteTransaction<'_>,
    rule: OnGroupChange,
    group: GroupId,
    Moved { added, removed }: Moved,
    now: i64,
) -> Result<bool> {
    if added.is_empty() && removed.is_empty() {
        return Ok(false);
    }
    transaction.members_joined += added.len();
    transaction.members_left += removed.len();
    match rule {
        // Whoever follows keeps what they know of these people until one of them logs in: a session that begins brings its person along.
        OnGroupChange::Ignore => {}
        OnGroupChange::Apply => transaction.emit(Change::Membership { group, added, removed }, now)?,
        OnGroupChange::Reauthenticate => {
            let people: HashSet<PersonId> = added.iter().chain(&removed).copied().collect();
            transaction.emit(Change::Membership { group, added, removed }, now)?;
            let sessions = sessions_of(transaction.connection, &people)?;
            end::end(transaction, &sessions, EndReason::GroupsChanged, now)?;
        }
    }
    Ok(true)
}

/// Gives a group another roster and says who stands in it: the same as [`moved`], for many who leave at once and are not named.
pub(super) fn replaced(
    transaction: &mut WriteTransaction<'_>,
    rule: OnGroupChange,
    group: GroupId,
    Replaced { members, added, left }: Replaced<'_>,
    now: i64,
) -> Result<()> {
    let connection = transaction.connection;
    transaction.members_joined += added.len();
    transaction.members_left += left;
    let mut ending = Vec::new();
    if rule == OnGroupChange::Reauthenticate {
        // Who left is known by the former roster alone.
        let before = sessions_in(connection, group)?;
        ending.extend(before.into_iter().filter(|(_, person)| !members.contains(person)).map(|(id, _)| id));
        ending.append(&mut sessions_of(connection, &added.iter().copied().collect())?);
    }
    roster::exchange(connection, group, members)?;
    if rule != OnGroupChange::Ignore {
        let members = members.iter().copied().collect();
        transaction.emit(Change::MembersReplaced { group, members }, now)?;
    }
    end::end(transaction, &ending, EndReason::GroupsChanged, now)?;
    Ok(())
}

/// A group gets another name, by which other policies speak of its people.
pub(super) fn renamed(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    group: GroupId,
    now: i64,
) -> Result<()> {
    if directory.rules.on_group_change != OnGroupChange::Reauthenticate {
        return Ok(());
    }
    let sessions: Vec<_> =
        sessions_in(transaction.connection, group)?.into_iter().map(|(id, _)| id).collect();
    end::end(transaction, &sessions, EndReason::GroupsChanged, now)?;
    Ok(())
}

/// The live sessions of those who are in a group, and whose each is.
fn sessions_in(connection: &Connection, group: GroupId) -> Result<Vec<(SessionId, PersonId)>> {
    sql::rows(
        connection,
        "SELECT s.id, s.person FROM groups g JOIN memberships m ON m.roster = g.roster \
         JOIN sessions s ON s.person = m.person_id \
         WHERE g.id = $1 AND s.end_reason IS NULL AND s.person IS NOT NULL",
        [group],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// The live sessions of people.
fn sessions_of(connection: &Connection, people: &HashSet<PersonId>) -> Result<Vec<SessionId>> {
    let mut sessions = Vec::new();
    if people.len() <= FEW {
        for person in people {
            sessions.append(&mut end::of_person(connection, *person)?);
        }
        return Ok(sessions);
    }
    let live = sql::rows(
        connection,
        "SELECT id, person FROM sessions WHERE end_reason IS NULL AND person IS NOT NULL",
        [],
        |row| Ok((row.get::<_, SessionId>(0)?, row.get::<_, PersonId>(1)?)),
    )?;
    sessions.extend(live.into_iter().filter(|(_, person)| people.contains(person)).map(|(id, _)| id));
    Ok(sessions)
}
