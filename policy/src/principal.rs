//! Who asks, expressed in the small ids of one policy set.
//!
//! Where the facts come from, and whether they are still true, is left to the enforcement point. Ids carry the revision
//! of the set that gave them out: brought to another set they are unknown, never somebody else's.

use std::net::IpAddr;

use crate::email::EmailAddress;
use crate::step_up::LoginFacts;

/// Who asks, as the policies see it. A policy that speaks of the one kind is never tried for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Somebody who logged in.
    Person(Person),
    /// A program with a token of its own.
    Service(Service),
}

/// A person, as the policies see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The e-mail address, if and only if it was verified. Without one, no rule about e-mail can be evaluated.
    pub email: Option<EmailAddress>,
    /// The groups that some policy speaks of.
    pub groups: GroupSet,
    /// The identity provider of the login; `None` when it is no longer configured, and then no rule about it can be
    /// evaluated.
    pub login_method: Option<LoginMethodId>,
    /// How and when the login was made.
    pub login: LoginFacts,
}

/// A service, as the policies see it: what its token is called, and nothing that is true of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The token's name.
    pub token: Box<str>,
}

/// One request, as far as a decision needs it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// From where. An IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`) is judged as the IPv4 address.
    pub client_ip: IpAddr,
    /// When, in unix seconds.
    pub now: i64,
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
