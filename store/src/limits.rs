//! The named limits on everything that is stored or queued, and the check of a text against its limit; what an
//! offence is answered with is left to the callers.

use std::fmt;

/// Writes that may wait for the writer thread; one more is answered with `Busy`.
pub const WRITE_QUEUE_LIMIT: usize = 4096;
/// Committed writes that may wait until they are in force in every process; one more is told at once that it is not known to be.
pub const PARKED_WRITES: usize = 4096;
/// Writes that share one commit at most.
pub const WRITES_PER_COMMIT: usize = 256;
/// Connections that only read.
pub const READERS: usize = 4;
/// Rows that one page of a listing or scan holds at most.
pub const PAGE_LIMIT: usize = 10_000;
/// Sessions that one purge forgets at most; the next purge takes the rest.
pub const PURGE_BATCH: usize = 10_000;
/// Sessions that one write ends because nobody uses them; the next takes the rest. Each end is told to every process, and holds up whoever
/// writes: others, deactivations and the lease.
pub const UNUSED_PER_WRITE: usize = 1_000;
/// How far ahead of the present a session's last use may lie, in seconds; one that lies further was seen by a clock that was wrong.
pub const USE_AHEAD_S: i64 = 120;

/// Memberships that one write deletes of a group that everybody leaves, and a step of the sweep of a roster that was abandoned: where more
/// leave, and more than stay, the group is given another roster instead.
pub const MEMBERSHIPS_AT_ONCE: usize = 500;
/// Rosters that were abandoned and wait to be swept; with more, whoever leaves is deleted one by one in the write itself.
pub const ABANDONED_ROSTERS: usize = 1_000;

/// Entries of the provisioning log that are kept: beyond them, the oldest are dropped.
pub const PROVISIONING_ENTRIES_KEPT: usize = 100_000;
/// Characters of one text of an entry.
pub const PROVISIONING_TEXT_CHARS: usize = 500;
/// Events that are kept: beyond them, the oldest are dropped.
pub const EVENTS_KEPT: usize = 1_000_000;
/// Live sessions of one subject of one provider; one more ends the oldest.
pub const MAX_SESSIONS_PER_SUBJECT: usize = 100;
/// Live application sessions of one session on one host; one more ends the oldest.
pub const MAX_APPLICATION_SESSIONS_PER_HOST: usize = 16;
/// Application sessions of one session on one host that are remembered, the ended ones included.
pub const APPLICATION_SESSIONS_KEPT_PER_HOST: usize = 64;
/// How long a name that a group no longer bears is remembered, in seconds: longer than the longest session, 30 days.
pub const FORMER_GROUP_NAME_S: i64 = 31 * 24 * 60 * 60;

/// Tokens of services, the revoked ones that are remembered included; one more is not made.
pub const SERVICE_TOKENS: usize = 10_000;
/// How long a revoked token is listed, in seconds.
pub const REVOKED_SERVICE_TOKEN_S: i64 = 90 * 24 * 60 * 60;
/// Bytes of what somebody says an application is for.
pub const PURPOSE_BYTES: usize = 2_000;
/// Applications for which one session says it.
pub const PURPOSES_PER_SESSION: usize = 500;
/// Bytes of the reason that somebody gives who asks for access.
pub const REASON_BYTES: usize = 2_000;
/// Requests for access of one subject that may wait; one more is refused.
pub const WAITING_REQUESTS_PER_SUBJECT: usize = 10;
/// Requests for access that may wait in all.
pub const WAITING_REQUESTS: usize = 10_000;
/// Requests of one subject that are remembered; beyond them, the oldest that are over are forgotten.
pub const REQUESTS_KEPT_PER_SUBJECT: usize = 100;
/// Requests that one listing shows.
pub const REQUESTS_LISTED: usize = 1_000;
/// How long a request waits for an answer, in seconds.
pub const REQUEST_WAITS_S: i64 = 7 * 24 * 60 * 60;
/// How long a request that is over is remembered, in seconds.
pub const REQUEST_KEPT_S: i64 = 90 * 24 * 60 * 60;
/// Events of another process that are read together.
pub const FOREIGN_EVENTS_AT_ONCE: usize = 256;

/// Bytes of a directory's, a provider's or a key's name.
pub const NAME_BYTES: usize = 256;
/// Bytes of the name of what is used once.
pub const SPENT_ID_BYTES: usize = 256;
/// Bytes of a userName.
pub const USER_NAME_BYTES: usize = 1024;
/// Bytes of an externalId, and of the `sub` of a provider.
pub const EXTERNAL_ID_BYTES: usize = 1024;
/// Bytes of a displayName, and of a group's name in a claim.
pub const DISPLAY_NAME_BYTES: usize = 1024;
/// Bytes of an e-mail address.
pub const EMAIL_BYTES: usize = 1024;
/// Addresses that one login may claim without proof.
pub const CLAIMED_ADDRESSES: usize = 4;
/// Addresses that one session has claimed so, at its login and its renewals; one more is not kept.
pub const CLAIMED_ADDRESSES_KEPT: usize = 16;
/// E-mail addresses of one person.
pub const EMAILS_PER_PERSON: usize = 100;
/// Bytes of all other attributes of one person or group, as JSON.
pub const DOCUMENT_BYTES: usize = 512 * 1024;
/// Attributes of one directory beyond the standard ones, in each form in which they were seen; a write that brings one more is refused.
pub const SEEN_ATTRIBUTES: usize = 1_000;
/// Bytes of the names of such an attribute and of what it is a part of, and of its schema's.
pub const SEEN_PATH_BYTES: usize = 1_024;
/// Members that one write may name.
pub const MEMBERS_PER_WRITE: usize = 100_000;
/// Bytes of the claims kept with a session, as JSON.
pub const CLAIMS_BYTES: usize = 1024 * 1024;
/// Group names kept with a session.
pub const GROUPS_PER_SESSION: usize = 20_000;
/// Bytes of the name of a sealed item.
pub const ITEM_NAME_BYTES: usize = 2048;
/// Bytes of the sealed secrets kept with a session or a signing key, and of a sealed item.
pub const SEALED_BYTES: usize = 256 * 1024;
/// Bytes of a host name.
pub const HOST_BYTES: usize = 255;
/// Keys that sign, will sign or have signed assertions, at once.
pub const SIGNING_KEYS: usize = 32;
/// Bytes of a public key or certificate.
pub const PUBLIC_KEY_BYTES: usize = 64 * 1024;

/// A value is longer, or a list has more entries, than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// What is too long.
    pub field: &'static str,
    /// The most that it may hold.
    pub limit: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} holds more than {}", self.field, self.limit)
    }
}

impl std::error::Error for TooLong {}

/// Refuses a length over its limit.
pub(crate) fn within(field: &'static str, length: usize, limit: usize) -> Result<(), TooLong> {
    if length > limit { Err(TooLong { field, limit }) } else { Ok(()) }
}

/// A length as SQL counts it.
pub(crate) fn sql_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
