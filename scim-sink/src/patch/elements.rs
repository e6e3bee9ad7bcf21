//! The elements of a multi-valued attribute: chosen by a filter, added as a union, removed, and at most one of them primary.
//!
//! Finding the attribute itself is `apply`'s matter.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Verb;
use super::apply::{set_in, stored_key};
use super::work::{Work, terms};
use crate::clean::is_primary;
use crate::filter::{AttributePath, CaseRule, Condition, Filter, Literal, Operator, attribute};
use crate::limits::MAX_VALUES_PER_ATTRIBUTE;
use crate::rejection::Rejection;
use crate::schema::{Attribute, find};

/// The multi-valued attribute that a filter in brackets belongs to.
pub(super) struct Elements<'p> {
    pub(super) attribute: &'p AttributePath,
    pub(super) definition: Option<&'static Attribute>,
    pub(super) case_exact: CaseRule,
    pub(super) key: &'p str,
    pub(super) work: &'p mut Work,
}

impl Elements<'_> {
    /// Applies an operation whose path has a filter.
    pub(super) fn patch(
        &mut self,
        container: &mut Map<String, Value>,
        verb: Verb,
        filter: &Filter,
        sub: Option<&str>,
        value: Option<&Value>,
    ) -> Result<(), Rejection> {
        let key = stored_key(container, self.key).unwrap_or_else(|| self.key.to_owned());
        if let Some(held) = container.get(&key) {
            // Once more for the look at who is primary.
            self.work.walk(held, terms(filter).saturating_add(1))?;
        }
        let mut elements = taken_elements(container, &key);
        let chosen: Vec<usize> = elements
            .iter()
            .enumerate()
            .filter(|(_, element)| filter.selects(element, self.attribute, self.case_exact))
            .map(|(index, _)| index)
            .collect();
        match (verb, value) {
            (Verb::Remove, _) => remove_chosen(&mut elements, &chosen, sub),
            (_, None) => {}
            (Verb::Replace, Some(_)) if chosen.is_empty() => {
                // RFC 7644 section 3.5.2.3.
                return Err(Rejection::NoTarget(format!(
                    "no value of `{}` meets the filter `{filter}`",
                    self.key
                )));
            }
            (Verb::Add, Some(value)) if chosen.is_empty() => {
                let added = elements.len();
                elements.push(self.element_from(filter, sub, value)?);
                only_one_primary(&mut elements, &[added]);
            }
            (verb, Some(value)) => {
                for index in &chosen {
                    if let Some(element) = elements.get_mut(*index) {
                        self.write(element, verb, sub, value)?;
                    }
                }
                only_one_primary(&mut elements, &chosen);
            }
        }
        within_limit(&elements, self.key)?;
        if elements.is_empty() {
            container.shift_remove(&key);
        } else {
            container.insert(key, Value::Array(elements));
        }
        Ok(())
    }

    fn sub_definition(&self, sub: &str) -> Option<&'static Attribute> {
        self.definition.and_then(|attribute| find(attribute.subs, sub))
    }

    fn write(
        &mut self,
        element: &mut Value,
        verb: Verb,
        sub: Option<&str>,
        value: &Value,
    ) -> Result<(), Rejection> {
        self.work.walk(value, 1)?;
        match (sub, value, element) {
            (Some(sub), _, Value::Object(existing)) => {
                self.work.find_in(existing)?;
                set_in(existing, self.sub_definition(sub), sub, value.clone())
            }
            (None, Value::Object(values), Value::Object(existing)) => {
                if verb == Verb::Replace {
                    existing.clear();
                }
                values.iter().try_for_each(|(name, value)| {
                    self.work.find_in(existing)?;
                    set_in(existing, self.sub_definition(name), name, value.clone())
                })
            }
            (None, plain, element) if !plain.is_object() && !element.is_object() => {
                *element = plain.clone();
                Ok(())
            }
            _ => Err(Rejection::InvalidValue(format!("the value does not fit into `{}`", self.key))),
        }
    }

    /// `add` to `emails[type eq "work"].value` when there is no such e-mail: it is made, as other clients expect. What the filter says
    /// of it by `eq` becomes part of it.
    fn element_from(
        &mut self,
        filter: &Filter,
        sub: Option<&str>,
        value: &Value,
    ) -> Result<Value, Rejection> {
        let mut element = Map::new();
        self.take_over(filter, &mut element)?;
        let mut element = Value::Object(element);
        self.write(&mut element, Verb::Add, sub, value)?;
        if filter.selects(&element, self.attribute, self.case_exact) {
            return Ok(element);
        }
        Err(Rejection::NoTarget(format!("no value of `{}` meets the filter `{filter}`", self.key)))
    }

    fn take_over(&self, filter: &Filter, element: &mut Map<String, Value>) -> Result<(), Rejection> {
        match filter {
            Filter::And(terms) => terms.iter().try_for_each(|term| self.take_over(term, element)),
            Filter::Attribute(path, Condition::Compare(Operator::Equal, literal)) if path.sub.is_none() => {
                let value = match literal {
                    Literal::Text(text) => Value::from(text.as_str()),
                    Literal::Boolean(value) => Value::from(*value),
                    Literal::Number(number) => Value::Number(number.clone()),
                    Literal::Null => return Ok(()),
                };
                set_in(element, self.sub_definition(&path.name), &path.name, value)
            }
            _ => Ok(()),
        }
    }
}

/// RFC 7644 section 3.5.2.1: values that are there already are not added again.
pub(super) fn unite(
    container: &mut Map<String, Value>,
    key: &str,
    added: Vec<Value>,
    work: &mut Work,
) -> Result<(), Rejection> {
    if let Some(held) = container.get(key) {
        work.walk(held, 1)?;
    }
    let mut elements = taken_elements(container, key);
    let mut present: HashSet<Value> = elements.iter().cloned().collect();
    let mut written = Vec::new();
    for value in added {
        if present.insert(value.clone()) {
            written.push(elements.len());
            elements.push(value);
        }
    }
    only_one_primary(&mut elements, &written);
    within_limit(&elements, key)?;
    container.insert(key.to_owned(), Value::Array(elements));
    Ok(())
}

/// The elements under `key`; the key keeps its place among the others.
fn taken_elements(container: &mut Map<String, Value>, key: &str) -> Vec<Value> {
    match container.get_mut(key).map(Value::take) {
        Some(Value::Array(elements)) => elements,
        None | Some(Value::Null) => Vec::new(),
        Some(single) => vec![single],
    }
}

/// Removes the elements that `unwanted` lists: those equal to an entry, or with the same `value`.
pub(super) fn remove_listed(elements: &mut Vec<Value>, unwanted: &Value) {
    let listed = match unwanted {
        Value::Array(listed) => listed.as_slice(),
        single => std::slice::from_ref(single),
    };
    let whole: HashSet<&Value> = listed.iter().collect();
    let values: HashSet<&Value> = listed.iter().filter_map(value_of).collect();
    elements.retain(|element| {
        !whole.contains(element) && value_of(element).is_none_or(|value| !values.contains(value))
    });
}

fn value_of(element: &Value) -> Option<&Value> {
    element.as_object().and_then(|map| attribute(map, "value"))
}

fn remove_chosen(elements: &mut Vec<Value>, chosen: &[usize], sub: Option<&str>) {
    let chosen: HashSet<usize> = chosen.iter().copied().collect();
    let mut index = 0;
    elements.retain_mut(|element| {
        let is_chosen = chosen.contains(&index);
        index += 1;
        match (is_chosen, sub, element) {
            (true, Some(sub), Value::Object(map)) => {
                if let Some(key) = stored_key(map, sub) {
                    map.shift_remove(&key);
                }
                !map.is_empty()
            }
            (true, None, _) => false,
            _ => true,
        }
    });
}

/// RFC 7644 section 3.5.2: when an operation makes a value primary, the others are so no longer.
fn only_one_primary(elements: &mut [Value], written: &[usize]) {
    let winner = written.iter().rev().find(|index| elements.get(**index).is_some_and(is_primary)).copied();
    let Some(winner) = winner else { return };
    for (index, element) in elements.iter_mut().enumerate() {
        if index != winner
            && is_primary(element)
            && let Some(map) = element.as_object_mut()
        {
            map.insert("primary".to_owned(), Value::Bool(false));
        }
    }
}

fn within_limit(elements: &[Value], name: &str) -> Result<(), Rejection> {
    if elements.len() > MAX_VALUES_PER_ATTRIBUTE {
        let most = format!("`{name}` may have {MAX_VALUES_PER_ATTRIBUTE} values at most");
        return Err(Rejection::InvalidValue(most));
    }
    Ok(())
}
