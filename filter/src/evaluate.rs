//! The truth of a filter over a JSON document (RFC 7644 section 3.4.2.2).
//!
//! Total: a comparison that makes no sense for a value is false. It knows no schema beyond the rule it is given.

use std::cmp::Ordering;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::read::{sub_value, values_at};
use super::{AttributePath, Condition, Filter, Literal, Operator};

/// Says whether an attribute compares case-exactly (RFC 7643 section 2.2, `caseExact`).
pub type CaseRule = fn(&AttributePath) -> bool;

/// How two texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Exact,
    Folded,
}

impl Case {
    fn of(path: &AttributePath, case_exact: CaseRule) -> Case {
        if case_exact(path) { Case::Exact } else { Case::Folded }
    }
}

/// Where an attribute of a filter is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The document.
    pub document: &'a Map<String, Value>,
    /// The path in it.
    pub path: &'a AttributePath,
    /// How its texts compare.
    pub case_exact: CaseRule,
}

impl<P> Filter<P> {
    /// Whether the filter is met, where some of its attributes may be in no document at hand: what is said of those is neither true nor
    /// false, and `None` is the answer when it depends on them.
    pub fn truth<'a>(&'a self, place_of: &impl Fn(&'a P) -> Option<Place<'a>>) -> Option<bool> {
        match self {
            Filter::Attribute(path, condition) => {
                let Place { document, path, case_exact } = place_of(path)?;
                Some(condition.holds_for(&values_at(document, path), Case::of(path, case_exact)))
            }
            Filter::Elements { attribute, filter, rest } => {
                let Place { document, path, case_exact } = place_of(attribute)?;
                let rule = ElementRule { attribute: path, case_exact };
                let meets = |element: &&Value| {
                    filter.matches_element(element, &rule) && rule.rest_holds(element, rest.as_ref())
                };
                Some(values_at(document, path).iter().any(meets))
            }
            Filter::Not(inner) => inner.truth(place_of).map(|held| !held),
            Filter::And(terms) => settled_by(false, terms, place_of),
            Filter::Or(terms) => settled_by(true, terms, place_of),
        }
    }
}

/// One term of that value settles it, whatever the others are; else one that is unknown leaves it unknown.
fn settled_by<'a, P>(
    value: bool,
    terms: &'a [Filter<P>],
    place_of: &impl Fn(&'a P) -> Option<Place<'a>>,
) -> Option<bool> {
    let mut whole = Some(!value);
    for term in terms {
        match term.truth(place_of) {
            Some(found) if found == value => return Some(value),
            Some(_) => {}
            None => whole = None,
        }
    }
    whole
}

impl Filter {
    /// Whether `document` meets the filter.
    pub fn matches(&self, document: &Map<String, Value>, case_exact: CaseRule) -> bool {
        self.truth(&|path| Some(Place { document, path, case_exact })).unwrap_or_default()
    }

    /// Whether one element of `attribute` meets this filter, as it stands between the brackets of `attribute[...]`.
    pub fn selects(&self, element: &Value, attribute: &AttributePath, case_exact: CaseRule) -> bool {
        self.matches_element(element, &ElementRule { attribute, case_exact })
    }

    fn matches_element(&self, element: &Value, rule: &ElementRule<'_>) -> bool {
        match self {
            Filter::Attribute(path, condition) => {
                let found = rule.values(element, path);
                condition.holds_for(&found, Case::of(&rule.full_path(&path.name), rule.case_exact))
            }
            Filter::Elements { attribute, filter, rest } => rule
                .values(element, attribute)
                .into_iter()
                .any(|inner| filter.matches_element(inner, rule) && rule.rest_holds(inner, rest.as_ref())),
            Filter::Not(inner) => !inner.matches_element(element, rule),
            Filter::And(terms) => terms.iter().all(|term| term.matches_element(element, rule)),
            Filter::Or(terms) => terms.iter().any(|term| term.matches_element(element, rule)),
        }
    }
}

/// Which attribute the brackets belong to: names inside them are its sub-attributes.
struct ElementRule<'f> {
    attribute: &'f AttributePath,
    case_exact: CaseRule,
}

impl ElementRule<'_> {
    fn full_path(&self, sub: &str) -> AttributePath {
        AttributePath { sub: Some(sub.to_owned()), ..self.attribute.clone() }
    }

    fn values<'d>(&self, element: &'d Value, path: &AttributePath) -> Vec<&'d Value> {
        match (element, &path.sub) {
            (Value::Object(map), _) => values_at(map, path),
            (plain, None) => sub_value(plain, &path.name).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn rest_holds(&self, element: &Value, rest: Option<&(String, Condition)>) -> bool {
        rest.is_none_or(|(sub, condition)| {
            let values: Vec<_> = sub_value(element, sub).into_iter().collect();
            condition.holds_for(&values, Case::of(&self.full_path(sub), self.case_exact))
        })
    }
}

impl Condition {
    fn holds_for(&self, values: &[&Value], case: Case) -> bool {
        match self {
            Condition::Present => values.iter().any(|value| is_assigned(value)),
            Condition::Compare(Operator::NotEqual, literal) => {
                !Condition::any(Operator::Equal, literal, values, case)
            }
            Condition::Compare(operator, literal) => Condition::any(*operator, literal, values, case),
        }
    }

    fn any(operator: Operator, literal: &Literal, values: &[&Value], case: Case) -> bool {
        if *literal == Literal::Null {
            return operator == Operator::Equal && !values.iter().any(|value| is_assigned(value));
        }
        values.iter().any(|value| compare(operator, literal, value, case))
    }
}

/// RFC 7643 section 2.5: null and an empty array mean unassigned; so, for what Okta sends, does an empty string.
fn is_assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(is_assigned),
        Value::Object(map) => map.values().any(is_assigned),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compare(operator: Operator, literal: &Literal, value: &Value, case: Case) -> bool {
    match (value, literal) {
        // A complex value without a named sub-attribute is compared by its `value` (RFC 7643 section 2.4).
        (Value::Object(_), _) => match sub_value(value, "value") {
            Some(inner) if !inner.is_object() => compare(operator, literal, inner, case),
            _ => false,
        },
        (Value::String(text), Literal::Text(wanted)) => compare_text(operator, text, wanted, case),
        (Value::Bool(value), Literal::Boolean(wanted)) => operator == Operator::Equal && value == wanted,
        // `active eq "true"`, which some clients write.
        (Value::Bool(value), Literal::Text(wanted)) => {
            operator == Operator::Equal && wanted.eq_ignore_ascii_case(if *value { "true" } else { "false" })
        }
        (Value::Number(value), Literal::Number(wanted)) => {
            let order = match (value.as_i64(), wanted.as_i64()) {
                (Some(one), Some(other)) => Some(one.cmp(&other)),
                _ => value.as_f64().zip(wanted.as_f64()).and_then(|(one, other)| one.partial_cmp(&other)),
            };
            order.is_some_and(|order| holds(operator, order))
        }
        _ => false,
    }
}

fn compare_text(operator: Operator, text: &str, wanted: &str, case: Case) -> bool {
    if operator.orders() {
        return holds(operator, order_of(text, wanted, case));
    }
    let (text, wanted) =
        if case == Case::Exact { (text.to_owned(), wanted.to_owned()) } else { (fold(text), fold(wanted)) };
    match operator {
        Operator::Contains => text.contains(&wanted),
        Operator::StartsWith => text.starts_with(&wanted),
        Operator::EndsWith => text.ends_with(&wanted),
        _ => text == wanted,
    }
}

/// Times compare as times (RFC 7644 table 3), everything else as text.
fn order_of(text: &str, wanted: &str, case: Case) -> Ordering {
    match (OffsetDateTime::parse(text, &Rfc3339), OffsetDateTime::parse(wanted, &Rfc3339)) {
        (Ok(one), Ok(other)) => one.cmp(&other),
        _ if case == Case::Exact => text.cmp(wanted),
        _ => fold(text).cmp(&fold(wanted)),
    }
}

fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn holds(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        _ => false,
    }
}
