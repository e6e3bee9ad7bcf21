//! Filters answered by an index and filters answered by looking through everything give the same people.

use serde_json::json;

use crate::rig::{CORE_USER, ENTERPRISE, Rig, user_body};

async fn found(rig: &Rig, filter: &str) -> Vec<String> {
    let encoded: String = filter.replace('&', "%26").replace('+', "%2B");
    let page = rig.get(&format!("/Users?filter={encoded}")).await;
    let listed = page["Resources"].as_array().unwrap();
    assert_eq!(page["totalResults"], json!(listed.len()));
    listed.iter().map(|user| user["userName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn filters_find_whom_they_say() {
    let rig = Rig::new().await;
    let mut jane = user_body("jane+x@corp.example");
    jane["emails"] =
        json!([{"value": "Jane@corp.example", "type": "work"}, {"value": "j@home.example", "type": "home"}]);
    jane[ENTERPRISE] = json!({"department": "R&D"});
    let id = rig.post("/Users", jane).await["id"].as_str().unwrap().to_owned();
    let mut john = user_body("john@corp.example");
    john["active"] = json!(false);
    rig.post("/Users", john).await;
    let jane = vec!["jane+x@corp.example".to_owned()];
    let both = vec![jane[0].clone(), "john@corp.example".to_owned()];
    for filter in [
        // By an index.
        "userName eq \"JANE+X@corp.example\"".to_owned(),
        format!("{CORE_USER}:userName EQ \"jane+x@corp.example\""),
        format!("id eq \"{id}\""),
        "externalId eq \"00u-jane+x@corp.example\"".to_owned(),
        "emails.value eq \"jane@CORP.example\"".to_owned(),
        "emails eq \"j@home.example\"".to_owned(),
        "email eq \"j@home.example\"".to_owned(),
        "emails[value eq \"j@home.example\"]".to_owned(),
        // By an index, then narrowed.
        "emails.value eq \"j@home.example\" and active eq true".to_owned(),
        "active eq True and userName eq \"jane+x@corp.example\"".to_owned(),
        // By looking.
        "emails[type eq \"home\" and value eq \"j@home.example\"]".to_owned(),
        format!("{ENTERPRISE}:department eq \"r&d\""),
        "active ne false".to_owned(),
        "userName sw \"jane\" and not (title pr)".to_owned(),
        "userName eq \"jane+x@corp.example\" or userName eq \"nobody\"".to_owned(),
        "meta.resourceType eq \"User\" and active eq true".to_owned(),
    ] {
        assert_eq!(found(&rig, &filter).await, jane, "{filter}");
    }
    assert_eq!(found(&rig, "userName ew \"@corp.example\"").await, both);
    assert_eq!(found(&rig, "meta.created gt \"2020-01-01T00:00:00Z\"").await, both);
    for filter in [
        "userName eq \"jane\"",
        "externalId eq \"00U-JANE+X@corp.example\"",
        "userName eq \"john@corp.example\" and active eq true",
        "password pr",
        "userName eq \"\"",
    ] {
        assert!(found(&rig, filter).await.is_empty(), "{filter}");
    }
}

#[tokio::test]
async fn parts_of_resources() {
    let rig = Rig::new().await;
    let mut body = user_body("jane@corp.example");
    body[ENTERPRISE] = json!({"department": "R", "division": "D"});
    let id = rig.post("/Users", body).await["id"].as_str().unwrap().to_owned();
    let path = format!("/Users/{id}");

    let only = rig
        .get(&format!("{path}?attributes=USERNAME,emails.value,name.familyName,{ENTERPRISE}:division"))
        .await;
    assert_eq!(
        only,
        json!({
            "schemas": [CORE_USER, ENTERPRISE], "id": id, "userName": "jane@corp.example",
            "name": {"familyName": "Doe"}, "emails": [{"value": "jane@corp.example"}], ENTERPRISE: {"division": "D"},
        })
    );
    let without =
        rig.get(&format!("{path}?excludedAttributes=id,emails.type,name,{ENTERPRISE}:division,meta")).await;
    assert_eq!(without["id"], json!(id));
    assert_eq!(without["emails"], json!([{"primary": true, "value": "jane@corp.example"}]));
    assert_eq!(without[ENTERPRISE], json!({"department": "R"}));
    assert!(without.get("name").is_none() && without.get("meta").is_none());
    let without = rig.get(&format!("{path}?excludedAttributes={ENTERPRISE}")).await;
    assert!(without.get(ENTERPRISE).is_none());
    let listed = rig.get("/Users?attributes=userName").await;
    assert_eq!(listed["Resources"][0].as_object().unwrap().len(), 3);
    // Also of what a write answers.
    let patched = json!({"Operations": [{"op": "replace", "path": "title", "value": "T"}]});
    let reply = rig.call("PATCH", &format!("{path}?attributes=title"), Some(patched)).await.expect(200);
    assert_eq!(reply["title"], "T");
    assert!(reply.get("userName").is_none());

    for bad in ["attributes=a&excludedAttributes=b", "attributes=a b", "attributes=emails[type pr]"] {
        rig.call("GET", &format!("{path}?{bad}"), None).await.expect_error(400, Some("invalidValue"));
    }
}

#[tokio::test]
async fn searching_by_post() {
    let rig = Rig::new().await;
    let mut all = Vec::new();
    for name in ["a@x", "b@x", "c@x"] {
        all.push(rig.user(name).await);
    }
    for name in ["G", "H"] {
        all.push(rig.group(name, &[]).await);
    }
    let search = |path: &'static str, body: serde_json::Value| {
        let rig = &rig;
        async move { rig.call("POST", path, Some(body)).await.expect(200) }
    };
    let ids = |page: &serde_json::Value| -> Vec<String> {
        page["Resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };
    // Every window over the seam between users and groups.
    for start in 1..=7 {
        for count in 0..=6 {
            let page =
                search("/.search", json!({"startIndex": start, "count": count, "attributes": ["id"]})).await;
            let wanted: Vec<_> = all.iter().skip(start - 1).take(count).cloned().collect();
            assert_eq!(ids(&page), wanted, "{start} {count}");
            assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(5), &json!(wanted.len())));
        }
    }
    let page = search("/Users/.search", json!({"filter": "userName eq \"b@x\""})).await;
    assert_eq!(ids(&page), all[1..2]);
    let page = search(
        "/Groups/.search",
        json!({"filter": "displayName eq \"h\"", "excludedAttributes": ["members"]}),
    )
    .await;
    assert_eq!(ids(&page), all[4..]);
    assert!(page["Resources"][0].get("members").is_none());
    rig.call("POST", "/.search", Some(json!({"filter": 1}))).await.expect_error(400, Some("invalidFilter"));
    rig.call("POST", "/.search", Some(json!({"count": true}))).await.expect_error(400, Some("invalidValue"));
    rig.call("GET", "/.search", None).await.expect_error(405, None);
}
