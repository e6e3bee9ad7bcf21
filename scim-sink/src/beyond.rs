//! What a document holds beyond the schemas that are known here: each attribute by its path, with what its values are. It is kept and given
//! back like any other; that it is also published is `discovery`'s matter, where it is remembered the store's.

use std::collections::BTreeSet;

use portcullis_store::{GroupContent, Holds, PersonContent, SeenAttribute, SeenIn};
use serde_json::{Map, Value};

use crate::limits::{MAX_SEEN_ATTRIBUTES, MAX_SEEN_PATH_BYTES};
use crate::schema::{Attribute, GROUP, ResourceType, USER, find, is_extension};

pub(crate) fn of_person(content: &PersonContent) -> Vec<SeenAttribute> {
    beyond(&content.document, &USER, SeenIn::Person)
}

pub(crate) fn of_group(content: &GroupContent) -> Vec<SeenAttribute> {
    beyond(&content.document, &GROUP, SeenIn::Group)
}

/// The attributes of a document that no schema names. One list with more than the store has room for is as good as any other: the search
/// ends there.
fn beyond(document: &Map<String, Value>, resource: &ResourceType, seen_in: SeenIn) -> Vec<SeenAttribute> {
    let mut search = Search { seen_in, urn: resource.core.urn, found: BTreeSet::new() };
    for (key, value) in document {
        match value {
            Value::Object(map) if is_extension(key, value) => {
                let known = resource.extension(key);
                search.urn = known.map_or(key, |schema| schema.urn);
                search.parts(map, known.map_or(&[], |schema| schema.attributes), &mut Vec::new());
                search.urn = resource.core.urn;
            }
            _ => search.part(key, value, resource.own(key), &mut Vec::new()),
        }
    }
    search.found.into_iter().collect()
}

struct Search<'d> {
    seen_in: SeenIn,
    urn: &'d str,
    found: BTreeSet<SeenAttribute>,
}

impl<'d> Search<'d> {
    fn parts(&mut self, map: &'d Map<String, Value>, known: &[Attribute], before: &mut Vec<&'d str>) {
        for (key, value) in map {
            self.part(key, value, find(known, key), before);
        }
    }

    /// One attribute behind the names of what it is a part of.
    fn part(&mut self, key: &'d str, value: &'d Value, known: Option<&Attribute>, before: &mut Vec<&'d str>) {
        if self.found.len() > MAX_SEEN_ATTRIBUTES {
            return;
        }
        before.push(key);
        self.values(value, known, before, false);
        before.pop();
    }

    /// The values of an attribute; a list within a list is one list.
    fn values(&mut self, value: &'d Value, known: Option<&Attribute>, path: &mut Vec<&'d str>, many: bool) {
        if let Value::Array(elements) = value {
            elements.iter().for_each(|element| self.values(element, known, path, true));
            return;
        }
        if known.is_none() {
            let Some(holds) = holds(value) else { return };
            self.note(path, holds, many);
            // What is refused for its names is not looked into.
            if path.iter().map(|name| name.len()).sum::<usize>() > MAX_SEEN_PATH_BYTES {
                return;
            }
        }
        if let Value::Object(map) = value {
            self.parts(map, known.map_or(&[], |attribute| attribute.subs), path);
        }
    }

    fn note(&mut self, path: &[&str], holds: Holds, many: bool) {
        let path = path.iter().map(|name| (*name).to_owned()).collect();
        self.found.insert(SeenAttribute {
            seen_in: self.seen_in,
            urn: self.urn.to_owned(),
            path,
            holds,
            many,
        });
    }
}

fn holds(value: &Value) -> Option<Holds> {
    match value {
        Value::String(_) => Some(Holds::Text),
        Value::Bool(_) => Some(Holds::Boolean),
        Value::Number(number) if number.is_f64() => Some(Holds::Decimal),
        Value::Number(_) => Some(Holds::Integer),
        Value::Object(_) => Some(Holds::Complex),
        Value::Array(_) | Value::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(document: &Value) -> Vec<String> {
        let found = beyond(document.as_object().unwrap(), &USER, SeenIn::Person);
        let shown = |it: SeenAttribute| {
            let many = if it.many { "*" } else { "" };
            format!("{} {} {:?}{many}", it.urn.rsplit(':').next().unwrap(), it.path.join("."), it.holds)
        };
        found.into_iter().map(shown).collect()
    }

    #[test]
    fn what_every_schema_names_is_none_of_it() {
        let known = json!({
            "title": "T", "NAME": {"givenName": "J"}, "emails": [{"value": "a@x", "primary": true}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user": {"Manager": {"value": "1", "$ref": "x"}},
        });
        assert_eq!(found(&known), Vec::<String>::new());
    }

    #[test]
    fn each_is_found_where_it_stands() {
        let document = json!({
            "own": [1, [2.5, {"a": {"b": true}}]],
            "emails": [{"value": "a@x", "verified": false}],
            "name": {"phonetic": "x"},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"floor": 3, "manager": {"mail": "m@x"}},
            "urn:example:badge": {"number": "7", "colours": ["red"]},
            "urn:no:object": "text",
        });
        let expected = [
            "User emails.verified Boolean",
            "User name.phonetic Text",
            "User own Integer*",
            "User own Decimal*",
            "User own Complex*",
            "User own.a Complex",
            "User own.a.b Boolean",
            "User urn:no:object Text",
            "User floor Integer",
            "User manager.mail Text",
            "badge colours Text*",
            "badge number Text",
        ];
        let mut found = found(&document);
        found.sort();
        let mut expected = expected.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_search_ends_just_over_what_there_is_room_for() {
        let many: Map<String, Value> =
            (0..2 * MAX_SEEN_ATTRIBUTES).map(|number| (format!("a{number}"), json!(1))).collect();
        assert_eq!(beyond(&many, &USER, SeenIn::Person).len(), MAX_SEEN_ATTRIBUTES + 1);
        let long = "x".repeat(MAX_SEEN_PATH_BYTES + 1);
        let parts: Map<String, Value> = many.into_iter().take(500).collect();
        let found = beyond(&Map::from_iter([(long, Value::Object(parts))]), &USER, SeenIn::Person);
        assert_eq!(found.len(), 1, "what stands below a name without end is not looked at");
    }
}
