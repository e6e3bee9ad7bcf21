//! What the service provider says of itself: its features, resource types and schemas (RFC 7644 section 4, RFC 7643 sections 5 to 7).
//!
//! All of it is made from the tables of `schema`, the limits, and what the store remembers of attributes that stand in no table, so that it
//! cannot say otherwise than is done.

mod rules;
mod seen;

use portcullis_store::{SeenAttribute, SeenIn};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::limits::{DEFAULT_PAGE, MAX_BODY_BYTES, MAX_BULK_OPERATIONS, MAX_PAGE};
use crate::rejection::Rejection;
use crate::request::parameter;
use crate::route::Target;
use crate::schema::{Attribute, GROUP, Kind, Mutability, ResourceType, Schema, USER};
use crate::sink::{DirectorySettings, Visit};

const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

pub(crate) fn answer(target: Target<'_>, visit: &Visit<'_>) -> Result<Answer, Rejection> {
    if parameter(visit.query(), "filter")?.is_some() {
        return Err(Rejection::Unfiltered);
    }
    let base_url = visit.directory.base_url.as_str();
    let seen = || visit.store.seen_attributes(&visit.directory.name);
    let found = match target {
        Target::ServiceProviderConfig => configuration(base_url),
        Target::ResourceTypes => list(&resource_types(&seen()?, base_url)),
        Target::ResourceType(name) => resource_types(&seen()?, base_url)
            .into_iter()
            .find(|kind| kind.get("name").and_then(Value::as_str) == Some(name))
            .ok_or_else(|| Rejection::NoSuchResource { kind: "resource type", id: name.to_owned() })?,
        Target::Schemas => list(&schemas(&seen()?, visit.directory)),
        Target::Schema(urn) => schemas(&seen()?, visit.directory)
            .into_iter()
            .find(|schema| {
                schema.get("id").and_then(Value::as_str).is_some_and(|id| id.eq_ignore_ascii_case(urn))
            })
            .ok_or_else(|| Rejection::NoSuchResource { kind: "schema", id: urn.to_owned() })?,
        _ => return Err(Rejection::UnknownPath),
    };
    Ok(Answer::Found(found))
}

fn resource_types(seen: &[SeenAttribute], base_url: &str) -> Vec<Value> {
    let types = [(&USER, SeenIn::Person), (&GROUP, SeenIn::Group)];
    types
        .iter()
        .map(|(kind, seen_in)| resource_type(kind, &seen::extensions(kind, seen, *seen_in), base_url))
        .collect()
}

fn schemas(seen: &[SeenAttribute], directory: &DirectorySettings) -> Vec<Value> {
    let base_url = directory.base_url.as_str();
    let known =
        [&USER, &GROUP].into_iter().flat_map(|kind| std::iter::once(&kind.core).chain(kind.extensions));
    let mut documents: Vec<Value> = known.map(|schema| schema_document(schema, base_url)).collect();
    seen::publish(&mut documents, seen, base_url);
    rules::publish(&mut documents, &directory.rules);
    documents
}

fn list(resources: &[Value]) -> Value {
    let total = resources.len();
    json!({
        "schemas": [LIST_URN], "totalResults": total, "startIndex": 1, "itemsPerPage": total, "Resources": resources,
    })
}

fn configuration(base_url: &str) -> Value {
    json!({
        "schemas": [CONFIG_URN],
        "patch": { "supported": true },
        "bulk": { "supported": true, "maxOperations": MAX_BULK_OPERATIONS, "maxPayloadSize": MAX_BODY_BYTES },
        "filter": { "supported": true, "maxResults": MAX_PAGE },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        // RFC 9865 section 4. A cursor never expires, so no time is named.
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_PAGE,
            "maxPageSize": MAX_PAGE,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Key of the directory",
            "description": "The key in the Authorization header, with or without the word Bearer",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }, {
            "type": "httpbasic",
            "name": "Key of the directory as a password",
            "description": "Any user name, and the key as the password",
            "specUri": "https://www.rfc-editor.org/rfc/rfc7617",
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base_url}/ServiceProviderConfig"),
        },
    })
}

fn resource_type(kind: &ResourceType, seen: &[String], base_url: &str) -> Value {
    let known = kind.extensions.iter().map(|schema| schema.urn);
    let urns = known.chain(seen.iter().map(String::as_str));
    let extensions: Vec<Value> = urns.map(|urn| json!({ "schema": urn, "required": false })).collect();
    json!({
        "schemas": [TYPE_URN],
        "id": kind.name,
        "name": kind.name,
        "description": kind.core.description,
        "endpoint": kind.endpoint,
        "schema": kind.core.urn,
        "schemaExtensions": extensions,
        "meta": { "resourceType": "ResourceType", "location": format!("{base_url}/ResourceTypes/{}", kind.name) },
    })
}

fn schema_document(schema: &Schema, base_url: &str) -> Value {
    json!({
        "schemas": [SCHEMA_URN],
        "id": schema.urn,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "meta": { "resourceType": "Schema", "location": format!("{base_url}/Schemas/{}", schema.urn) },
    })
}

/// RFC 7643 section 7.
fn attribute(attribute: &Attribute) -> Value {
    let mut document = Map::new();
    let mut set = |name: &str, value: Value| document.insert(name.to_owned(), value);
    set("name", Value::from(attribute.name));
    set("type", Value::from(type_name(attribute.kind)));
    set("multiValued", Value::Bool(attribute.multi_valued));
    set("description", Value::from(attribute.description));
    set("required", Value::Bool(attribute.required));
    set("caseExact", Value::Bool(attribute.case_exact));
    set("mutability", Value::from(mutability_name(attribute.mutability)));
    let returned = match attribute.mutability {
        Mutability::WriteOnly => "never",
        _ if attribute.on_request => "request",
        _ => "default",
    };
    set("returned", Value::from(returned));
    set("uniqueness", Value::from(if attribute.unique { "server" } else { "none" }));
    if attribute.kind == Kind::Reference {
        set("referenceTypes", json!(attribute.leads_to));
    }
    if !attribute.subs.is_empty() {
        set("subAttributes", attribute.subs.iter().map(self::attribute).collect());
    }
    Value::Object(document)
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Boolean => "boolean",
        Kind::DateTime => "dateTime",
        Kind::Binary => "binary",
        Kind::Reference => "reference",
        Kind::Complex => "complex",
    }
}

fn mutability_name(mutability: Mutability) -> &'static str {
    match mutability {
        Mutability::ReadWrite => "readWrite",
        Mutability::Immutable => "immutable",
        Mutability::ReadOnly => "readOnly",
        Mutability::WriteOnly => "writeOnly",
    }
}
