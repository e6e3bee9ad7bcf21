//! Members of groups in every form of PATCH and PUT, and the traps that others fell into.

use serde_json::{Value, json};

use crate::rig::{CORE_GROUP, Rig};

async fn rig_with_group() -> (Rig, String, [String; 3]) {
    let rig = Rig::new().await;
    let people = [rig.user("a@x").await, rig.user("b@x").await, rig.user("c@x").await];
    let group = rig.group("Engineering", &[&people[0], &people[1]]).await;
    (rig, group, people)
}

fn sorted(ids: &[&String]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn every_member_operation() {
    let (rig, group, [a, b, c]) = rig_with_group().await;
    let path = format!("/Groups/{group}");
    let core = format!("{CORE_GROUP}:members");
    let cases: Vec<(Value, Vec<&String>)> = vec![
        (json!([{"op": "add", "path": "members", "value": [{"value": c}, {"value": a}]}]), vec![&a, &b, &c]),
        (json!([{"op": "Add", "path": "MEMBERS", "value": {"value": c}}]), vec![&a, &b, &c]),
        (json!([{"op": "add", "value": {"members": [{"value": c}]}}]), vec![&a, &b, &c]),
        (json!([{"op": "add", "path": core, "value": [{"value": c}]}]), vec![&a, &b, &c]),
        (json!([{"op": "remove", "path": format!("members[value eq \"{a}\"]")}]), vec![&b]),
        (json!([{"op": "REMOVE", "path": format!("members[Value EQ \"{a}\" or value eq \"{b}\"]")}]), vec![]),
        (json!([{"op": "remove", "path": "members", "value": [{"value": a}]}]), vec![&b]),
        (json!([{"op": "remove", "path": "members"}]), vec![]),
        (json!([{"op": "remove", "path": format!("members[value eq \"{c}\"]")}]), vec![&a, &b]),
        (json!([{"op": "remove", "path": "members[value eq \"nobody\"]"}]), vec![&a, &b]),
        (json!([{"op": "replace", "path": "members", "value": [{"value": c}]}]), vec![&c]),
        (json!([{"op": "replace", "path": "members", "value": []}]), vec![]),
        (
            json!([{"op": "replace", "path": format!("members[value eq \"{a}\"]"), "value": {"value": c}}]),
            vec![&b, &c],
        ),
        (json!([{"op": "replace", "value": {"members": [{"value": c}]}}]), vec![&c]),
        (json!([{"op": "replace", "value": {"members": []}}]), vec![]),
        (json!([{"op": "replace", "value": {"displayName": "Other"}}]), vec![&a, &b]),
        // RFC 7643 section 2.5: null is the empty list, and adding that adds nobody.
        (json!([{"op": "replace", "value": {"displayName": "Other", "members": null}}]), vec![]),
        (json!([{"op": "replace", "path": "members", "value": null}]), vec![]),
        (json!([{"op": "replace", "value": {format!("{CORE_GROUP}:members"): null}}]), vec![]),
        (json!([{"op": "add", "value": {"members": null}}]), vec![&a, &b]),
        // In their order.
        (
            json!([{"op": "remove", "path": "members"}, {"op": "add", "path": "members", "value": [{"value": b}]}]),
            vec![&b],
        ),
        (
            json!([
                {"op": "add", "path": "members", "value": [{"value": c}]},
                {"op": "remove", "path": format!("members[value eq \"{c}\"]")},
            ]),
            vec![&a, &b],
        ),
        (
            json!([
                {"op": "remove", "path": format!("members[value eq \"{a}\"]")},
                {"op": "add", "path": "members", "value": [{"value": a}, {"value": a}]},
            ]),
            vec![&a, &b],
        ),
    ];
    for (operations, wanted) in cases {
        rig.patch(
            &path,
            json!([{"op": "replace", "path": "members", "value": [{"value": a}, {"value": b}]}]),
        )
        .await;
        rig.patch(&path, operations.clone()).await;
        assert_eq!(rig.members(&group).await, sorted(&wanted), "{operations}");
    }
}

#[tokio::test]
async fn a_rename_keeps_id_members_and_unknown_attributes() {
    let (rig, group, [a, b, _]) = rig_with_group().await;
    let path = format!("/Groups/{group}");
    rig.patch(&path, json!([{"op": "add", "path": "urn:corp:own:2.0:Group:floor", "value": 3}])).await;
    let operation = json!([{"op": "replace", "value": {"id": group, "displayName": "Builders"}}]);
    let renamed = rig.patch(&path, operation).await;
    assert_eq!((&renamed["id"], &renamed["displayName"]), (&json!(group), &json!("Builders")));
    assert_eq!(renamed["urn:corp:own:2.0:Group"], json!({"floor": 3}));
    assert_eq!(rig.members(&group).await, sorted(&[&a, &b]));
    // A PUT that says nothing about members is a rename too.
    rig.put(&path, json!({"schemas": [CORE_GROUP], "displayName": "Makers"})).await;
    assert_eq!(rig.members(&group).await, sorted(&[&a, &b]));
    rig.put(&path, json!({"schemas": [CORE_GROUP], "displayName": "Makers", "members": []})).await;
    assert!(rig.members(&group).await.is_empty());
}

#[tokio::test]
async fn names_are_unique_in_a_directory() {
    let (rig, group, _) = rig_with_group().await;
    let again = json!({"schemas": [CORE_GROUP], "displayName": "ENGINEERING"});
    rig.call("POST", "/Groups", Some(again)).await.expect_error(409, Some("uniqueness"));
    let second = rig.group("Sales", &[]).await;
    let rename = json!([{"op": "replace", "value": {"displayName": "engineering"}}]);
    rig.patch_reply(&format!("/Groups/{second}"), rename).await.expect_error(409, Some("uniqueness"));
    // Its own name in another spelling is no conflict.
    let own = json!([{"op": "replace", "value": {"displayName": "ENGINEERING"}}]);
    rig.patch(&format!("/Groups/{group}"), own).await;
}

#[tokio::test]
async fn a_whole_group_says_who_is_in_it_or_says_nothing() {
    let (rig, group, [a, b, _]) = rig_with_group().await;
    let path = format!("/Groups/{group}");
    let silent = json!({"schemas": [CORE_GROUP], "displayName": "Renamed"});
    rig.put(&path, silent.clone()).await;
    assert_eq!(rig.members(&group).await, sorted(&[&a, &b]));
    let mut null = silent;
    null["members"] = Value::Null;
    rig.put(&path, null.clone()).await;
    assert!(rig.members(&group).await.is_empty(), "null is the empty list");
    null["displayName"] = json!("Another");
    let created = rig.post("/Groups", null).await;
    assert_eq!(created["members"], json!([]));
}

#[tokio::test]
async fn a_patch_is_all_or_nothing() {
    let (rig, group, [a, b, c]) = rig_with_group().await;
    let path = format!("/Groups/{group}");
    let before = rig.get(&path).await;
    for bad in [
        json!({"op": "add", "path": "members", "value": [{"value": "nobody"}]}),
        json!({"op": "add", "path": "members", "value": [{"display": "no id"}]}),
        json!({"op": "remove", "path": "displayName"}),
        json!({"op": "replace", "path": "members[display eq \"x\"].value", "value": "x"}),
        json!({"op": "remove", "path": "members[display eq \"x\"]"}),
        json!({"op": "replace", "path": "id", "value": "x"}),
    ] {
        let operations = json!([
            {"op": "add", "path": "members", "value": [{"value": c}]},
            {"op": "remove", "path": format!("members[value eq \"{a}\"]")},
            {"op": "replace", "value": {"displayName": "Changed"}},
            bad,
        ]);
        let reply = rig.patch_reply(&path, operations).await;
        assert_eq!(reply.status, 400, "{bad}: {}", reply.body);
        assert_eq!(rig.get(&path).await, before, "{bad}");
    }
    assert_eq!(rig.members(&group).await, sorted(&[&a, &b]));
}

#[tokio::test]
async fn unknown_members_are_named() {
    let rig = Rig::new().await;
    let body = json!({"schemas": [CORE_GROUP], "displayName": "G", "members": [{"value": "nobody-1"}]});
    let error = rig.call("POST", "/Groups", Some(body)).await.expect_error(400, Some("invalidValue"));
    assert!(error["detail"].as_str().unwrap().contains("nobody-1"));
    assert_eq!(rig.get("/Groups").await["totalResults"], 0);
    // A person of another directory is nobody here, and a group is no person.
    let group = rig.group("H", &[]).await;
    let nested = json!([{"op": "add", "path": "members", "value": [{"value": group, "type": "Group"}]}]);
    rig.patch_reply(&format!("/Groups/{group}"), nested).await.expect_error(400, Some("invalidValue"));
}

#[tokio::test]
async fn members_can_be_left_out_of_a_listing() {
    let (rig, group, [a, _, _]) = rig_with_group().await;
    let by_name = "/Groups?filter=displayName eq \"engineering\"";
    let listed = rig.get(&format!("{by_name}&excludedAttributes=members")).await;
    assert_eq!(listed["Resources"][0]["id"], json!(group));
    assert!(listed["Resources"][0].get("members").is_none());
    let listed = rig.get(by_name).await;
    let member = &listed["Resources"][0]["members"][0];
    assert_eq!(member["value"], json!(a));
    assert_eq!(member["$ref"], json!(format!("{}/Users/{a}", crate::rig::BASE)));
    // RFC 7643 section 7: what is `returned` on `request` comes with `attributes` alone.
    assert!(member.get("display").is_none() && member.get("type").is_none(), "{member}");
    let asked = rig.get(&format!("{by_name}&attributes=members")).await;
    let member = &asked["Resources"][0]["members"][0];
    assert_eq!((&member["value"], &member["type"]), (&json!(a), &json!("User")));
    assert!(member["display"].is_string(), "{member}");
    let found = rig.get(&format!("/Groups?filter=members.value eq \"{a}\"&excludedAttributes=members")).await;
    assert_eq!(found["totalResults"], 1);
    let none = rig.get("/Groups?filter=members[value eq \"nobody\"]").await;
    assert_eq!(none["totalResults"], 0);
}
