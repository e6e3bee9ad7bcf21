//! Every limit from outside, just over it; the parser's and the PATCH's own are tested beside them.

use bytes::Bytes;
use portcullis_scim_sink::MAX_BODY_BYTES;
use portcullis_scim_sink::limits::{
    MAX_FILTER_DEPTH, MAX_FILTER_LENGTH, MAX_FILTER_TERMS, MAX_GROUP_PATCH_OPERATIONS, MAX_JSON_DEPTH,
    MAX_MEMBERS_OF_PATCH, MAX_MEMBERS_PER_REQUEST, MAX_PAGE, MAX_PROJECTED_ATTRIBUTES,
    MAX_USER_PATCH_OPERATIONS, MAX_VALUES_PER_ATTRIBUTE,
};
use portcullis_store::PersonContent;
use serde_json::{Value, json};

use crate::rig::{CORE_GROUP, PATCH_OP, Rig, user_body};

#[tokio::test]
async fn filters() {
    let rig = Rig::new().await;
    let nested = |depth: usize| format!("/Users?filter={}title pr{}", "(".repeat(depth), ")".repeat(depth));
    rig.get(&nested(MAX_FILTER_DEPTH)).await;
    let terms = |count: usize| format!("/Users?filter={}", vec!["title pr"; count].join(" or "));
    rig.get(&terms(MAX_FILTER_TERMS)).await;
    let long = format!("/Users?filter=title eq \"{}\"", "x".repeat(MAX_FILTER_LENGTH));
    for bomb in
        [nested(MAX_FILTER_DEPTH + 1), terms(MAX_FILTER_TERMS + 1), long, "/Users?filter=x".to_owned()]
    {
        rig.call("GET", &bomb, None).await.expect_error(400, Some("invalidFilter"));
    }
    // An address can hold 64 KiB at most; a PATCH path can hold more.
    let bomb = json!([{"op": "remove", "path": format!("emails[{}", "(".repeat(100_000))}]);
    rig.patch_reply("/Users/none", bomb).await.expect_error(400, Some("invalidPath"));
}

#[tokio::test]
async fn pages() {
    let rig = Rig::new().await;
    for number in 0..=MAX_PAGE {
        rig.post("/Users", json!({"userName": format!("u{number}")})).await;
    }
    for (query, items, start) in [
        ("count=1000000000", MAX_PAGE, 1),
        ("count=99999999999999999999999999", MAX_PAGE, 1),
        ("count=0", 0, 1),
        ("count=-5", 0, 1),
        ("count=3&startIndex=-7", 3, 1),
        ("count=3&startIndex=0", 3, 1),
        ("count=3&startIndex=200", 2, 200),
        ("startIndex=1000000000", 0, 1_000_000_000),
        ("startIndex=99999999999999999999999999&count=3", 0, usize::MAX),
        ("", 100, 1),
        ("filter=userName sw \"u\"&count=1000000000", MAX_PAGE, 1),
        ("filter=userName sw \"u\"&count=0", 0, 1),
        ("filter=userName sw \"u\"&startIndex=201", 1, 201),
    ] {
        let page = rig.get(&format!("/Users?{query}")).await;
        assert_eq!(page["totalResults"], json!(MAX_PAGE + 1), "{query}");
        assert_eq!(page["Resources"].as_array().unwrap().len(), items, "{query}");
        assert_eq!(page["itemsPerPage"], json!(items), "{query}");
        assert_eq!(page["startIndex"], json!(start), "{query}");
    }
    for query in ["count=x", "count=1.5", "startIndex=one", "count=1&count=2", "filter=title pr&filter=id pr"]
    {
        rig.call("GET", &format!("/Users?{query}"), None).await.expect_error(400, Some("invalidValue"));
    }
    let many = vec!["title"; MAX_PROJECTED_ATTRIBUTES + 1].join(",");
    rig.call("GET", &format!("/Users?attributes={many}"), None).await.expect_error(400, Some("invalidValue"));
}

#[tokio::test]
async fn ten_thousand_members_in_one_request() {
    let rig = Rig::new().await;
    let mut ids = Vec::new();
    for batch in 0..100 {
        let created = (0..100).map(|number| {
            let rig = &rig;
            async move { rig.post("/Users", json!({"userName": format!("u{batch}-{number}")})).await }
        });
        let mut all = Vec::new();
        for user in created.collect::<Vec<_>>() {
            all.push(user);
        }
        ids.extend(join(all).await.into_iter().map(|user| user["id"].as_str().unwrap().to_owned()));
    }
    let members: Vec<_> = ids.iter().map(|id| json!({"value": id})).collect();
    assert_eq!(members.len(), 10_000);
    let group = rig.group("All", &[]).await;
    let path = format!("/Groups/{group}");
    let added = rig.patch_reply(&path, json!([{"op": "add", "path": "members", "value": members}])).await;
    assert_eq!(added.status.as_u16(), 204, "{}", added.body);
    assert_eq!(rig.members(&group).await.len(), 10_000);
    // Each by an operation of its own.
    let removals: Vec<_> =
        ids.iter().map(|id| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")})).collect();
    let body = json!({"schemas": [PATCH_OP], "Operations": removals});
    assert!(body.to_string().len() < MAX_BODY_BYTES);
    rig.call("PATCH", &path, Some(body)).await.expect(200);
    assert!(rig.members(&group).await.is_empty());
}

/// Drives all of them in turns on one task, so that the store commits them in groups.
async fn join<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in pinned.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn too_much_in_one_request() {
    let rig = Rig::new().await;
    let group = rig.group("All", &[]).await;
    let path = format!("/Groups/{group}");
    let empty = vec![json!({}); MAX_MEMBERS_PER_REQUEST + 1];
    let body = json!({"schemas": [CORE_GROUP], "displayName": "All", "members": empty});
    assert!(body.to_string().len() < MAX_BODY_BYTES);
    rig.call("PUT", &path, Some(body)).await.expect_error(413, None);
    // Counted over all operations.
    let half = vec![json!("x"); MAX_MEMBERS_PER_REQUEST / 2 + 1];
    let add = json!({"op": "add", "path": "members", "value": half});
    rig.patch_reply(&path, json!([add])).await.expect_error(400, Some("invalidValue"));
    rig.patch_reply(&path, json!([add, add])).await.expect_error(413, None);

    let operation = json!({"op": "remove", "path": "title"});
    let operations = |count: usize| json!(vec![operation.clone(); count]);
    rig.patch_reply(&path, operations(MAX_GROUP_PATCH_OPERATIONS + 1)).await.expect_error(413, None);
    let user = format!("/Users/{}", rig.user("b@x").await);
    rig.patch(&user, operations(MAX_USER_PATCH_OPERATIONS)).await;
    rig.patch_reply(&user, operations(MAX_USER_PATCH_OPERATIONS + 1)).await.expect_error(413, None);

    let mut body = user_body("a@x");
    body["ims"] = (0..=MAX_VALUES_PER_ATTRIBUTE).map(|n| json!({"value": n.to_string()})).collect();
    rig.call("POST", "/Users", Some(body)).await.expect_error(400, Some("invalidValue"));

    for (depth, status) in [(MAX_JSON_DEPTH - 1, 201), (MAX_JSON_DEPTH, 400), (100_000, 400)] {
        let mut request = rig.request("POST", "/Users", None);
        let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        *request.body_mut() = Bytes::from(format!("{{\"userName\": \"d{depth}\", \"deep\": {nested}}}"));
        let body = rig.send(request).await.expect(status);
        if status == 400 {
            assert_eq!(body["scimType"], "invalidSyntax");
        }
    }
}

#[tokio::test]
async fn a_document_cannot_grow_without_end() {
    let rig = Rig::new().await;
    let id = rig.user("jane@corp.example").await;
    let mut refused = None;
    for number in 0..4 {
        let value: Value = json!("x".repeat(200_000));
        let add = json!([{"op": "add", "path": format!("own{number}"), "value": value}]);
        let reply = rig.patch_reply(&format!("/Users/{id}"), add).await;
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
    }
    refused.unwrap().expect_error(400, Some("invalidValue"));
}

#[tokio::test]
async fn a_patch_of_a_group_with_many_members_is_answered_without_them() {
    let rig = Rig::new().await;
    let mut created = tokio::task::JoinSet::new();
    for number in 0..=MAX_MEMBERS_OF_PATCH {
        let store = rig.store.clone();
        created.spawn(async move {
            let content = PersonContent {
                user_name: format!("person{number}"),
                external_id: None,
                emails: Vec::new(),
                display_name: None,
                active: true,
                document: serde_json::Map::new(),
            };
            store.create_person("corp", content, 1).await.unwrap().scim_id
        });
    }
    let ids = created.join_all().await;
    let members: Vec<&str> = ids.iter().map(String::as_str).collect();
    let group = format!("/Groups/{}", rig.group("Everybody", &members[1..]).await);
    let rename = |name: &str| json!([{"op": "replace", "value": {"displayName": name}}]);
    let answer = rig.patch(&group, rename("At the limit")).await;
    assert_eq!(answer["members"].as_array().unwrap().len(), MAX_MEMBERS_OF_PATCH);
    let join = json!([{"op": "add", "path": "members", "value": [{"value": members[0]}]}]);
    let reply = rig.patch_reply(&group, join).await;
    assert_eq!((reply.status.as_u16(), &reply.body), (204, &Value::Null));
    let read = rig.call("GET", &group, None).await;
    assert_eq!(reply.headers["etag"], read.headers["etag"], "the version is told all the same");
    assert_eq!(read.expect(200)["members"].as_array().unwrap().len(), MAX_MEMBERS_OF_PATCH + 1);
    // Who asks is told: RFC 7644 section 3.5.2 demands a body then.
    let asked = rig.patch(&format!("{group}?attributes=displayName"), rename("Asked for")).await;
    assert_eq!(asked["displayName"], "Asked for");
    let spared = rig.patch(&format!("{group}?excludedAttributes=members"), rename("Spared")).await;
    assert_eq!((&spared["displayName"], spared.get("members")), (&json!("Spared"), None));
    let emptied = rig.patch(&group, json!([{"op": "replace", "path": "members", "value": []}])).await;
    assert_eq!(emptied["displayName"], "Spared");
}
