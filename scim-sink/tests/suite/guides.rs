//! What the guides of Okta integrations ask of a SCIM service provider: each test is named after its guide.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use http::HeaderValue;
use portcullis_scim_sink::{DirectorySettings, UserRules};
use portcullis_store::{DirectoryRules, UniqueBy};
use serde_json::{Value, json};

use crate::rig::{CORE_GROUP, CORE_USER, ENTERPRISE, PATCH_OP, Reply, Rig};

/// Okta's name of each attribute of Federated Directory's table, where it stands in SCIM, and two values of it.
const TABLE: [(&str, &str, &str, &str); 25] = [
    ("username", "/userName", "jane@corp.example", "jane.roe@corp.example"),
    ("displayName", "/displayName", "Jane Doe", "Jane Roe"),
    ("givenName", "/name/givenName", "Jane", "Janet"),
    ("familyName", "/name/familyName", "Doe", "Roe"),
    ("nickName", "/nickName", "JD", "JR"),
    ("email", "/emails/0/value", "jane@corp.example", "jane.roe@corp.example"),
    ("secondEmail", "/emails/1/value", "jane@home.example", "roe@home.example"),
    ("profileUrl", "/profileUrl", "https://people.corp.example/jd", "https://people.corp.example/jr"),
    ("primaryPhone", "/phoneNumbers/0/value", "+31 20 123 4567", "+31 20 765 4321"),
    ("mobilePhone", "/phoneNumbers/1/value", "+31 6 1234 5678", "+31 6 8765 4321"),
    ("streetAddress", "/addresses/0/streetAddress", "Keizersgracht 1", "Herengracht 2"),
    ("locality", "/addresses/0/locality", "Amsterdam", "Haarlem"),
    ("region", "/addresses/0/region", "NH", "Noord-Holland"),
    ("postalCode", "/addresses/0/postalCode", "1015 CN", "2011 RA"),
    ("country", "/addresses/0/country", "NL", "BE"),
    ("preferredLanguage", "/preferredLanguage", "nl-NL", "en-GB"),
    ("locale", "/locale", "nl-NL", "nl-BE"),
    ("timezone", "/timezone", "Europe/Amsterdam", "Europe/Brussels"),
    ("userType", "/userType", "Employee", "Contractor"),
    ("employeeNumber", "/E/employeeNumber", "701984", "701985"),
    ("costCenter", "/E/costCenter", "4130", "4131"),
    ("title", "/title", "Tour Guide", "Guide of Guides"),
    ("division", "/E/division", "Theme Park", "Parks"),
    ("department", "/E/department", "Tour Operations", "Operations"),
    ("managerDisplayName", "/E/manager/displayName", "John Smith", "Mary Major"),
];

/// The body in which Okta sends them, with the first or the second values.
fn federated(of: fn(&(&'static str, &'static str, &'static str, &'static str)) -> &'static str) -> Value {
    let mut body = json!({
        "schemas": [CORE_USER, ENTERPRISE],
        "externalId": "00u1", "active": true, "groups": [], "password": "1mz050nq",
        "emails": [{"primary": true, "type": "work"}, {"primary": false, "type": "home"}],
        "phoneNumbers": [{"primary": true, "type": "work"}, {"type": "mobile"}],
        "addresses": [{"primary": true, "type": "work"}],
        // The manager has no id: Okta sends the name alone.
        "name": {}, "E": {"manager": {}},
    });
    for row in &TABLE {
        let (parent, name) = row.1.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = json!(of(row));
    }
    let extension = body.as_object_mut().unwrap().remove("E").unwrap();
    body[ENTERPRISE] = extension;
    body
}

#[track_caller]
fn assert_all(
    user: &Value,
    of: fn(&(&'static str, &'static str, &'static str, &'static str)) -> &'static str,
) {
    for row in &TABLE {
        let pointer =
            row.1.replacen("/E/", &format!("/{}/", ENTERPRISE.replace('~', "~0").replace('/', "~1")), 1);
        assert_eq!(user.pointer(&pointer), Some(&json!(of(row))), "{} at {pointer} of {user}", row.0);
    }
    assert!(!user.to_string().contains("1mz050nq"));
}

#[tokio::test]
async fn federated_directory_25_attributes_survive_and_can_be_read_of_the_deactivated() {
    let rig = Rig::new().await;
    let created = rig.post("/Users", federated(|row| row.2)).await;
    assert_all(&created, |row| row.2);
    let path = format!("/Users/{}", created["id"].as_str().unwrap());
    assert_all(&rig.get(&path).await, |row| row.2);
    // All by PUT, as a wizard app does: our own answer with Okta's values laid over it.
    let mut merged = rig.get(&path).await;
    merged.as_object_mut().unwrap().extend(federated(|row| row.3).as_object().unwrap().clone());
    assert_all(&rig.put(&path, merged).await, |row| row.3);
    // All by PATCH without a path, and back.
    let mut value = federated(|row| row.2);
    value.as_object_mut().unwrap().remove("schemas");
    assert_all(&rig.patch(&path, json!([{"op": "replace", "value": value}])).await, |row| row.2);
    // Each by a path of its own.
    let mut operations = Vec::new();
    for row in &TABLE {
        let parts: Vec<&str> = row.1.split('/').skip(1).collect();
        let path = match parts.as_slice() {
            ["E", "manager", name] => format!("{ENTERPRISE}:manager.{name}"),
            ["E", name] => format!("{ENTERPRISE}:{name}"),
            [list, "0", name] => format!("{list}[type eq \"work\"].{name}"),
            ["emails", _, name] => format!("emails[type eq \"home\"].{name}"),
            [list, _, name] => format!("{list}[type eq \"mobile\"].{name}"),
            parts => parts.join("."),
        };
        operations.push(json!({"op": "replace", "path": path, "value": row.3}));
    }
    assert_all(&rig.patch(&path, json!(operations)).await, |row| row.3);
    // Okta never deletes: who is unassigned is still to be read, found by name, and comes back under the same id.
    rig.patch(&path, json!([{"op": "replace", "value": {"active": false}}])).await;
    let gone = rig.get(&path).await;
    assert_all(&gone, |row| row.3);
    assert_eq!(gone["active"], false);
    let found = rig.get("/Users?filter=userName eq \"jane.roe@corp.example\"&startIndex=1&count=100").await;
    assert_all(&found["Resources"][0], |row| row.3);
    let mut back = rig.get(&path).await;
    back["active"] = json!(true);
    let back = rig.put(&path, back).await;
    assert_eq!((&back["active"], &back["id"]), (&json!(true), &created["id"]));
    assert_all(&back, |row| row.3);
}

#[tokio::test]
async fn federated_directory_test_api_credentials() {
    let rig = Rig::new().await;
    for path in ["/Users?startIndex=1&count=2", "/Groups?startIndex=1&count=100"] {
        assert_eq!(rig.get(path).await["totalResults"], 0);
    }
    rig.store.revoke_scim_key(&rig.key_id, 2).await.unwrap();
    rig.call("GET", "/Users?startIndex=1&count=2", None).await.expect_error(401, None);
}

#[tokio::test]
async fn cloudflare_a_header_auth_app_pushes_people_and_groups_and_takes_them_away() {
    let rig = Rig::new().await;
    // The catalog app puts the token into the field as it was typed.
    let token = rig.auth.strip_prefix("Bearer ").unwrap().to_owned();
    let send = |method: &'static str, path: String, body: Option<Value>| {
        let mut request = rig.request(method, &path, body);
        request.headers_mut().insert("authorization", HeaderValue::from_str(&token).unwrap());
        rig.send(request)
    };
    let find = "/Users?filter=userName eq \"jane@corp.example\"&startIndex=1&count=100".to_owned();
    assert_eq!(send("GET", find, None).await.expect(200)["totalResults"], 0);
    let user = federated(|row| row.2);
    let user = send("POST", "/Users".to_owned(), Some(user)).await.expect(201);
    let id = user["id"].as_str().unwrap().to_owned();
    let find = "/Groups?filter=displayName eq \"Engineering\"&startIndex=1&count=100".to_owned();
    assert_eq!(send("GET", find, None).await.expect(200)["totalResults"], 0);
    let group = json!({"schemas": [CORE_GROUP], "displayName": "Engineering", "members": []});
    let group = send("POST", "/Groups".to_owned(), Some(group)).await.expect(201);
    let group = format!("/Groups/{}", group["id"].as_str().unwrap());
    let patch = |operations: Value| Some(json!({"schemas": [PATCH_OP], "Operations": operations}));
    let rename = json!({"op": "replace", "value": {"id": "x", "displayName": "Engineering"}});
    let join =
        json!({"op": "add", "path": "members", "value": [{"value": id, "display": "jane@corp.example"}]});
    send("PATCH", group.clone(), patch(json!([rename, join]))).await.expect(200);
    assert_eq!(rig.members(group.strip_prefix("/Groups/").unwrap()).await.concat(), id);
    let away = json!([{"op": "replace", "value": {"active": false}}]);
    assert_eq!(send("PATCH", format!("/Users/{id}"), patch(away)).await.expect(200)["active"], false);
    // The group is still there to be offered in policies, by its name.
    assert_eq!(send("GET", group, None).await.expect(200)["displayName"], "Engineering");
}

fn appenate() -> (DirectoryRules, DirectorySettings) {
    let rules = DirectoryRules { unique_by: UniqueBy::Email, ..DirectoryRules::default() };
    let users = UserRules {
        unique_by: UniqueBy::Email,
        required: ["name.givenName", "name.familyName", "emails"].map(|name| name.parse().unwrap()).to_vec(),
        roles: ["ReadOnly", "User", "Admin", "EnterpriseAdmin"].map(str::to_owned).to_vec(),
    };
    (rules, DirectorySettings { rules: Arc::new(users), ..DirectorySettings::default() })
}

/// With user name and password, as Appenate's app sends them.
async fn by_password(rig: &Rig, method: &str, path: &str, body: Option<Value>) -> Reply {
    let token = rig.auth.strip_prefix("Bearer ").unwrap();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("company-7:{token}"));
    let mut request = rig.request(method, path, body);
    request.headers_mut().insert("authorization", HeaderValue::from_str(&format!("Basic {basic}")).unwrap());
    rig.send(request).await
}

fn app_user(number: usize, role: &str) -> Value {
    json!({
        "schemas": [CORE_USER], "userName": format!("u{number}@corp.example"), "active": true,
        "name": {"givenName": "U", "familyName": number.to_string()},
        "emails": [{"primary": true, "value": format!("u{number}@corp.example"), "type": "work"}],
        "roles": [{"primary": true, "value": role}],
    })
}

#[tokio::test]
async fn appenate_names_a_unique_address_and_a_known_role_are_asked_of_everybody() {
    let (rules, settings) = appenate();
    let rig = Rig::ruled(rules, settings).await;
    for (number, role) in ["ReadOnly", "User", "Admin", "EnterpriseAdmin"].into_iter().enumerate() {
        let user = by_password(&rig, "POST", "/Users", Some(app_user(number, role))).await.expect(201);
        assert_eq!(user["roles"], json!([{"primary": true, "value": role}]));
    }
    let root = by_password(&rig, "POST", "/Users", Some(app_user(9, "Root"))).await;
    let root = root.expect_error(400, Some("invalidValue"));
    assert!(root["detail"].as_str().unwrap().contains("`Root`"), "{root}");
    for (pointer, status, scim_type) in [
        ("/name/givenName", 400, "invalidValue"),
        ("/name/familyName", 400, "invalidValue"),
        ("/emails", 400, "invalidValue"),
    ] {
        let mut body = app_user(9, "User");
        *body.pointer_mut(pointer).unwrap() = Value::Null;
        by_password(&rig, "POST", "/Users", Some(body)).await.expect_error(status, Some(scim_type));
    }
    let mut twin = app_user(9, "User");
    twin["emails"][0]["value"] = json!("U1@corp.example");
    by_password(&rig, "POST", "/Users", Some(twin)).await.expect_error(409, Some("uniqueness"));
}

#[tokio::test]
async fn appenate_an_import_sees_everybody_once_while_people_come() {
    let (rules, settings) = appenate();
    let rig = Rig::ruled(rules, settings).await;
    let bulk: Vec<_> = (0..250)
        .map(|number| json!({"method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": app_user(number, "User")}))
        .collect();
    rig.call("POST", "/Bulk", Some(json!({"Operations": bulk}))).await.expect(200);
    let mut seen = Vec::new();
    let mut start = 1;
    loop {
        let page =
            by_password(&rig, "GET", &format!("/Users?startIndex={start}&count=100"), None).await.expect(200);
        let listed = page["Resources"].as_array().unwrap();
        seen.extend(listed.iter().map(|user| user["userName"].as_str().unwrap().to_owned()));
        // Somebody comes between two pages.
        by_password(&rig, "POST", "/Users", Some(app_user(1_000 + start, "User"))).await.expect(201);
        start += 100;
        if start > usize::try_from(page["totalResults"].as_u64().unwrap()).unwrap() {
            break;
        }
    }
    let everybody: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(everybody.len(), seen.len(), "nobody twice");
    assert!(
        (0..250).all(|number| everybody.contains(&format!("u{number}@corp.example"))),
        "nobody is missed"
    );
}

#[tokio::test]
async fn configcat_people_are_told_apart_by_their_email() {
    let rules = DirectoryRules { unique_by: UniqueBy::Email, ..DirectoryRules::default() };
    let users = UserRules { unique_by: UniqueBy::Email, ..UserRules::default() };
    let settings = DirectorySettings { rules: Arc::new(users), ..DirectorySettings::default() };
    let rig = Rig::ruled(rules, settings).await;
    // The userName is another text than the address that Okta asks by.
    let mut body = federated(|row| row.2);
    body["userName"] = json!("jdoe");
    let jane = rig.post("/Users", body.clone()).await;
    for filter in [
        "userName eq \"jane@corp.example\"",
        "email eq \"jane@corp.example\"",
        "emails.value eq \"JANE@corp.example\"",
        "emails[value eq \"jane@corp.example\"]",
    ] {
        let page = rig.get(&format!("/Users?filter={filter}&startIndex=1&count=100")).await;
        assert_eq!(page["Resources"][0]["id"], jane["id"], "{filter}");
    }
    body["userName"] = json!("somebody");
    rig.call("POST", "/Users", Some(body)).await.expect_error(409, Some("uniqueness"));
    let path = format!("/Users/{}", jane["id"].as_str().unwrap());
    let renamed =
        json!([{"op": "replace", "path": "emails[type eq \"work\"].value", "value": "roe@corp.example"}]);
    rig.patch(&path, renamed).await;
    assert_eq!(rig.get("/Users?filter=userName eq \"jane@corp.example\"").await["totalResults"], 0);
    assert_eq!(
        rig.get("/Users?filter=userName eq \"roe@corp.example\"").await["Resources"][0]["id"],
        jane["id"]
    );
}
