//! Users beside Okta's own sequences: what is kept, what is refused, and what a deactivation ends.

use portcullis_store::{BeginSessionError, NewSession, Provisioning, SessionId};
use serde_json::{Value, json};

use crate::rig::{CORE_GROUP, CORE_USER, ENTERPRISE, NOW, Rig, user_body};

#[tokio::test]
async fn everything_sent_is_kept_and_given_back() {
    let rig = Rig::new().await;
    let mut body = user_body("full@corp.example");
    let kept = json!({
        "name": {"formatted": "Dr. F", "familyName": "F", "givenName": "G", "middleName": "M",
            "honorificPrefix": "Dr.", "honorificSuffix": "III"},
        "nickName": "n", "profileUrl": "https://p.example", "title": "t", "userType": "Employee",
        "preferredLanguage": "en-US", "timezone": "Europe/Berlin",
        "phoneNumbers": [{"value": "+1", "type": "mobile"}, {"value": "+2", "type": "work", "primary": true}],
        "addresses": [{"type": "work", "streetAddress": "S 1", "locality": "L", "region": "R", "postalCode": "P", "country": "DE"}],
        "roles": [{"type": "X", "value": "X"}, {"primary": true, "value": "admin"}],
        "entitlements": [{"value": "e"}],
        "shoeSize": 43, "tags": ["a", "b"],
        ENTERPRISE: {"employeeNumber": "7", "costCenter": "c", "organization": "o", "division": "d",
            "department": "dep", "manager": {"displayName": "Boss"}},
        "urn:ietf:params:scim:schemas:extension:custom:2.0:User": {"deep": {"er": [1, 2.5, true]}},
    });
    for (key, value) in kept.as_object().unwrap() {
        body[key] = value.clone();
    }
    let created = rig.post("/Users", body).await;
    let read = rig.get(&format!("/Users/{}", created["id"].as_str().unwrap())).await;
    assert_eq!(created, read);
    for (key, value) in kept.as_object().unwrap() {
        assert_eq!(&read[key], value, "{key}");
    }
    let order: Vec<_> = read["name"].as_object().unwrap().keys().collect();
    assert_eq!(order, kept["name"].as_object().unwrap().keys().collect::<Vec<_>>());
    assert_eq!(read["schemas"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn loose_spellings_are_understood() {
    let rig = Rig::new().await;
    for (number, active, wanted) in [
        (1, json!("True"), true),
        (2, json!("false"), false),
        (3, json!("False"), false),
        (4, Value::Null, true),
    ] {
        let body = json!({"USERNAME": format!("u{number}"), "Active": active, "EMAILS": {"value": format!("u{number}@x")},
            "id": "mine", "meta": {"version": "x"}, "groups": [{"value": "x"}], "roles": ["a"], ENTERPRISE: {"employeeNumber": 12}});
        let user = rig.post("/Users", body).await;
        assert_eq!(user["active"], json!(wanted));
        assert_eq!(user["userName"], json!(format!("u{number}")));
        assert_eq!(user["emails"], json!([{"value": format!("u{number}@x")}]));
        assert_eq!(user["roles"], json!([{"value": "a"}]));
        assert_eq!(user[ENTERPRISE]["employeeNumber"], "12");
        assert_ne!(user["id"], "mine");
        assert!(user.get("groups").is_none());
        assert_ne!(user["meta"]["version"], "x");
    }
}

#[tokio::test]
async fn a_put_never_lets_somebody_in_by_silence() {
    let rig = Rig::new().await;
    let id = rig.user("jane@corp.example").await;
    let path = format!("/Users/{id}");
    rig.patch(&path, json!([{"op": "replace", "value": {"active": "False"}}])).await;
    for silent in [json!({}), json!({"active": null}), json!({"active": ""})] {
        let mut body = json!({"schemas": [CORE_USER], "userName": "jane@corp.example"});
        body.as_object_mut().unwrap().extend(silent.as_object().unwrap().clone());
        assert_eq!(rig.put(&path, body).await["active"], json!(false));
    }
    rig.patch_reply(&path, json!([{"op": "remove", "path": "active"}]))
        .await
        .expect_error(400, Some("mutability"));
}

#[tokio::test]
async fn taking_over_a_user_name_is_refused() {
    let rig = Rig::new().await;
    let victim = rig.user("victim@corp.example").await;
    let thief = rig.user("thief@corp.example").await;
    let before = rig.get(&format!("/Users/{victim}")).await;
    for name in ["victim@corp.example", "VICTIM@Corp.Example"] {
        let mut body = user_body(name);
        body["externalId"] = json!("00u-thief");
        rig.call("POST", "/Users", Some(body.clone())).await.expect_error(409, Some("uniqueness"));
        rig.call("PUT", &format!("/Users/{thief}"), Some(body)).await.expect_error(409, Some("uniqueness"));
        let rename = json!([{"op": "replace", "path": "userName", "value": name}]);
        rig.patch_reply(&format!("/Users/{thief}"), rename).await.expect_error(409, Some("uniqueness"));
    }
    assert_eq!(rig.get(&format!("/Users/{victim}")).await, before);
    assert_eq!(rig.get("/Users").await["totalResults"], 2);
}

#[tokio::test]
async fn a_put_to_nobody_never_creates() {
    let rig = Rig::new().await;
    rig.call("PUT", "/Users/none", Some(user_body("a@x"))).await.expect_error(404, None);
    rig.patch_reply("/Users/none", json!([{"op": "replace", "value": {"active": false}}]))
        .await
        .expect_error(404, None);
    rig.call("DELETE", "/Users/none", None).await.expect_error(404, None);
    assert_eq!(rig.get("/Users").await["totalResults"], 0);
}

#[tokio::test]
async fn a_patch_is_all_or_nothing() {
    let rig = Rig::new().await;
    let id = rig.user("jane@corp.example").await;
    let path = format!("/Users/{id}");
    let before = rig.get(&path).await;
    let good = json!({"op": "replace", "value": {"active": false, "title": "T"}});
    for (bad, scim_type) in [
        (json!({"op": "replace", "path": "id", "value": "x"}), "mutability"),
        (json!({"op": "remove", "path": "userName"}), "mutability"),
        (json!({"op": "replace", "path": "emails[type eq \"none\"].value", "value": "x"}), "noTarget"),
        (json!({"op": "replace", "path": "emails[", "value": "x"}), "invalidPath"),
        (json!({"op": "replace", "path": "active", "value": "perhaps"}), "invalidValue"),
        (json!({"op": "bad"}), "invalidSyntax"),
    ] {
        rig.patch_reply(&path, json!([good, bad])).await.expect_error(400, Some(scim_type));
        assert_eq!(rig.get(&path).await, before);
    }
}

#[tokio::test]
async fn versions_are_honoured() {
    let rig = Rig::new().await;
    let id = rig.user("jane@corp.example").await;
    let path = format!("/Users/{id}");
    let reply = rig.call("GET", &path, None).await;
    let tag = reply.headers["etag"].clone();
    assert_eq!(json!(tag.to_str().unwrap()), reply.body["meta"]["version"]);
    let mut request = rig.request("GET", &path, None);
    request.headers_mut().insert("if-none-match", tag.clone());
    assert_eq!(rig.send(request).await.status, 304);

    let body = json!({"Operations": [{"op": "replace", "path": "title", "value": "T"}]});
    let mut request = rig.request("PATCH", &path, Some(body.clone()));
    request.headers_mut().insert("if-match", tag.clone());
    rig.send(request).await.expect(200);
    for method in ["PATCH", "DELETE"] {
        let mut request = rig.request(method, &path, Some(body.clone()));
        request.headers_mut().insert("if-match", tag.clone());
        rig.send(request).await.expect_error(412, None);
    }
    assert_eq!(rig.get(&path).await["title"], "T");
}

fn login(number: u8, subject: &str) -> NewSession {
    NewSession {
        id: SessionId::new([number; 32]),
        provider: "okta".to_owned(),
        subject: subject.to_owned(),
        email: None,
        claimed: Vec::new(),
        display_name: None,
        groups: Vec::new(),
        claims_json: "{}".to_owned(),
        authenticated_at: NOW,
        now: NOW,
        expires_at: NOW + 3600,
        sealed: None,
        refresh: None,
    }
}

/// How many sessions are live.
fn live(rig: &Rig) -> usize {
    rig.store.snapshot().unwrap().sessions.iter().filter(|session| session.ended.is_none()).count()
}

#[tokio::test]
async fn every_form_of_deactivation_ends_the_sessions() {
    let rig = Rig::new().await;
    let id = rig.user("jane@corp.example").await;
    let subject = "00u-jane@corp.example";
    let path = format!("/Users/{id}");
    let forms = [
        json!([{"op": "replace", "value": {"active": false}}]),
        json!([{"op": "Replace", "path": "active", "value": "False"}]),
        json!([{"op": "add", "path": format!("{CORE_USER}:active"), "value": false}]),
    ];
    for (number, form) in forms.into_iter().enumerate() {
        let session = login(u8::try_from(number).unwrap(), subject);
        rig.store.begin_session(session, Provisioning::Required).await.unwrap();
        assert_eq!(live(&rig), 1);
        rig.patch(&path, form).await;
        assert_eq!(live(&rig), 0);
        let refused = rig.store.begin_session(login(100, subject), Provisioning::Required).await;
        assert!(matches!(refused, Err(BeginSessionError::Deactivated)));
        rig.patch(&path, json!([{"op": "replace", "value": {"active": true}}])).await;
        assert_eq!(live(&rig), 0, "a reactivation brings nothing back");
    }
    let mut body = rig.get(&path).await;
    rig.store.begin_session(login(50, subject), Provisioning::Required).await.unwrap();
    body["active"] = json!(false);
    rig.put(&path, body).await;
    assert_eq!(live(&rig), 0);
}

#[tokio::test]
async fn a_deleted_person_who_returns_is_somebody_else() {
    let rig = Rig::new().await;
    let id = rig.user("jane@corp.example").await;
    rig.group("Engineering", &[&id]).await;
    let subject = "00u-jane@corp.example";
    rig.store.begin_session(login(1, subject), Provisioning::Required).await.unwrap();
    rig.call("DELETE", &format!("/Users/{id}"), None).await.expect(204);
    assert_eq!(live(&rig), 0);
    // Out of order: what was meant for the former one does not reach anybody.
    rig.patch_reply(&format!("/Users/{id}"), json!([{"op": "replace", "value": {"active": true}}]))
        .await
        .expect_error(404, None);
    let again = rig.user("jane@corp.example").await;
    assert_ne!(again, id);
    assert_eq!(live(&rig), 0);
    assert!(rig.get(&format!("/Users/{again}")).await.get("groups").is_none());
}

#[tokio::test]
async fn of_two_at_once_one_is_refused() {
    let rig = Rig::new().await;
    let one = rig.call("POST", "/Users", Some(user_body("jane@corp.example")));
    let other = rig.call("POST", "/Users", Some(user_body("JANE@corp.example")));
    let (one, other) = tokio::join!(one, other);
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(rig.get("/Users").await["totalResults"], 1);
}

/// RFC 7644 section 3.10: the schema's name before an attribute's, or above it, says nothing new. Nor does it smuggle a password in.
#[tokio::test]
async fn an_attribute_called_by_its_schema_is_the_same_attribute() {
    let rig = Rig::new().await;
    let qualified = |name: &str| format!("{CORE_USER}:{name}");
    let body = json!({
        "schemas": [CORE_USER],
        CORE_USER: {"userName": "jane@x", "title": "T", "password": "secret-1", CORE_USER: {"nickName": "J"}},
        qualified("locale"): "en-US", qualified("PASSWORD"): "secret-2",
    });
    let created = rig.post("/Users", body.clone()).await;
    for (name, value) in [("userName", "jane@x"), ("title", "T"), ("nickName", "J"), ("locale", "en-US")] {
        assert_eq!(created[name], value, "{name}");
    }
    let path = format!("/Users/{}", created["id"].as_str().unwrap());
    let changed = rig
        .patch(
            &path,
            json!([
                {"op": "replace", "path": CORE_USER, "value": {"title": "U", "password": "secret-3"}},
                {"op": "add", "value": {CORE_USER: {"nickName": "K", "password": "secret-4"}}},
                {"op": "replace", "path": qualified("password"), "value": "secret-6"},
            ]),
        )
        .await;
    assert_eq!((&changed["title"], &changed["nickName"]), (&json!("U"), &json!("K")));
    rig.put(&path, body).await;
    let person = rig.store.person("corp", created["id"].as_str().unwrap()).unwrap().unwrap();
    let kept = format!("{:?}", person.content);
    assert!(!kept.contains("secret") && !kept.contains("schemas:core"), "{kept}");
    assert_eq!(rig.get(&path).await["schemas"], json!([CORE_USER]));
    assert_eq!(rig.get("/Schemas").await["totalResults"], 3);
    let twice = json!({"userName": "b@x", CORE_USER: {"userName": "c@x"}});
    rig.call("POST", "/Users", Some(twice)).await.expect_error(400, Some("invalidSyntax"));
    let text = json!({"userName": "b@x", CORE_USER: "text"});
    rig.call("POST", "/Users", Some(text)).await.expect_error(400, Some("invalidValue"));
    rig.patch_reply(&path, json!([{"op": "remove", "path": CORE_USER}]))
        .await
        .expect_error(400, Some("noTarget"));

    let id = created["id"].as_str().unwrap();
    let group = json!({CORE_GROUP: {"displayName": "G", "members": [{"value": id}]}});
    let group = rig.post("/Groups", group).await["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.members(&group).await, [id]);
    rig.patch(
        &format!("/Groups/{group}"),
        json!([{"op": "replace", "value": {CORE_GROUP: {"members": []}}}]),
    )
    .await;
    assert!(rig.get(&format!("/Groups/{group}")).await["members"].as_array().is_none_or(Vec::is_empty));
}

/// As Entra sends it.
#[tokio::test]
async fn a_manager_may_come_as_a_plain_text() {
    let rig = Rig::new().await;
    let path = format!("/Users/{}", rig.user("jane@x").await);
    let manager = format!("{ENTERPRISE}:manager");
    let changed = rig.patch(&path, json!([{"op": "Add", "path": manager, "value": "boss"}])).await;
    assert_eq!(changed[ENTERPRISE]["manager"], json!({"value": "boss"}));
    let replaced = rig.put(&path, json!({"userName": "jane@x", ENTERPRISE: {"manager": "other"}})).await;
    assert_eq!(replaced[ENTERPRISE]["manager"], json!({"value": "other"}));
    let name = json!([{"op": "replace", "path": "name", "value": "Jane"}]);
    rig.patch_reply(&path, name).await.expect_error(400, Some("invalidValue"));
}

#[tokio::test]
async fn a_head_is_answered_like_a_get() {
    let rig = Rig::new().await;
    let path = format!("/Users/{}", rig.user("jane@x").await);
    let (head, get) = (rig.call("HEAD", &path, None).await, rig.call("GET", &path, None).await);
    assert_eq!((head.status, &head.headers), (get.status, &get.headers));
    rig.call("HEAD", "/Users/none", None).await.expect_error(404, None);
    rig.call("HEAD", "/Bulk", None).await.expect_error(405, None);
}
