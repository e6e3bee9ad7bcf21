//! The Group schema (RFC 7643 section 4.2).
//!
//! Members are people only; a group within a group is refused where the members are written.

use super::{Attribute, Kind, Mutability, ResourceType, Schema};

pub(crate) static GROUP: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    core: Schema {
        urn: "urn:ietf:params:scim:schemas:core:2.0:Group",
        name: "Group",
        description: "A group of people, named in policies",
        attributes: &ATTRIBUTES,
    },
    extensions: &[],
};

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::text("displayName", "The name of the group, by which policies call it").required().unique(),
    Attribute::complex("members", &MEMBER, "The people of the group").many(),
];

static MEMBER: [Attribute; 4] = [
    Attribute::text("value", "The id of the person").case_exact().with(Mutability::Immutable),
    Attribute::new("$ref", Kind::Reference, "The address of the person")
        .case_exact()
        .to(&["User"])
        .with(Mutability::Immutable),
    Attribute::text("display", "The name of the person").with(Mutability::ReadOnly).on_request(),
    Attribute::text("type", "Always `User`").with(Mutability::ReadOnly).on_request(),
];
