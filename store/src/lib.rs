//! What must last: the directory, the sessions, the keys and the change feed, in SQLite. Deciding is left to
//! `policy`, protocols to the sink and the gateway; only this crate writes SQL.

mod access_request;
mod change;
mod directory;
mod engine;
mod error;
mod fold;
mod lease;
mod life;
pub mod limits;
mod link;
mod look;
mod migrate;
mod model;
mod open;
mod provisioning_log;
mod purpose;
mod random;
mod reader;
mod scim_key;
mod sealed_item;
mod secret;
mod service_token;
mod session;
mod signing_key;
mod snapshot;
mod spent;
mod sql;
mod store;
#[cfg(test)]
mod testing;
mod transaction;
mod writer;

pub use access_request::{
    AccessDecision, AccessRequest, AccessRequestError, AccessState, Decider, NewAccessRequest,
};
pub use change::{Change, Follower, Snapshot};
pub use directory::{
    Begin, Direction, Directory, DirectoryError, DirectoryRules, GroupContent, GroupLookup, GroupOrder,
    Holds, LinkBy, MemberEdit, ModifyError, OnGroupChange, Page, PersonContent, PersonLookup, PersonOrder,
    Seen, SeenAttribute, SeenIn, SortedPage, StoredGroup, StoredPerson, UniqueBy,
};
pub use error::StoreError;
pub use fold::fold;
pub use lease::Lease;
pub use limits::TooLong;
pub use look::StoreLook;
pub use model::{
    ApplicationSessionRecord, DirectoryName, EndReason, FormerGroupName, Group, GroupId, Person, PersonId,
    Profile, Seq, SessionId, SessionRecord,
};
pub use open::{OpenError, ServingLock};
pub use portcullis_lease::Streams;
pub use provisioning_log::{Provisioner, ProvisioningEntry, RefusedProvisioning};
pub use purpose::{GivenPurpose, PurposeError, Purposes};
pub use scim_key::{KeyError, KeyRecord};
pub use sealed_item::SealedItemError;
pub use secret::Secret;
pub use service_token::{Malformed, ServiceSecret, ServiceTokenError, ServiceTokenRecord, service_secret_id};
pub use session::{
    BeginApplicationSessionError, BeginSessionError, EndWhat, LastUses, NewApplicationSession, NewSession,
    Provisioning, RenewSessionError, Renewal,
};
pub use signing_key::{SigningKey, SigningKeyError, SigningKeyState, SigningKeyStep};
pub use spent::SpendError;
pub use store::Store;
