//! Finding what an attribute path means in a JSON document, names compared without regard to case (RFC 7643 section 2.1).
//!
//! Reading only: changing a document is PATCH's matter.

use serde_json::{Map, Value};

use super::AttributePath;

/// The value under `name`, exact spelling first.
pub fn attribute<'d>(document: &'d Map<String, Value>, name: &str) -> Option<&'d Value> {
    document
        .get(name)
        .or_else(|| document.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// All values that `path` reaches: the elements of an array one by one, and of a complex element without a named
/// sub-attribute the element itself.
pub fn values_at<'d>(document: &'d Map<String, Value>, path: &AttributePath) -> Vec<&'d Value> {
    let found = container(document, path).and_then(|container| attribute(container, &path.name));
    let whole = found.or_else(|| attribute(document, &path.as_extension()?));
    let mut values = Vec::new();
    push_elements(&mut values, whole);
    let Some(sub) = &path.sub else { return values };
    let mut below = Vec::new();
    for value in values {
        push_elements(&mut below, sub_value(value, sub));
    }
    below
}

/// The part of the document that holds a path's first name. An extension's attributes live below its URN, the resource's own at the top;
/// a URN that is no key of the document is taken for the resource's own schema.
fn container<'d>(document: &'d Map<String, Value>, path: &AttributePath) -> Option<&'d Map<String, Value>> {
    let Some(schema) = &path.schema else { return Some(document) };
    match attribute(document, schema) {
        Some(extension) => extension.as_object(),
        None if is_core(schema) => Some(document),
        None => None,
    }
}

/// RFC 7643 section 8.7.1: the schemas of the resources themselves.
pub fn is_core(schema: &str) -> bool {
    const CORE: &str = "urn:ietf:params:scim:schemas:core:";
    schema.get(..CORE.len()).is_some_and(|head| head.eq_ignore_ascii_case(CORE))
}

fn push_elements<'d>(values: &mut Vec<&'d Value>, value: Option<&'d Value>) {
    match value {
        Some(Value::Array(elements)) => values.extend(elements),
        Some(value) => values.push(value),
        None => {}
    }
}

/// A sub-attribute of an element; a plain element answers to `value`, as if it were complex.
pub(crate) fn sub_value<'d>(element: &'d Value, sub: &str) -> Option<&'d Value> {
    match element {
        Value::Object(map) => attribute(map, sub),
        plain if sub.eq_ignore_ascii_case("value") => Some(plain),
        _ => None,
    }
}
