//! Writes people: create, modify, delete, each with what it means for the sessions of the person, in one transaction.

use super::declare::{Served, served};
use super::stretches::{self, Kind};
use super::{DirectoryError, ModifyError, PersonContent, StoredPerson, UniqueBy, lookup, seen};
use crate::access_request;
use crate::change::Change;
use crate::error::StoreError;
use crate::fold::fold;
use crate::limits::{self, TooLong, within};
use crate::link::{self, Identifiers};
use crate::model::{EndReason, PersonId};
use crate::provisioning_log::{self, Provisioner};
use crate::random;
use crate::session::end;
use crate::snapshot;
use crate::sql;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use rusqlite::Connection;
use std::convert::Infallible;
use std::sync::Arc;

impl Store {
    /// Creates a person. Nobody who exists is taken over: a userName that another person of the directory has, in
    /// whatever spelling, is refused.
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing is changed then.
    pub async fn create_person(
        &self,
        directory: &str,
        content: PersonContent,
        now: i64,
    ) -> Result<StoredPerson, DirectoryError> {
        let (directory, by) = (directory.to_owned(), self.provisioner.clone());
        self.write(move |transaction| {
            let directory = served(transaction.connection, &directory)?;
            let person = create(transaction, &directory, content, now)?;
            note(transaction, by.as_deref(), &directory, &person.scim_id, now)?;
            Ok(person)
        })
        .await
    }

    /// Reads a person, lets the editor say what they should become, and writes that, all in one transaction. An edit
    /// that changes nothing writes nothing. A person who becomes inactive loses all their sessions.
    ///
    /// # Errors
    /// [`ModifyError`]; nothing is changed then.
    pub async fn modify_person<E: Send + 'static>(
        &self,
        directory: &str,
        scim_id: &str,
        now: i64,
        edit: impl FnOnce(&StoredPerson) -> Result<PersonContent, E> + Send + 'static,
    ) -> Result<StoredPerson, ModifyError<E>> {
        let (directory, scim_id, by) = (directory.to_owned(), scim_id.to_owned(), self.provisioner.clone());
        self.write(move |transaction| {
            let directory = served(transaction.connection, &directory)?;
            let before = existing(transaction.connection, &directory, &scim_id)?;
            let content = edit(&before).map_err(ModifyError::Edit)?;
            let person = modify(transaction, &directory, before, content, now)?;
            note(transaction, by.as_deref(), &directory, &scim_id, now)?;
            Ok(person)
        })
        .await
    }

    /// Deletes a person and ends their sessions. Whoever is created later under the same name is somebody else.
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing is changed then.
    pub async fn delete_person(
        &self,
        directory: &str,
        scim_id: &str,
        now: i64,
    ) -> Result<(), DirectoryError> {
        let deleted = self.delete_person_if(directory, scim_id, now, |_| Ok::<(), Infallible>(()));
        deleted.await.map_err(|error| match error {
            ModifyError::Directory(error) => error,
            ModifyError::Edit(never) => match never {},
        })
    }

    /// Deletes a person as [`Store::delete_person`] does, if the check of their present state allows it; the look and the
    /// deletion are one transaction.
    ///
    /// # Errors
    /// [`ModifyError`]; nothing is changed then.
    pub async fn delete_person_if<E: Send + 'static>(
        &self,
        directory: &str,
        scim_id: &str,
        now: i64,
        check: impl FnOnce(&StoredPerson) -> Result<(), E> + Send + 'static,
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

/// Notes a write in the provisioning log, and what it keeps that has to be published.
pub(super) fn note(
    transaction: &WriteTransaction<'_>,
    by: Option<&Provisioner>,
    directory: &Served,
    scim_id: &str,
    now: i64,
) -> Result<(), DirectoryError> {
    seen::learn(transaction.connection, by, directory.row)?;
    Ok(provisioning_log::note(transaction, by, (&directory.name, scim_id), now)?)
}

/// Folds the addresses, drops repeats and empty ones, and refuses what is too long.
fn normal(mut content: PersonContent) -> Result<PersonContent, TooLong> {
    within("emails", content.emails.len(), limits::EMAILS_PER_PERSON)?;
    let mut emails = Vec::with_capacity(content.emails.len());
    for email in content.emails.iter().map(|email| fold(email)) {
        within("email", email.len(), limits::EMAIL_BYTES)?;
        if !email.is_empty() && !emails.contains(&email) {
            emails.push(email);
        }
    }
    content.emails = emails;
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    within("userName", content.user_name.len(), limits::USER_NAME_BYTES)?;
    within("externalId", length(&content.external_id), limits::EXTERNAL_ID_BYTES)?;
    within("displayName", length(&content.display_name), limits::DISPLAY_NAME_BYTES)?;
    Ok(content)
}

/// The document as text, if it is not too long.
pub(super) fn document_text(
    document: &serde_json::Map<String, serde_json::Value>,
) -> Result<String, DirectoryError> {
    let text = serde_json::to_string(document).map_err(|_| StoreError::Unreadable("document"))?;
    within("attributes", text.len(), limits::DOCUMENT_BYTES)?;
    Ok(text)
}

fn identifiers(content: &PersonContent) -> Identifiers {
    let mut addresses = vec![fold(&content.user_name)];
    addresses.extend(content.emails.iter().cloned());
    Identifiers { external_id: content.external_id.clone(), addresses }
}

fn existing(
    connection: &Connection,
    directory: &Served,
    scim_id: &str,
) -> Result<StoredPerson, DirectoryError> {
    lookup::person(connection, &directory.name, scim_id)?.ok_or(DirectoryError::NotFound)
}

fn refuse_taken(
    connection: &Connection,
    directory: &Served,
    folded: &str,
    but: Option<PersonId>,
) -> Result<(), DirectoryError> {
    let holder: Option<PersonId> = sql::row(
        connection,
        "SELECT id FROM persons WHERE directory = $1 AND user_name_folded = $2",
        (directory.row, folded),
        |row| row.get(0),
    )?;
    if holder.is_some() && holder != but { Err(DirectoryError::UserNameTaken) } else { Ok(()) }
}

/// What tells people apart, where that is more than the userName, is nobody else's. Who had it before the rule keeps it, so that nobody's
/// deactivation is refused for it.
fn refuse_shared(
    connection: &Connection,
    directory: &Served,
    content: &PersonContent,
    before: Option<&StoredPerson>,
) -> Result<(), DirectoryError> {
    let id = before.map_or(PersonId(0), |person| person.id);
    match directory.rules.unique_by {
        UniqueBy::UserName => {}
        UniqueBy::Email => {
            let held = before.map_or(&[] as &[String], |person| &person.content.emails);
            for email in content.emails.iter().filter(|email| !held.contains(email)) {
                let sql = "SELECT e.person FROM person_emails e JOIN persons p ON p.id = e.person \
                     WHERE e.email = $1 AND p.directory = $2 AND p.id <> $3 LIMIT 1";
                if sql::row(connection, sql, (email, directory.row, id), |_| Ok(()))?.is_some() {
                    return Err(DirectoryError::IdentifierTaken("e-mail address"));
                }
            }
        }
        UniqueBy::ExternalId => {
            let held = before.and_then(|person| person.content.external_id.as_ref());
            let Some(external_id) = content.external_id.as_ref().filter(|now| Some(*now) != held) else {
                return Ok(());
            };
            let sql = "SELECT 1 FROM persons WHERE external_id = $1 AND directory = $2 AND id <> $3 LIMIT 1";
            if sql::row(connection, sql, (external_id, directory.row, id), |_| Ok(()))?.is_some() {
                return Err(DirectoryError::IdentifierTaken("externalId"));
            }
        }
    }
    Ok(())
}

fn create(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    content: PersonContent,
    now: i64,
) -> Result<StoredPerson, DirectoryError> {
    let content = normal(content)?;
    let folded = fold(&content.user_name);
    refuse_taken(transaction.connection, directory, &folded, None)?;
    refuse_shared(transaction.connection, directory, &content, None)?;
    let scim_id = random::uuid()?;
    let id: PersonId = sql::row(
        transaction.connection,
        "INSERT INTO persons (directory, scim_id, user_name, user_name_folded, external_id, display_name, active, \
         document, version, created_at, updated_at, display_name_folded) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9, $10) RETURNING id",
        (
            directory.row,
            &scim_id,
            &content.user_name,
            &folded,
            &content.external_id,
            &content.display_name,
            content.active,
            document_text(&content.document)?,
            now,
            content.display_name.as_deref().map(fold),
        ),
        |row| row.get(0),
    )?
    .ok_or(StoreError::Unreadable("person"))?;
    stretches::joined(transaction.connection, directory.row, Kind::Person, id.0)?;
    insert_emails(transaction.connection, id, &content.emails)?;
    emit_person(transaction, id, now)?;
    let after = identifiers(&content);
    if !content.active {
        end_access(transaction, directory, id, &after, EndReason::Deactivated, now)?;
    }
    link::relink(transaction, &directory.identity_provider, id, &Identifiers::default(), &after, now)?;
    existing(transaction.connection, directory, &scim_id)
}

fn modify(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    before: StoredPerson,
    content: PersonContent,
    now: i64,
) -> Result<StoredPerson, DirectoryError> {
    let content = normal(content)?;
    let is_changed = content != before.content;
    if is_changed {
        update(transaction, directory, &before, &content, now)?;
        emit_person(transaction, before.id, now)?;
    }
    let (old, new) = (identifiers(&before.content), identifiers(&content));
    if !content.active {
        let mut sessions = end::of_person(transaction.connection, before.id)?;
        // Nor may a new name in the same write save a session that might be theirs by the old one.
        sessions.append(&mut link::unlinked(transaction.connection, &directory.identity_provider, &old)?);
        end::end(transaction, &sessions, EndReason::Deactivated, now)?;
        for known_by in [&old, &new] {
            end_access(transaction, directory, before.id, known_by, EndReason::Deactivated, now)?;
        }
    }
    if old != new || content.active != before.content.active {
        link::relink(transaction, &directory.identity_provider, before.id, &old, &new, now)?;
    }
    if is_changed { existing(transaction.connection, directory, &before.scim_id) } else { Ok(before) }
}

fn update(
    transaction: &WriteTransaction<'_>,
    directory: &Served,
    before: &StoredPerson,
    content: &PersonContent,
    now: i64,
) -> Result<(), DirectoryError> {
    let connection = transaction.connection;
    let folded = fold(&content.user_name);
    refuse_taken(connection, directory, &folded, Some(before.id))?;
    refuse_shared(connection, directory, content, Some(before))?;
    sql::run(
        connection,
        "UPDATE persons SET user_name = $1, user_name_folded = $2, external_id = $3, display_name = $4, active = $5, \
         document = $6, version = version + 1, updated_at = $7, display_name_folded = $8 WHERE id = $9",
        (
            &content.user_name,
            &folded,
            &content.external_id,
            &content.display_name,
            content.active,
            document_text(&content.document)?,
            now,
            content.display_name.as_deref().map(fold),
            before.id,
        ),
    )?;
    if content.emails != before.content.emails {
        sql::run(connection, "DELETE FROM person_emails WHERE person = $1", [before.id])?;
        insert_emails(connection, before.id, &content.emails)?;
    }
    Ok(())
}

fn insert_emails(connection: &Connection, person: PersonId, emails: &[String]) -> Result<(), DirectoryError> {
    for (position, email) in emails.iter().enumerate() {
        sql::run(
            connection,
            "INSERT INTO person_emails (person, position, email) VALUES ($1, $2, $3)",
            (person, limits::sql_count(position), email),
        )?;
    }
    Ok(())
}

fn emit_person(transaction: &mut WriteTransaction<'_>, id: PersonId, now: i64) -> Result<(), DirectoryError> {
    let person = snapshot::person(transaction.connection, id)?.ok_or(StoreError::Unreadable("person"))?;
    Ok(transaction.emit(Change::Person(Arc::new(person)), now)?)
}

fn delete(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    person: &StoredPerson,
    now: i64,
) -> Result<(), DirectoryError> {
    let mut sessions = end::of_person(transaction.connection, person.id)?;
    // A session that might have been theirs must not outlive them because nobody could tell.
    let identifiers = identifiers(&person.content);
    sessions.append(&mut link::unlinked(transaction.connection, &directory.identity_provider, &identifiers)?);
    sql::run(transaction.connection, "DELETE FROM persons WHERE id = $1", [person.id])?;
    stretches::left(transaction.connection, directory.row, Kind::Person, person.id.0)?;
    transaction.emit(Change::PersonDeleted(person.id, directory.name.clone()), now)?;
    end::end(transaction, &sessions, EndReason::Deleted, now)?;
    end_access(transaction, directory, person.id, &identifiers, EndReason::Deleted, now)?;
    Ok(())
}

/// Whoever comes back later, and whoever is given their address, does not find temporary access waiting.
fn end_access(
    transaction: &mut WriteTransaction<'_>,
    directory: &Served,
    person: PersonId,
    known_by: &Identifiers,
    reason: EndReason,
    now: i64,
) -> Result<(), DirectoryError> {
    let theirs = access_request::Theirs {
        provider: &directory.identity_provider,
        person,
        subject: known_by.external_id.as_deref(),
        addresses: &known_by.addresses,
    };
    Ok(access_request::end_of_person(transaction, &theirs, reason, now)?)
}
