//! A document as it came becomes a document as it is kept: what the client may not write is dropped, what is empty is unset, known
//! attributes get their spelling and type.
//!
//! Which attributes a resource needs is left to `user` and `group`.

use serde_json::{Map, Value};

use crate::limits::MAX_VALUES_PER_ATTRIBUTE;
use crate::rejection::Rejection;
use crate::schema::{Attribute, GROUP, Kind, Mutability, ResourceType, USER, find};

/// Attributes may be called by the schema of the resource itself too, or stand below it (RFC 7644 section 3.10): from here on they are what
/// they are called without it, so that none is kept twice, nor as something else.
pub(crate) fn unqualified(document: Map<String, Value>) -> Result<Map<String, Value>, Rejection> {
    let mut plain = Map::new();
    for (key, value) in document {
        match (below_core(&key), value) {
            (None, value) => insert_once(&mut plain, &key, Some(value))?,
            (Some(""), Value::Object(own)) => {
                for (key, value) in unqualified(own)? {
                    insert_once(&mut plain, &key, Some(value))?;
                }
            }
            (Some(""), value) => {
                without_unset(value)
                    .map_or(Ok(()), |_| Err(Rejection::InvalidValue(format!("`{key}` must be an object"))))?;
            }
            (Some(name), value) => insert_once(&mut plain, name, Some(value))?,
        }
    }
    Ok(plain)
}

/// What stands behind the URN of a resource's own schema, in any case of letters; nothing behind the URN alone.
pub(crate) fn below_core(key: &str) -> Option<&str> {
    [USER.core.urn, GROUP.core.urn].into_iter().find_map(|urn| {
        let (head, rest) = (key.get(..urn.len())?, key.get(urn.len()..)?);
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix(':')? };
        head.eq_ignore_ascii_case(urn).then_some(rest)
    })
}

/// The whole resource. Read-only attributes from the client are ignored (RFC 7644 section 3.5.1), and so is `password`.
pub(crate) fn clean_resource(
    document: Map<String, Value>,
    resource: &ResourceType,
) -> Result<Map<String, Value>, Rejection> {
    let mut kept = Map::new();
    for (key, value) in document {
        if let Some(extension) = resource.extension(&key) {
            let value = clean_extension(extension.urn, extension.attributes, value)?;
            insert_once(&mut kept, extension.urn, value)?;
            continue;
        }
        match resource.own(&key) {
            Some(attribute) if attribute.mutability == Mutability::ReadWrite => {
                insert_once(&mut kept, attribute.name, clean_value(attribute, value, attribute.name)?)?;
            }
            Some(_) => {}
            None => insert_once(&mut kept, &key, without_unset(value))?,
        }
    }
    Ok(kept)
}

fn clean_extension(urn: &str, attributes: &[Attribute], value: Value) -> Result<Option<Value>, Rejection> {
    match value {
        Value::Object(map) => Ok(non_empty(clean_map(map, attributes, urn)?)),
        other => without_unset(other)
            .map_or(Ok(None), |_| Err(Rejection::InvalidValue(format!("`{urn}` must be an object")))),
    }
}

/// One attribute's value, or nothing when it is unset. `name` is what an error calls it.
pub(crate) fn clean_value(
    attribute: &Attribute,
    value: Value,
    name: &str,
) -> Result<Option<Value>, Rejection> {
    if !attribute.multi_valued {
        return clean_single(attribute, value, name);
    }
    let elements = match value {
        Value::Array(elements) => elements,
        // One value where several could stand: what is meant is plain.
        single => vec![single],
    };
    if elements.len() > MAX_VALUES_PER_ATTRIBUTE {
        let most = format!("`{name}` may have {MAX_VALUES_PER_ATTRIBUTE} values at most");
        return Err(Rejection::InvalidValue(most));
    }
    let mut kept = Vec::with_capacity(elements.len());
    for element in elements {
        kept.extend(clean_single(attribute, element, name)?);
    }
    // RFC 7643 section 2.4: `primary` is true for one value at most.
    if kept.iter().filter(|element| is_primary(element)).count() > 1 {
        return Err(Rejection::InvalidValue(format!("`{name}` has more than one primary value")));
    }
    Ok((!kept.is_empty()).then_some(Value::Array(kept)))
}

pub(crate) fn is_primary(element: &Value) -> bool {
    element.get("primary").and_then(Value::as_bool) == Some(true)
}

fn clean_single(attribute: &Attribute, value: Value, name: &str) -> Result<Option<Value>, Rejection> {
    let wrong = |expected: &str| Err(Rejection::InvalidValue(format!("`{name}` must be {expected}")));
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (_, Value::String(text)) if text.is_empty() => Ok(None),
        (Kind::Complex, Value::Object(map)) => Ok(non_empty(clean_map(map, attribute.subs, name)?)),
        // A list of plain texts, as Okta sends for a string array mapped to `roles` or `entitlements`; or a plain `manager`, as Entra sends it.
        (Kind::Complex, Value::String(text)) if find(attribute.subs, "value").is_some() => {
            Ok(Some(Value::Object(Map::from_iter([("value".to_owned(), Value::String(text))]))))
        }
        (Kind::Complex, _) => wrong("an object"),
        (Kind::Boolean, Value::Bool(value)) => Ok(Some(Value::Bool(value))),
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => {
            Ok(Some(Value::Bool(true)))
        }
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => {
            Ok(Some(Value::Bool(false)))
        }
        (Kind::Boolean, _) => wrong("true or false"),
        (_, Value::String(text)) => Ok(Some(Value::String(text))),
        // An employee number that was mapped as a number.
        (_, Value::Number(number)) => Ok(Some(Value::String(number.to_string()))),
        (_, _) => wrong("a string"),
    }
}

fn clean_map(
    map: Map<String, Value>,
    attributes: &[Attribute],
    name: &str,
) -> Result<Map<String, Value>, Rejection> {
    let mut kept = Map::new();
    for (key, value) in map {
        match find(attributes, &key) {
            Some(sub) => {
                let value = clean_value(sub, value, &format!("{name}.{}", sub.name))?;
                insert_once(&mut kept, sub.name, value)?;
            }
            None => insert_once(&mut kept, &key, without_unset(value))?,
        }
    }
    Ok(kept)
}

/// Two spellings of one name in one object would leave it open which is meant.
fn insert_once(map: &mut Map<String, Value>, name: &str, value: Option<Value>) -> Result<(), Rejection> {
    let Some(value) = value else { return Ok(()) };
    match map.insert(name.to_owned(), value) {
        Some(_) => Err(Rejection::InvalidSyntax(format!("`{name}` is given more than once"))),
        None => Ok(()),
    }
}

fn non_empty(map: Map<String, Value>) -> Option<Value> {
    (!map.is_empty()).then_some(Value::Object(map))
}

/// RFC 7643 section 2.5: null and an empty array are the same as no value; for what Okta sends, so is an empty string. The nesting was
/// bounded when the body was read.
pub(crate) fn without_unset(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then_some(Value::String(text)),
        Value::Array(elements) => {
            let kept: Vec<_> = elements.into_iter().filter_map(without_unset).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        Value::Object(map) => {
            non_empty(map.into_iter().filter_map(|(key, value)| Some((key, without_unset(value)?))).collect())
        }
        plain => Some(plain),
    }
}
