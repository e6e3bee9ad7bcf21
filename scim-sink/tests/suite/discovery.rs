//! What the service provider says of itself is complete, and is what it does.

use std::sync::Arc;

use portcullis_scim_sink::limits::{MAX_BULK_OPERATIONS, MAX_PAGE, MAX_SEEN_ATTRIBUTES, MAX_SEEN_PATH_BYTES};
use portcullis_scim_sink::{DirectorySettings, MAX_BODY_BYTES, UserRules};
use portcullis_store::{DirectoryRules, GroupContent, PersonContent, UniqueBy};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::rig::{BASE, CORE_GROUP, CORE_USER, ENTERPRISE, NOW, Reply, Rig, user_body};

const BADGE: &str = "urn:example:params:badge:2.0:User";

#[tokio::test]
async fn the_three_documents() {
    let rig = Rig::new().await;
    let config = rig.get("/ServiceProviderConfig").await;
    for (feature, supported) in [
        ("patch", true),
        ("filter", true),
        ("etag", true),
        ("bulk", true),
        ("sort", true),
        ("changePassword", false),
    ] {
        assert_eq!(config[feature]["supported"], json!(supported), "{feature}");
    }
    assert_eq!(config["bulk"]["maxOperations"], json!(MAX_BULK_OPERATIONS));
    assert_eq!(config["bulk"]["maxPayloadSize"], json!(MAX_BODY_BYTES));
    assert_eq!(config["pagination"]["cursor"], json!(true));
    assert_eq!(config["pagination"]["maxPageSize"], json!(MAX_PAGE));
    let types = rig.get("/ResourceTypes").await;
    assert_eq!(types["totalResults"], 2);
    for kind in types["Resources"].as_array().unwrap() {
        let location = kind["meta"]["location"].as_str().unwrap();
        assert_eq!(&rig.get(location.strip_prefix(BASE).unwrap()).await, kind);
    }
    let schemas = rig.get("/Schemas").await;
    let listed = schemas["Resources"].as_array().unwrap();
    let ids: Vec<_> = listed.iter().map(|schema| schema["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [CORE_USER, ENTERPRISE, CORE_GROUP]);
    for schema in listed {
        assert_eq!(&rig.get(&format!("/Schemas/{}", schema["id"].as_str().unwrap())).await, schema);
        schema["attributes"].as_array().unwrap().iter().for_each(check_definition);
    }
}

/// RFC 7643 section 7: every characteristic is there, and only complex attributes have sub-attributes.
fn check_definition(attribute: &Value) {
    for (key, kind) in [
        ("multiValued", true),
        ("required", true),
        ("caseExact", true),
        ("name", false),
        ("type", false),
        ("mutability", false),
        ("returned", false),
        ("uniqueness", false),
        ("description", false),
    ] {
        assert_eq!(attribute[key].is_boolean(), kind, "{key} of {attribute}");
        assert_eq!(attribute[key].is_string(), !kind, "{key} of {attribute}");
    }
    assert_eq!(attribute["type"] == "complex", attribute["subAttributes"].is_array(), "{attribute}");
    assert_eq!(attribute["type"] == "reference", attribute["referenceTypes"].is_array(), "{attribute}");
    attribute["subAttributes"].as_array().into_iter().flatten().for_each(check_definition);
}

/// Every attribute that is published as writable is kept.
#[tokio::test]
async fn published_attributes_are_kept() {
    let rig = Rig::new().await;
    for (urn, endpoint, core) in
        [(CORE_USER, "/Users", true), (ENTERPRISE, "/Users", false), (CORE_GROUP, "/Groups", true)]
    {
        let schema = rig.get(&format!("/Schemas/{urn}")).await;
        let mut sample = Map::new();
        for attribute in schema["attributes"].as_array().unwrap() {
            if attribute["mutability"] == "readWrite" && attribute["name"] != "members" {
                sample.insert(attribute["name"].as_str().unwrap().to_owned(), sample_of(attribute));
            }
        }
        let sample = Value::Object(sample);
        let body = if core { sample.clone() } else { json!({"userName": urn, urn: sample}) };
        let created = rig.post(endpoint, body).await;
        let shown = if core { &created } else { &created[urn] };
        for (name, value) in sample.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{name}");
        }
    }
}

fn sample_of(attribute: &Value) -> Value {
    let single = match attribute["type"].as_str().unwrap() {
        "boolean" => json!(true),
        "complex" => attribute["subAttributes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sub| (sub["name"].as_str().unwrap().to_owned(), sample_of(sub)))
            .collect(),
        _ => json!("sample"),
    };
    if attribute["multiValued"] == true { json!([single]) } else { single }
}

/// What somebody posted is in `Schemas` with its type, in that of its own directory, and an extension also in `ResourceTypes`.
#[tokio::test]
async fn what_was_posted_is_published() {
    let rig = Rig::new().await;
    let mut body = user_body("jane@x");
    body[BADGE] = json!({
        "number": 7, "weight": 1.5, "valid": true, "colour": "red", "doors": ["a", "b"],
        "issued": {"by": "Reception", "on": ["2026-01-01"]},
    });
    body[ENTERPRISE] = json!({"department": "R", "floor": 3});
    body["emails"][0]["verified"] = json!(true);
    body["shoeSize"] = json!("42");
    let jane = rig.post("/Users", body.clone()).await;
    assert_eq!(jane[BADGE], body[BADGE]);
    assert!(jane["schemas"].as_array().unwrap().contains(&json!(BADGE)));
    let badge = rig.get(&format!("/Schemas/{BADGE}")).await;
    assert_eq!(
        (&badge["id"], &badge["meta"]["location"]),
        (&json!(BADGE), &json!(format!("{BASE}/Schemas/{BADGE}")))
    );
    badge["attributes"].as_array().unwrap().iter().for_each(check_definition);
    for (path, kind, many) in [
        (vec!["number"], "integer", false),
        (vec!["weight"], "decimal", false),
        (vec!["valid"], "boolean", false),
        (vec!["colour"], "string", false),
        (vec!["doors"], "string", true),
        (vec!["issued"], "complex", false),
        (vec!["issued", "by"], "string", false),
        (vec!["issued", "on"], "string", true),
    ] {
        let found = defined(&badge, &path).unwrap_or_else(|| panic!("{path:?} is missing in {badge}"));
        assert_eq!((&found["type"], &found["multiValued"]), (&json!(kind), &json!(many)), "{path:?}");
    }
    let core = rig.get(&format!("/Schemas/{CORE_USER}")).await;
    assert_eq!(defined(&core, &["emails", "verified"]).unwrap()["type"], "boolean");
    assert_eq!(defined(&core, &["shoeSize"]).unwrap()["type"], "string");
    assert_eq!(
        defined(&rig.get(&format!("/Schemas/{ENTERPRISE}")).await, &["floor"]).unwrap()["type"],
        "integer"
    );
    let extensions = rig.get("/ResourceTypes/User").await["schemaExtensions"].clone();
    assert_eq!(
        extensions,
        json!([{"schema": ENTERPRISE, "required": false}, {"schema": BADGE, "required": false}])
    );
    assert_eq!(rig.get("/ResourceTypes/Group").await["schemaExtensions"], json!([]));
    // Another form widens the type; another spelling of a name is the same attribute.
    rig.post(
        "/Users",
        json!({"userName": "b@x", BADGE: {"NUMBER": 7.5, "colour": {"name": "red"}, "valid": ["x"]}}),
    )
    .await;
    let badge = rig.get(&format!("/Schemas/{BADGE}")).await;
    assert_eq!(defined(&badge, &["number"]).unwrap()["type"], "decimal");
    assert_eq!(defined(&badge, &["colour"]).unwrap()["type"], "complex");
    assert_eq!(defined(&badge, &["valid"]).unwrap()["multiValued"], true);
    badge["attributes"].as_array().unwrap().iter().for_each(check_definition);
    // A group has attributes of its own, and so has every directory.
    let group = json!({"displayName": "G", "urn:example:team": {"budget": 1}, "colour": "red"});
    rig.post("/Groups", group).await;
    assert_eq!(rig.get("/ResourceTypes/Group").await["schemaExtensions"][0]["schema"], "urn:example:team");
    assert!(defined(&rig.get(&format!("/Schemas/{CORE_GROUP}")).await, &["colour"]).is_some());
    let mut other = rig.request("GET", "/Schemas", None);
    *other.uri_mut() = "/scim/v2/other/Schemas".parse().unwrap();
    other.headers_mut().insert("authorization", rig.other_auth.parse().unwrap());
    assert_eq!(rig.send(other).await.expect(200)["totalResults"], 3);
}

/// Also what a PATCH or a PUT puts there, and nothing of what was refused.
#[tokio::test]
async fn what_was_refused_is_not_published() {
    let rig = Rig::new().await;
    let jane = format!("/Users/{}", rig.user("jane@x").await);
    rig.user("taken@x").await;
    let mut body = user_body("taken@x");
    body[BADGE] = json!({"number": 7});
    rig.call("POST", "/Users", Some(body.clone())).await.expect_error(409, Some("uniqueness"));
    rig.call("PUT", &jane, Some(body)).await.expect_error(409, Some("uniqueness"));
    rig.call("GET", &format!("/Schemas/{BADGE}"), None).await.expect_error(404, None);
    rig.patch(&jane, json!([{"op": "add", "path": format!("{BADGE}:number"), "value": 7}])).await;
    let mut body = user_body("jane@x");
    body[BADGE] = json!({"colour": "red"});
    rig.put(&jane, body).await;
    let badge = rig.get(&format!("/Schemas/{BADGE}")).await;
    assert!(defined(&badge, &["number"]).is_some() && defined(&badge, &["colour"]).is_some(), "{badge}");
}

#[tokio::test]
async fn what_is_published_has_a_most_and_refuses_no_deactivation() {
    let rig = Rig::new().await;
    let with = |name: &str, attributes: usize, active: bool| {
        let own: Map<String, Value> =
            (0..attributes).map(|number| (format!("a{number}"), json!(1))).collect();
        json!({"userName": name, "active": active, BADGE: own})
    };
    rig.call("POST", "/Users", Some(with("a@x", MAX_SEEN_ATTRIBUTES + 1, true)))
        .await
        .expect_error(400, Some("invalidValue"));
    assert_eq!(rig.get("/Users").await["totalResults"], 0);
    let jane = rig.post("/Users", with("a@x", MAX_SEEN_ATTRIBUTES, true)).await;
    let path = format!("/Users/{}", jane["id"].as_str().unwrap());
    rig.call("PUT", &path, Some(with("a@x", MAX_SEEN_ATTRIBUTES + 1, true)))
        .await
        .expect_error(400, Some("invalidValue"));
    let gone = rig.put(&path, with("a@x", MAX_SEEN_ATTRIBUTES + 1, false)).await;
    assert_eq!(gone["active"], false);
    let published = rig.get(&format!("/Schemas/{BADGE}")).await["attributes"].as_array().unwrap().len();
    assert_eq!(published, MAX_SEEN_ATTRIBUTES);
    let long = json!({"userName": "b@x", BADGE: {"x".repeat(MAX_SEEN_PATH_BYTES + 1): 1}});
    rig.call("POST", "/Users", Some(long)).await.expect_error(400, Some("invalidValue"));
}

/// A directory whose room is taken, and documents that nobody has noted: as a program left them that noted nothing.
#[tokio::test]
async fn no_removal_is_refused_for_want_of_room() {
    let rig = Rig::new().await;
    let own = |letter: &str, attributes: usize| -> Map<String, Value> {
        (0..attributes).map(|number| (format!("{letter}{number}"), json!(1))).collect()
    };
    let first = rig.post("/Users", json!({"userName": "a@x", BADGE: own("a", MAX_SEEN_ATTRIBUTES)})).await;
    let unnoted = async |name: &str, attributes: usize| {
        let document = json!({"title": "T", BADGE: own("b", attributes)}).as_object().unwrap().clone();
        let content = PersonContent {
            user_name: name.to_owned(),
            external_id: None,
            display_name: None,
            active: true,
            emails: Vec::new(),
            document,
        };
        rig.store.create_person("corp", content, NOW).await.unwrap().scim_id
    };
    let (jane, joe) = (unnoted("jane@x", 3).await, unnoted("joe@x", MAX_SEEN_ATTRIBUTES + 5).await);
    let document = json!({BADGE: {"colour": "red"}}).as_object().unwrap().clone();
    let content = GroupContent { display_name: "Sales".to_owned(), external_id: None, document };
    let members = vec![jane.clone(), joe.clone(), first["id"].as_str().unwrap().to_owned()];
    let group = rig.store.create_group("corp", content, members, NOW).await.unwrap().scim_id;
    let group_path = format!("/Groups/{group}");
    for person in [&jane, &joe] {
        let path = format!("/Users/{person}");
        rig.patch(&group_path, json!([{"op": "remove", "path": format!("members[value eq \"{person}\"]")}]))
            .await;
        assert!(!rig.members(&group).await.contains(person));
        rig.patch(&path, json!([{"op": "remove", "path": "title"}])).await;
        rig.patch(&path, json!([{"op": "remove", "path": format!("{BADGE}:b1")}])).await;
        for active in [false, true] {
            let now = rig.patch(&path, json!([{"op": "replace", "value": {"active": active}}])).await;
            assert_eq!((&now["active"], &now[BADGE]["b0"]), (&json!(active), &json!(1)));
        }
    }
    // The wizard's dialect: everything at once, and more than before.
    let put = json!({"displayName": "Sales", "members": [], BADGE: {"colour": "red", "shape": "round"}});
    assert_eq!(rig.put(&group_path, put).await["members"], json!([]));
    // What an edit of a person brings itself is refused, and so is a new group; what was refused is not kept.
    let path = format!("/Users/{jane}");
    rig.patch_reply(&path, json!([{"op": "add", "path": format!("{BADGE}:more"), "value": 1}]))
        .await
        .expect_error(400, Some("invalidValue"));
    assert_eq!(rig.get(&path).await[BADGE], json!({"b0": 1, "b2": 1}));
    rig.call("POST", "/Groups", Some(json!({"displayName": "New", BADGE: {"colour": "red"}})))
        .await
        .expect_error(400, Some("invalidValue"));
    let published = rig.get(&format!("/Schemas/{BADGE}")).await["attributes"].as_array().unwrap().len();
    assert_eq!(published, MAX_SEEN_ATTRIBUTES);
}

/// RFC 7644 section 4.
#[tokio::test]
async fn what_the_service_says_of_itself_is_not_filtered() {
    let rig = Rig::new().await;
    for path in ["/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/ResourceTypes/User"] {
        rig.call("GET", &format!("{path}?filter=id eq \"x\""), None).await.expect_error(403, None);
        rig.get(&format!("{path}?filter=")).await;
    }
}

#[tokio::test]
async fn the_rules_of_a_directory_are_published() {
    let rules = UserRules {
        unique_by: UniqueBy::Email,
        required: ["name.familyName", &format!("{ENTERPRISE}:department"), &format!("{BADGE}:number"), "own"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect(),
        roles: vec!["admin".to_owned(), "reader".to_owned()],
    };
    let settings = DirectorySettings { rules: Arc::new(rules), ..DirectorySettings::default() };
    let of_store = DirectoryRules { unique_by: UniqueBy::Email, ..DirectoryRules::default() };
    let rig = Rig::ruled(of_store, settings).await;
    let required = async |urn: &str, path: &[&str]| {
        let schema = rig.get(&format!("/Schemas/{urn}")).await;
        schema["attributes"].as_array().unwrap().iter().for_each(check_definition);
        defined(&schema, path).unwrap()["required"] == true
    };
    assert!(required(CORE_USER, &["name", "familyName"]).await && required(CORE_USER, &["emails"]).await);
    assert!(!required(CORE_USER, &["name", "givenName"]).await && !required(CORE_USER, &["roles"]).await);
    assert!(required(ENTERPRISE, &["department"]).await);
    let core = rig.get(&format!("/Schemas/{CORE_USER}")).await;
    assert_eq!(defined(&core, &["roles", "value"]).unwrap()["canonicalValues"], json!(["admin", "reader"]));
    assert_eq!(defined(&core, &["emails", "value"]).unwrap()["uniqueness"], "server");
    let mut body = user_body("jane@x");
    body["own"] = json!(1);
    body[ENTERPRISE] = json!({"department": "R"});
    body[BADGE] = json!({"number": 7});
    rig.post("/Users", body).await;
    assert!(required(BADGE, &["number"]).await && required(CORE_USER, &["own"]).await);
}

/// The definition at the end of a path, in any case of letters.
fn defined<'s>(schema: &'s Value, path: &[&str]) -> Option<&'s Value> {
    let mut listed = schema.get("attributes")?;
    let mut found = None;
    for name in path {
        let named =
            |attribute: &&Value| attribute["name"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(name));
        found = Some(listed.as_array()?.iter().find(named)?);
        listed = found?.get("subAttributes").unwrap_or(&Value::Null);
    }
    found
}

/// Every path of a document with the schema that it is below: a walk of its own, that knows nothing of how the sink looks.
fn paths<'d>(document: &'d Value, found: &mut Vec<(&'d str, Vec<&'d str>)>) {
    fn below<'d>(value: &'d Value, urn: &'d str, path: &[&'d str], found: &mut Vec<(&'d str, Vec<&'d str>)>) {
        match value {
            Value::Array(elements) => elements.iter().for_each(|element| below(element, urn, path, found)),
            Value::Object(map) => {
                for (key, value) in map {
                    let path: Vec<_> = path.iter().copied().chain([key.as_str()]).collect();
                    found.push((urn, path.clone()));
                    below(value, urn, &path, found);
                }
            }
            _ => {}
        }
    }
    for (key, value) in document.as_object().unwrap() {
        if ["schemas", "id", "meta", "externalId"].contains(&key.as_str()) {
            continue;
        }
        if key.starts_with("urn:") && value.is_object() {
            below(value, key, &[], found);
        } else {
            found.push((CORE_USER, vec![key]));
            below(value, CORE_USER, &[key], found);
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z$]{1,3}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn any_document() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just(BADGE.to_owned()),
        Just(ENTERPRISE.to_owned()),
        Just("urn:example:other".to_owned()),
        Just("name".to_owned()),
        Just("emails".to_owned()),
        "[a-z]{1,3}",
    ];
    prop::collection::btree_map(key, any_value(), 0..6).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever documents come: every path of what is kept is published, under its schema.
    #[test]
    fn every_path_of_what_is_kept_is_published(documents in prop::collection::vec(any_document(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = Rig::new().await;
            let mut kept = Vec::new();
            for (number, mut document) in documents.into_iter().enumerate() {
                document["userName"] = json!(format!("u{number}"));
                let reply: Reply = rig.call("POST", "/Users", Some(document)).await;
                if reply.status == 201 {
                    kept.push(reply.body);
                }
            }
            let schemas = rig.get("/Schemas").await;
            let extensions = rig.get("/ResourceTypes/User").await["schemaExtensions"].clone();
            let mut found = Vec::new();
            kept.iter().for_each(|document| paths(document, &mut found));
            for (urn, path) in found {
                let mut listed = schemas["Resources"].as_array().unwrap().iter();
                let schema = listed.find(|schema| schema["id"] == urn).unwrap_or_else(|| panic!("no {urn}"));
                assert!(defined(schema, &path).is_some(), "{urn} {path:?} is missing in {schema}");
                let is_extension = extensions.as_array().unwrap().iter().any(|it| it["schema"] == urn);
                assert_eq!(is_extension, urn != CORE_USER, "{urn} in {extensions}");
            }
            for schema in schemas["Resources"].as_array().unwrap() {
                schema["attributes"].as_array().unwrap().iter().for_each(check_definition);
            }
        });
    }
}
