//! PATCH (RFC 7644 section 3.5.2): the operations of a request, and their effect on a JSON document.
//!
//! Applied to a copy, so that all operations take effect or none. Members of groups are `group`'s matter: they are no part of a document.

mod apply;
mod elements;
mod work;

#[cfg(test)]
mod tests;

pub(crate) use apply::apply;
pub(crate) use work::{Work, terms, weight};

use serde_json::{Map, Value};

use crate::clean::{below_core, unqualified};
use crate::filter::{AttributePath, Filter, FilterError, attribute, parse_target};
use crate::rejection::Rejection;

/// The URN of a PATCH body.
pub(crate) const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Add,
    Replace,
    Remove,
}

/// One operation. Without a target the value's keys are the targets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    pub(crate) verb: Verb,
    pub(crate) target: Option<Target>,
    pub(crate) value: Option<Value>,
}

/// `attribute`, `attribute.sub`, `attribute[filter]` or `attribute[filter].sub`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) attribute: AttributePath,
    pub(crate) filter: Option<Filter>,
    pub(crate) sub: Option<String>,
}

impl Target {
    pub(crate) fn parse(path: &str) -> Result<Target, Rejection> {
        let refused = |cause| Rejection::InvalidPath { path: path.chars().take(200).collect(), cause };
        let (attribute, filter, sub) = parse_target(path).map_err(refused)?;
        // What stands behind the URN of the resource's own schema is its attribute, and never the name of another schema.
        if attribute.schema.as_deref().and_then(below_core).is_some_and(|rest| !rest.is_empty()) {
            let expected = "an attribute behind the URN of the schema";
            return Err(refused(FilterError::Syntax { at: 0, expected }));
        }
        Ok(Target { attribute, filter, sub })
    }
}

/// The operations of a PATCH body, in order; `most` is how many the resource takes.
pub(crate) fn operations(body: &Map<String, Value>, most: usize) -> Result<Vec<Operation>, Rejection> {
    let listed = attribute(body, "Operations")
        .and_then(Value::as_array)
        .ok_or_else(|| Rejection::InvalidSyntax("`Operations` is missing or is not a list".to_owned()))?;
    if listed.len() > most {
        return Err(Rejection::TooManyOperations { most });
    }
    listed.iter().map(operation).collect()
}

fn operation(listed: &Value) -> Result<Operation, Rejection> {
    let syntax = |text: &str| Rejection::InvalidSyntax(text.to_owned());
    let map = listed.as_object().ok_or_else(|| syntax("each of `Operations` must be an object"))?;
    let verb = match attribute(map, "op").and_then(Value::as_str) {
        Some(op) if op.eq_ignore_ascii_case("add") => Verb::Add,
        Some(op) if op.eq_ignore_ascii_case("replace") => Verb::Replace,
        Some(op) if op.eq_ignore_ascii_case("remove") => Verb::Remove,
        _ => return Err(syntax("`op` must be one of add, replace, remove")),
    };
    let target = match attribute(map, "path") {
        None | Some(Value::Null) => None,
        // The whole resource, by the name of its own schema.
        Some(Value::String(path)) if path.trim().is_empty() || below_core(path.trim()) == Some("") => None,
        Some(Value::String(path)) => Some(Target::parse(path)?),
        Some(_) => return Err(syntax("`path` must be a string")),
    };
    let value = match (&target, attribute(map, "value").cloned()) {
        (None, Some(Value::Object(values))) => Some(Value::Object(unqualified(values)?)),
        (_, value) => value,
    };
    match (verb, &target, &value) {
        // RFC 7644 section 3.5.2.2.
        (Verb::Remove, None, _) => Err(Rejection::NoTarget("a `remove` needs a `path`".to_owned())),
        (Verb::Add | Verb::Replace, _, None) => {
            Err(Rejection::InvalidValue("an `add` or `replace` needs a `value`".to_owned()))
        }
        _ => Ok(Operation { verb, target, value }),
    }
}
