//! The body of a Bulk request as operations; a body that is not one is refused as a whole (RFC 7644 section 3.7).
//!
//! Whether an operation is possible is found out when it is performed.

use std::collections::HashSet;

use http::Method;
use serde_json::{Map, Value};

use crate::filter::attribute;
use crate::limits::MAX_BULK_OPERATIONS;
use crate::rejection::Rejection;

#[derive(Debug)]
pub(super) struct Job {
    /// How many operations may fail before the rest is left undone.
    pub(super) fail_on_errors: Option<usize>,
    pub(super) operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) method: Method,
    /// What others call the resource that this one makes; only a `POST` has it.
    pub(super) bulk_id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) path: String,
    /// Null where there is none.
    pub(super) data: Value,
}

impl Job {
    pub(super) fn parse(body: &Map<String, Value>) -> Result<Job, Rejection> {
        let listed = attribute(body, "Operations")
            .and_then(Value::as_array)
            .ok_or_else(|| Rejection::InvalidSyntax("`Operations` is missing or is not a list".to_owned()))?;
        if listed.len() > MAX_BULK_OPERATIONS {
            return Err(Rejection::TooManyOperations { most: MAX_BULK_OPERATIONS });
        }
        let operations = listed.iter().map(operation).collect::<Result<Vec<_>, _>>()?;
        let mut names = HashSet::new();
        if let Some(twice) =
            operations.iter().filter_map(|it| it.bulk_id.as_deref()).find(|id| !names.insert(*id))
        {
            return Err(Rejection::InvalidSyntax(format!("the bulkId `{twice}` is given more than once")));
        }
        Ok(Job { fail_on_errors: fail_on_errors(body)?, operations })
    }
}

fn fail_on_errors(body: &Map<String, Value>) -> Result<Option<usize>, Rejection> {
    match attribute(body, "failOnErrors") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let most = value.as_u64().filter(|most| *most > 0);
            let most =
                most.ok_or_else(|| Rejection::InvalidValue("`failOnErrors` must be 1 or more".to_owned()))?;
            Ok(Some(usize::try_from(most).unwrap_or(usize::MAX)))
        }
    }
}

fn operation(listed: &Value) -> Result<Operation, Rejection> {
    let syntax = |text: &str| Rejection::InvalidSyntax(text.to_owned());
    let map = listed.as_object().ok_or_else(|| syntax("each of `Operations` must be an object"))?;
    let text = |name: &str| match attribute(map, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(syntax(&format!("`{name}` must be a string"))),
    };
    let method = match text("method")? {
        Some(word) if word.eq_ignore_ascii_case("POST") => Method::POST,
        Some(word) if word.eq_ignore_ascii_case("PUT") => Method::PUT,
        Some(word) if word.eq_ignore_ascii_case("PATCH") => Method::PATCH,
        Some(word) if word.eq_ignore_ascii_case("DELETE") => Method::DELETE,
        _ => return Err(syntax("`method` must be one of POST, PUT, PATCH, DELETE")),
    };
    let path = text("path")?.ok_or_else(|| syntax("each of `Operations` needs a `path`"))?;
    let bulk_id = text("bulkId")?.filter(|_| method == Method::POST);
    let data = attribute(map, "data").filter(|_| method != Method::DELETE).cloned().unwrap_or(Value::Null);
    Ok(Operation { method, bulk_id, version: text("version")?, path, data })
}
