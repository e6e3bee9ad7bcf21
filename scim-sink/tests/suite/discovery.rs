//! What the service provider says of itself is complete, and is what it does.

use portcullis_scim_sink::MAX_BODY_BYTES;
use portcullis_scim_sink::limits::{MAX_BULK_OPERATIONS, MAX_PAGE};
use serde_json::{Value, json};

use crate::rig::{BASE, CORE_GROUP, CORE_USER, ENTERPRISE, Rig};

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
        let mut sample = serde_json::Map::new();
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
