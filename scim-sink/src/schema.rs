//! What this service provider knows of attributes: their names, types and characteristics (RFC 7643 sections 2.2, 4 and 7).
//!
//! The tables stand in `schema/user.rs` and `schema/group.rs`; how they are published is `discovery`'s matter. Attributes that are not
//! in the tables are kept and given back too; what is known of them is what was seen (`beyond`).

mod group;
mod user;

pub(crate) use group::GROUP;
pub(crate) use user::USER;

use serde_json::Value;

use crate::filter::AttributePath;

/// A kind of resource: its own schema and those that may extend it.
#[derive(Debug)]
pub(crate) struct ResourceType {
    pub(crate) name: &'static str,
    pub(crate) endpoint: &'static str,
    pub(crate) core: Schema,
    pub(crate) extensions: &'static [Schema],
}

#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) urn: &'static str,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) attributes: &'static [Attribute],
}

/// RFC 7643 section 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Boolean,
    DateTime,
    Binary,
    Reference,
    Complex,
}

/// RFC 7643 section 7, `mutability`; `WriteOnly` attributes are accepted and forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutability {
    ReadWrite,
    Immutable,
    ReadOnly,
    WriteOnly,
}

#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: Kind,
    pub(crate) multi_valued: bool,
    pub(crate) required: bool,
    pub(crate) unique: bool,
    pub(crate) case_exact: bool,
    pub(crate) mutability: Mutability,
    /// RFC 7643 section 7, `returned`: `request`, where it is not `default`.
    pub(crate) on_request: bool,
    pub(crate) subs: &'static [Attribute],
    /// What a reference leads to (RFC 7643 section 7, `referenceTypes`).
    pub(crate) leads_to: &'static [&'static str],
}

impl Attribute {
    const fn new(name: &'static str, kind: Kind, description: &'static str) -> Attribute {
        Attribute {
            name,
            description,
            kind,
            multi_valued: false,
            required: false,
            unique: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            on_request: false,
            subs: &[],
            leads_to: &["external"],
        }
    }

    const fn text(name: &'static str, description: &'static str) -> Attribute {
        Attribute::new(name, Kind::Text, description)
    }

    const fn complex(name: &'static str, subs: &'static [Attribute], description: &'static str) -> Attribute {
        Attribute { subs, ..Attribute::new(name, Kind::Complex, description) }
    }

    const fn many(self) -> Attribute {
        Attribute { multi_valued: true, ..self }
    }

    const fn required(self) -> Attribute {
        Attribute { required: true, ..self }
    }

    const fn unique(self) -> Attribute {
        Attribute { unique: true, ..self }
    }

    const fn case_exact(self) -> Attribute {
        Attribute { case_exact: true, ..self }
    }

    const fn to(self, leads_to: &'static [&'static str]) -> Attribute {
        Attribute { leads_to, ..self }
    }

    const fn on_request(self) -> Attribute {
        Attribute { on_request: true, ..self }
    }

    const fn with(self, mutability: Mutability) -> Attribute {
        Attribute { mutability, ..self }
    }
}

/// RFC 7643 section 3.1: attributes that every resource has and no schema lists.
static COMMON: [Attribute; 4] = [
    Attribute::text("id", "").case_exact().with(Mutability::ReadOnly),
    Attribute::text("externalId", "").case_exact(),
    Attribute::complex("meta", &META, "").with(Mutability::ReadOnly),
    Attribute::new("schemas", Kind::Reference, "").case_exact().many().with(Mutability::ReadOnly),
];

static META: [Attribute; 5] = [
    Attribute::text("resourceType", "").case_exact(),
    Attribute::new("created", Kind::DateTime, ""),
    Attribute::new("lastModified", Kind::DateTime, ""),
    Attribute::new("location", Kind::Reference, "").case_exact(),
    Attribute::text("version", "").case_exact(),
];

/// Finds a definition by name, in any case of letters.
pub(crate) fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

impl ResourceType {
    /// The extension of this URN, in any case of letters.
    pub(crate) fn extension(&self, urn: &str) -> Option<&'static Schema> {
        self.extensions.iter().find(|schema| schema.urn.eq_ignore_ascii_case(urn))
    }

    /// The definition of a top-level attribute of the resource itself.
    pub(crate) fn own(&self, name: &str) -> Option<&'static Attribute> {
        find(self.core.attributes, name).or_else(|| find(&COMMON, name))
    }

    /// The definition that a path leads to.
    pub(crate) fn definition(&self, path: &AttributePath) -> Option<&'static Attribute> {
        let attribute = match &path.schema {
            Some(urn) if !urn.eq_ignore_ascii_case(self.core.urn) => {
                find(self.extension(urn)?.attributes, &path.name)?
            }
            _ => self.own(&path.name)?,
        };
        match &path.sub {
            Some(sub) => find(attribute.subs, sub),
            None => Some(attribute),
        }
    }
}

/// Whether a part of a document is an extension: what has another name or form is an attribute like others.
pub(crate) fn is_extension(key: &str, value: &Value) -> bool {
    value.is_object() && key.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("urn:"))
}

/// `caseExact` of a user's attributes; what is not known compares without regard to case (RFC 7643 section 2.2).
pub fn user_case_exact(path: &AttributePath) -> bool {
    is_case_exact(&USER, path)
}

/// `caseExact` of a group's attributes.
pub(crate) fn group_case_exact(path: &AttributePath) -> bool {
    is_case_exact(&GROUP, path)
}

fn is_case_exact(resource: &ResourceType, path: &AttributePath) -> bool {
    resource.definition(path).is_some_and(|attribute| attribute.case_exact)
}
