//! Every bound on what a provisioning client may send or ask for, with its reason.
//!
//! The places that obey a limit stand elsewhere, each with a test just over it.

/// Largest request body: a push of 10,000 members with their names is just under it.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Deepest nesting of a JSON body. It is `serde_json`'s own recursion limit, named here so that a change of it is noticed.
pub const MAX_JSON_DEPTH: usize = 127;

/// Most operations in one PATCH of a group: one removal for each of 10,000 members must fit.
pub const MAX_GROUP_PATCH_OPERATIONS: usize = 10_000;

/// Most operations in one PATCH of a user, who has no members.
pub const MAX_USER_PATCH_OPERATIONS: usize = 1_000;

/// Most places that one PATCH may look at in a document, over all its operations: keys, elements and their parts, once for each term of a
/// filter. It is paid for on the store's only writer, where everybody else waits. Members are not counted here.
pub const MAX_PATCH_WORK: usize = 500_000;

/// Most member entries in one request, over all its operations.
pub const MAX_MEMBERS_PER_REQUEST: usize = 100_000;

/// Most values that one multi-valued attribute of a resource may hold (members are not counted here: they are no part of a document).
pub const MAX_VALUES_PER_ATTRIBUTE: usize = 200;

/// Most attributes beyond the standard schemas that one directory has, each once for each form in which it came, and longest names of one
/// with those of what it is a part of. All are published; a write that brings one more is refused, unless the person is inactive after it.
pub use portcullis_store::limits::{
    SEEN_ATTRIBUTES as MAX_SEEN_ATTRIBUTES, SEEN_PATH_BYTES as MAX_SEEN_PATH_BYTES,
};

pub use portcullis_filter::{MAX_FILTER_DEPTH, MAX_FILTER_LENGTH, MAX_FILTER_TERMS};

/// Most resources in one answer; a larger `count` is cut to this (RFC 7644 section 3.4.2.4 allows fewer than asked for).
pub const MAX_PAGE: usize = 200;

/// Resources in one answer when the client names no `count`.
pub const DEFAULT_PAGE: usize = 100;

/// Most members told in the answer to a PATCH that did not ask for attributes; of a group with more it has no body (RFC 7644 section 3.5.2).
pub const MAX_MEMBERS_OF_PATCH: usize = 1_000;

/// Most members written into one answer of several groups: the page ends early after the group that passes it.
pub const MAX_MEMBERS_PER_PAGE: usize = 100_000;

/// Most resources looked at for a filter that no index answers, or for sorting; beyond it the answer is `tooMany`, and a page of a cursor
/// ends early.
pub const MAX_SCANNED: usize = 50_000;

/// Most places that one listing may look at for a filter: keys, elements and their parts, once for each term. What is over it is answered
/// like too many resources.
pub const MAX_LOOK_WORK: usize = 100_000_000;

/// Most names in `attributes` or `excludedAttributes`.
pub const MAX_PROJECTED_ATTRIBUTES: usize = 100;

/// Most operations in one Bulk request: each is a commit of its own, and the client waits for all of them.
pub const MAX_BULK_OPERATIONS: usize = 1_000;

/// Longest part of a value that resources are sorted by, in characters: the keys of everything looked at are in memory at once, and one
/// of them goes into a cursor. Beyond it the order of creation decides.
pub const MAX_SORT_KEY_CHARS: usize = 128;

/// Longest cursor that is looked at, in bytes: the longest of ours, which holds a whole userName, is shorter.
pub const MAX_CURSOR_BYTES: usize = 16 * 1024;

/// What a client is told to wait when the store has no room for its write.
pub const RETRY_AFTER_S: u32 = 5;
