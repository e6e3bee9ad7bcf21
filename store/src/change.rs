//! The change feed as types: what may change, who follows it, and the state that a follower starts from. Writing the
//! feed is left to `transaction`, delivering it to `writer`.

use crate::access_request::AccessRequest;
use crate::model::{
    ApplicationSessionRecord, DirectoryName, EndReason, FormerGroupName, Group, GroupId, Person, PersonId,
    Profile, Seq, SessionId, SessionRecord,
};
use crate::purpose::Purposes;
use crate::scim_key::KeyRecord;
use crate::service_token::ServiceTokenRecord;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// One change that must take effect at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A person was created, updated, deactivated or reactivated: their state afterwards. Whoever keeps copies keeps those of
    /// people with sessions alone: they come with the sessions.
    Person(Arc<Person>),
    /// A person is gone.
    PersonDeleted(PersonId, DirectoryName),
    /// A group was created or renamed: its state afterwards.
    Group(Arc<Group>),
    /// A group bears this name no more. It comes before the `Group` or `GroupDeleted` that takes the name away.
    GroupNameLeft {
        /// The group's directory.
        directory: DirectoryName,
        /// The name, as the group bore it.
        name: String,
        /// Since when, in unix seconds.
        at: i64,
    },
    /// Names that groups left at this time or before need to be remembered no more.
    GroupNamesForgotten {
        /// In unix seconds.
        until: i64,
    },
    /// A group is gone; a change before it has removed its members.
    GroupDeleted(GroupId),
    /// People joined and left a group; nobody stands in both lists, and only real differences are listed.
    Membership {
        /// The group.
        group: GroupId,
        /// Who joined.
        added: Vec<PersonId>,
        /// Who left.
        removed: Vec<PersonId>,
    },
    /// These are the members of a group from now on, and nobody else: for many who leave at once, and are not named.
    MembersReplaced {
        /// The group.
        group: GroupId,
        /// Who is in it; mostly nobody.
        members: Vec<PersonId>,
    },
    /// A session began.
    SessionBegun {
        /// The session.
        session: Arc<SessionRecord>,
        /// The person of a directory whom it belongs to, as they are now.
        person: Option<Arc<Person>>,
    },
    /// The provider said anew who the person of a session is.
    SessionRenewed {
        /// The session.
        session: SessionId,
        /// What counts from now on.
        profile: Arc<Profile>,
    },
    /// An application session began.
    ApplicationSessionBegun(Arc<ApplicationSessionRecord>),
    /// Sessions belong to another person than before, or to nobody.
    SessionsLinked {
        /// The sessions.
        sessions: Vec<SessionId>,
        /// Whom they belong to now, as they are now.
        person: Option<Arc<Person>>,
    },
    /// Sessions ended. The application sessions that end with a session are listed by themselves.
    SessionsEnded {
        /// The sessions and application sessions.
        sessions: Vec<SessionId>,
        /// Why. After `Expired` the rows are gone: a follower forgets them.
        reason: EndReason,
    },
    /// A SCIM key was made or revoked: its state afterwards.
    Key {
        /// The key, without its secret.
        record: Arc<KeyRecord>,
    },
    /// A service token was made, rotated or revoked: its state afterwards.
    ServiceToken(Arc<ServiceTokenRecord>),
    /// Somebody said what they use an application for: all that was said in this login.
    Purposes(Purposes),
    /// Somebody asked for access, or was granted or refused it, or it is over: how the request stands now.
    Access(Arc<AccessRequest>),
}

impl Change {
    /// The kind, as stored with the event.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::PersonDeleted(..) => "person_deleted",
            Self::Group(_) => "group",
            Self::GroupNameLeft { .. } => "group_name_left",
            Self::GroupNamesForgotten { .. } => "group_names_forgotten",
            Self::GroupDeleted(_) => "group_deleted",
            Self::Membership { .. } => "membership",
            Self::MembersReplaced { .. } => "members_replaced",
            Self::SessionBegun { .. } => "session_begun",
            Self::SessionRenewed { .. } => "session_renewed",
            Self::ApplicationSessionBegun(_) => "application_session_begun",
            Self::SessionsLinked { .. } => "sessions_linked",
            Self::SessionsEnded { .. } => "sessions_ended",
            Self::Key { .. } => "key",
            Self::ServiceToken(_) => "service_token",
            Self::Purposes(_) => "purposes",
            Self::Access(_) => "access",
        }
    }

    /// Whether it takes nothing from anybody, wherever it comes late.
    pub(crate) const fn adds_rights(&self) -> bool {
        matches!(self, Self::SessionBegun { .. } | Self::ApplicationSessionBegun(_) | Self::Purposes(_))
    }

    /// What the event is about, as stored with it: one id, or empty when the payload lists many.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::Person(person) => person.id.0.to_string(),
            Self::PersonDeleted(id, _) => id.0.to_string(),
            Self::Group(group) => group.id.0.to_string(),
            Self::GroupDeleted(id)
            | Self::Membership { group: id, .. }
            | Self::MembersReplaced { group: id, .. } => id.0.to_string(),
            Self::SessionBegun { session, .. } => session.id.to_string(),
            Self::SessionRenewed { session, .. } => session.to_string(),
            Self::ApplicationSessionBegun(session) => session.id.to_string(),
            Self::GroupNameLeft { directory, .. } => directory.to_string(),
            Self::SessionsLinked { .. } | Self::SessionsEnded { .. } | Self::GroupNamesForgotten { .. } => {
                String::new()
            }
            Self::Key { record } => record.key_id.clone(),
            Self::ServiceToken(token) => token.client_id.clone(),
            Self::Purposes(purposes) => purposes.session.to_string(),
            Self::Access(request) => request.id.clone(),
        }
    }

    /// The ids of the change, as stored with the event: enough to read the state again, and no personal data.
    pub(crate) fn payload_text(&self) -> String {
        match self {
            // Everybody of a large group may stand here: their numbers are written as they come, not made into values first.
            Self::Membership { group, added, removed } => {
                let (added, removed) = (numbers(added), numbers(removed));
                format!(r#"{{"group":{},"added":[{added}],"removed":[{removed}]}}"#, group.0)
            }
            Self::MembersReplaced { group, members } => {
                format!(r#"{{"group":{},"members":[{}]}}"#, group.0, numbers(members))
            }
            other => other.payload().to_string(),
        }
    }

    fn payload(&self) -> Value {
        match self {
            Self::Person(person) => json!({ "person": person.id.0, "active": person.active }),
            Self::PersonDeleted(id, directory) => json!({ "person": id.0, "directory": &**directory }),
            Self::Group(group) => json!({ "group": group.id.0 }),
            Self::GroupNameLeft { directory, name, at } => {
                json!({ "directory": &**directory, "name": name, "at": at })
            }
            Self::GroupNamesForgotten { until } => json!({ "until": until }),
            Self::GroupDeleted(id)
            | Self::Membership { group: id, .. }
            | Self::MembersReplaced { group: id, .. } => json!({ "group": id.0 }),
            Self::SessionBegun { session, .. } => {
                json!({ "session": session.id.to_string(), "person": session.person.map(|id| id.0) })
            }
            Self::SessionRenewed { session, .. } => json!({ "session": session.to_string() }),
            Self::ApplicationSessionBegun(session) => {
                json!({ "session": session.id.to_string(), "parent": session.parent.to_string() })
            }
            Self::SessionsLinked { sessions, person } => {
                json!({ "sessions": texts(sessions), "person": person.as_ref().map(|person| person.id.0) })
            }
            Self::SessionsEnded { sessions, reason } => {
                json!({ "sessions": texts(sessions), "reason": reason.as_str() })
            }
            Self::Key { record } => json!({ "key": record.key_id, "revoked": record.revoked_at.is_some() }),
            Self::ServiceToken(token) => {
                json!({ "service_token": token.name, "revoked": token.revoked_at.is_some() })
            }
            Self::Purposes(purposes) => {
                json!({ "session": purposes.session.to_string(), "applications": purposes.given.len() })
            }
            Self::Access(request) => json!({ "request": request.id, "state": request.state.as_str() }),
        }
    }
}

fn numbers(people: &[PersonId]) -> String {
    let mut text = String::new();
    for (place, person) in people.iter().enumerate() {
        // Writing into a text cannot fail.
        let _ = write!(text, "{}{}", if place == 0 { "" } else { "," }, person.0);
    }
    text
}

fn texts(sessions: &[SessionId]) -> Vec<String> {
    sessions.iter().map(ToString::to_string).collect()
}

/// The whole state at one position of the feed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The position: every change up to it is contained.
    pub seq: Seq,
    /// The people of served directories who have sessions that are not forgotten yet, by id. All others are read from the store
    /// when they log in.
    pub persons: Vec<Arc<Person>>,
    /// The groups of all served directories, by id.
    pub groups: Vec<Arc<Group>>,
    /// Names that groups of served directories bore lately, by directory and name.
    pub former_group_names: Vec<FormerGroupName>,
    /// All sessions that are not forgotten yet: live ones, and ended ones until they would have expired.
    pub sessions: Vec<Arc<SessionRecord>>,
    /// The same for application sessions.
    pub application_sessions: Vec<Arc<ApplicationSessionRecord>>,
    /// The tokens of services, those included that were revoked of late.
    pub service_tokens: Vec<Arc<ServiceTokenRecord>>,
    /// What people said that they use applications for, by session.
    pub purposes: Vec<Purposes>,
    /// The requests for access that are granted and not known to be over, by id.
    pub grants: Vec<Arc<AccessRequest>>,
}

/// Who keeps a copy of the state in memory and must know of every change before its writer is answered.
///
/// Both functions run on the writer thread: they must not wait for a write of this store. A panic in them stops the
/// writer thread, and with it every further write; a copy that may be wrong must not be acknowledged.
pub trait Follower: Send + Sync {
    /// Replaces the whole copy.
    fn load(&self, snapshot: Snapshot);
    /// Applies one durable change, written by this process or by another. `seq` rises from call to call.
    fn apply(&self, seq: Seq, change: &Change);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_membership_is_json_with_everybody_in_it() {
        let people = |numbers: &[i64]| numbers.iter().copied().map(PersonId).collect::<Vec<_>>();
        let change =
            Change::Membership { group: GroupId(7), added: people(&[1, -2, 30]), removed: people(&[]) };
        let read: Value = serde_json::from_str(&change.payload_text()).unwrap();
        assert_eq!(read, json!({ "group": 7, "added": [1, -2, 30], "removed": [] }));
        let change = Change::MembersReplaced { group: GroupId(7), members: people(&[3, 4]) };
        let read: Value = serde_json::from_str(&change.payload_text()).unwrap();
        assert_eq!(read, json!({ "group": 7, "members": [3, 4] }));
    }
}
