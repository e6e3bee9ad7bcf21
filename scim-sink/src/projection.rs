//! `attributes` and `excludedAttributes`: which part of a resource is answered (RFC 7644 section 3.9).
//!
//! `id` and `schemas` are always there; `password` never is, for it is not kept.

use serde_json::{Map, Value};

use crate::filter::{AttributePath, is_core, parse_target};
use crate::limits::MAX_PROJECTED_ATTRIBUTES;
use crate::rejection::Rejection;
use crate::request::parameter;

/// What to leave in, or what to leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Projection {
    Whole,
    Only(Vec<AttributePath>),
    Without(Vec<AttributePath>),
}

impl Projection {
    pub(crate) fn parse(query: &str) -> Result<Projection, Rejection> {
        let only = paths(query, "attributes")?;
        let without = paths(query, "excludedAttributes")?;
        match (only, without) {
            (None, None) => Ok(Projection::Whole),
            (Some(only), None) => Ok(Projection::Only(only)),
            (None, Some(without)) => Ok(Projection::Without(without)),
            (Some(_), Some(_)) => Err(Rejection::InvalidValue(
                "`attributes` and `excludedAttributes` exclude each other".to_owned(),
            )),
        }
    }

    /// Whether the top-level attribute `name` would be answered at all.
    pub(crate) fn shows(&self, name: &str) -> bool {
        let is_it = |path: &AttributePath| path.name.eq_ignore_ascii_case(name);
        match self {
            Projection::Whole => true,
            Projection::Only(paths) => paths.iter().any(is_it),
            Projection::Without(paths) => !paths.iter().any(|path| is_it(path) && path.sub.is_none()),
        }
    }

    /// Whether the top-level attribute `name` was asked for by name.
    pub(crate) fn asks_for(&self, name: &str) -> bool {
        matches!(self, Projection::Only(_)) && self.shows(name)
    }

    pub(crate) fn apply(&self, resource: Map<String, Value>) -> Map<String, Value> {
        match self {
            Projection::Whole => resource,
            Projection::Only(paths) => resource
                .into_iter()
                .filter_map(|(key, value)| Some((key.clone(), kept(&key, value, paths)?)))
                .collect(),
            Projection::Without(paths) => resource
                .into_iter()
                .filter_map(|(key, value)| Some((key.clone(), left(&key, value, paths)?)))
                .collect(),
        }
    }
}

fn paths(query: &str, name: &str) -> Result<Option<Vec<AttributePath>>, Rejection> {
    let Some(text) = parameter(query, name)? else { return Ok(None) };
    let mut paths = Vec::new();
    for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
        match parse_target(path) {
            Ok((path, None, None)) if paths.len() < MAX_PROJECTED_ATTRIBUTES => paths.push(path),
            Ok((_, None, None)) => {
                let most = format!("`{name}` may list {MAX_PROJECTED_ATTRIBUTES} attributes at most");
                return Err(Rejection::InvalidValue(most));
            }
            _ => return Err(Rejection::InvalidValue(format!("`{name}` must list attributes"))),
        }
    }
    Ok(Some(paths))
}

fn always_shown(key: &str) -> bool {
    key == "id" || key == "schemas"
}

/// How a path touches the attribute under one top-level key.
enum Touch<'p> {
    Whole,
    Part(&'p str, Option<&'p str>),
}

fn touches<'p>(key: &str, path: &'p AttributePath) -> Option<Touch<'p>> {
    let of_resource = path.schema.as_deref().is_none_or(is_core);
    if of_resource && path.name.eq_ignore_ascii_case(key) {
        return Some(path.sub.as_deref().map_or(Touch::Whole, |sub| Touch::Part(sub, None)));
    }
    if path.schema.as_deref().is_some_and(|schema| schema.eq_ignore_ascii_case(key)) {
        return Some(Touch::Part(&path.name, path.sub.as_deref()));
    }
    path.as_extension().filter(|urn| urn.eq_ignore_ascii_case(key)).map(|_| Touch::Whole)
}

fn kept(key: &str, value: Value, paths: &[AttributePath]) -> Option<Value> {
    if always_shown(key) {
        return Some(value);
    }
    let mut parts = Vec::new();
    for path in paths {
        match touches(key, path) {
            Some(Touch::Whole) => return Some(value),
            Some(Touch::Part(name, sub)) => parts.push((name, sub)),
            None => {}
        }
    }
    if parts.is_empty() { None } else { only_parts(value, &parts) }
}

fn only_parts(value: Value, parts: &[(&str, Option<&str>)]) -> Option<Value> {
    match value {
        Value::Array(elements) => Some(Value::Array(
            elements.into_iter().filter_map(|element| only_parts(element, parts)).collect(),
        )),
        Value::Object(map) => {
            let mut kept = Map::new();
            for (key, value) in map {
                let named: Vec<_> =
                    parts.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&key)).collect();
                if named.iter().any(|(_, sub)| sub.is_none()) {
                    kept.insert(key, value);
                } else if !named.is_empty() {
                    let subs: Vec<_> =
                        named.iter().filter_map(|(_, sub)| sub.map(|sub| (sub, None))).collect();
                    kept.extend(only_parts(value, &subs).map(|value| (key, value)));
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => None,
    }
}

fn left(key: &str, mut value: Value, paths: &[AttributePath]) -> Option<Value> {
    if always_shown(key) {
        return Some(value);
    }
    for path in paths {
        match touches(key, path) {
            Some(Touch::Whole) => return None,
            Some(Touch::Part(name, sub)) => remove_part(&mut value, name, sub),
            None => {}
        }
    }
    Some(value)
}

fn remove_part(value: &mut Value, name: &str, sub: Option<&str>) {
    match (value, sub) {
        (Value::Array(elements), _) => {
            elements.iter_mut().for_each(|element| remove_part(element, name, sub));
        }
        (Value::Object(map), None) => map.retain(|key, _| !key.eq_ignore_ascii_case(name)),
        (Value::Object(map), Some(sub)) => {
            map.iter_mut()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .for_each(|(_, inner)| remove_part(inner, sub, None));
        }
        _ => {}
    }
}
