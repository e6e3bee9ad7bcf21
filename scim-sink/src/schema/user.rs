//! The User schema and the enterprise extension (RFC 7643 sections 4.1 and 4.3).
//!
//! Two attributes depart from the RFC's own table: `manager.displayName` may be written, since Okta sends it without a manager's id, and
//! `active` is required, for it can be replaced but not removed; a new user that comes without it is active.

use super::{Attribute, Kind, Mutability, ResourceType, Schema};

const ENTERPRISE_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

pub(crate) static USER: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    core: Schema {
        urn: "urn:ietf:params:scim:schemas:core:2.0:User",
        name: "User",
        description: "A person who may be let in",
        attributes: &ATTRIBUTES,
    },
    extensions: &EXTENSIONS,
};

static EXTENSIONS: [Schema; 1] = [Schema {
    urn: ENTERPRISE_URN,
    name: "EnterpriseUser",
    description: "A person's place in the company",
    attributes: &ENTERPRISE,
}];

static ATTRIBUTES: [Attribute; 21] = [
    Attribute::text("userName", "The name that the person logs in by").required().unique(),
    Attribute::complex("name", &NAME, "The parts of the person's name"),
    Attribute::text("displayName", "The name to show"),
    Attribute::text("nickName", "A casual name"),
    Attribute::new("profileUrl", Kind::Reference, "A page about the person").case_exact(),
    Attribute::text("title", "The person's title, such as `Vice President`"),
    Attribute::text("userType", "The relation to the company, such as `Contractor`"),
    Attribute::text("preferredLanguage", "Languages, as in an Accept-Language header"),
    Attribute::text("locale", "Where the person lives, for formats of dates and numbers"),
    Attribute::text("timezone", "A name of the IANA time zone database"),
    Attribute::new("active", Kind::Boolean, "Whether the person may be let in at all").required(),
    Attribute::text("password", "Accepted and forgotten: nobody logs in here by a password")
        .case_exact()
        .with(Mutability::WriteOnly),
    Attribute::complex("emails", &TYPED_VALUE, "E-mail addresses").many(),
    Attribute::complex("phoneNumbers", &TYPED_VALUE, "Telephone numbers").many(),
    Attribute::complex("ims", &TYPED_VALUE, "Addresses for instant messages").many(),
    Attribute::complex("photos", &TYPED_REFERENCE, "Pictures of the person").many(),
    Attribute::complex("addresses", &ADDRESS, "Postal addresses").many(),
    Attribute::complex("groups", &MEMBER_OF, "The groups that list the person as a member")
        .many()
        .with(Mutability::ReadOnly),
    Attribute::complex("entitlements", &TYPED_VALUE, "Things that the person has").many(),
    Attribute::complex("roles", &TYPED_VALUE, "Roles of the person").many(),
    Attribute::complex("x509Certificates", &CERTIFICATE, "Certificates issued to the person").many(),
];

static NAME: [Attribute; 6] = [
    Attribute::text("formatted", "The whole name, for display"),
    Attribute::text("familyName", "The family name"),
    Attribute::text("givenName", "The given name"),
    Attribute::text("middleName", "Middle names"),
    Attribute::text("honorificPrefix", "What stands before the name, such as `Dr.`"),
    Attribute::text("honorificSuffix", "What stands behind the name, such as `III`"),
];

const DISPLAY: Attribute = Attribute::text("display", "A text to show for the value");
const TYPE: Attribute = Attribute::text("type", "What the value is for, such as `work`");
const PRIMARY: Attribute =
    Attribute::new("primary", Kind::Boolean, "Whether this is the preferred value; at most one is");

static TYPED_VALUE: [Attribute; 4] = [Attribute::text("value", "The value itself"), DISPLAY, TYPE, PRIMARY];

static TYPED_REFERENCE: [Attribute; 4] =
    [Attribute::new("value", Kind::Reference, "Where it is found").case_exact(), DISPLAY, TYPE, PRIMARY];

static CERTIFICATE: [Attribute; 4] =
    [Attribute::new("value", Kind::Binary, "The certificate in base64").case_exact(), DISPLAY, TYPE, PRIMARY];

static ADDRESS: [Attribute; 8] = [
    Attribute::text("formatted", "The whole address, for display or a label"),
    Attribute::text("streetAddress", "Street, house number and the like"),
    Attribute::text("locality", "City"),
    Attribute::text("region", "State or region"),
    Attribute::text("postalCode", "Postal code"),
    Attribute::text("country", "Country code of ISO 3166-1"),
    TYPE,
    PRIMARY,
];

static MEMBER_OF: [Attribute; 4] = [
    Attribute::text("value", "The id of the group").case_exact().with(Mutability::ReadOnly),
    Attribute::new("$ref", Kind::Reference, "The address of the group")
        .case_exact()
        .to(&["Group"])
        .with(Mutability::ReadOnly),
    Attribute::text("display", "The name of the group").with(Mutability::ReadOnly),
    Attribute::text("type", "Always `direct`").with(Mutability::ReadOnly),
];

static ENTERPRISE: [Attribute; 6] = [
    Attribute::text("employeeNumber", "The number that the company gave the person"),
    Attribute::text("costCenter", "Cost center"),
    Attribute::text("organization", "Organization"),
    Attribute::text("division", "Division"),
    Attribute::text("department", "Department"),
    Attribute::complex("manager", &MANAGER, "The person's manager"),
];

static MANAGER: [Attribute; 3] = [
    Attribute::text("value", "The id of the manager").case_exact(),
    Attribute::new("$ref", Kind::Reference, "The address of the manager").case_exact().to(&["User"]),
    Attribute::text("displayName", "The manager's name"),
];
