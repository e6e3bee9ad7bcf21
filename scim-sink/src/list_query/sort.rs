//! `sortBy` and `sortOrder` (RFC 7644 section 3.4.2.3): which attribute, which way, and how two values of it compare.
//!
//! Collecting what is sorted is `listing`'s matter.

use std::cmp::Ordering;

use portcullis_store::Direction;
use serde_json::{Map, Value, json};

use crate::clean::is_primary;
use crate::filter::{AttributePath, CaseRule, attribute, parse_target, values_at};
use crate::limits::MAX_SORT_KEY_CHARS;
use crate::rejection::Rejection;
use crate::request::parameter;

/// An order other than that of creation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Sort {
    by: AttributePath,
    pub(crate) order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

impl Order {
    /// Turns the order of two keys.
    pub(crate) fn of(self, ordering: Ordering) -> Ordering {
        match self {
            Order::Ascending => ordering,
            Order::Descending => ordering.reverse(),
        }
    }
}

impl From<Order> for Direction {
    fn from(order: Order) -> Direction {
        match order {
            Order::Ascending => Direction::Ascending,
            Order::Descending => Direction::Descending,
        }
    }
}

impl Sort {
    /// Whether it is by this attribute of a resource itself.
    pub(crate) fn is_by(&self, core_urn: &str, name: &str) -> bool {
        self.by.names(core_urn, name, None)
    }

    pub(super) fn parse(query: &str) -> Result<Option<Sort>, Rejection> {
        let order = match parameter(query, "sortOrder")? {
            None => Order::Ascending,
            Some(order) if order.eq_ignore_ascii_case("ascending") => Order::Ascending,
            Some(order) if order.eq_ignore_ascii_case("descending") => Order::Descending,
            Some(_) => {
                let words = "`sortOrder` must be `ascending` or `descending`".to_owned();
                return Err(Rejection::InvalidValue(words));
            }
        };
        // An order without an attribute to order by means nothing.
        let Some(text) = parameter(query, "sortBy")? else { return Ok(None) };
        match parse_target(text.trim()) {
            Ok((by, None, None)) => Ok(Some(Sort { by, order })),
            _ => Err(Rejection::InvalidValue("`sortBy` must name one attribute".to_owned())),
        }
    }

    /// The value by which a resource is sorted: of several the primary one, or else the first.
    pub(crate) fn key(&self, resource: &Map<String, Value>, case_exact: CaseRule) -> Key {
        let whole = AttributePath { sub: None, ..self.by.clone() };
        let values = values_at(resource, &whole);
        let chosen = values.iter().find(|value| is_primary(value)).or(values.first());
        let value = match (chosen, self.by.sub.as_deref()) {
            (Some(Value::Object(map)), sub) => attribute(map, sub.unwrap_or("value")),
            (Some(value), None) => Some(*value),
            _ => None,
        };
        match value {
            Some(Value::Number(number)) => Key::Number(number.as_f64().unwrap_or(0.0)),
            Some(Value::Bool(value)) => Key::Text(value.to_string()),
            Some(Value::String(text)) if case_exact(&self.by) => Key::text(text.chars()),
            Some(Value::String(text)) => Key::text(text.chars().flat_map(char::to_lowercase)),
            _ => Key::Absent,
        }
    }
}

/// What a resource is sorted by. Where there is no value it comes last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    Number(f64),
    Text(String),
    Absent,
}

impl Key {
    fn text(chars: impl Iterator<Item = char>) -> Key {
        Key::Text(chars.take(MAX_SORT_KEY_CHARS).collect())
    }

    /// Numbers before texts before nothing.
    pub(crate) fn compare(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Number(one), Key::Number(other)) => one.total_cmp(other),
            (Key::Text(one), Key::Text(other)) => one.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Key::Number(_) => 0,
            Key::Text(_) => 1,
            Key::Absent => 2,
        }
    }

    /// As it stands in a cursor.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Key::Number(number) => json!(number),
            Key::Text(text) => Value::from(text.as_str()),
            Key::Absent => Value::Null,
        }
    }

    pub(super) fn from_json(value: &Value) -> Option<Key> {
        match value {
            Value::Number(number) => number.as_f64().map(Key::Number),
            Value::String(text) => Some(Key::Text(text.clone())),
            Value::Null => Some(Key::Absent),
            _ => None,
        }
    }
}
