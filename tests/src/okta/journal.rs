//! The record of every request that the SCIM client made, with the instants at which it left and was answered.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

/// Which of Okta's operations a request belonged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// "Test API Credentials".
    TestConnection,
    /// The assignment of the application.
    AssignUser,
    /// A profile change.
    UpdateUser,
    /// Deactivation or unassignment.
    DeactivateUser,
    /// Reactivation.
    ReactivateUser,
    /// The first push of a group, or "Push now".
    PushGroup,
    /// A rename.
    RenameGroup,
    /// A change of members.
    PushMembers,
    /// "Unlink and delete".
    UnlinkGroup,
    /// The import of users and groups.
    Import,
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Push {
    /// What it was part of.
    pub operation: Operation,
    /// The login or the name of the group; empty for the test and the import.
    pub subject: String,
    /// The method.
    pub method: String,
    /// The path below the base address, with its query.
    pub path: String,
    /// What was sent, if anything.
    pub sent: Option<Value>,
    /// The status; `None` when no answer came.
    pub status: Option<u16>,
    /// The body of the answer, or why none came.
    pub body: String,
    /// When the request was begun.
    pub started: Instant,
    /// When the kernel had the whole answer.
    pub answered: Instant,
    /// The same instant on the wall clock, in milliseconds, for readers in another process.
    pub answered_unix_ms: u64,
}

impl Push {
    /// Whether the sink said 2xx.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "operation": self.operation, "subject": self.subject, "method": self.method, "path": self.path,
            "sent": self.sent, "status": self.status, "body": self.body, "accepted": self.accepted(),
            "took_ms": u64::try_from(self.answered.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX),
            "answered_unix_ms": self.answered_unix_ms,
        })
    }
}
