//! What is published of a directory's rules about its people: attributes that must be there, what tells people apart, the roles that there are.
//!
//! An attribute that nobody has sent yet and no schema names is not there to be marked: who lacks it is told by the refusal.

use portcullis_store::UniqueBy;
use serde_json::{Value, json};

use crate::filter::AttributePath;
use crate::rules::UserRules;
use crate::schema::USER;

/// Marks what the rules are about in the documents of the schemas.
pub(super) fn publish(documents: &mut [Value], rules: &UserRules) {
    let mut mark = |path: &AttributePath, key: &str, value: Value| {
        if let Some(attribute) = find(documents, path).and_then(Value::as_object_mut) {
            attribute.insert(key.to_owned(), value);
        }
    };
    for required in &rules.required {
        mark(required.path(), "required", json!(true));
    }
    if rules.unique_by == UniqueBy::Email {
        mark(&AttributePath::plain("emails"), "required", json!(true));
        mark(&part("emails", "value"), "uniqueness", json!("server"));
    }
    if !rules.roles.is_empty() {
        mark(&part("roles", "value"), "canonicalValues", json!(rules.roles));
    }
}

fn part(name: &str, sub: &str) -> AttributePath {
    AttributePath { sub: Some(sub.to_owned()), ..AttributePath::plain(name) }
}

/// The definition at the end of a path.
fn find<'d>(documents: &'d mut [Value], path: &AttributePath) -> Option<&'d mut Value> {
    let urn = path.schema.as_deref().unwrap_or(USER.core.urn);
    let schema = documents.iter_mut().find(|document| is_named(document, "id", urn))?;
    let attribute = named(schema.get_mut("attributes")?, &path.name)?;
    match &path.sub {
        Some(sub) => named(attribute.get_mut("subAttributes")?, sub),
        None => Some(attribute),
    }
}

fn named<'d>(attributes: &'d mut Value, name: &str) -> Option<&'d mut Value> {
    attributes.as_array_mut()?.iter_mut().find(|attribute| is_named(attribute, "name", name))
}

/// Whether a document or definition is called so, in any case of letters.
pub(super) fn is_named(document: &Value, key: &str, name: &str) -> bool {
    document.get(key).and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(name))
}
