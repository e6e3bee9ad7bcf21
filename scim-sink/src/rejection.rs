//! Every way in which a request can end without having been done, with its status and its two texts: what the client may read, and
//! what the log needs (RFC 7644 section 3.12).
//!
//! `response` makes the bytes of it; no other file chooses an error status.

use std::error::Error;

use http::StatusCode;
use portcullis_store::{DirectoryError, StoreError};

use crate::filter::FilterError;
use crate::limits::{MAX_BODY_BYTES, MAX_MEMBERS_PER_REQUEST, MAX_SCANNED, RETRY_AFTER_S};

/// Why a request was not done. The text is the client's; causes for the log alone are in [`Rejection::cause`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    /// One text for every cause, so that nobody learns which directories exist.
    #[error("the key is missing or is not valid for this address")]
    Unauthorized(Unauthorized),
    #[error("there is nothing at this address")]
    UnknownPath,
    #[error("there is no {kind} with the id `{id}`")]
    NoSuchResource { kind: &'static str, id: String },
    #[error("this method is not possible here; possible are {allow}")]
    MethodNotAllowed { allow: &'static str },
    #[error("a key stands for no person, so there is no `Me`")]
    NoMe,
    /// RFC 7644 section 4.
    #[error("what the service says of itself cannot be filtered")]
    Unfiltered,
    #[error("the body must be `application/scim+json` or `application/json`")]
    UnsupportedMediaType,
    #[error("the body is larger than {MAX_BODY_BYTES} bytes")]
    BodyTooLarge,
    #[error("one request may have {most} operations at most")]
    TooManyOperations { most: usize },
    #[error("these operations look at too many values; send fewer of them in one request")]
    TooMuchWork,
    #[error("one request may name {MAX_MEMBERS_PER_REQUEST} members at most")]
    TooManyMembers,
    #[error("{0}")]
    InvalidSyntax(String),
    #[error("the filter is not valid: {0}")]
    InvalidFilter(FilterError),
    #[error("members can be chosen by `members[value eq \"<id>\"]` only")]
    UnsupportedMemberFilter,
    #[error("the path `{path}` is not valid: {cause}")]
    InvalidPath { path: String, cause: FilterError },
    #[error("{0}")]
    NoTarget(String),
    #[error("`{0}` is read-only or required, and cannot be written or removed so")]
    Mutability(String),
    #[error("{0}")]
    InvalidValue(String),
    #[error("{0}")]
    Uniqueness(String),
    #[error("no index answers this, and there are more than {MAX_SCANNED} resources to look through")]
    TooMany,
    #[error("the cursor is not one of this listing")]
    InvalidCursor,
    /// Of an operation that another one of the same job would have had to make possible.
    #[error("{0}")]
    Unresolved(String),
    #[error("the resource has changed since the version that was named")]
    VersionChanged,
    #[error("too much is being written just now; repeat it in {RETRY_AFTER_S} seconds")]
    Busy(StoreError),
    /// Nothing was acknowledged, and nobody knows whether it is durable: the client has to repeat it.
    #[error("it is not certain that this was written; repeat it in {RETRY_AFTER_S} seconds")]
    OutcomeUnknown(StoreError),
    /// Durable, and some process that serves may not know of it: the repeat waits for it again.
    #[error("this was written, and is not yet in force everywhere; repeat it in {RETRY_AFTER_S} seconds")]
    NotEverywhere(StoreError),
    #[error("the directory cannot be read or written just now")]
    StoreFailed(StoreError),
    #[error("the work broke off")]
    BrokeOff,
}

/// For the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unauthorized {
    #[error("no authorization header")]
    NoHeader,
    #[error("several authorization headers")]
    SeveralHeaders,
    #[error("the authorization header cannot be read")]
    Unreadable,
    #[error("the directory does not exist")]
    UnknownDirectory,
    #[error("the key is wrong, revoked, expired or of another directory")]
    WrongKey,
}

impl Rejection {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::UnknownPath | Self::NoSuchResource { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoMe => StatusCode::NOT_IMPLEMENTED,
            Self::Unfiltered => StatusCode::FORBIDDEN,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge | Self::TooManyOperations { .. } | Self::TooManyMembers => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::InvalidSyntax(_)
            | Self::InvalidFilter(_)
            | Self::UnsupportedMemberFilter
            | Self::InvalidPath { .. }
            | Self::NoTarget(_)
            | Self::Mutability(_)
            | Self::InvalidValue(_)
            | Self::TooMuchWork
            | Self::InvalidCursor
            | Self::TooMany => StatusCode::BAD_REQUEST,
            Self::Uniqueness(_) | Self::Unresolved(_) => StatusCode::CONFLICT,
            Self::VersionChanged => StatusCode::PRECONDITION_FAILED,
            Self::Busy(_) | Self::OutcomeUnknown(_) | Self::NotEverywhere(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::StoreFailed(_) | Self::BrokeOff => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// RFC 7644 table 9.
    pub(crate) fn scim_type(&self) -> Option<&'static str> {
        match self {
            Self::InvalidSyntax(_) => Some("invalidSyntax"),
            Self::InvalidFilter(_) | Self::UnsupportedMemberFilter => Some("invalidFilter"),
            Self::InvalidPath { .. } => Some("invalidPath"),
            Self::NoTarget(_) => Some("noTarget"),
            Self::Mutability(_) => Some("mutability"),
            Self::InvalidValue(_) => Some("invalidValue"),
            Self::Uniqueness(_) => Some("uniqueness"),
            Self::TooMuchWork | Self::TooMany => Some("tooMany"),
            // RFC 9865 section 2.
            Self::InvalidCursor => Some("invalidCursor"),
            _ => None,
        }
    }

    /// Whole seconds: Okta understands nothing else.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        matches!(self, Self::Busy(_) | Self::OutcomeUnknown(_) | Self::NotEverywhere(_))
            .then_some(RETRY_AFTER_S)
    }

    /// What the client must not see.
    pub(crate) fn cause(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unauthorized(cause) => Some(cause),
            Self::Busy(cause)
            | Self::OutcomeUnknown(cause)
            | Self::NotEverywhere(cause)
            | Self::StoreFailed(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<StoreError> for Rejection {
    fn from(error: StoreError) -> Rejection {
        match error {
            StoreError::Busy => Rejection::Busy(error),
            StoreError::Commit(_) => Rejection::OutcomeUnknown(error),
            StoreError::NotEverywhere => Rejection::NotEverywhere(error),
            _ => Rejection::StoreFailed(error),
        }
    }
}

impl Rejection {
    /// A refusal of the directory, about the resource `id`.
    pub(crate) fn from_directory(error: DirectoryError, kind: &'static str, id: &str) -> Rejection {
        match error {
            // The key was verified for a configured directory: one that the store does not serve has nothing in it.
            DirectoryError::UnknownDirectory | DirectoryError::NotFound => {
                Rejection::NoSuchResource { kind, id: id.to_owned() }
            }
            DirectoryError::UserNameTaken => {
                Rejection::Uniqueness("another user has this userName".to_owned())
            }
            DirectoryError::IdentifierTaken(what) => {
                Rejection::Uniqueness(format!("another user has this {what}"))
            }
            DirectoryError::GroupNameTaken => {
                Rejection::Uniqueness("another group has this displayName".to_owned())
            }
            DirectoryError::UnknownMember(member) => {
                Rejection::InvalidValue(format!("the member `{member}` is no user of this directory"))
            }
            DirectoryError::TooLong(limit) => Rejection::InvalidValue(limit.to_string()),
            DirectoryError::Store(error) => error.into(),
        }
    }
}

impl From<FilterError> for Rejection {
    fn from(error: FilterError) -> Rejection {
        Rejection::InvalidFilter(error)
    }
}
