//! Whatever a body says, it is answered in SCIM's form, and never by a failure of ours.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::rig::{CORE_USER, ENTERPRISE, Rig};

fn any_key() -> impl Strategy<Value = String> {
    let known = [
        "userName",
        "active",
        "name",
        "givenName",
        "emails",
        "value",
        "type",
        "primary",
        "members",
        "displayName",
        "id",
        "meta",
        "groups",
        "schemas",
        "password",
        "Operations",
        "op",
        "path",
        "externalId",
        "roles",
        "manager",
    ];
    prop_oneof![
        8 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => Just(ENTERPRISE.to_owned()),
        1 => Just(format!("{CORE_USER}:active")),
        1 => "\\PC{0,8}",
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("")),
        Just(json!("False")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((any_key(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_operation() -> impl Strategy<Value = Value> {
    let path = prop_oneof![
        any_key(),
        (any_key(), any_key()).prop_map(|(one, other)| format!("{one}.{other}")),
        (any_key(), any_key(), any_key())
            .prop_map(|(one, two, three)| format!("{one}[{two} eq \"False\"].{three}")),
        (any_key(), any_key()).prop_map(|(one, two)| format!("{one}[{two} pr]")),
    ];
    let op = proptest::sample::select(vec!["add", "replace", "Remove"]);
    (op, proptest::option::of(path), any_json())
        .prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value}))
}

#[test]
fn it_is_answered() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (rig, user, group) = runtime.block_on(async {
        let rig = Rig::new().await;
        let user = rig.user("jane@corp.example").await;
        let group = rig.group("Engineering", &[&user]).await;
        (rig, user, group)
    });
    let operations = proptest::collection::vec(any_operation(), 0..4);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() });
    let outcome = runner.run(&(any_json(), operations, "\\PC{0,30}"), |(body, operations, text)| {
        let patch = json!({"Operations": operations});
        let requests = [
            ("POST", "/Users".to_owned(), body.to_string()),
            ("PUT", format!("/Users/{user}"), body.to_string()),
            ("PATCH", format!("/Users/{user}"), patch.to_string()),
            ("POST", "/Groups".to_owned(), body.to_string()),
            ("PUT", format!("/Groups/{group}"), body.to_string()),
            ("PATCH", format!("/Groups/{group}"), patch.to_string()),
            ("PATCH", format!("/Groups/{group}"), text),
        ];
        for (method, path, body) in requests {
            let mut request = rig.request(method, &path, None);
            *request.body_mut() = Bytes::from(body.clone());
            let reply = runtime.block_on(rig.send(request));
            prop_assert!(reply.status.as_u16() < 500, "{} {} {}: {}", method, path, body, reply.body);
            prop_assert!(reply.body["schemas"].is_array(), "{} {} {}: {}", method, path, body, reply.body);
            prop_assert!(!reply.body.as_object().unwrap().contains_key("password"));
        }
        // What was written can be read, and written again as it was read.
        let read = runtime.block_on(rig.get(&format!("/Users/{user}")));
        let again = runtime.block_on(rig.put(&format!("/Users/{user}"), read.clone()));
        prop_assert_eq!(read, again);
        Ok(())
    });
    outcome.unwrap();
}
