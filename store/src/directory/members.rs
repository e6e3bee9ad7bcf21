//! Edits the members of a group: finds out who really joins and leaves, and has that written. Which rows that is, is left to `roster`; what it
//! means for sessions, to `regroup`.

use super::declare::Served;
use super::regroup::{self, Moved, Replaced};
use super::roster::{self, Roster};
use super::{DirectoryError, MemberEdit, OnGroupChange};
use crate::limits::{self, within};
use crate::model::{GroupId, PersonId};
use crate::sql;
use crate::transaction::WriteTransaction;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// Edits the members and says in one change who really joined and left; whether anybody did.
pub(super) fn edit(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    (group, rule): (GroupId, OnGroupChange),
    edit: MemberEdit,
    now: i64,
) -> Result<bool, DirectoryError> {
    let connection = transaction.connection;
    let (joining, leaving) = match edit {
        MemberEdit::Keep => return Ok(false),
        MemberEdit::RemoveAll => return Ok(replace(transaction, (group, rule), &BTreeSet::new(), now)?),
        MemberEdit::Replace(wanted) => {
            let wanted = known(connection, directory, &wanted)?;
            return Ok(replace(transaction, (group, rule), &wanted, now)?);
        }
        MemberEdit::Change { add, remove } => {
            let joining = known(connection, directory, &add)?;
            let mut leaving = BTreeSet::new();
            within("members", remove.len(), limits::MEMBERS_PER_WRITE)?;
            for scim_id in remove {
                // Somebody who is gone already has left already.
                leaving.extend(find(connection, directory, &scim_id)?.filter(|id| !joining.contains(id)));
            }
            (joining, leaving)
        }
    };
    let roster = Roster::of(connection, group)?;
    let (added, removed) = (roster.join(connection, &joining)?, roster.leave(connection, &leaving)?);
    Ok(regroup::moved(transaction, rule, group, Moved { added, removed }, now)?)
}

/// Makes these the members; whether anybody joined or left.
fn replace(
    transaction: &mut WriteTransaction<'_>,
    (group, rule): (GroupId, OnGroupChange),
    wanted: &BTreeSet<PersonId>,
    now: i64,
) -> rusqlite::Result<bool> {
    let connection = transaction.connection;
    let roster = Roster::of(connection, group)?;
    if wanted.is_empty() {
        // Of a large group that is emptied nobody is read.
        let left = roster.count(connection)?;
        if roster::is_to_be_abandoned(connection, left, 0)? {
            let replaced = Replaced { members: wanted, added: wanted, left };
            regroup::replaced(transaction, rule, group, replaced, now)?;
            return Ok(true);
        }
    }
    let present = roster.members(connection)?;
    let joining = wanted.difference(&present).copied().collect();
    let leaving: BTreeSet<_> = present.difference(wanted).copied().collect();
    if roster::is_to_be_abandoned(connection, leaving.len(), wanted.len())? {
        let replaced = Replaced { members: wanted, added: &joining, left: leaving.len() };
        regroup::replaced(transaction, rule, group, replaced, now)?;
        return Ok(true);
    }
    let (added, removed) = (roster.join(connection, &joining)?, roster.leave(connection, &leaving)?);
    regroup::moved(transaction, rule, group, Moved { added, removed }, now)
}

/// The people behind SCIM ids, all of whom must exist.
fn known(
    connection: &Connection,
    directory: &Served,
    scim_ids: &[String],
) -> Result<BTreeSet<PersonId>, DirectoryError> {
    within("members", scim_ids.len(), limits::MEMBERS_PER_WRITE)?;
    scim_ids
        .iter()
        .map(|scim_id| {
            find(connection, directory, scim_id)?
                .ok_or_else(|| DirectoryError::UnknownMember(scim_id.clone()))
        })
        .collect()
}

fn find(
    connection: &Connection,
    directory: &Served,
    scim_id: &str,
) -> Result<Option<PersonId>, DirectoryError> {
    Ok(sql::row(
        connection,
        "SELECT id FROM persons WHERE scim_id = $1 AND directory = $2",
        (scim_id, directory.row),
        |row| row.get(0),
    )?)
}
