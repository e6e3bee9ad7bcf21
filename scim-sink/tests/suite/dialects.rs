//! Both of Okta's dialects, played in Okta's order: the wizard's, which only GETs and PUTs, and the catalogue's, which PATCHes.

use serde_json::{Value, json};

use crate::rig::{CORE_GROUP, CORE_USER, ENTERPRISE, Rig, user_body};

/// What Okta does before it creates or links anybody.
async fn find_user(rig: &Rig, user_name: &str) -> Vec<Value> {
    let path = format!("/Users?filter=userName eq \"{user_name}\"&startIndex=1&count=100");
    rig.get(&path).await["Resources"].as_array().unwrap().clone()
}

/// GET, merge the mapped attributes over it, PUT: everything of ours comes back.
async fn get_and_put(rig: &Rig, id: &str, changes: Value) -> Value {
    let mut body = rig.get(&format!("/Users/{id}")).await;
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    rig.put(&format!("/Users/{id}"), body).await
}

#[tokio::test]
async fn the_wizard_dialect() {
    let rig = Rig::new().await;
    // Test connection, with groups.
    assert_eq!(rig.get("/Users?startIndex=1&count=2").await["totalResults"], 0);
    assert_eq!(rig.get("/Groups?startIndex=1&count=100").await["totalResults"], 0);

    // Assign.
    assert!(find_user(&rig, "jane@corp.example").await.is_empty());
    let created = rig.call("POST", "/Users", Some(user_body("jane@corp.example"))).await;
    let location = created.headers["location"].to_str().unwrap().to_owned();
    let created = created.expect(201);
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(created["meta"]["location"], json!(location));
    assert_eq!(location, format!("{}/Users/{id}", crate::rig::BASE));
    assert_eq!(created["meta"]["resourceType"], "User");
    assert_eq!(created["externalId"], "00u-jane@corp.example");
    assert!(created.get("password").is_none());
    assert!(created["meta"]["version"].as_str().unwrap().starts_with("W/\""));

    // Push a group, so that `groups` comes back in the user's PUT.
    let by_name = "/Groups?filter=displayName eq \"Engineering\"&startIndex=1&count=100";
    assert_eq!(rig.get(by_name).await["totalResults"], 0);
    let group = rig.group("Engineering", &[]).await;
    assert_eq!(rig.get(&format!("/Groups/{group}")).await["members"], json!([]));
    let whole = json!({"schemas": [CORE_GROUP], "displayName": "Engineering",
        "members": [{"value": id, "display": "jane@corp.example"}]});
    rig.put(&format!("/Groups/{group}"), whole).await;
    assert_eq!(rig.members(&group).await, std::slice::from_ref(&id));
    assert_eq!(rig.get(by_name).await["Resources"][0]["id"], json!(group));

    // Profile change.
    let before = rig.get(&format!("/Users/{id}")).await;
    assert_eq!(before["groups"][0]["display"], "Engineering");
    let changed = get_and_put(
        &rig,
        &id,
        json!({"name": {"givenName": "Janet", "familyName": "Doe"}, "nickName": "", "title": null,
            "schemas": [CORE_USER, ENTERPRISE], ENTERPRISE: {"department": "R&D", "manager": {"displayName": "Boss"}}}),
    )
    .await;
    assert_eq!(changed["id"], json!(id));
    assert_eq!(changed["name"]["givenName"], "Janet");
    assert_eq!(changed[ENTERPRISE]["manager"], json!({"displayName": "Boss"}));
    assert_eq!(changed["schemas"], json!([CORE_USER, ENTERPRISE]));
    assert_eq!(changed["groups"], before["groups"]);
    assert_eq!(changed["emails"], before["emails"]);
    assert!(changed.get("nickName").is_none() && changed.get("title").is_none());
    assert_ne!(changed["meta"]["version"], before["meta"]["version"]);
    assert_eq!(changed["meta"]["created"], before["meta"]["created"]);

    // Unassign, find again, reassign: the same id, and inactive people are found.
    assert_eq!(get_and_put(&rig, &id, json!({"active": false})).await["active"], json!(false));
    let found = find_user(&rig, "JANE@corp.example").await;
    assert_eq!((found.len(), &found[0]["id"], &found[0]["active"]), (1, &json!(id), &json!(false)));
    assert_eq!(
        get_and_put(&rig, &id, json!({"active": true, "password": "again"})).await["active"],
        json!(true)
    );

    // Rename the group, unlink and delete it; the person stays.
    let mut renamed = rig.get(&format!("/Groups/{group}")).await;
    renamed["displayName"] = json!("Engineers");
    assert_eq!(rig.put(&format!("/Groups/{group}"), renamed).await["displayName"], "Engineers");
    assert_eq!(rig.members(&group).await, std::slice::from_ref(&id));
    rig.call("DELETE", &format!("/Groups/{group}"), None).await.expect(204);
    rig.call("GET", &format!("/Groups/{group}"), None).await.expect_error(404, None);
    assert!(rig.get(&format!("/Users/{id}")).await.get("groups").is_none());
}

#[tokio::test]
async fn the_catalogue_dialect() {
    let rig = Rig::new().await;
    let id = rig.user("jane@corp.example").await;
    let path = format!("/Users/{id}");
    let patched = rig.patch(&path, json!([{"op": "replace", "value": {"active": false}}])).await;
    assert_eq!(patched["active"], json!(false));
    assert_eq!(patched["emails"][0]["value"], "jane@corp.example");
    let patched =
        rig.patch(&path, json!([{"op": "replace", "value": {"active": true, "password": "again"}}])).await;
    assert_eq!(patched["active"], json!(true));
    assert!(patched.get("password").is_none());

    let other = rig.user("john@corp.example").await;
    let group = rig.group("Engineering", &[]).await;
    let path = format!("/Groups/{group}");
    // A rename is sent with every membership update.
    let rename = json!({"op": "replace", "value": {"id": group, "displayName": "Engineers"}});
    let add =
        json!({"op": "add", "path": "members", "value": [{"value": id, "display": "jane@corp.example"}]});
    let after = rig.patch(&path, json!([rename, add])).await;
    assert_eq!((&after["displayName"], &after["id"]), (&json!("Engineers"), &json!(group)));
    assert_eq!(rig.members(&group).await, std::slice::from_ref(&id));

    let swap = json!([
        {"op": "remove", "path": format!("members[value eq \"{id}\"]")},
        {"op": "add", "path": "members", "value": [{"value": other, "display": "john@corp.example"}]},
    ]);
    rig.patch(&path, swap.clone()).await;
    assert_eq!(rig.members(&group).await, std::slice::from_ref(&other));
    // Repeats are sent after a lost answer.
    rig.patch(&path, swap).await;
    assert_eq!(rig.members(&group).await, std::slice::from_ref(&other));

    // "Push now" overwrites, also with nobody.
    rig.patch(&path, json!([{"op": "replace", "path": "members", "value": [{"value": id}]}])).await;
    assert_eq!(rig.members(&group).await, std::slice::from_ref(&id));
    rig.patch(&path, json!([{"op": "replace", "path": "members", "value": []}])).await;
    assert!(rig.members(&group).await.is_empty());
    assert!(rig.get(&format!("/Users/{id}")).await.get("groups").is_none());
}

#[tokio::test]
async fn import_pages_are_stable_and_complete() {
    let rig = Rig::new().await;
    let mut created = Vec::new();
    for number in 0..25 {
        created.push(rig.user(&format!("u{number}@corp.example")).await);
    }
    rig.patch(&format!("/Users/{}", created[3]), json!([{"op": "replace", "value": {"active": false}}]))
        .await;
    let mut seen = Vec::new();
    let mut start = 1;
    loop {
        let page = rig.get(&format!("/Users?startIndex={start}&count=10")).await;
        let resources = page["Resources"].as_array().unwrap().clone();
        assert_eq!(page["totalResults"], 25);
        assert_eq!(page["startIndex"], json!(start));
        assert_eq!(page["itemsPerPage"], json!(resources.len()));
        if resources.is_empty() {
            break;
        }
        start += resources.len();
        seen.extend(resources.into_iter().map(|user| user["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, created);
}
