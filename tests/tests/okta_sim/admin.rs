//! The admin page and its API do what the library does, and push.

use portcullis_tests::okta::{AuthServer, Dialect, Status};
use serde_json::{Value, json};

use crate::sink::Sink;
use crate::wire::{Reply, ask, get, post_form, start};

const ENGINEER: &str = "engineer@corp.example";

async fn call(base: &str, method: &str, path: &str, body: &Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ask(&format!("{base}/admin/api/{path}"), method, &[("content-type", "application/json")], &body).await
}

#[tokio::test]
async fn the_page_deactivates_pushes_and_shows_the_answer() {
    let okta = start().await;
    let (sink, target) = Sink::start(Dialect::Wizard).await;
    okta.set_scim_target(target).unwrap();
    okta.provision_everyone().await.unwrap();
    sink.take();
    let page = format!("{}/admin", okta.base_url());
    let first = get(&page).await;
    assert!(first.body.contains(ENGINEER) && !first.body.contains("<script"), "{}", first.body);
    let done = post_form(&page, &[], &[("action", "deactivate"), ("login", ENGINEER)]).await;
    assert_eq!(done.status, 303);
    assert_eq!(okta.status(ENGINEER).unwrap(), Status::Deprovisioned);
    assert_eq!(sink.lines().len(), 2);
    let shown = get(&format!("{}{}", okta.base_url(), done.header("location"))).await;
    assert!(shown.body.contains("accepted it: PUT /Users/"), "{}", shown.body);
    assert!(shown.body.contains("Reactivate"));
    post_form(&page, &[], &[("action", "reactivate"), ("login", ENGINEER)]).await;
    assert_eq!(okta.status(ENGINEER).unwrap(), Status::Active);
    post_form(&page, &[], &[("action", "join"), ("group", "Finance"), ("login", ENGINEER)]).await;
    assert!(okta.groups_of(ENGINEER).unwrap().contains(&"Finance".to_owned()));
    post_form(&page, &[], &[("action", "leave"), ("group", "Finance"), ("login", ENGINEER)]).await;
    assert!(!okta.groups_of(ENGINEER).unwrap().contains(&"Finance".to_owned()));
    post_form(&page, &[], &[("action", "rename"), ("group", "Engineering"), ("name", "<b>Makers")]).await;
    assert!(get(&page).await.body.contains("&lt;b&gt;Makers"));
    let kid = okta.current_kid(AuthServer::Org);
    post_form(&page, &[], &[("action", "rotate")]).await;
    assert_ne!(okta.current_kid(AuthServer::Org), kid);
    let refused =
        post_form(&page, &[], &[("action", "join"), ("group", "Nowhere"), ("login", ENGINEER)]).await;
    assert!(refused.header("location").contains("Not%20done"));
}

#[tokio::test]
async fn the_api_does_the_same_for_other_processes() {
    let okta = start().await;
    let base = okta.base_url();
    let (sink, target) = Sink::start(Dialect::Catalog).await;
    assert_eq!(call(base, "POST", "scim", &json!(target)).await.status, 200);
    let tested = call(base, "POST", "scim/test", &Value::Null).await.json();
    assert_eq!((&tested["accepted"], tested["pushes"].as_array().unwrap().len()), (&true.into(), 2));
    assert_eq!(call(base, "POST", "provision", &Value::Null).await.json()["accepted"], true);
    sink.take();
    let done = call(base, "POST", &format!("people/{ENGINEER}/deactivate"), &Value::Null).await.json();
    assert_eq!(done["pushes"][0]["status"], 200);
    assert!(done["pushes"][0]["answered_unix_ms"].is_u64());
    let state = call(base, "GET", "state", &Value::Null).await.json();
    assert_eq!(state["people"][0]["status"], "DEPROVISIONED");
    let member = format!("groups/Finance/members/{}", "designer%40corp.example");
    assert_eq!(call(base, "PUT", &member, &Value::Null).await.status, 200);
    assert!(okta.groups_of("designer@corp.example").unwrap().contains(&"Finance".to_owned()));
    assert_eq!(call(base, "POST", "groups/Finance/rename", &json!({"name": "Money"})).await.status, 200);
    assert_eq!(call(base, "POST", "groups/Money/rename", &json!({"name": "Everyone"})).await.status, 409);
    assert_eq!(call(base, "POST", "people/nobody/deactivate", &Value::Null).await.status, 404);
    let fault = json!({"endpoint": "keys", "fault": {"status": 503}, "times": 1});
    assert_eq!(call(base, "POST", "misbehave", &fault).await.status, 200);
    let keys = AuthServer::Org.endpoint(base, "keys");
    assert_eq!((get(&keys).await.status, get(&keys).await.status), (503, 200));
    assert_eq!(call(base, "POST", "spoil", &json!({"spoil": "alg_none"})).await.status, 200);
    assert_eq!(call(base, "POST", "groups-claim", &json!({"mode": "cut_at_limit"})).await.status, 200);
    assert_eq!(call(base, "POST", "misbehave", &json!({"endpoint": "nowhere"})).await.status, 400);
    assert_eq!(call(base, "GET", "requests", &Value::Null).await.json()["keys"], 2);
    let journal = call(base, "GET", "journal", &Value::Null).await.json();
    assert_eq!(journal.as_array().unwrap().len(), okta.journal().len());
}
