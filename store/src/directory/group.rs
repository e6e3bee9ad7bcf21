//! Writes groups. Who joins and leaves them is left to `members`.

use super::declare::{Served, served};
use super::person::{document_text, note};
use super::regroup;
use super::stretches::{self, Kind};
use super::{
    DirectoryError, GroupContent, MemberEdit, ModifyError, OnGroupChange, StoredGroup, lookup, members,
    roster,
};
use crate::change::Change;
use crate::error::StoreError;
use crate::fold::fold;
use crate::limits::{self, TooLong, within};
use crate::model::{Group, GroupId};
use crate::random;
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use rusqlite::Connection;
use std::convert::Infallible;
use std::sync::Arc;

impl Store {
    /// Creates a group with members.
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing is changed then.
    pub async fn create_group(
        &self,
        directory: &str,
        content: GroupContent,
        members: Vec<String>,
        now: i64,
    ) -> Result<StoredGroup, DirectoryError> {
        let (directory, by) = (directory.to_owned(), self.provisioner.clone());
        self.write(move |transaction| {
            let directory = served(transaction.connection, &directory)?;
            let group = create(transaction, &directory, &content, members, now)?;
            note(transaction, by.as_deref(), &directory, &group.scim_id, now)?;
            Ok(group)
        })
        .await
    }

    /// Reads a group, lets the editor say what it should become and who joins or leaves, and writes that, all in one
    /// transaction. An edit that changes nothing writes nothing.
    ///
    /// # Errors
    /// [`ModifyError`]; nothing is changed then.
    pub async fn modify_group<E: Send + 'static>(
        &self,
        directory: &str,
        scim_id: &str,
        now: i64,
        edit: impl FnOnce(&StoredGroup) -> Result<(GroupContent, MemberEdit), E> + Send + 'static,
    ) -> Result<StoredGroup, ModifyError<E>> {
        let (directory, scim_id, by) = (directory.to_owned(), scim_id.to_owned(), self.provisioner.clone());
        self.write(move |transaction| {
            let directory = served(transaction.connection, &directory)?;
            let before = existing(transaction.connection, &directory, &scim_id)?;
            let (content, member_edit) = edit(&before).map_err(ModifyError::Edit)?;
            let group = modify(transaction, &directory, &before, &content, member_edit, now)?;
            note(transaction, by.as_deref(), &directory, &scim_id, now)?;
            Ok(group)
        })
        .await
    }

    /// Deletes a group; its members leave it first.
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing is changed then.
    pub async fn delete_group(&self, directory: &str, scim_id: &str, now: i64) -> Result<(), DirectoryError> {
        let deleted = self.delete_group_if(directory, scim_id, now, |_| Ok::<(), Infallible>(()));
        deleted.await.map_err(|error| match error {
            ModifyError::Directory(error) => error,
            ModifyError::Edit(never) => match never {},
        })
    }

    /// Deletes a group as [`Store::delete_group`] does, if the check of its present state allows it; the look and the
    /// deletion are one transaction.
    ///
    /// # Errors
    /// [`ModifyError`]; nothing is changed then.
    pub async fn delete_group_if<E: Send + 'static>(
        &self,
        directory: &str,
        scim_id: &str,
        now: i64,
        check: impl FnOnce(&StoredGroup) -> Result<(), E> + Send + 'static,
    ) -> Result<(), ModifyError<E>> {
        let (directory, scim_id, by) = (directory.to_owned(), scim_id.to_owned(), self.provisioner.clone());
        self.write(move |transaction| {
            let directory = served(transaction.connection, &directory)?;
            let before = existing(transaction.connection, &directory, &scim_id)?;
            check(&before).map_err(ModifyError::Edit)?;
            delete(transaction, &directory, &before, now)?;
            Ok(note(transaction, by.as_deref(), &directory, &scim_id, now)?)
        })
        .await
    }
}

fn check(content: &GroupContent) -> Result<(), TooLong> {
    within("displayName", content.display_name.len(), limits::DISPLAY_NAME_BYTES)?;
    within("externalId", content.external_id.as_ref().map_or(0, String::len), limits::EXTERNAL_ID_BYTES)
}

fn existing(
    connection: &Connection,
    directory: &Served,
    scim_id: &str,
) -> Result<StoredGroup, DirectoryError> {
    lookup::group(connection, &directory.name, scim_id)?.ok_or(DirectoryError::NotFound)
}

fn refuse_taken(
    connection: &Connection,
    directory: &Served,
    folded: &str,
    but: Option<GroupId>,
) -> Result<(), DirectoryError> {
    let holder: Option<GroupId> = sql::row(
        connection,
        "SELECT id FROM groups WHERE directory = $1 AND display_name_folded = $2",
        (directory.row, folded),
        |row| row.get(0),
    )?;
    if holder.is_some() && holder != but { Err(DirectoryError::GroupNameTaken) } else { Ok(()) }
}

fn create(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    content: &GroupContent,
    members: Vec<String>,
    now: i64,
) -> Result<StoredGroup, DirectoryError> {
    check(content)?;
    let folded = fold(&content.display_name);
    refuse_taken(transaction.connection, directory, &folded, None)?;
    let scim_id = random::uuid()?;
    let id: GroupId = sql::row(
        transaction.connection,
        "INSERT INTO groups (directory, scim_id, display_name, display_name_folded, external_id, document, version, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7) RETURNING id",
        (
            directory.row,
            &scim_id,
            &content.display_name,
            &folded,
            &content.external_id,
            document_text(&content.document)?,
            now,
        ),
        |row| row.get(0),
    )?
    .ok_or(StoreError::Unreadable("group"))?;
    roster::begin(transaction.connection, id)?;
    stretches::joined(transaction.connection, directory.row, Kind::Group, id.0)?;
    let group = existing(transaction.connection, directory, &scim_id)?;
    emit_group(transaction, &group, now)?;
    let group_rule = (id, directory.rules.on_group_change);
    let joining = MemberEdit::Change { add: members, remove: Vec::new() };
    members::edit(transaction, directory, group_rule, joining, now)?;
    Ok(group)
}

fn modify(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    before: &StoredGroup,
    content: &GroupContent,
    member_edit: MemberEdit,
    now: i64,
) -> Result<StoredGroup, DirectoryError> {
    check(content)?;
    let connection = transaction.connection;
    if *content != before.content {
        let folded = fold(&content.display_name);
        refuse_taken(connection, directory, &folded, Some(before.id))?;
        sql::run(
            connection,
            "UPDATE groups SET display_name = $1, display_name_folded = $2, external_id = $3, document = $4 \
             WHERE id = $5",
            (
                &content.display_name,
                &folded,
                &content.external_id,
                document_text(&content.document)?,
                before.id,
            ),
        )?;
    }
    let is_seen = content.display_name != before.content.display_name
        || content.external_id != before.content.external_id;
    if content.display_name != before.content.display_name {
        regroup::renamed(transaction, directory, before.id, now)?;
        leave_name(transaction, directory, &before.content.display_name, now)?;
    }
    if is_seen {
        emit_group(transaction, &existing(connection, directory, &before.scim_id)?, now)?;
    }
    let group_rule = (before.id, directory.rules.on_group_change);
    let is_moved = members::edit(transaction, directory, group_rule, member_edit, now)?;
    if is_moved || *content != before.content {
        sql::run(
            connection,
            "UPDATE groups SET version = version + 1, updated_at = $1 WHERE id = $2",
            (now, before.id),
        )?;
    }
    existing(connection, directory, &before.scim_id)
}

/// Remembers when a group gave up its name: claims from before must not be taken for news about somebody else's group.
fn leave_name(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    name: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let at: i64 = sql::row(
        transaction.connection,
        "INSERT INTO former_group_names (directory, name, left_at) VALUES ($1, $2, $3) \
         ON CONFLICT (directory, name) DO UPDATE SET left_at = \
         CASE WHEN excluded.left_at > former_group_names.left_at THEN excluded.left_at ELSE former_group_names.left_at END \
         RETURNING left_at",
        (directory.row, name, now),
        |row| row.get(0),
    )?
    .unwrap_or(now);
    let change = Change::GroupNameLeft { directory: directory.name.clone(), name: name.to_owned(), at };
    transaction.emit(change, now)
}

fn emit_group(transaction: &mut WriteTransaction<'_>, group: &StoredGroup, now: i64) -> rusqlite::Result<()> {
    let group = Group {
        id: group.id,
        scim_id: group.scim_id.clone(),
        directory: group.directory.clone(),
        display_name: group.content.display_name.clone(),
        external_id: group.content.external_id.clone(),
    };
    transaction.emit(Change::Group(Arc::new(group)), now)
}

/// The members leave first, so that a follower never sees somebody in a group that is gone.
fn delete(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    group: &StoredGroup,
    now: i64,
) -> Result<(), DirectoryError> {
    // A group that is gone is gone for everybody, whatever the rule.
    let rule = match directory.rules.on_group_change {
        OnGroupChange::Ignore => OnGroupChange::Apply,
        rule => rule,
    };
    members::edit(transaction, directory, (group.id, rule), MemberEdit::RemoveAll, now)?;
    leave_name(transaction, directory, &group.content.display_name, now)?;
    sql::run(transaction.connection, "DELETE FROM groups WHERE id = $1", [group.id])?;
    stretches::left(transaction.connection, directory.row, Kind::Group, group.id.0)?;
    Ok(transaction.emit(Change::GroupDeleted(group.id), now)?)
}
