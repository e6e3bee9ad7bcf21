//! What a directory may ask beyond the protocol: its own field for the key, required attributes, known roles, what tells people apart;
//! and what of it all stands in the provisioning log.

use std::sync::Arc;

use http::HeaderValue;
use portcullis_scim_sink::{DirectorySettings, UserRules};
use portcullis_store::{DirectoryRules, ProvisioningEntry, UniqueBy};
use serde_json::{Value, json};

use crate::rig::{CORE_USER, ENTERPRISE, Rig, user_body};

fn settings(unique_by: UniqueBy, required: &[&str], roles: &[&str]) -> (DirectoryRules, DirectorySettings) {
    let rules = UserRules {
        unique_by,
        required: required.iter().map(|name| name.parse().unwrap()).collect(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    let settings = DirectorySettings {
        rules: Arc::new(rules),
        key_header: Some("x-scim-key".parse().unwrap()),
        ..DirectorySettings::default()
    };
    (DirectoryRules { unique_by, ..DirectoryRules::default() }, settings)
}

async fn rig(unique_by: UniqueBy, required: &[&str], roles: &[&str]) -> Rig {
    let (rules, settings) = settings(unique_by, required, roles);
    Rig::ruled(rules, settings).await
}

#[tokio::test]
async fn a_key_may_come_in_the_field_that_the_directory_chose() {
    let rig = rig(UniqueBy::UserName, &[], &[]).await;
    let token = rig.auth.strip_prefix("Bearer ").unwrap().to_owned();
    let ask = |path: &str, fields: &[(&'static str, &str)]| {
        let mut request = rig.request("GET", path, None);
        request.headers_mut().remove("authorization");
        for (name, value) in fields {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        rig.send(request)
    };
    for value in [token.clone(), format!("Bearer {token}")] {
        ask("/Users", &[("x-scim-key", &value)]).await.expect(200);
    }
    // Two at once leave it open who asks, and fields that nobody chose say nothing.
    for fields in [
        &[("x-scim-key", token.as_str()), ("authorization", token.as_str())][..],
        &[("x-scim-key", &token), ("x-scim-key", &token)],
        &[("x-scim-key", "wrong")],
        &[("x-api-key", &token)],
    ] {
        ask("/Users", fields).await.expect_error(401, None);
    }
    let other = rig.other_auth.clone();
    let mut request = rig.request("GET", "/Users", None);
    *request.uri_mut() = "/scim/v2/other/Users".parse().unwrap();
    request.headers_mut().remove("authorization");
    request.headers_mut().insert("x-scim-key", other.parse().unwrap());
    rig.send(request).await.expect_error(401, None);
}

#[tokio::test]
async fn an_active_person_has_what_is_required_and_nobody_is_kept_active_for_the_lack_of_it() {
    let department = format!("{ENTERPRISE}:department");
    let rig = rig(UniqueBy::UserName, &["name.familyName", "emails", &department], &[]).await;
    let whole = {
        let mut body = user_body("jane@x");
        body[ENTERPRISE] = json!({"department": "R"});
        body
    };
    let id = rig.post("/Users", whole.clone()).await["id"].as_str().unwrap().to_owned();
    for (pointer, name) in
        [("/name/familyName", "name.familyName"), ("/emails", "emails"), ("/department", department.as_str())]
    {
        let mut body = whole.clone();
        body["userName"] = json!("john@x");
        match pointer {
            "/department" => body[ENTERPRISE] = json!({"department": ""}),
            _ => *body.pointer_mut(pointer).unwrap() = Value::Null,
        }
        let error =
            rig.call("POST", "/Users", Some(body.clone())).await.expect_error(400, Some("invalidValue"));
        assert!(error["detail"].as_str().unwrap().contains(name), "{error}");
        let path = format!("/Users/{id}");
        rig.call("PUT", &path, Some(body.clone())).await.expect_error(400, Some("invalidValue"));
        let remove = json!([{"op": "remove", "path": name}]);
        rig.patch_reply(&path, remove).await.expect_error(400, Some("invalidValue"));
        // The Drop is not refused for it.
        body["active"] = json!(false);
        assert_eq!(rig.put(&path, body).await["active"], false);
        rig.patch_reply(&path, json!([{"op": "replace", "path": "active", "value": true}]))
            .await
            .expect_error(400, Some("invalidValue"));
        rig.put(&path, whole.clone()).await;
    }
}

#[tokio::test]
async fn a_role_that_the_directory_does_not_know_is_refused_by_its_name() {
    let rig = rig(UniqueBy::UserName, &[], &["ReadOnly", "User", "Admin", "EnterpriseAdmin"]).await;
    let with = |name: &str, roles: Value| {
        let mut body = user_body(name);
        body["roles"] = roles;
        body
    };
    for (name, roles) in [
        ("a@x", json!([{"value": "Admin", "primary": true}, {"value": "readonly"}])),
        ("b@x", json!(["User"])),
        ("c@x", json!([])),
        ("d@x", json!([{"value": "EnterpriseAdmin", "type": "EnterpriseAdmin"}])),
    ] {
        rig.post("/Users", with(name, roles)).await;
    }
    for roles in
        [json!([{"value": "Root"}]), json!(["User", "Root"]), json!([{"value": "Root", "type": "User"}])]
    {
        let error = rig
            .call("POST", "/Users", Some(with("e@x", roles)))
            .await
            .expect_error(400, Some("invalidValue"));
        assert_eq!(
            error["detail"],
            "there is no role `Root` here; `roles` may be `ReadOnly`, `User`, `Admin`, `EnterpriseAdmin`"
        );
    }
}

#[tokio::test]
async fn people_are_found_and_kept_apart_by_what_tells_them_apart() {
    let of = |name: &str, email: &str, id: &str| json!({"schemas": [CORE_USER], "userName": name, "externalId": id, "emails": [{"value": email}]});
    for (unique_by, asked, shared, lacking) in [
        (UniqueBy::Email, "JANE@corp.example", of("b", "jane@corp.example", "2"), json!({"userName": "b"})),
        (
            UniqueBy::ExternalId,
            "00u1",
            of("b", "b@x", "00u1"),
            json!({"userName": "b", "emails": [{"value": "b@x"}]}),
        ),
    ] {
        let rig = rig(unique_by, &[], &[]).await;
        let jane = rig.post("/Users", of("jane", "jane@corp.example", "00u1")).await;
        let page = rig.get(&format!("/Users?filter=userName eq \"{asked}\"&startIndex=1&count=100")).await;
        assert_eq!((&page["totalResults"], &page["Resources"][0]["id"]), (&json!(1), &jane["id"]));
        rig.call("POST", "/Users", Some(shared)).await.expect_error(409, Some("uniqueness"));
        rig.call("POST", "/Users", Some(lacking)).await.expect_error(400, Some("invalidValue"));
        // A userName comes first.
        let named = rig.post("/Users", of(&asked.to_lowercase(), "other@x", "other")).await;
        let page = rig.get(&format!("/Users?filter=userName eq \"{asked}\"")).await;
        assert_eq!(page["Resources"][0]["id"], named["id"]);
    }
}

#[tokio::test]
async fn the_log_says_what_each_key_wrote_and_what_was_refused() {
    let rig = Rig::new().await;
    let jane = rig.user("jane@x").await;
    let group = rig.group("Team", &[&jane]).await;
    rig.patch(&format!("/Users/{jane}"), json!([{"op": "replace", "value": {"active": false}}])).await;
    rig.call("POST", "/Users", Some(user_body("jane@x"))).await.expect(409);
    rig.call("GET", "/Users", None).await.expect(200);
    let bulk = json!({"Operations": [
        {"method": "DELETE", "path": format!("/Groups/{group}")}, {"method": "DELETE", "path": "/Groups/none"}]});
    rig.call("POST", "/Bulk", Some(bulk)).await.expect(200);
    let mut stranger = rig.request("GET", "/Users", None);
    stranger.headers_mut().insert("authorization", HeaderValue::from_static("wrong"));
    rig.send(stranger).await.expect(401);
    // Entries of refusals are written behind the answer; the next write is behind them.
    rig.user("last@x").await;
    let log = rig.store.provisioning_log(Some("corp"), None, 50).unwrap();
    let told = |entry: &ProvisioningEntry| {
        let refused = entry.refused.as_ref().map_or(0, |(status, _)| *status);
        assert_eq!((entry.key_id.as_str(), entry.key_name.as_str()), (rig.key_id.as_str(), "okta push"));
        (
            entry.operation.clone(),
            refused,
            (entry.joined, entry.departed),
            entry.changed.contains(&"active".to_owned()),
        )
    };
    let told: Vec<_> = log.iter().rev().map(told).collect();
    let wanted = [
        ("user.create", 0, (0, 0), true),
        ("group.create", 0, (1, 0), false),
        ("user.patch", 0, (0, 0), true),
        ("POST", 409, (0, 0), false),
        ("group.delete", 0, (0, 1), false),
        ("DELETE", 404, (0, 0), false),
        ("user.create", 0, (0, 0), true),
    ];
    let wanted =
        wanted.map(|(operation, refused, moved, active)| (operation.to_owned(), refused, moved, active));
    assert_eq!(told, wanted);
    assert_eq!(log[1].resource, "Groups/none");
}
