//! Keys of provisioning clients: made, listed, revoked and verified. The token is shown once and stored as a hash;
//! which directories exist is left to the configuration.

use crate::model::DirectoryName;

/// A key of a directory, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Eight hex digits that name the key in lists and logs.
    pub key_id: String,
    /// The directory that it opens, and no other.
    pub directory: DirectoryName,
    /// What the administrator called it.
    pub name: String,
    /// When it was made, in unix seconds.
    pub created_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<i64>,
    /// When it stops to be valid.
    pub expires_at: Option<i64>,
}
