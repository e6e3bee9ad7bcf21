//! What must hold of any PATCH at all, as functions that panic when it does not: for the programs in `fuzz`, and for the tests that replay
//! what those have found. Not part of what is shipped.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a surprise must stop the program that looks for surprises"
)]

#[cfg(test)]
mod tests;

use portcullis_store::MemberEdit;
use serde_json::{Map, Value, json};

use crate::clean::{clean_resource, is_primary};
use crate::limits::{MAX_GROUP_PATCH_OPERATIONS, MAX_USER_PATCH_OPERATIONS, MAX_VALUES_PER_ATTRIBUTE};
use crate::members::MemberPlan;
use crate::patch;
use crate::rules::UserRules;
use crate::schema::{USER, user_case_exact};
use crate::user;

/// A PATCH of a user and of a group: a body, or the path of one operation.
pub fn scim_patch(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(body)) => patched(&body),
        // A path, tried with each verb.
        _ => {
            for operation in [
                json!({"op": "add", "path": text, "value": "x"}),
                json!({"op": "add", "path": text, "value": {"value": "x", "primary": true}}),
                json!({"op": "replace", "path": text, "value": [{"value": "x", "type": "work"}]}),
                json!({"op": "replace", "path": text, "value": null}),
                json!({"op": "remove", "path": text}),
            ] {
                patched(&Map::from_iter([("Operations".to_owned(), json!([operation, operation]))]));
            }
        }
    }
}

fn patched(body: &Map<String, Value>) {
    if let Some(document) = of_user(body) {
        assert_whole(&document);
    }
    of_group(body);
}

/// What becomes of a user, if the PATCH is one.
fn of_user(body: &Map<String, Value>) -> Option<Map<String, Value>> {
    let operations = patch::operations(body, MAX_USER_PATCH_OPERATIONS).ok()?;
    let mut document = jane();
    let mut work = patch::Work::new();
    for operation in &operations {
        patch::apply(&mut document, operation, &USER, user_case_exact, &mut work).ok()?;
    }
    Some(user::editable(&user::content(document, None, &UserRules::default()).ok()?))
}

/// What is kept says who it is and whether they may be let in, is kept as it is when it comes back, and holds no password.
fn assert_whole(document: &Map<String, Value>) {
    let name = document.get("userName").and_then(Value::as_str);
    assert!(name.is_some_and(|name| !name.trim().is_empty()), "nobody's: {document:?}");
    assert!(document.get("active").is_some_and(Value::is_boolean), "neither in nor out: {document:?}");
    assert!(!document.keys().any(|key| key.eq_ignore_ascii_case("password")), "a password is kept");
    let again = clean_resource(document.clone(), &USER).expect("what is kept is clean");
    assert_eq!(&again, document, "what is kept changes when it comes back");
    for (key, value) in document {
        let Some(elements) = value.as_array().filter(|_| USER.own(key).is_some()) else { continue };
        assert!(elements.len() <= MAX_VALUES_PER_ATTRIBUTE, "{key} has {} values", elements.len());
        assert!(
            elements.iter().filter(|element| is_primary(element)).count() <= 1,
            "{key} has two primaries"
        );
    }
}

/// Nobody both joins and leaves, and nobody joins twice.
fn of_group(body: &Map<String, Value>) -> Option<()> {
    let mut plan = MemberPlan::default();
    for operation in patch::operations(body, MAX_GROUP_PATCH_OPERATIONS).ok()? {
        plan.take(operation).ok()?;
    }
    let (add, remove) = match plan.edit() {
        MemberEdit::Change { add, remove } => (add, remove),
        MemberEdit::Replace(add) => (add, Vec::new()),
        MemberEdit::Keep | MemberEdit::RemoveAll => return Some(()),
    };
    let mut once = add.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), add.len(), "somebody joins twice");
    assert!(!remove.iter().any(|id| add.contains(id)), "somebody joins and leaves");
    Some(())
}

/// Somebody with something of everything.
fn jane() -> Map<String, Value> {
    let jane = json!({
        "userName": "jane", "active": true, "externalId": "00u1", "title": "T",
        "name": {"givenName": "Jane", "familyName": "Doe"},
        "emails": [{"value": "a@x", "type": "work", "primary": true}, {"value": "b@x", "type": "home"}],
        "roles": [{"value": "User"}],
        "own": {"list": ["a", "b"], "flag": true},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R", "manager": {"displayName": "M"}},
        "urn:example:own:2.0:User": {"badge": "7"},
    });
    jane.as_object().cloned().expect("an object")
}
