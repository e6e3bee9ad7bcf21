//! Who asks, expressed in the small ids of one policy set.
//!
//! Where the facts come from, and whether they are still true, is left to the enforcement point. Ids carry the revision
//! of the set that gave them out: brought to another set they are unknown, never somebody else's.

use crate::email::EmailAddress;
use crate::step_up::LoginFacts;

/// Who asks, as the policies see it. A policy that speaks of the one kind is never tried for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most are people, and each is read at every decision")]
pub enum Principal {
    /// Somebody who logged in.
    Person(Person),
    /// A program with a token of its own.
    Service(Service),
    /// A request of which it is not known who asks: only a bypass lets it in.
    Nobody,
}

/// A person, as the policies see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The e-mail address, if and only if it was verified. Without one, no rule about e-mail can be evaluated.
    pub email: Option<EmailAddress>,
    /// Who they are to the identity provider of the login: `sub` of its ID token.
    pub subject: Option<Box<str>>,
    /// The groups that some policy speaks of.
    pub groups: GroupSet,
    /// What is true of their attributes.
    pub attributes: PredicateSet,
    /// The identity provider of the login; `None` when it is no longer configured, and then no rule about it can be
    /// evaluated.
    pub login_method: Option<LoginMethodId>,
    /// How and when the login was made.
    pub login: LoginFacts,
    /// For which applications they have said what they need them for.
    pub purposes: PurposeSet,
    /// What was granted to them for a time.
    pub grants: GrantSet,
}

/// A service, as the policies see it: what its token is called, and nothing that is true of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The token's name.
    pub token: Box<str>,
}

/// Membership in the groups that the policies of one revision mention: sorted, without repetition.
///
/// Made by [`PolicySet::intern_groups`](crate::PolicySet::intern_groups) alone, with or without doubts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSet {
    pub(crate) revision: u64,
    pub(crate) ids: Box<[u32]>,
    /// Groups that somebody says the person is in whose word does not count: whether the person is, is unknown.
    pub(crate) unproved: Box<[u32]>,
    /// Whether the directory has a record of the person, so that groups can be told by id.
    pub(crate) has_ids: bool,
}

/// What is true of a person's attributes, as far as some policy asks: ids of predicates, sorted.
///
/// Made by [`PolicySet::intern_attributes`](crate::PolicySet::intern_attributes), or by
/// [`PolicySet::unknown_attributes`](crate::PolicySet::unknown_attributes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredicateSet {
    pub(crate) revision: u64,
    pub(crate) held: Box<[u32]>,
    pub(crate) unknown: Box<[u32]>,
}

/// The applications for which a purpose was given, each with its end: sorted by application.
///
/// Made by [`PolicySet::intern_purposes`](crate::PolicySet::intern_purposes) alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeSet {
    pub(crate) revision: u64,
    pub(crate) given: Box<[(usize, i64)]>,
}

/// The policies that somebody granted, for one application each and with an end: sorted.
///
/// Made by [`PolicySet::intern_grants`](crate::PolicySet::intern_grants) alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantSet {
    pub(crate) revision: u64,
    pub(crate) granted: Box<[((usize, usize), i64)]>,
}

/// What somebody granted to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// The application's name.
    pub application: &'a str,
    /// The name of the policy that it was asked of.
    pub policy: &'a str,
    /// When it ends, in unix seconds.
    pub until: i64,
}

/// One of the identity providers of one revision.
///
/// Made by [`PolicySet::login_method`](crate::PolicySet::login_method) alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginMethodId {
    pub(crate) revision: u64,
    pub(crate) id: u32,
}

impl GroupSet {
    /// The revision of the policy set that this was made for.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many of the person's groups some policy mentions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no policy mentions any of the person's groups.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
