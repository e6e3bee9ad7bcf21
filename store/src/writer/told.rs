//! What other processes wrote to the same database, read from the events that they left and told like what was written here. Who is told,
//! and when, is left to `membership`.

use crate::access_request;
use crate::change::Change;
use crate::limits::{FOREIGN_EVENTS_AT_ONCE, sql_count};
use crate::model::{DirectoryName, EndReason, GroupId, PersonId, Seq, SessionId};
use crate::purpose;
use crate::service_token;
use crate::session::{APPLICATION_SESSION, SESSION, read_application_session, read_session};
use crate::snapshot;
use crate::sql;
use rusqlite::{Connection, Result};
use serde_json::Value;
use std::sync::Arc;

/// What another process left of a change.
pub(super) struct Event {
    pub(super) seq: Seq,
    kind: String,
    subject: String,
    payload: String,
}

/// What is to be told of it.
pub(super) enum Told {
    Change(Change),
    /// Nobody keeps a copy of it.
    Nothing,
    /// It cannot be told by itself.
    Whole,
}

/// The next events after a position, in their order.
pub(super) fn events(connection: &Connection, after: Seq, until: Seq) -> Result<Vec<Event>> {
    sql::rows(
        connection,
        "SELECT seq, kind, subject, payload FROM events WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3",
        (after, until, sql_count(FOREIGN_EVENTS_AT_ONCE)),
        |row| Ok(Event { seq: row.get(0)?, kind: row.get(1)?, subject: row.get(2)?, payload: row.get(3)? }),
    )
}

impl Event {
    /// The state is the one of now, which may be later than the event: what came between is told once more, and whatever is gone by now is
    /// told to be gone by a later event.
    pub(super) fn change(&self, connection: &Connection) -> Result<Told> {
        Ok(match self.read(connection)? {
            Some(told) => told,
            None => Told::Whole,
        })
    }

    /// None when the event is not understood.
    fn read(&self, connection: &Connection) -> Result<Option<Told>> {
        let payload: Value = serde_json::from_str(&self.payload).unwrap_or_default();
        let kept = |change: Option<Change>| Some(change.map_or(Told::Nothing, Told::Change));
        Ok(match self.kind.as_str() {
            "key" => Some(Told::Nothing),
            "person" | "group" => {
                self.number().map_or(Ok(None), |id| self.of_directory(connection, id).map(kept))?
            }
            "session_begun" | "session_renewed" | "application_session_begun" | "purposes" => {
                SessionId::from_hex(&self.subject)
                    .map_or(Ok(None), |id| self.of_session(connection, id).map(kept))?
            }
            "sessions_linked" => linked(connection, &payload)?.map(Told::Change),
            "service_token" => {
                let record = service_token::one(connection, &self.subject)?;
                kept(record.map(|record| Change::ServiceToken(Arc::new(record))))
            }
            "access" => {
                let request = access_request::one(connection, &self.subject)?;
                kept(request.map(|request| Change::Access(Arc::new(request))))
            }
            _ => self.of_payload(&payload).map(Told::Change),
        })
    }

    fn number(&self) -> Option<i64> {
        self.subject.parse().ok()
    }

    fn of_directory(&self, connection: &Connection, id: i64) -> Result<Option<Change>> {
        Ok(if self.kind == "person" {
            snapshot::person(connection, PersonId(id))?.map(|person| Change::Person(Arc::new(person)))
        } else {
            snapshot::group(connection, GroupId(id))?.map(|group| Change::Group(Arc::new(group)))
        })
    }

    fn of_session(&self, connection: &Connection, id: SessionId) -> Result<Option<Change>> {
        Ok(match self.kind.as_str() {
            "purposes" => Some(Change::Purposes(purpose::of(connection, id)?)),
            "application_session_begun" => {
                let query = format!("{APPLICATION_SESSION} WHERE id = $1");
                let record = sql::row(connection, &query, [id], read_application_session)?;
                record.map(|record| Change::ApplicationSessionBegun(Arc::new(record)))
            }
            begun_or_renewed => {
                let query = format!("{SESSION} WHERE id = $1");
                let Some(record) = sql::row(connection, &query, [id], read_session)? else { return Ok(None) };
                if begun_or_renewed == "session_renewed" {
                    return Ok(Some(Change::SessionRenewed { session: id, profile: record.profile }));
                }
                let person = record.person.map(|person| snapshot::person(connection, person)).transpose()?;
                Some(Change::SessionBegun {
                    session: Arc::new(record),
                    person: person.flatten().map(Arc::new),
                })
            }
        })
    }

    /// What stands in the event itself.
    fn of_payload(&self, payload: &Value) -> Option<Change> {
        let directory = || payload.get("directory")?.as_str().map(DirectoryName::from);
        Some(match self.kind.as_str() {
            "person_deleted" => Change::PersonDeleted(PersonId(self.number()?), directory()?),
            "group_deleted" => Change::GroupDeleted(GroupId(self.number()?)),
            "group_name_left" => Change::GroupNameLeft {
                directory: directory()?,
                name: payload.get("name")?.as_str()?.to_owned(),
                at: payload.get("at")?.as_i64()?,
            },
            "group_names_forgotten" => Change::GroupNamesForgotten { until: payload.get("until")?.as_i64()? },
            "membership" => Change::Membership {
                group: GroupId(self.number()?),
                added: persons(payload.get("added")?)?,
                removed: persons(payload.get("removed")?)?,
            },
            "members_replaced" => Change::MembersReplaced {
                group: GroupId(self.number()?),
                members: persons(payload.get("members")?)?,
            },
            "sessions_ended" => Change::SessionsEnded {
                sessions: sessions(payload)?,
                reason: EndReason::from_stored(payload.get("reason")?.as_str()?),
            },
            _ => return None,
        })
    }
}

fn linked(connection: &Connection, payload: &Value) -> Result<Option<Change>> {
    let (Some(sessions), Some(person)) = (sessions(payload), payload.get("person")) else { return Ok(None) };
    let person = person.as_i64().map(|id| snapshot::person(connection, PersonId(id))).transpose()?;
    Ok(Some(Change::SessionsLinked { sessions, person: person.flatten().map(Arc::new) }))
}

fn sessions(payload: &Value) -> Option<Vec<SessionId>> {
    payload.get("sessions")?.as_array()?.iter().map(|id| SessionId::from_hex(id.as_str()?)).collect()
}

fn persons(list: &Value) -> Option<Vec<PersonId>> {
    list.as_array()?.iter().map(|id| id.as_i64().map(PersonId)).collect()
}
