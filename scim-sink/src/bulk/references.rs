//! References to what another operation of the same job makes: `bulkId:` and its name, in the data or as the id in a path (RFC 7644
//! section 3.7.2).

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::rejection::Rejection;

const PREFIX: &str = "bulkId:";

/// What became so far of that which a job names.
#[derive(Debug, Default)]
pub(super) struct Known {
    made: HashMap<String, Made>,
}

#[derive(Debug)]
enum Made {
    NotYet,
    Not,
    As(String),
}

impl Known {
    /// Nothing is made yet under these names.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Known {
        Known { made: names.map(|name| (name.to_owned(), Made::NotYet)).collect() }
    }

    /// The id of what was made, or that it could not be.
    pub(super) fn note(&mut self, bulk_id: &str, id: Option<&str>) {
        let made = id.map_or(Made::Not, |id| Made::As(id.to_owned()));
        self.made.insert(bulk_id.to_owned(), made);
    }

    pub(super) fn id(&self, bulk_id: &str) -> Option<&str> {
        match self.made.get(bulk_id) {
            Some(Made::As(id)) => Some(id),
            _ => None,
        }
    }

    fn is_to_come(&self, bulk_id: &str) -> bool {
        matches!(self.made.get(bulk_id), Some(Made::NotYet))
    }

    fn demand(&self, bulk_id: &str) -> Result<&str, Rejection> {
        let shown: String = bulk_id.chars().take(100).collect();
        self.id(bulk_id)
            .ok_or_else(|| Rejection::Unresolved(format!("nothing was made under the bulkId `{shown}`")))
    }
}

/// What becomes of a reference to something that is not made yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    Refused,
    /// It is left out, with the whole element whose `value` it is. What will never be made is refused all the same.
    LeftOut,
}

/// The names in a value; its nesting was bounded when the body was read.
pub(super) fn named_in<'v>(value: &'v Value, names: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => names.extend(text.strip_prefix(PREFIX)),
        Value::Array(elements) => elements.iter().for_each(|element| named_in(element, names)),
        Value::Object(map) => map.values().for_each(|value| named_in(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The name in a path such as `/Users/bulkId:one`.
pub(super) fn named_in_path(path: &str) -> Option<&str> {
    path.rsplit_once('/')?.1.strip_prefix(PREFIX)
}

/// The path with an id in place of a name.
pub(super) fn resolved_path(path: &str, known: &Known) -> Result<String, Rejection> {
    match (named_in_path(path), path.rsplit_once('/')) {
        (Some(name), Some((before, _))) => Ok(format!("{before}/{}", known.demand(name)?)),
        _ => Ok(path.to_owned()),
    }
}

/// The value with ids in place of names.
pub(super) fn resolved(value: &Value, known: &Known, unknown: Unknown) -> Result<Value, Rejection> {
    Ok(resolve(value, known, unknown)?.unwrap_or(Value::Null))
}

fn resolve(value: &Value, known: &Known, unknown: Unknown) -> Result<Option<Value>, Rejection> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix(PREFIX) {
            Some(name) if unknown == Unknown::LeftOut && known.is_to_come(name) => None,
            Some(name) => Some(Value::from(known.demand(name)?)),
            None => Some(value.clone()),
        },
        Value::Array(elements) => {
            let mut kept = Vec::with_capacity(elements.len());
            for element in elements {
                kept.extend(resolve(element, known, unknown)?);
            }
            Some(Value::Array(kept))
        }
        Value::Object(map) => {
            let mut kept = Map::new();
            for (key, value) in map {
                match resolve(value, known, unknown)? {
                    Some(value) => {
                        kept.insert(key.clone(), value);
                    }
                    // What is left of a reference without what it refers to says nothing.
                    None if key.eq_ignore_ascii_case("value") => return Ok(None),
                    None => {}
                }
            }
            Some(Value::Object(kept))
        }
        plain => Some(plain.clone()),
    })
}
