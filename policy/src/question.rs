//! One request, as far as a decision needs it. Nothing here is owned: asking costs nothing.
//!
//! Collecting the facts is left to the enforcement point; what it does not know it leaves out, and never guesses.

use std::net::IpAddr;

use crate::country::CountryCode;
use crate::path::RequestPath;
use crate::principal::Principal;

/// Who asks for what, and what others say of it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// From where, when, and for what.
    pub circumstances: &'a Circumstances<'a>,
    /// What external evaluations have answered, in any order; one that is missing was not asked.
    pub answers: &'a [Answer],
}

/// What is known of a request without knowing who asks.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// From where. An IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`) is judged as the IPv4 address.
    pub client_ip: IpAddr,
    /// When, in unix seconds.
    pub now: i64,
    /// The country of the address, if that is known.
    pub country: Option<CountryCode>,
    /// The method, if there is a request.
    pub method: Option<&'a str>,
    /// The path, if there is a request.
    pub path: Option<RequestPath<'a>>,
    /// What the client proved in its handshake.
    pub certificate: Certificate<'a>,
}

/// What a client proved in its handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate<'a> {
    /// Nobody knows: another shook hands.
    #[default]
    Unknown,
    /// Nothing that the host accepts.
    Absent,
    /// A certificate that the host accepts.
    Valid {
        /// The common name of its subject.
        common_name: Option<&'a str>,
    },
}

/// The answer of an external evaluation about this question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which one answered.
    pub evaluation: EvaluationId,
    /// Yes or no; none when it was asked and gave no answer that counts.
    pub holds: Option<bool>,
    /// From when on the answer counts no longer, in unix seconds.
    pub until: i64,
}

/// One of the external evaluations of one revision.
///
/// Made by [`PolicySet::evaluation`](crate::PolicySet::evaluation) alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EvaluationId {
    pub(crate) revision: u64,
    pub(crate) id: u32,
}

impl<'a> Question<'a> {
    /// A question that nobody else was asked about.
    #[must_use]
    pub fn new(principal: &'a Principal, circumstances: &'a Circumstances<'a>) -> Self {
        Self { principal, circumstances, answers: &[] }
    }
}

impl Circumstances<'_> {
    /// An address at a moment, and nothing else that is known.
    #[must_use]
    pub fn at(client_ip: IpAddr, now: i64) -> Self {
        Self { client_ip, now, country: None, method: None, path: None, certificate: Certificate::Unknown }
    }
}
