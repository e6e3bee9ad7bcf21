//! How much one PATCH may look at: documents, elements and filter terms are paid for before they are walked.
//!
//! An edit runs on the store's only writer, so that nobody else can write meanwhile. What the other files do costs about what is paid
//! for it here, whatever the shape of the request.

use serde_json::{Map, Value};

use crate::filter::{AttributePath, Condition, Filter, Literal};
use crate::limits::MAX_PATCH_WORK;
use crate::rejection::Rejection;

/// The part of a text that costs as much as a place.
const BYTES_PER_PLACE: usize = 64;

/// What is left of the bound of one request.
#[derive(Debug)]
pub(crate) struct Work {
    left: usize,
}

impl Work {
    /// The whole bound.
    pub(crate) fn new() -> Work {
        Work { left: MAX_PATCH_WORK }
    }

    /// Pays for looking at so many places.
    pub(super) fn spend(&mut self, places: usize) -> Result<(), Rejection> {
        self.left = self.left.checked_sub(places).ok_or(Rejection::TooMuchWork)?;
        Ok(())
    }

    /// Pays for finding one key of an object in any spelling, and for moving the others when it goes.
    pub(super) fn find_in(&mut self, map: &Map<String, Value>) -> Result<(), Rejection> {
        self.spend(map.len().saturating_add(1))
    }

    /// Pays for walking whole values so many times.
    pub(super) fn walk(&mut self, value: &Value, times: usize) -> Result<(), Rejection> {
        self.spend(weight(value).saturating_mul(times))
    }
}

/// The places in a value; a long text weighs as much as several. The nesting was bounded when the body was read.
pub(crate) fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len() / BYTES_PER_PLACE,
        Value::Array(elements) => 1 + elements.iter().map(weight).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(weight).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

/// How often a filter walks an element; a long text to compare with counts as several.
pub(crate) fn terms(filter: &Filter) -> usize {
    match filter {
        Filter::Attribute(_, Condition::Compare(_, Literal::Text(text))) => 1 + text.len() / BYTES_PER_PLACE,
        Filter::Attribute(..) => 1,
        Filter::Elements { filter, rest, .. } => {
            let rest =
                rest.clone().map(|(sub, condition)| Filter::Attribute(AttributePath::plain(&sub), condition));
            terms(filter) + rest.as_ref().map_or(0, terms)
        }
        Filter::Not(inner) => terms(inner),
        Filter::And(inner) | Filter::Or(inner) => inner.iter().map(terms).sum(),
    }
}
