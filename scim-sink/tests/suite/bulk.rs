//! Many writes in one request (RFC 7644 section 3.7).

use std::sync::atomic::{AtomicI64, Ordering};

use portcullis_scim_sink::limits::MAX_BULK_OPERATIONS;
use portcullis_store::PersonLookup;
use serde_json::{Value, json};

use crate::rig::{BASE, CORE_GROUP, CORE_USER, ENTERPRISE, ERROR, NOW, PATCH_OP, Reply, Rig, user_body};

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

async fn reply(rig: &Rig, operations: &Value, fail_on_errors: Option<u64>) -> Reply {
    let body = json!({"schemas": [REQUEST], "failOnErrors": fail_on_errors, "Operations": operations});
    rig.call("POST", "/Bulk", Some(body)).await
}

async fn bulk(rig: &Rig, operations: Value) -> Vec<Value> {
    let answer = reply(rig, &operations, None).await.expect(200);
    assert_eq!(answer["schemas"], json!([RESPONSE]));
    answer["Operations"].as_array().unwrap().clone()
}

fn statuses(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["status"].as_str().unwrap()).collect()
}

fn new_user(bulk_id: &str, name: &str) -> Value {
    json!({"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": user_body(name)})
}

fn id_of(result: &Value) -> String {
    result["location"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned()
}

#[tokio::test]
async fn every_kind_of_write_is_done_and_told_as_if_it_came_alone() {
    let rig = Rig::new().await;
    let jane = rig.user("jane@corp.example").await;
    let gone = rig.user("gone@corp.example").await;
    let replaced = json!({"schemas": [CORE_USER], "userName": "jane@corp.example", "title": "Dr."});
    let results = bulk(
        &rig,
        json!([
            {"method": "PUT", "path": format!("/Users/{jane}"), "data": replaced},
            {"method": "PATCH", "path": format!("/Users/{jane}"), "version": "W/\"2\"",
             "data": {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": false}]}},
            {"method": "PATCH", "path": format!("/Users/{jane}"), "version": "W/\"2\"",
             "data": {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": true}]}},
            {"method": "DELETE", "path": format!("/Users/{gone}")},
            {"method": "DELETE", "path": format!("/Users/{gone}")},
            new_user("again", "JANE@corp.example"),
            {"method": "POST", "path": "/Bulk", "data": {}},
            {"method": "PUT", "path": "/Users", "data": {}},
            {"method": "POST", "path": "/.search", "data": {}},
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["200", "200", "412", "204", "404", "409", "404", "405", "404"]);
    assert_eq!(results[1]["version"], "W/\"3\"");
    assert_eq!(results[0]["location"], json!(format!("{BASE}/Users/{jane}")));
    assert_eq!(results[4]["location"], json!(format!("{BASE}/Users/{gone}")));
    assert_eq!(results[5]["response"]["scimType"], "uniqueness");
    assert_eq!((results[5].get("location"), &results[5]["bulkId"]), (None, &json!("again")));
    assert!(results[0].get("response").is_none());
    let shown = rig.get(&format!("/Users/{jane}")).await;
    assert_eq!((&shown["active"], &shown["title"]), (&json!(false), &json!("Dr.")));
}

#[tokio::test]
async fn operations_refer_to_what_others_make_whatever_their_order() {
    let rig = Rig::new().await;
    let results = bulk(
        &rig,
        json!([
            {"method": "POST", "path": "/Groups", "bulkId": "team", "data": {
                "schemas": [CORE_GROUP], "displayName": "Team",
                "members": [{"value": "bulkId:jane"}, {"value": "bulkId:john"}]}},
            new_user("jane", "jane@corp.example"),
            new_user("john", "john@corp.example"),
            {"method": "PATCH", "path": "/Groups/bulkId:team", "data": {"schemas": [PATCH_OP], "Operations": [
                {"op": "remove", "path": "members", "value": [{"value": "bulkId:john"}]}]}},
            {"method": "POST", "path": "/Groups", "bulkId": "none", "data": {
                "schemas": [CORE_GROUP], "displayName": "None", "members": [{"value": "bulkId:nobody"}]}},
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["201", "201", "201", "200", "409"]);
    assert_eq!(rig.members(&id_of(&results[0])).await, [id_of(&results[1])]);
    assert_eq!(results[3]["location"], results[0]["location"]);
    assert_eq!(rig.get("/Groups").await["totalResults"], 1);
}

#[tokio::test]
async fn people_who_manage_each_other_are_made_and_then_completed() {
    let rig = Rig::new().await;
    let managed_by = |name: &str, manager: &str| {
        let mut body = user_body(name);
        body[ENTERPRISE] = json!({"department": "R", "manager": {"value": format!("bulkId:{manager}")}});
        json!({"method": "POST", "path": "/Users", "bulkId": name, "data": body})
    };
    let results = bulk(&rig, json!([managed_by("a@x", "b@x"), managed_by("b@x", "a@x")])).await;
    assert_eq!(statuses(&results), ["201", "201"]);
    let (a, b) = (id_of(&results[0]), id_of(&results[1]));
    let manager = |user: Value| user[ENTERPRISE]["manager"]["value"].as_str().unwrap().to_owned();
    let shown = rig.get(&format!("/Users/{b}")).await;
    assert_eq!(results[1]["version"], shown["meta"]["version"]);
    assert_eq!(shown[ENTERPRISE]["department"], "R");
    assert_eq!((manager(rig.get(&format!("/Users/{a}")).await), manager(shown)), (b, a));
}

#[tokio::test]
async fn too_many_failures_leave_the_rest_undone() {
    let rig = Rig::new().await;
    rig.user("taken@x").await;
    let operations = json!([
        new_user("one", "one@x"),
        new_user("two", "taken@x"),
        {"method": "DELETE", "path": "/Users/none"},
        new_user("three", "three@x"),
    ]);
    let answer = reply(&rig, &operations, Some(2)).await.expect(200);
    assert_eq!(statuses(answer["Operations"].as_array().unwrap()), ["201", "409", "404"]);
    assert_eq!(rig.get("/Users").await["totalResults"], 2);
    // Without a bound all are tried.
    assert_eq!(statuses(&bulk(&rig, operations).await), ["409", "409", "404", "201"]);
}

#[tokio::test]
async fn a_job_that_is_none_is_refused_whole() {
    let rig = Rig::new().await;
    let one = new_user("one", "one@x");
    for operations in [
        json!("x"),
        json!(["x"]),
        json!([{"method": "GET", "path": "/Users"}]),
        json!([{"path": "/Users"}]),
        json!([{"method": "POST", "data": {}}]),
        json!([{"method": "POST", "path": 1}]),
        json!([one, one]),
    ] {
        reply(&rig, &operations, None).await.expect_error(400, Some("invalidSyntax"));
    }
    reply(&rig, &json!([one]), Some(0)).await.expect_error(400, Some("invalidValue"));
    let body = json!({"schemas": ["urn:x"], "Operations": []});
    rig.call("POST", "/Bulk", Some(body)).await.expect_error(400, Some("invalidValue"));
    let delete = json!({"method": "DELETE", "path": "/Users/none"});
    let many = |count: usize| json!(vec![delete.clone(); count]);
    reply(&rig, &many(MAX_BULK_OPERATIONS + 1), Some(1)).await.expect_error(413, None);
    reply(&rig, &many(MAX_BULK_OPERATIONS), Some(1)).await.expect(200);
    assert_eq!(rig.get("/Users").await["totalResults"], 0);
}

/// What a group was called is given up when it was renamed, not when the request began.
#[tokio::test]
async fn each_operation_has_its_own_time() {
    let rig = Rig::new().await;
    let group = rig.group("First", &[]).await;
    let rename = |name: &str| {
        json!({"method": "PATCH", "path": format!("/Groups/{group}"), "data": {"schemas": [PATCH_OP],
            "Operations": [{"op": "replace", "path": "displayName", "value": name}]}})
    };
    let body = json!({"schemas": [REQUEST], "Operations": [rename("Second"), rename("Third")]});
    let (request, time) = (rig.request("POST", "/Bulk", Some(body)), AtomicI64::new(NOW));
    let answer = rig.send_at(request, || time.fetch_add(100, Ordering::SeqCst)).await.expect(200);
    assert_eq!(statuses(answer["Operations"].as_array().unwrap()), ["200", "200"]);
    let mut left: Vec<_> = rig
        .store
        .snapshot()
        .unwrap()
        .former_group_names
        .into_iter()
        .map(|former| (former.name, former.left_at))
        .collect();
    left.sort();
    assert_eq!(left, [("First".to_owned(), NOW + 100), ("Second".to_owned(), NOW + 200)]);
    let shown = rig.get(&format!("/Groups/{group}")).await;
    let modified = shown["meta"]["lastModified"].as_str().unwrap();
    let created = shown["meta"]["created"].as_str().unwrap();
    assert!(modified > created, "{shown}");
}

#[tokio::test]
async fn a_key_that_is_revoked_meanwhile_does_no_more_of_a_job() {
    let rig = Rig::new().await;
    let circle = |name: &str, manager: &str| {
        let mut body = user_body(name);
        body[ENTERPRISE] = json!({"manager": {"value": format!("bulkId:{manager}")}});
        json!({"method": "POST", "path": "/Users", "bulkId": name, "data": body})
    };
    // `b` is made without its manager, then `a`, then it would be completed.
    let operations = json!([
        new_user("one", "one@x"),
        circle("a@x", "b@x"),
        circle("b@x", "a@x"),
        new_user("two", "two@x")
    ]);
    let body = json!({"schemas": [REQUEST], "Operations": operations});
    let (request, asked) = (rig.request("POST", "/Bulk", Some(body)), AtomicI64::new(0));
    let revoke = || {
        let (store, key_id, runtime) =
            (rig.store.clone(), rig.key_id.clone(), tokio::runtime::Handle::current());
        let revoking = std::thread::spawn(move || runtime.block_on(store.revoke_scim_key(&key_id, NOW)));
        revoking.join().unwrap().unwrap();
    };
    let clock = || {
        // Asked for the request as a whole, then for each operation.
        if asked.fetch_add(1, Ordering::SeqCst) == 3 {
            revoke();
        }
        NOW
    };
    let answer = rig.send_at(request, clock).await.expect(200);
    let results = answer["Operations"].as_array().unwrap();
    let done = results.iter().filter(|result| result["status"] == "201").count();
    let refused: Vec<_> = results.iter().filter(|result| result["status"] == "401").collect();
    assert_eq!((results.len(), done, refused.len()), (4, 1, 3), "{answer}");
    for result in refused {
        assert_eq!(result["response"]["status"], "401", "{answer}");
        assert_eq!(result["response"]["schemas"], json!([ERROR]), "{answer}");
    }
    assert_eq!(rig.store.list_persons("corp", &PersonLookup::All, 0, 10).unwrap().total, 2);
    rig.call("GET", "/Users", None).await.expect_error(401, None);
    // Refusals are noted unattended: behind this they are.
    rig.store.create_scim_key("corp", "next", NOW).await.unwrap();
    let noted = rig.store.provisioning_log(Some("corp"), None, 10).unwrap();
    assert_eq!(noted.iter().filter(|entry| entry.refused.is_some()).count(), 3, "{noted:?}");
}

#[tokio::test]
async fn a_key_that_runs_out_meanwhile_does_no_more_of_a_job() {
    let rig = Rig::new().await;
    rig.store.rotate_scim_key(&rig.key_id, 2, NOW).await.unwrap();
    let operations =
        json!([new_user("one", "one@x"), new_user("two", "two@x"), new_user("three", "three@x")]);
    let body = json!({"schemas": [REQUEST], "Operations": operations});
    let (request, time) = (rig.request("POST", "/Bulk", Some(body)), AtomicI64::new(NOW));
    let answer = rig.send_at(request, || time.fetch_add(1, Ordering::SeqCst)).await.expect(200);
    assert_eq!(statuses(answer["Operations"].as_array().unwrap()), ["201", "401", "401"]);
}
