use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::filter::Filter;
use crate::limits::{MAX_PATCH_WORK, MAX_USER_PATCH_OPERATIONS, MAX_VALUES_PER_ATTRIBUTE};
use crate::schema::{USER, user_case_exact};

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn patched(document: &Value, listed: &Value) -> Result<Value, Rejection> {
    let mut document = map(document);
    let body = map(&json!({"schemas": [PATCH_URN], "Operations": listed}));
    let mut work = Work::new();
    for operation in operations(&body, MAX_USER_PATCH_OPERATIONS)? {
        apply(&mut document, &operation, &USER, user_case_exact, &mut work)?;
    }
    crate::clean::clean_resource(document, &USER).map(Value::Object)
}

fn scim_type(document: &Value, listed: &Value) -> &'static str {
    patched(document, listed).unwrap_err().scim_type().unwrap_or("none")
}

fn jane() -> Value {
    json!({
        "userName": "jane", "active": true,
        "name": {"givenName": "Jane", "familyName": "Doe"},
        "emails": [{"value": "a@x", "type": "work", "primary": true}, {"value": "b@x", "type": "home"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R", "division": "D"}
    })
}

const E: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[test]
fn what_stands_behind_the_urn_of_the_own_schema_is_no_other_schema() {
    let core = USER.core.urn;
    for path in [format!("{core}:active.{core}:active"), format!("{core}:badges:number")] {
        let listed = json!([{"op": "add", "path": path, "value": "x"}]);
        assert_eq!(scim_type(&jane(), &listed), "invalidPath", "{path}");
    }
    let listed = json!([{"op": "replace", "path": format!("{core}:name.givenName"), "value": "Janet"}]);
    assert_eq!(patched(&jane(), &listed).unwrap()["name"]["givenName"], "Janet");
}

#[test]
fn every_form_of_deactivation() {
    for operation in [
        json!({"op": "replace", "value": {"active": false}}),
        json!({"op": "Replace", "value": {"active": "False"}}),
        json!({"op": "REPLACE", "path": "active", "value": false}),
        json!({"op": "replace", "path": "active", "value": "False"}),
        json!({"op": "add", "path": "ACTIVE", "value": false}),
        json!({"op": "replace", "path": "", "value": {"ACTIVE": false, "id": "x", "meta": {}}}),
        json!({"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": false}),
        json!({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:User:active": "false"}}),
    ] {
        let after = patched(&jane(), &json!([operation])).unwrap();
        assert_eq!(after["active"], json!(false), "{operation}");
        assert_eq!(after["emails"], jane()["emails"], "{operation}");
    }
}

#[test]
fn effects() {
    let check = |operation: Value, pointer: &str, wanted: Value| {
        let after =
            patched(&jane(), &json!([operation])).unwrap_or_else(|error| panic!("{operation}: {error}"));
        assert_eq!(after.pointer(pointer).cloned().unwrap_or(Value::Null), wanted, "{operation}");
    };
    // Complex attributes are merged, sub-attributes set and removed.
    check(
        json!({"op": "replace", "path": "name", "value": {"givenName": "J"}}),
        "/name",
        json!({"givenName": "J", "familyName": "Doe"}),
    );
    check(json!({"op": "replace", "value": {"name": {"givenName": "J"}}}), "/name/familyName", json!("Doe"));
    check(
        json!({"op": "replace", "value": {"name.givenName": "J"}}),
        "/name",
        json!({"givenName": "J", "familyName": "Doe"}),
    );
    check(json!({"op": "replace", "path": "NAME.GIVENNAME", "value": "J"}), "/name/givenName", json!("J"));
    check(json!({"op": "remove", "path": "name.givenName"}), "/name", json!({"familyName": "Doe"}));
    check(json!({"op": "remove", "path": "name"}), "/name", Value::Null);
    check(json!({"op": "replace", "path": "title", "value": "T"}), "/title", json!("T"));
    check(json!({"op": "replace", "path": "title", "value": ""}), "/title", Value::Null);
    check(json!({"op": "replace", "path": "name.givenName", "value": null}), "/name/givenName", Value::Null);
    // Multi-valued: union, replacement, choice by filter.
    check(
        json!({"op": "add", "path": "emails", "value": [{"value": "b@x", "type": "home"}, {"value": "c@x"}]}),
        "/emails/2",
        json!({"value": "c@x"}),
    );
    check(
        json!({"op": "add", "path": "emails", "value": {"value": "c@x", "primary": "True"}}),
        "/emails/0/primary",
        json!(false),
    );
    check(
        json!({"op": "replace", "path": "emails", "value": [{"value": "c@x"}]}),
        "/emails",
        json!([{"value": "c@x"}]),
    );
    check(json!({"op": "replace", "path": "emails", "value": []}), "/emails", Value::Null);
    check(
        json!({"op": "replace", "path": "emails[type eq \"home\"].value", "value": "n@x"}),
        "/emails/1/value",
        json!("n@x"),
    );
    check(
        json!({"op": "replace", "path": "emails[type eq \"home\"]", "value": {"value": "n@x"}}),
        "/emails/1",
        json!({"value": "n@x"}),
    );
    check(
        json!({"op": "add", "path": "emails[type eq \"home\"]", "value": {"primary": true}}),
        "/emails/0/primary",
        json!(false),
    );
    check(
        json!({"op": "add", "path": "emails[type eq \"other\"].value", "value": "n@x"}),
        "/emails/2",
        json!({"type": "other", "value": "n@x"}),
    );
    check(
        json!({"op": "remove", "path": "emails[value eq \"A@X\"]"}),
        "/emails",
        json!([{"value": "b@x", "type": "home"}]),
    );
    check(
        json!({"op": "remove", "path": "emails[type eq \"home\"].type"}),
        "/emails/1",
        json!({"value": "b@x"}),
    );
    check(json!({"op": "remove", "path": "emails[type eq \"none\"]"}), "/emails", jane()["emails"].clone());
    check(
        json!({"op": "remove", "path": "emails", "value": [{"value": "a@x"}]}),
        "/emails",
        json!([{"value": "b@x", "type": "home"}]),
    );
    check(json!({"op": "remove", "path": "emails.type"}), "/emails/1", json!({"value": "b@x"}));
    check(json!({"op": "add", "path": "roles", "value": ["admin"]}), "/roles", json!([{"value": "admin"}]));
    // Extensions, known and unknown, whole and by attribute.
    check(
        json!({"op": "replace", "path": format!("{E}:department"), "value": "S"}),
        &format!("/{E}/department"),
        json!("S"),
    );
    check(
        json!({"op": "add", "path": format!("{E}:manager.displayName"), "value": "B"}),
        &format!("/{E}/manager"),
        json!({"displayName": "B"}),
    );
    check(
        json!({"op": "replace", "value": {E: {"department": "S"}}}),
        &format!("/{E}"),
        json!({"department": "S", "division": "D"}),
    );
    check(
        json!({"op": "replace", "value": {format!("{E}:department"): "S"}}),
        &format!("/{E}/division"),
        json!("D"),
    );
    check(json!({"op": "remove", "path": E}), &format!("/{E}"), Value::Null);
    check(json!({"op": "remove", "path": "urn:x:none:2.0:User:a"}), "/urn:x:none:2.0:User", Value::Null);
    check(
        json!({"op": "add", "path": "urn:x:own:2.0:User:a", "value": 1}),
        "/urn:x:own:2.0:User",
        json!({"a": 1}),
    );
    check(
        json!({"op": "add", "path": "urn:x:own:2.0:User", "value": {"a": 1}}),
        "/urn:x:own:2.0:User",
        json!({"a": 1}),
    );
    // What the schema does not know is kept as it came.
    check(json!({"op": "add", "path": "shoe", "value": 43}), "/shoe", json!(43));
    check(json!({"op": "add", "path": "password", "value": "p"}), "/password", Value::Null);
    check(json!({"op": "add", "value": {"password": "p"}}), "/password", Value::Null);
}

#[test]
fn refusals() {
    for (operation, wanted) in [
        (json!({"op": "replace", "path": "id", "value": "x"}), "mutability"),
        (json!({"op": "remove", "path": "groups"}), "mutability"),
        (json!({"op": "remove", "path": "userName"}), "mutability"),
        (json!({"op": "replace", "path": "userName", "value": ""}), "mutability"),
        (json!({"op": "replace", "path": "meta.version", "value": "x"}), "mutability"),
        (json!({"op": "remove"}), "noTarget"),
        (json!({"op": "replace", "path": "emails[type eq \"none\"].value", "value": "x"}), "noTarget"),
        (json!({"op": "add", "path": "emails[value co \"none\"].type", "value": "x"}), "noTarget"),
        (json!({"op": "replace", "path": "phoneNumbers.type", "value": "x"}), "noTarget"),
        (json!({"op": "replace", "path": "emails[type", "value": "x"}), "invalidPath"),
        (json!({"op": "replace", "path": "a b", "value": "x"}), "invalidPath"),
        (json!({"op": "replace", "value": {"a:b": 1}}), "invalidPath"),
        (json!({"op": "replace", "path": "active", "value": "maybe"}), "invalidValue"),
        (json!({"op": "replace", "path": "name", "value": "x"}), "invalidValue"),
        (json!({"op": "replace", "value": "x"}), "invalidValue"),
        (json!({"op": "replace", "path": "title"}), "invalidValue"),
        (json!({"op": "move", "path": "title"}), "invalidSyntax"),
        (json!({"path": "title"}), "invalidSyntax"),
        (json!({"op": "add", "path": 1, "value": 1}), "invalidSyntax"),
        (json!("x"), "invalidSyntax"),
    ] {
        assert_eq!(scim_type(&jane(), &json!([operation])), wanted, "{operation}");
    }
    assert!(matches!(operations(&Map::new(), 1), Err(Rejection::InvalidSyntax(_))));
}

#[test]
fn limits_hold_just_over_them() {
    let removal = json!({"op": "remove", "path": "title"});
    assert!(patched(&jane(), &json!(vec![removal.clone(); MAX_USER_PATCH_OPERATIONS])).is_ok());
    let over = patched(&jane(), &json!(vec![removal; MAX_USER_PATCH_OPERATIONS + 1]));
    assert!(matches!(over, Err(Rejection::TooManyOperations { .. })));

    let values = |count: usize| (0..count).map(|n| json!({"value": n.to_string()})).collect::<Vec<_>>();
    let most = MAX_VALUES_PER_ATTRIBUTE;
    let add = |count: usize| json!([{"op": "add", "path": "ims", "value": values(count)}]);
    let full = patched(&jane(), &add(most)).unwrap();
    assert_eq!(scim_type(&jane(), &add(most + 1)), "invalidValue");
    assert_eq!(
        scim_type(&full, &json!([{"op": "add", "path": "ims", "value": [{"value": "x"}]}])),
        "invalidValue"
    );
    assert!(patched(&full, &json!([{"op": "add", "path": "ims", "value": [{"value": "7"}]}])).is_ok());
}

/// A PATCH runs on the only writer: whatever its shape, what it looks at is bounded.
#[test]
fn work_is_bounded_in_every_shape() {
    let mut full = jane();
    full["ims"] =
        (0..MAX_VALUES_PER_ATTRIBUTE).map(|n| json!({"value": n.to_string(), "type": "x"})).collect();
    // Each value has three places, the list one; a term walks it once, and who is primary is looked for once.
    let per_operation = 2 * (3 * MAX_VALUES_PER_ATTRIBUTE + 1);
    let retype = json!({"op": "replace", "path": "ims[value eq \"0\"].type", "value": "y"});
    let many = |operation: &Value, count: usize| json!(vec![operation.clone(); count]);
    assert!(patched(&full, &many(&retype, MAX_PATCH_WORK / per_operation / 2)).is_ok());
    assert_eq!(scim_type(&full, &many(&retype, MAX_PATCH_WORK / per_operation + 1)), "tooMany");

    let or = |term: &str, count: usize| vec![term; count].join(" or ");
    let keys = |prefix: &str, count: usize| -> Map<String, Value> {
        (0..count).map(|n| (format!("{prefix}{n}"), json!("x"))).collect()
    };
    let unset: Map<String, Value> =
        keys("own", 3_000).into_iter().map(|(key, _)| (key, Value::Null)).collect();
    let mut wide = jane();
    wide.as_object_mut().unwrap().extend(keys("own", 3_000));
    wide["name"] = json!(keys("part", 3_000));
    wide["ims"] = json!([keys("part", 3_000)]);
    let shapes = [
        (&full, json!({"op": "remove", "path": format!("ims[{}]", or("value eq \"none\"", 100))}), 10),
        (&full, json!({"op": "remove", "path": format!("ims[value eq \"{}\"]", "x".repeat(8_000))}), 10),
        (&full, json!({"op": "add", "path": "ims", "value": [{"value": "0", "type": "x"}]}), 999),
        (&full, json!({"op": "remove", "path": "ims", "value": [{"value": "none"}]}), 999),
        (&full, json!({"op": "remove", "path": "ims.display"}), 999),
        (&full, json!({"op": "replace", "path": "ims.type", "value": "y"}), 999),
        (&full, json!({"op": "replace", "path": "ims[type eq \"x\"].type", "value": "x"}), 999),
        (&full, json!({"op": "replace", "path": "ims[type pr]", "value": {"type": "x".repeat(200_000)}}), 1),
        (&full, json!({"op": "replace", "path": "ims.type", "value": "x".repeat(200_000)}), 1),
        (&wide, json!({"op": "add", "value": keys("other", 3_000)}), 1),
        (&wide, json!({"op": "replace", "value": unset}), 1),
        (&wide, json!({"op": "replace", "path": "NAME", "value": keys("other", 3_000)}), 1),
        (&wide, json!({"op": "remove", "path": "name.none"}), 999),
        (&wide, json!({"op": "remove", "path": "ims[none eq \"x\"]"}), 999),
        (&wide, json!({"op": "add", "path": "ims[part0 pr]", "value": keys("other", 3_000)}), 1),
        (&jane(), json!({"op": "add", "value": {E: keys("other", 3_000)}}), 1),
    ];
    for (document, operation, count) in shapes {
        let over = patched(document, &many(&operation, count));
        let shown = operation.to_string().chars().take(80).collect::<String>();
        assert!(matches!(over, Err(Rejection::TooMuchWork)), "{shown}: {over:?}");
    }
}

/// The model: e-mails as a plain map from address to type.
#[derive(Debug, Clone)]
enum Step {
    Add(u8, u8),
    Retype(u8, u8),
    Remove(u8),
    RemoveType(u8),
    ReplaceAll(Vec<(u8, u8)>),
}

fn any_step() -> impl Strategy<Value = Step> {
    let pair = (0..6u8, 0..3u8);
    prop_oneof![
        4 => pair.clone().prop_map(|(address, kind)| Step::Add(address, kind)),
        2 => pair.clone().prop_map(|(address, kind)| Step::Retype(address, kind)),
        2 => (0..6u8).prop_map(Step::Remove),
        1 => (0..3u8).prop_map(Step::RemoveType),
        1 => proptest::collection::vec(pair, 0..4).prop_map(Step::ReplaceAll),
    ]
}

fn as_operation(step: &Step) -> Value {
    let element =
        |address: u8, kind: u8| json!({"value": format!("{address}@x"), "type": format!("t{kind}")});
    match step {
        Step::Add(address, kind) => {
            json!({"op": "add", "path": "emails", "value": [element(*address, *kind)]})
        }
        Step::Retype(address, kind) => {
            json!({"op": "replace", "path": format!("emails[value eq \"{address}@x\"].type"), "value": format!("t{kind}")})
        }
        Step::Remove(address) => json!({"op": "remove", "path": format!("emails[value eq \"{address}@X\"]")}),
        Step::RemoveType(kind) => json!({"op": "Remove", "path": format!("emails[type eq \"t{kind}\"]")}),
        Step::ReplaceAll(pairs) => {
            let all: Vec<_> = pairs.iter().map(|(address, kind)| element(*address, *kind)).collect();
            json!({"op": "replace", "value": {"emails": all}})
        }
    }
}

/// The same on a list of pairs; false where the protocol says `noTarget`.
fn model(pairs: &mut Vec<(u8, u8)>, step: &Step) -> bool {
    match step {
        Step::Add(address, kind) => {
            if !pairs.contains(&(*address, *kind)) {
                pairs.push((*address, *kind));
            }
        }
        Step::Retype(address, kind) => {
            let mut found = false;
            for pair in pairs.iter_mut().filter(|pair| pair.0 == *address) {
                pair.1 = *kind;
                found = true;
            }
            return found;
        }
        Step::Remove(address) => pairs.retain(|pair| pair.0 != *address),
        Step::RemoveType(kind) => pairs.retain(|pair| pair.1 != *kind),
        Step::ReplaceAll(all) => pairs.clone_from(all),
    }
    true
}

proptest! {
    #[test]
    fn patch_then_filter_agrees_with_the_model(steps in proptest::collection::vec(any_step(), 0..12)) {
        let mut document = json!({"userName": "u"});
        let mut pairs = Vec::new();
        for step in &steps {
            let before = pairs.clone();
            let done = model(&mut pairs, step);
            match patched(&document, &json!([as_operation(step)])) {
                Ok(after) => {
                    prop_assert!(done, "{:?} should have been refused", step);
                    document = after;
                }
                Err(error) => {
                    prop_assert!(!done, "{:?}: {}", step, error);
                    pairs = before;
                }
            }
        }
        let counted = pairs.iter().fold(BTreeMap::new(), |mut counts: BTreeMap<_, usize>, pair| {
            *counts.entry(*pair).or_default() += 1;
            counts
        });
        for address in 0..6u8 {
            for kind in 0..3u8 {
                let text = format!("emails[value eq \"{address}@x\" and type eq \"t{kind}\"]");
                let filter: Filter = text.parse().unwrap();
                let found = filter.matches(&map(&document), user_case_exact);
                prop_assert_eq!(found, counted.contains_key(&(address, kind)), "{}", text);
            }
        }
        prop_assert_eq!(document["emails"].as_array().map_or(0, Vec::len), pairs.len());
    }

    #[test]
    fn any_operation_is_done_or_refused(path in "\\PC{0,24}", op in 0..3usize, text in "\\PC{0,8}") {
        let op = ["add", "replace", "remove"][op];
        let _ = patched(&jane(), &json!([{"op": op, "path": path.clone(), "value": text.clone()}]));
        let _ = patched(&jane(), &json!([{"op": op, "value": {path: text}}]));
    }
}
