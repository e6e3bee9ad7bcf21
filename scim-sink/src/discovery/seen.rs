//! What is published of attributes that no schema names: they join the documents of the schemas under which they were seen, and extensions
//! that nobody knew have documents of their own.
//!
//! A schema gives an attribute one type. Where several were seen it is the one that all of them can be read as.

use portcullis_store::{Holds, SeenAttribute, SeenIn};
use serde_json::{Map, Value, json};

use super::SCHEMA_URN;
use super::rules::is_named;
use crate::schema::ResourceType;

const DESCRIPTION: &str = "As it was provisioned";

/// Puts what was seen into the documents of the schemas.
pub(super) fn publish(documents: &mut Vec<Value>, seen: &[SeenAttribute], base_url: &str) {
    for it in seen {
        let index = documents.iter().position(|document| is_named(document, "id", &it.urn));
        let index = index.unwrap_or_else(|| {
            documents.push(extension(&it.urn, base_url));
            documents.len() - 1
        });
        let attributes = documents.get_mut(index).and_then(|document| document.get_mut("attributes"));
        if let Some(Value::Array(attributes)) = attributes {
            place(attributes, &it.path, it.holds, it.many);
        }
    }
}

/// The extensions of a kind of resource that were seen, beside those that are known.
pub(super) fn extensions(kind: &ResourceType, seen: &[SeenAttribute], seen_in: SeenIn) -> Vec<String> {
    let mut urns: Vec<String> = Vec::new();
    for it in seen.iter().filter(|it| it.seen_in == seen_in) {
        let is_known = it.urn.eq_ignore_ascii_case(kind.core.urn)
            || kind.extension(&it.urn).is_some()
            || urns.iter().any(|urn| urn.eq_ignore_ascii_case(&it.urn));
        if !is_known {
            urns.push(it.urn.clone());
        }
    }
    urns
}

fn extension(urn: &str, base_url: &str) -> Value {
    json!({
        "schemas": [SCHEMA_URN],
        "id": urn,
        "name": urn.rsplit(':').next().unwrap_or(urn),
        "description": DESCRIPTION,
        "attributes": [],
        "meta": { "resourceType": "Schema", "location": format!("{base_url}/Schemas/{urn}") },
    })
}

/// Finds or makes the attribute at the end of a path, and lets it hold this too. The path was bounded when it was written.
fn place(attributes: &mut Vec<Value>, path: &[String], holds: Holds, many: bool) {
    let Some((name, rest)) = path.split_first() else { return };
    let index = attributes.iter().position(|attribute| is_named(attribute, "name", name));
    let index = index.unwrap_or_else(|| {
        attributes.push(unseen(name));
        attributes.len() - 1
    });
    let Some(Value::Object(attribute)) = attributes.get_mut(index) else { return };
    let now = if rest.is_empty() { holds } else { Holds::Complex };
    let before = attribute.get("type").and_then(Value::as_str).unwrap_or_default();
    let kind = widened(before, type_name(now)).to_owned();
    if kind == "complex" {
        let parts = attribute.entry("subAttributes").or_insert_with(|| json!([]));
        if let Value::Array(parts) = parts {
            place(parts, rest, holds, many);
        }
    }
    attribute.insert("type".to_owned(), Value::from(kind));
    if many && rest.is_empty() {
        attribute.insert("multiValued".to_owned(), Value::Bool(true));
    }
}

/// An attribute of which nothing is known yet but its name.
fn unseen(name: &str) -> Value {
    let mut attribute = Map::new();
    let mut set = |key: &str, value: Value| attribute.insert(key.to_owned(), value);
    set("name", Value::from(name));
    set("type", Value::from(""));
    set("multiValued", Value::Bool(false));
    set("description", Value::from(DESCRIPTION));
    set("required", Value::Bool(false));
    set("caseExact", Value::Bool(false));
    set("mutability", Value::from("readWrite"));
    set("returned", Value::from("default"));
    set("uniqueness", Value::from("none"));
    Value::Object(attribute)
}

fn type_name(holds: Holds) -> &'static str {
    match holds {
        Holds::Text => "string",
        Holds::Boolean => "boolean",
        Holds::Integer => "integer",
        Holds::Decimal => "decimal",
        Holds::Complex => "complex",
    }
}

fn widened<'t>(before: &'t str, now: &'t str) -> &'t str {
    match (before, now) {
        ("", now) => now,
        (before, now) if before == now => before,
        ("complex", _) | (_, "complex") => "complex",
        ("integer", "decimal") | ("decimal", "integer") => "decimal",
        _ => "string",
    }
}
