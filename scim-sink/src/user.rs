//! A user between its two forms: the document that clients see, and the content that the store keeps.
//!
//! Storing is `users`' matter.

use portcullis_store::{PersonContent, StoredPerson};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clean::clean_resource;
use crate::filter::attribute;
use crate::rejection::Rejection;
use crate::request::version_tag;
use crate::rules::UserRules;
use crate::schema::{ResourceType, USER, is_extension};

/// What a document says of a user. `active_unless_said` holds when the document is silent: a new user is active, a replaced one stays
/// what it was, so that silence never lets anybody in again.
pub(crate) fn content(
    document: Map<String, Value>,
    active_unless_said: Option<bool>,
    rules: &UserRules,
) -> Result<PersonContent, Rejection> {
    let mut document = clean_resource(document, &USER)?;
    let active = attribute(&document, "active").and_then(Value::as_bool).or(active_unless_said);
    // RFC 7644 section 3.5.2.2: without it nobody could say whether the person may be let in.
    let active = active.ok_or_else(|| Rejection::Mutability("active".to_owned()))?;
    // Nobody's deactivation is refused for what else they lack.
    if active {
        rules.check(&document)?;
    }
    let user_name = take_text(&mut document, "userName")
        .filter(|name| !name.trim().is_empty())
        .ok_or_else(|| Rejection::InvalidValue("`userName` is required".to_owned()))?;
    document.shift_remove("active");
    Ok(PersonContent {
        user_name,
        external_id: take_text(&mut document, "externalId"),
        display_name: take_text(&mut document, "displayName"),
        active,
        emails: emails(&document),
        document,
    })
}

pub(crate) fn take_text(document: &mut Map<String, Value>, name: &str) -> Option<String> {
    match document.shift_remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The addresses among the `emails`, by which a login is linked to its person.
fn emails(document: &Map<String, Value>) -> Vec<String> {
    let listed = document.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    listed
        .iter()
        .filter_map(|email| attribute(email.as_object()?, "value")?.as_str())
        .map(str::to_owned)
        .collect()
}

/// The attributes that a client may write, as one document: what PATCH works on.
pub(crate) fn editable(content: &PersonContent) -> Map<String, Value> {
    let mut document = Map::new();
    insert_text(&mut document, "externalId", content.external_id.as_deref());
    document.insert("userName".to_owned(), Value::from(content.user_name.as_str()));
    insert_text(&mut document, "displayName", content.display_name.as_deref());
    document.insert("active".to_owned(), Value::Bool(content.active));
    document.extend(content.document.clone());
    document
}

pub(crate) fn insert_text(document: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        document.insert(name.to_owned(), Value::from(text));
    }
}

/// The whole resource as clients see it (RFC 7643 sections 3.1 and 4.1).
pub(crate) fn resource(person: &StoredPerson, base_url: &str) -> Map<String, Value> {
    let mut resource = Map::new();
    resource.insert("schemas".to_owned(), schemas(&USER, &person.content.document));
    resource.insert("id".to_owned(), Value::from(person.scim_id.as_str()));
    resource.extend(editable(&person.content));
    if !person.groups.is_empty() {
        let groups = person.groups.iter().map(|(id, name)| {
            json!({"value": id, "$ref": format!("{base_url}/Groups/{id}"), "display": name, "type": "direct"})
        });
        resource.insert("groups".to_owned(), groups.collect());
    }
    let location = format!("{base_url}{}/{}", USER.endpoint, person.scim_id);
    let meta = meta(&USER, &location, (person.created_at, person.updated_at), person.version);
    resource.insert("meta".to_owned(), meta);
    resource
}

/// RFC 7643 section 3: the resource's own schema and those of the extensions that it has.
pub(crate) fn schemas(resource: &ResourceType, document: &Map<String, Value>) -> Value {
    let urns = document.iter().filter(|(key, value)| is_extension(key, value)).map(|(key, _)| key.as_str());
    std::iter::once(resource.core.urn).chain(urns).map(Value::from).collect()
}

pub(crate) fn meta(resource: &ResourceType, location: &str, times: (i64, i64), version: i64) -> Value {
    json!({
        "resourceType": resource.name,
        "created": timestamp(times.0),
        "lastModified": timestamp(times.1),
        "location": location,
        "version": version_tag(version),
    })
}

fn timestamp(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()
}
