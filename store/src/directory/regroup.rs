//! What a change of groups means for the sessions of those who are in them, by the rule of their directory. Writing the groups is left to
//! `group`.

use super::OnGroupChange;
use super::declare::Served;
use crate::change::Change;
use crate::model::{EndReason, GroupId, PersonId, SessionId};
use crate::session::end;
use crate::sql;
use crate::transaction::WriteTransaction;
use rusqlite::Result;
use std::collections::HashSet;

/// With more people than this, all live sessions are looked at once instead of those of each person.
const FEW: usize = 256;

/// Says who really joined and left a group, which is written already; whether anybody did.
pub(super) fn moved(
    transaction: &mut WriteTransaction<'_>,
    rule: OnGroupChange,
    group: GroupId,
    added: Vec<PersonId>,
    removed: Vec<PersonId>,
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
            let sessions = sessions_of(transaction, &people)?;
            end::end(transaction, &sessions, EndReason::GroupsChanged, now)?;
        }
    }
    Ok(true)
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
    let sessions = sql::rows(
        transaction.connection,
        "SELECT s.id FROM sessions s JOIN memberships m ON m.person_id = s.person \
         WHERE m.group_id = $1 AND s.end_reason IS NULL AND s.person IS NOT NULL",
        [group],
        |row| row.get(0),
    )?;
    end::end(transaction, &sessions, EndReason::GroupsChanged, now)?;
    Ok(())
}

fn sessions_of(transaction: &WriteTransaction<'_>, people: &HashSet<PersonId>) -> Result<Vec<SessionId>> {
    let mut sessions = Vec::new();
    if people.len() <= FEW {
        for person in people {
            sessions.append(&mut end::of_person(transaction.connection, *person)?);
        }
        return Ok(sessions);
    }
    let live = sql::rows(
        transaction.connection,
        "SELECT id, person FROM sessions WHERE end_reason IS NULL AND person IS NOT NULL",
        [],
        |row| Ok((row.get::<_, SessionId>(0)?, row.get::<_, PersonId>(1)?)),
    )?;
    sessions.extend(live.into_iter().filter(|(_, person)| people.contains(person)).map(|(id, _)| id));
    Ok(sessions)
}
