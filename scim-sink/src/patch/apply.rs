//! One operation on one document: finding the place it names, then adding, replacing or removing there.
//!
//! Places among the elements of a multi-valued attribute are `elements`' matter.

use serde_json::{Map, Value};

use super::elements::{self, Elements};
use super::work::Work;
use super::{Operation, Target, Verb};
use crate::clean::{clean_value, without_unset};
use crate::filter::CaseRule;
use crate::rejection::Rejection;
use crate::schema::{Attribute, Mutability, ResourceType, find};

/// Applies one operation. On an error the document may be half changed: the caller works on a copy.
pub(crate) fn apply(
    document: &mut Map<String, Value>,
    operation: &Operation,
    resource: &ResourceType,
    case_exact: CaseRule,
    work: &mut Work,
) -> Result<(), Rejection> {
    work.find_in(document)?;
    let mut patch = Patch { resource, case_exact, verb: operation.verb, work };
    match (&operation.target, &operation.value) {
        (Some(target), value) => patch.at_target(document, target, value.as_ref()),
        (None, Some(Value::Object(values))) => patch.each_key(document, values),
        (None, _) => {
            Err(Rejection::InvalidValue("without a `path` the `value` must be an object".to_owned()))
        }
    }
}

struct Patch<'p> {
    resource: &'p ResourceType,
    case_exact: CaseRule,
    verb: Verb,
    work: &'p mut Work,
}

/// Where a target's first name leads: below an extension or at the top, under this key.
struct Place {
    extension: Option<String>,
    key: String,
    definition: Option<&'static Attribute>,
    /// The attributes of the extension, when the place is a whole extension.
    whole_extension: Option<&'static [Attribute]>,
}

impl Patch<'_> {
    /// RFC 7644 section 3.5.2.1: without a path the value's keys are attributes of the resource. Read-only ones among them are ignored, for
    /// Okta sends the `id` along. Keys with a dot or a colon are paths, as others write them.
    fn each_key(
        &mut self,
        document: &mut Map<String, Value>,
        values: &Map<String, Value>,
    ) -> Result<(), Rejection> {
        for (key, value) in values {
            if is_password(key) {
                continue;
            }
            self.work.find_in(document)?;
            let is_extension = self.resource.extension(key).is_some();
            if key.contains(['.', ':']) || is_extension {
                self.at_target(document, &Target::parse(key)?, Some(value))?;
                continue;
            }
            let definition = self.resource.own(key);
            if definition.is_some_and(|attribute| attribute.mutability != Mutability::ReadWrite) {
                continue;
            }
            let name = definition.map_or(key.as_str(), |attribute| attribute.name);
            let place = Place { extension: None, key: name.to_owned(), definition, whole_extension: None };
            self.at_place(document, &place, None, value)?;
        }
        Ok(())
    }

    fn at_target(
        &mut self,
        document: &mut Map<String, Value>,
        target: &Target,
        value: Option<&Value>,
    ) -> Result<(), Rejection> {
        if is_password(&target.attribute.name) {
            return Ok(());
        }
        let place = self.place(target);
        match place.definition.map(|attribute| attribute.mutability) {
            Some(Mutability::ReadOnly) => return Err(Rejection::Mutability(place.key)),
            Some(Mutability::WriteOnly) => return Ok(()),
            Some(Mutability::ReadWrite | Mutability::Immutable) | None => {}
        }
        if let Some(filter) = &target.filter {
            let container = self.container(document, &place)?;
            let mut elements = Elements {
                attribute: &target.attribute,
                definition: place.definition,
                case_exact: self.case_exact,
                key: &place.key,
                work: self.work,
            };
            return elements.patch(container, self.verb, filter, target.sub.as_deref(), value);
        }
        match (self.verb, value) {
            (Verb::Remove, None) => self.remove(document, &place, target.attribute.sub.as_deref(), None),
            (Verb::Remove, value) => self.remove(document, &place, target.attribute.sub.as_deref(), value),
            (_, Some(value)) => self.at_place(document, &place, target.attribute.sub.as_deref(), value),
            (_, None) => Ok(()),
        }
    }

    fn place(&self, target: &Target) -> Place {
        let path = &target.attribute;
        let plain = |extension: Option<String>| {
            let top = crate::filter::AttributePath { sub: None, ..path.clone() };
            let definition = self.resource.definition(&top);
            let key = definition.map_or_else(|| path.name.clone(), |attribute| attribute.name.to_owned());
            Place { extension, key, definition, whole_extension: None }
        };
        let Some(schema) = &path.schema else { return plain(None) };
        if schema.eq_ignore_ascii_case(self.resource.core.urn) {
            return plain(None);
        }
        if let Some(known) = self.resource.extension(schema) {
            return plain(Some(known.urn.to_owned()));
        }
        match path.as_extension() {
            Some(urn) if self.resource.extension(&urn).is_some() || names_a_resource_type(&path.name) => {
                let known = self.resource.extension(&urn);
                let key = known.map_or(urn, |schema| schema.urn.to_owned());
                let whole_extension =
                    Some(known.map_or(&[] as &'static [Attribute], |schema| schema.attributes));
                Place { extension: None, key, definition: None, whole_extension }
            }
            _ => plain(Some(schema.clone())),
        }
    }

    /// The object that holds the place's key, made when it is not there yet.
    fn container<'d>(
        &mut self,
        document: &'d mut Map<String, Value>,
        place: &Place,
    ) -> Result<&'d mut Map<String, Value>, Rejection> {
        let Some(urn) = &place.extension else { return Ok(document) };
        let key = stored_key(document, urn).unwrap_or_else(|| urn.clone());
        let extension = document.entry(key).or_insert_with(|| Value::Object(Map::new()));
        let extension = extension
            .as_object_mut()
            .ok_or_else(|| Rejection::NoTarget(format!("`{urn}` is not an object")))?;
        self.work.find_in(extension)?;
        Ok(extension)
    }

    /// `add` or `replace` at a place without a filter.
    fn at_place(
        &mut self,
        document: &mut Map<String, Value>,
        place: &Place,
        sub: Option<&str>,
        value: &Value,
    ) -> Result<(), Rejection> {
        if let Some(sub) = sub {
            return self.set_sub(document, place, sub, value);
        }
        let subs = place.whole_extension.or_else(|| {
            place.definition.filter(|attribute| !attribute.multi_valued).map(|attribute| attribute.subs)
        });
        // RFC 7644 section 3.5.2.3: of a complex attribute, sub-attributes that are not named are left unchanged.
        if let (Some(subs), Value::Object(values)) = (subs, value)
            && (place.whole_extension.is_some() || !subs.is_empty())
        {
            return self.merge(document, place, subs, values);
        }
        let cleaned = clean_known(place.definition, value.clone(), &place.key)?;
        let container = self.container(document, place)?;
        let key = stored_key(container, &place.key).unwrap_or_else(|| place.key.clone());
        match (cleaned, self.verb) {
            // Nothing added is nothing changed.
            (None, Verb::Add) => Ok(()),
            (None, _) => remove_key(container, place),
            (Some(Value::Array(added)), Verb::Add) => elements::unite(container, &key, added, self.work),
            (Some(value), _) => {
                container.insert(key, value);
                Ok(())
            }
        }
    }

    fn merge(
        &mut self,
        document: &mut Map<String, Value>,
        place: &Place,
        subs: &'static [Attribute],
        values: &Map<String, Value>,
    ) -> Result<(), Rejection> {
        let container = self.container(document, place)?;
        let key = stored_key(container, &place.key).unwrap_or_else(|| place.key.clone());
        let existing = container.entry(key).or_insert_with(|| Value::Object(Map::new()));
        let Some(existing) = existing.as_object_mut() else {
            return Err(Rejection::NoTarget(format!("`{}` is not an object", place.key)));
        };
        for (name, value) in values {
            self.work.find_in(existing)?;
            set_in(existing, find(subs, name), name, value.clone())?;
        }
        Ok(())
    }

    fn set_sub(
        &mut self,
        document: &mut Map<String, Value>,
        place: &Place,
        sub: &str,
        value: &Value,
    ) -> Result<(), Rejection> {
        let definition = place.definition.and_then(|attribute| find(attribute.subs, sub));
        let container = self.container(document, place)?;
        let key = stored_key(container, &place.key).unwrap_or_else(|| place.key.clone());
        let multi_valued = place.definition.is_some_and(|attribute| attribute.multi_valued);
        if multi_valued && !container.contains_key(&key) {
            return Err(Rejection::NoTarget(format!(
                "`{}` has no value whose `{sub}` could be set",
                place.key
            )));
        }
        match container.entry(key).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(existing) => {
                self.work.find_in(existing)?;
                set_in(existing, definition, sub, value.clone())
            }
            // Of a multi-valued attribute the sub-attribute of every value is meant.
            Value::Array(existing) => {
                existing.iter_mut().filter_map(Value::as_object_mut).try_for_each(|element| {
                    self.work.find_in(element)?;
                    self.work.walk(value, 1)?;
                    set_in(element, definition, sub, value.clone())
                })
            }
            _ => Err(Rejection::NoTarget(format!("`{}` has no sub-attributes", place.key))),
        }
    }

    fn remove(
        &mut self,
        document: &mut Map<String, Value>,
        place: &Place,
        sub: Option<&str>,
        value: Option<&Value>,
    ) -> Result<(), Rejection> {
        let container = match &place.extension {
            None => document,
            Some(urn) => {
                let held = stored_key(document, urn).and_then(|key| document.get_mut(&key));
                let Some(Value::Object(extension)) = held else { return Ok(()) };
                self.work.find_in(extension)?;
                extension
            }
        };
        let Some(key) = stored_key(container, &place.key) else { return Ok(()) };
        if let Some(existing) = container.get(&key) {
            self.work.walk(existing, 1)?;
        }
        match (sub, value, container.get_mut(&key)) {
            (Some(sub), _, Some(Value::Object(existing))) => remove_name(existing, sub),
            (Some(sub), _, Some(Value::Array(existing))) => {
                existing
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|element| remove_name(element, sub));
            }
            (Some(_), _, _) => {}
            // Others name the values to remove instead of a filter.
            (None, Some(unwanted), Some(Value::Array(existing)))
                if without_unset(unwanted.clone()).is_some() =>
            {
                elements::remove_listed(existing, unwanted);
            }
            (None, _, _) => return remove_key(container, place),
        }
        Ok(())
    }
}

/// Of whatever schema: it is accepted and never kept.
fn is_password(name: &str) -> bool {
    name.eq_ignore_ascii_case("password")
}

/// The last part of a URN that stands for a whole extension; attributes are not named so.
fn names_a_resource_type(name: &str) -> bool {
    name.eq_ignore_ascii_case("User") || name.eq_ignore_ascii_case("Group")
}

/// RFC 7644 section 3.5.2.2: a required attribute cannot be removed.
fn remove_key(container: &mut Map<String, Value>, place: &Place) -> Result<(), Rejection> {
    if place.definition.is_some_and(|attribute| attribute.required) {
        return Err(Rejection::Mutability(place.key.clone()));
    }
    remove_name(container, &place.key);
    Ok(())
}

fn remove_name(map: &mut Map<String, Value>, name: &str) {
    if let Some(key) = stored_key(map, name) {
        map.shift_remove(&key);
    }
}

/// Sets a sub-attribute, or removes it when the value is unset.
pub(super) fn set_in(
    map: &mut Map<String, Value>,
    definition: Option<&Attribute>,
    name: &str,
    value: Value,
) -> Result<(), Rejection> {
    let name = definition.map_or(name, |attribute| attribute.name);
    match clean_known(definition, value, name)? {
        Some(value) => {
            let key = stored_key(map, name).unwrap_or_else(|| name.to_owned());
            map.insert(key, value);
        }
        None => remove_name(map, name),
    }
    Ok(())
}

pub(super) fn clean_known(
    definition: Option<&Attribute>,
    value: Value,
    name: &str,
) -> Result<Option<Value>, Rejection> {
    match definition {
        Some(attribute) => clean_value(attribute, value, name),
        None => Ok(without_unset(value)),
    }
}

/// The spelling under which a name is stored.
pub(super) fn stored_key(map: &Map<String, Value>, name: &str) -> Option<String> {
    if map.contains_key(name) {
        return Some(name.to_owned());
    }
    map.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
}
