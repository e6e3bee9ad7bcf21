//! Ids and the records that the gateway keeps in memory: people, groups and sessions. What the provisioning client
//! sees of them stands in `directory`.

use serde_json::{Map, Value};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A person, for ever: the number of a deleted person is never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub i64);

/// A group, for ever: the number of a deleted group is never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub i64);

/// A position in the change feed: 1 for the first change, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub i64);

/// The name of a directory, as configured; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryName(Arc<str>);

impl Deref for DirectoryName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for DirectoryName {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for DirectoryName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for DirectoryName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, out)
    }
}

/// A session, an application session or a service's secret: the SHA-256 of the token that is presented, so that the stored form
/// opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// The id made of a digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The id that was written as hex digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 2 * digest.len() {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SessionId({self})")
    }
}

/// A person as decisions see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The number of this person.
    pub id: PersonId,
    /// The id that the provisioning client knows.
    pub scim_id: String,
    /// The directory that holds them.
    pub directory: DirectoryName,
    /// The userName as it was provisioned.
    pub user_name: String,
    /// The provisioning client's id; for Okta the user id, which is also the `sub` of their logins.
    pub external_id: Option<String>,
    /// All e-mail addresses, folded, without repeats, in the order received.
    pub emails: Vec<String>,
    /// The name to show.
    pub display_name: Option<String>,
    /// Whether they may log in at all.
    pub active: bool,
    /// The groups that they are a member of, sorted.
    pub groups: Box<[GroupId]>,
    /// Every other attribute of the SCIM user, as the text that is stored: a tenth of what it takes when it is read.
    pub document: Arc<str>,
}

impl Person {
    /// The SCIM user as far as a predicate may ask about it: every attribute as provisioned, extensions included. Groups, `id`
    /// and `meta` are not among them. None when what is stored cannot be read: nothing is known then.
    #[must_use]
    pub fn attributes(&self) -> Option<Map<String, Value>> {
        let mut attributes: Map<String, Value> = serde_json::from_str(&self.document).ok()?;
        attributes.insert("userName".to_owned(), self.user_name.as_str().into());
        attributes.insert("active".to_owned(), self.active.into());
        let texts = [("externalId", &self.external_id), ("displayName", &self.display_name)];
        for (name, text) in texts {
            attributes.extend(text.as_deref().map(|text| (name.to_owned(), text.into())));
        }
        Some(attributes)
    }
}

/// A group as decisions see it; its members are found in the people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The number of this group.
    pub id: GroupId,
    /// The id that the provisioning client knows.
    pub scim_id: String,
    /// The directory that holds it.
    pub directory: DirectoryName,
    /// The group's name.
    pub display_name: String,
    /// The provisioning client's id.
    pub external_id: Option<String>,
}

/// A name that a group bore, until it was renamed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FormerGroupName {
    /// The group's directory.
    pub directory: DirectoryName,
    /// The name, as the group bore it.
    pub name: String,
    /// Since when a group of that directory bears it no more, in unix seconds.
    pub left_at: i64,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The person signed out.
    SignedOut,
    /// The person was deactivated.
    Deactivated,
    /// The person was deleted.
    Deleted,
    /// An administrator or the provider revoked it.
    Revoked,
    /// The same person began so many others that it was the oldest of too many.
    Displaced,
    /// The groups of the person changed, in a directory that wants a new login then.
    GroupsChanged,
    /// Nobody used it for too long.
    Idle,
    /// The provider does not vouch for it any more: its refresh token is worth nothing, or speaks of somebody else.
    NotRenewed,
    /// Its time was over, and its row is gone.
    Expired,
}

impl EndReason {
    /// The word that is stored and logged.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
            Self::Revoked => "revoked",
            Self::Displaced => "displaced",
            Self::GroupsChanged => "groups_changed",
            Self::Idle => "idle",
            Self::NotRenewed => "not_renewed",
            Self::Expired => "expired",
        }
    }

    /// The reason behind a stored word. A word that nobody knows, from a newer program, is taken for a revocation:
    /// the session is over in any case.
    pub(crate) fn from_stored(word: &str) -> Self {
        match word {
            "signed_out" => Self::SignedOut,
            "deactivated" => Self::Deactivated,
            "deleted" => Self::Deleted,
            "displaced" => Self::Displaced,
            "groups_changed" => Self::GroupsChanged,
            "idle" => Self::Idle,
            "not_renewed" => Self::NotRenewed,
            "expired" => Self::Expired,
            _ => Self::Revoked,
        }
    }
}

/// What a provider says of a person, at the login and at each renewal after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The verified e-mail address, folded.
    pub email: Option<String>,
    /// The name to show.
    pub display_name: Option<String>,
    /// Names of groups, from the claim or the provider's API.
    pub groups: Vec<String>,
    /// The other claims, as JSON.
    pub claims_json: String,
    /// When the person proved who they are, in unix seconds.
    pub authenticated_at: i64,
    /// When the provider said all this, in unix seconds.
    pub told_at: i64,
}

/// A session as decisions see it. The sealed secrets stay in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub id: SessionId,
    /// The identity provider that the person came from.
    pub provider: String,
    /// The `sub` at that provider.
    pub subject: String,
    /// What the provider says of the person. A renewal replaces it.
    pub profile: Arc<Profile>,
    /// When the session began, in unix seconds.
    pub begun_at: i64,
    /// When it will be over, in unix seconds.
    pub expires_at: i64,
    /// The person of a directory that it belongs to.
    pub person: Option<PersonId>,
    /// Why it ended; a session with a reason is never live again.
    pub ended: Option<EndReason>,
    /// Whether there is a refresh token: one came with it, and it has not ended.
    pub renewable: bool,
    /// The last use that was noted, in unix seconds. Notes are no changes of the feed.
    pub used_at: Option<i64>,
}

/// The part of a session that lives on one application's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationSessionRecord {
    /// The application session.
    pub id: SessionId,
    /// The session that it is part of, and ends with.
    pub parent: SessionId,
    /// The host whose cookie names it.
    pub host: String,
    /// The name of the program at a terminal that it was given to; none for a browser.
    pub terminal: Option<String>,
    /// When it began, in unix seconds.
    pub begun_at: i64,
    /// When it will be over, in unix seconds; never later than its parent.
    pub expires_at: i64,
    /// Why it ended; one with a reason is never live again.
    pub ended: Option<EndReason>,
    /// The SHA-256 of a second cookie, without which the first opens nothing.
    pub binding: Option<[u8; 32]>,
}
