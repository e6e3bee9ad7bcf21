//! What a directory asks of its people beyond the protocol: attributes that must be there, roles that there are, what tells people apart.
//!
//! That nobody shares what tells people apart is checked by the store, in the same transaction as the write.

use portcullis_store::UniqueBy;
use serde_json::{Map, Value};

use crate::filter::{AttributePath, FilterError, attribute, parse_target, values_at};
use crate::rejection::Rejection;

/// The rules about the people of one directory. An empty list says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserRules {
    /// What tells people apart.
    pub unique_by: UniqueBy,
    /// Attributes that an active person must have.
    pub required: Vec<RequiredAttribute>,
    /// The values that the roles of an active person may have, in any case of letters.
    pub roles: Vec<String>,
}

/// An attribute such as `name.givenName` or `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredAttribute {
    text: String,
    path: AttributePath,
}

/// Why a text names no attribute.
#[derive(Debug, thiserror::Error)]
pub enum AttributeError {
    /// It is not of the form.
    #[error("an attribute is named like `title` or `name.givenName`")]
    Malformed(#[source] FilterError),
    /// It chooses among values.
    #[error("an attribute is named without brackets here")]
    Chosen,
}

impl std::str::FromStr for RequiredAttribute {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<RequiredAttribute, AttributeError> {
        match parse_target(text).map_err(AttributeError::Malformed)? {
            (path, None, None) => Ok(RequiredAttribute { text: text.to_owned(), path }),
            _ => Err(AttributeError::Chosen),
        }
    }
}

impl RequiredAttribute {
    pub(crate) fn path(&self) -> &AttributePath {
        &self.path
    }
}

impl std::fmt::Display for RequiredAttribute {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}

impl UserRules {
    /// Holds a whole document, as it would be kept, to the rules.
    pub(crate) fn check(&self, document: &Map<String, Value>) -> Result<(), Rejection> {
        let missing = |name: &str| Rejection::InvalidValue(format!("`{name}` is required in this directory"));
        match self.unique_by {
            UniqueBy::Email if attribute(document, "emails").is_none() => return Err(missing("emails")),
            UniqueBy::ExternalId if attribute(document, "externalId").is_none() => {
                return Err(missing("externalId"));
            }
            UniqueBy::UserName | UniqueBy::Email | UniqueBy::ExternalId => {}
        }
        // What is kept has no empty values.
        if let Some(required) = self.required.iter().find(|it| values_at(document, &it.path).is_empty()) {
            return Err(missing(&required.text));
        }
        self.check_roles(document)
    }

    fn check_roles(&self, document: &Map<String, Value>) -> Result<(), Rejection> {
        let path = AttributePath { sub: Some("value".to_owned()), ..AttributePath::plain("roles") };
        if self.roles.is_empty() {
            return Ok(());
        }
        for role in values_at(document, &path) {
            let role = role.as_str().unwrap_or_default();
            if !self.roles.iter().any(|known| known.eq_ignore_ascii_case(role)) {
                let shown: String = role.chars().take(100).collect();
                let known = self.roles.join("`, `");
                return Err(Rejection::InvalidValue(format!(
                    "there is no role `{shown}` here; `roles` may be `{known}`"
                )));
            }
        }
        Ok(())
    }
}
