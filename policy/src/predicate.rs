//! What a policy asks of a person's attributes, in the filter language of SCIM: `user.` is the person's record in the directory,
//! `claims.` is what the ID token said.
//!
//! Fetching the two documents is left to the enforcement point.

use std::fmt;
use std::str::FromStr;

use portcullis_filter::{
    AttributePath, CaseRule, Filter, FilterError, PathForm, Place, attribute, values_at,
};
use serde_json::{Map, Value};

/// The extension of RFC 7643 section 4.3. Its attributes (`department`, `costCenter`, ...) may be named without it.
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A filter over a person's record and claims, as in `user.department eq "Finance" and not (claims.temporary eq true)`.
///
/// Names of attributes compare without regard to case. Texts of `user.` compare as the schema says, mostly without regard to case
/// (Unicode lower case, no other equivalence); texts of `claims.` compare exactly. An attribute that the record does not have equals
/// nothing: `eq` is false, `ne` is true. A person without a record makes what is said of `user.` unknown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Predicate(Filter<FactPath>);

/// An attribute of one of the documents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FactPath {
    root: Root,
    path: AttributePath,
    /// The same in the enterprise extension, when no schema is named.
    extended: Option<AttributePath>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Root {
    User,
    Claims,
}

/// The documents of a person.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// The record in the directory, as SCIM writes it.
    pub user: Option<&'a Map<String, Value>>,
    /// The claims of the ID token.
    pub claims: &'a Map<String, Value>,
    /// Which attributes of the record compare case-exactly.
    pub case_exact: CaseRule,
}

impl Predicate {
    /// Whether it holds; `None` when it depends on a record that there is not.
    #[must_use]
    pub fn truth(&self, attributes: &Attributes<'_>) -> Option<bool> {
        self.0.truth(&|path| path.place(attributes))
    }

    /// What the documents have for each attribute that it names: the attribute as it is written, and the values that were found.
    #[must_use]
    pub fn values<'d>(&self, attributes: &Attributes<'d>) -> Vec<(String, Vec<&'d Value>)> {
        let found = |path: &FactPath| {
            let document = path.document(attributes)?;
            Some(values_at(document, path.path_in(document)))
        };
        self.0.paths().into_iter().map(|path| (path.to_string(), found(path).unwrap_or_default())).collect()
    }
}

impl FactPath {
    fn document<'d>(&self, attributes: &Attributes<'d>) -> Option<&'d Map<String, Value>> {
        match self.root {
            Root::User => attributes.user,
            Root::Claims => Some(attributes.claims),
        }
    }

    /// The record's own attribute, else the enterprise extension's.
    fn path_in(&self, document: &Map<String, Value>) -> &AttributePath {
        match &self.extended {
            Some(extended) if attribute(document, &self.path.name).is_none() => extended,
            _ => &self.path,
        }
    }

    fn place<'a>(&'a self, attributes: &Attributes<'a>) -> Option<Place<'a>> {
        let document = self.document(attributes)?;
        let case_exact = match self.root {
            Root::User => attributes.case_exact,
            Root::Claims => |_: &AttributePath| true,
        };
        Some(Place { document, path: self.path_in(document), case_exact })
    }
}

impl PathForm for FactPath {
    const EXPECTED: &'static str = "`user.` or `claims.` and the name of an attribute";

    fn from_token(token: &str) -> Option<Self> {
        let (root, rest) = token.split_once('.')?;
        let root = match root {
            "user" => Root::User,
            "claims" => Root::Claims,
            _ => return None,
        };
        let path = AttributePath::from_token(rest)?;
        let may_extend = root == Root::User && path.schema.is_none();
        let extended =
            may_extend.then(|| AttributePath { schema: Some(ENTERPRISE.to_owned()), ..path.clone() });
        Some(Self { root, path, extended })
    }
}

impl FromStr for Predicate {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for FactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = match self.root {
            Root::User => "user",
            Root::Claims => "claims",
        };
        write!(f, "{root}.{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn truth(text: &str, with_record: bool) -> Option<bool> {
        let user = json!({
            "userName": "Jane@Corp.example", "userType": "Employee", "active": true,
            "emails": [{"value": "jane@corp.example", "type": "work"}],
            "roles": [{"value": "Admin"}, {"value": "ReadOnly"}],
            ENTERPRISE: {"department": "Finance", "manager": {"value": "Ab1", "displayName": "Boss"}},
            "urn:corp:extension:2.0:User": {"badge": 7},
        });
        let claims = json!({"department": "Sales", "groups": ["A", "b"], "temporary": false});
        let attributes = Attributes {
            user: user.as_object().filter(|_| with_record),
            claims: claims.as_object().unwrap(),
            case_exact: |path| path.schema.is_some() && path.sub.as_deref() == Some("value"),
        };
        text.parse::<Predicate>().unwrap_or_else(|error| panic!("{text}: {error}")).truth(&attributes)
    }

    #[test]
    fn records_and_claims_are_told_apart() {
        for (text, with, without) in [
            (r#"user.department eq "finance""#, Some(true), None),
            (r#"claims.department eq "Sales""#, Some(true), Some(true)),
            (r#"claims.department eq "sales""#, Some(false), Some(false)),
            (r#"user.department eq "Finance" and not (user.userType eq "Contractor")"#, Some(true), None),
            (r#"user.emails[type eq "work"].value ew "@corp.example""#, Some(true), None),
            (r#"user.roles.value eq "admin""#, Some(true), None),
            (r#"user.roles eq "ReadOnly""#, Some(true), None),
            (r#"user.manager.displayName pr"#, Some(true), None),
            (r#"user.manager.value eq "ab1""#, Some(false), None),
            (r#"user.urn:corp:extension:2.0:User:badge ge 7"#, Some(true), None),
            (r#"user.badge pr"#, Some(false), None),
            (r#"user.nickName ne "x""#, Some(true), None),
            (r#"claims.groups eq "b" and claims.temporary eq false"#, Some(true), Some(true)),
            (r#"claims.temporary eq true and user.active eq true"#, Some(false), Some(false)),
            (r#"claims.temporary eq false or user.active eq true"#, Some(true), Some(true)),
            (r#"claims.temporary eq true or user.active eq true"#, Some(true), None),
        ] {
            assert_eq!(truth(text, true), with, "{text}");
            assert_eq!(truth(text, false), without, "{text} without a record");
        }
    }

    #[test]
    fn another_root_than_the_two_is_a_fault_at_its_place() {
        for (text, at) in
            [("department pr", 1), ("users.a pr", 1), ("user pr", 1), ("user.a pr or b.c pr", 14)]
        {
            let expected = FactPath::EXPECTED;
            assert_eq!(text.parse::<Predicate>(), Err(FilterError::Syntax { at, expected }), "{text}");
        }
    }

    #[test]
    fn it_reads_as_it_is_written() {
        let text = r#"user.a eq "x" and (claims.b.c pr or not (user.urn:x:2.0:User:d gt 1))"#;
        assert_eq!(text.parse::<Predicate>().unwrap().to_string(), text);
    }
}
