//! What the SCIM client sends, against a sink that records it.

use std::time::Duration;

use portcullis_tests::okta::{Dialect, OktaConfig, OktaSim, Operation, Push};

use crate::sink::Sink;
use crate::wire::{company, start};

const ENGINEER: &str = "engineer@corp.example";
const FIND_ENGINEER: &str =
    "GET /Users?filter=userName%20eq%20%22engineer%40corp.example%22&startIndex=1&count=100";
const FIND_ENGINEERING: &str =
    "GET /Groups?filter=displayName%20eq%20%22Engineering%22&startIndex=1&count=100";

async fn with(dialect: Dialect) -> (OktaSim, Sink) {
    let okta = start().await;
    let (sink, target) = Sink::start(dialect).await;
    okta.set_scim_target(target).unwrap();
    (okta, sink)
}

#[tokio::test]
async fn nothing_is_pushed_without_a_target() {
    let okta = start().await;
    assert!(okta.provision(ENGINEER).await.unwrap().is_empty());
    assert!(okta.deactivate(ENGINEER).await.unwrap().is_empty());
    assert!(okta.journal().is_empty());
}

#[tokio::test]
async fn the_wizard_writes_only_by_put_and_keeps_what_it_does_not_know() {
    let (okta, sink) = with(Dialect::Wizard).await;
    assert!(okta.test_connection().await.iter().all(Push::accepted));
    assert_eq!(sink.lines(), ["GET /Users?startIndex=1&count=2", "GET /Groups?startIndex=1&count=100"]);
    assert!(okta.provision(ENGINEER).await.unwrap().iter().all(Push::accepted));
    let seen = sink.take();
    assert_eq!(
        seen.iter().map(|seen| seen.line.as_str()).collect::<Vec<_>>(),
        [FIND_ENGINEER, "POST /Users"]
    );
    let headers = &seen[1].headers;
    assert_eq!(headers["authorization"], "Bearer key");
    assert_eq!(headers["user-agent"], "Okta SCIM Client 1.0.0");
    assert_eq!(headers["content-type"], "application/scim+json; charset=utf-8");
    assert!(!seen[0].headers.contains_key("content-type"));
    let posted = &seen[1].body;
    assert_eq!((&posted["userName"], &posted["active"]), (&ENGINEER.into(), &true.into()));
    assert_eq!(posted["externalId"], okta.person_id(ENGINEER).unwrap());
    assert!(posted["password"].is_string());
    let id = okta.scim_id(ENGINEER).unwrap().unwrap();

    let pushes = okta.deactivate(ENGINEER).await.unwrap();
    assert_eq!(sink.lines(), [format!("GET /Users/{id}"), format!("PUT /Users/{id}")]);
    let last = pushes.last().unwrap();
    assert_eq!((last.operation, last.status), (Operation::DeactivateUser, Some(200)));
    assert!(last.answered >= last.started && pushes[0].answered <= last.started);
    let resource = sink.resource(&id);
    assert_eq!((&resource["active"], &resource["unknownToOkta"]), (&false.into(), &"kept".into()));

    okta.reactivate(ENGINEER).await.unwrap();
    assert_eq!(
        sink.lines(),
        [FIND_ENGINEER.to_owned(), format!("GET /Users/{id}"), format!("PUT /Users/{id}")]
    );
    assert_eq!(sink.resource(&id)["active"], true);
    assert_eq!(okta.scim_id(ENGINEER).unwrap(), Some(id.clone()));
    okta.update_person(ENGINEER, |person| person.given_name = "Ernest".to_owned()).await.unwrap();
    assert_eq!(sink.lines(), [format!("GET /Users/{id}"), format!("PUT /Users/{id}")]);
    assert_eq!(sink.resource(&id)["name"]["givenName"], "Ernest");
    okta.suspend(ENGINEER, true).unwrap();
    assert!(sink.lines().is_empty(), "a suspension sends nothing");
    assert_eq!(okta.journal().len(), 11);
}

#[tokio::test]
async fn the_wizard_pushes_whole_groups() {
    let (okta, sink) = with(Dialect::Wizard).await;
    for login in [ENGINEER, "designer@corp.example"] {
        okta.provision(login).await.unwrap();
    }
    sink.take();
    okta.push_group("Engineering").await.unwrap();
    let seen = sink.take();
    let lines = seen.iter().map(|seen| seen.line.clone()).collect::<Vec<_>>();
    let id = lines[3].strip_prefix("PUT /Groups/").unwrap().to_owned();
    assert_eq!(
        lines,
        [
            FIND_ENGINEERING.to_owned(),
            "POST /Groups".to_owned(),
            format!("GET /Groups/{id}"),
            format!("PUT /Groups/{id}")
        ]
    );
    assert_eq!(seen[1].body["members"], serde_json::json!([]));
    let members = seen[3].body["members"].as_array().unwrap();
    assert_eq!(members.len(), 1, "only people whom the sink knows are members: {members:?}");
    okta.add_member("Engineering", "designer@corp.example").await.unwrap();
    assert_eq!(sink.take()[1].body["members"].as_array().unwrap().len(), 2);
    okta.remove_member("Engineering", ENGINEER).await.unwrap();
    let left = sink.take()[1].body["members"].clone();
    assert_eq!(left[0]["display"], "designer@corp.example");
    okta.rename_group("Engineering", "Makers").await.unwrap();
    assert_eq!(sink.take()[1].body["displayName"], "Makers");
    okta.unlink_group("Makers").await.unwrap();
    assert_eq!(sink.lines(), [format!("DELETE /Groups/{id}")]);
    okta.add_member("Makers", ENGINEER).await.unwrap();
    assert!(sink.lines().is_empty(), "an unlinked group is not pushed");
}

#[tokio::test]
async fn the_catalog_writes_by_patch() {
    let (okta, sink) = with(Dialect::Catalog).await;
    okta.provision(ENGINEER).await.unwrap();
    let id = okta.scim_id(ENGINEER).unwrap().unwrap();
    okta.push_group("Engineering").await.unwrap();
    sink.take();
    okta.deactivate(ENGINEER).await.unwrap();
    let seen = sink.take();
    assert_eq!(seen[0].line, format!("PATCH /Users/{id}"));
    assert_eq!(
        seen[0].body["Operations"],
        serde_json::json!([{"op": "replace", "value": {"active": false}}])
    );
    okta.reactivate(ENGINEER).await.unwrap();
    let seen = sink.take();
    assert_eq!(seen[1].body["Operations"], serde_json::json!([{"op": "replace", "value": {"active": true}}]));
    okta.remove_member("Engineering", ENGINEER).await.unwrap();
    let operations = sink.take()[0].body["Operations"].clone();
    assert_eq!(operations[0]["value"]["displayName"], "Engineering", "the name goes along");
    assert_eq!(
        operations[1],
        serde_json::json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")})
    );
    okta.add_member("Engineering", ENGINEER).await.unwrap();
    let operations = sink.take()[0].body["Operations"].clone();
    assert_eq!(
        (&operations[1]["op"], &operations[1]["value"][0]["value"]),
        (&"add".into(), &id.as_str().into())
    );
    okta.rename_group("Engineering", "Makers").await.unwrap();
    let seen = sink.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].body["Operations"][0]["value"]["displayName"], "Makers");
    okta.push_group("Makers").await.unwrap();
    assert_eq!(sink.take().last().unwrap().body["Operations"][0]["op"], "replace");
}

#[tokio::test]
async fn everyone_is_provisioned_and_existing_people_are_linked() {
    let (okta, sink) = with(Dialect::Wizard).await;
    assert!(okta.provision_everyone().await.unwrap().iter().all(Push::accepted));
    let id = okta.scim_id(ENGINEER).unwrap();
    let again = start().await;
    let mut target = Sink::start(Dialect::Wizard).await.1;
    target.base_url = okta_target(&okta);
    again.set_scim_target(target).unwrap();
    sink.take();
    again.provision(ENGINEER).await.unwrap();
    assert_eq!(sink.lines().len(), 3, "found, read and written");
    assert_eq!(again.scim_id(ENGINEER).unwrap(), id);
    assert_eq!(okta.import().await.len(), 2);
    let joined = okta.journal().iter().filter(|push| push.operation == Operation::PushGroup).count();
    assert_eq!(joined, 5 * 4);
}

/// The base address of the sink that an org pushes to.
fn okta_target(okta: &OktaSim) -> String {
    okta.scim_target().unwrap().base_url
}

#[tokio::test]
async fn too_many_requests_are_repeated_when_the_sink_allows() {
    let config = OktaConfig { retry_wait: Duration::from_millis(10), ..OktaConfig::new(company()) };
    let okta = OktaSim::start(config).await.unwrap();
    let (sink, target) = Sink::start(Dialect::Wizard).await;
    okta.set_scim_target(target).unwrap();
    sink.answer_instead(429, Some("1"));
    sink.answer_instead(429, Some("Wed, 21 Oct 2026 07:28:00 GMT"));
    let pushes = okta.provision(ENGINEER).await.unwrap();
    let statuses = pushes.iter().map(|push| push.status).collect::<Vec<_>>();
    assert_eq!(statuses, [Some(429), Some(429), Some(200), Some(201)]);
    assert!(pushes[1].started - pushes[0].answered >= Duration::from_secs(1));
    sink.answer_instead(500, None);
    let failed = okta.deactivate(ENGINEER).await.unwrap();
    assert_eq!((failed.len(), failed[0].accepted()), (1, false), "other failures wait for an administrator");
    assert!(okta.deactivate(ENGINEER).await.unwrap().iter().all(Push::accepted));
}

#[tokio::test]
async fn tls_is_checked_against_the_given_ca() {
    let okta = start().await;
    let (sink, target) = Sink::start_tls().await;
    okta.set_scim_target(target.clone()).unwrap();
    assert!(okta.test_connection().await.iter().all(Push::accepted));
    assert_eq!(sink.take()[0].headers["authorization"], "key", "without the word Bearer");
    let stranger = Sink::start_tls().await.1;
    okta.set_scim_target(portcullis_tests::okta::ScimTarget { ca_pem: stranger.ca_pem, ..target.clone() })
        .unwrap();
    let refused = okta.test_connection().await;
    assert_eq!((refused.len(), refused[0].status), (1, None));
    assert!(refused[0].body.contains("certificate"), "{}", refused[0].body);
    for base_url in ["https://scim.corp.example/scim", "https://scim.localhost/scim_v2", "ftp://localhost/"] {
        let base_url = base_url.to_owned();
        let unusable = portcullis_tests::okta::ScimTarget { base_url, ..target.clone() };
        assert!(okta.set_scim_target(unusable).is_err());
    }
}
