//! A joiner, a mover and a leaver, in the order of requests in which Okta tells of them; the sink accepts each, and holds what was told.

use portcullis_tests::okta::{OktaSim, Push};

const LOGIN: &str = "engineer@corp.example";
const COLLEAGUE: &str = "designer@corp.example";
const GROUP: &str = "Engineering";

#[track_caller]
fn accepted(what: &str, pushes: &[Push]) {
    assert!(!pushes.is_empty(), "{what}: nothing was pushed");
    for push in pushes {
        assert!(push.accepted(), "{what}: {} {} {:?} {}", push.method, push.path, push.status, push.body);
    }
}

/// Runs on a sink that is connected and knows nobody of the company.
pub(crate) async fn replay(okta: &OktaSim) {
    accepted("test connection", &okta.test_connection().await);
    accepted("assign", &okta.provision(LOGIN).await.unwrap());
    accepted("assign a colleague", &okta.provision(COLLEAGUE).await.unwrap());
    let id = okta.scim_id(LOGIN).unwrap().unwrap();
    accepted(
        "profile",
        &okta.update_person(LOGIN, |person| person.given_name = "Ernest".to_owned()).await.unwrap(),
    );
    accepted("push a group", &okta.push_group(GROUP).await.unwrap());
    accepted("leave it", &okta.remove_member(GROUP, LOGIN).await.unwrap());
    accepted("join it", &okta.add_member(GROUP, LOGIN).await.unwrap());
    accepted("rename it", &okta.rename_group(GROUP, "Builders").await.unwrap());
    accepted("deactivate", &okta.deactivate(LOGIN).await.unwrap());
    accepted("reactivate", &okta.reactivate(LOGIN).await.unwrap());
    assert_eq!(okta.scim_id(LOGIN).unwrap(), Some(id.clone()), "the same id comes back");
    accepted("unassign", &okta.unassign(LOGIN).await.unwrap());
    let import = okta.import().await;
    accepted("import", &import);
    // What the sink holds at the end, as the import told it.
    let told = |kind: &str| {
        let page = import.iter().find(|push| push.path.starts_with(kind)).unwrap();
        serde_json::from_str::<serde_json::Value>(&page.body).unwrap()["Resources"].clone()
    };
    let (people, groups) = (told("/Users"), told("/Groups"));
    let engineer = people.as_array().unwrap().iter().find(|person| person["id"] == id.as_str()).unwrap();
    assert_eq!((&engineer["active"], &engineer["name"]["givenName"]), (&false.into(), &"Ernest".into()));
    assert_eq!(groups[0]["displayName"], "Builders");
    let members = groups[0]["members"].as_array().unwrap();
    assert!(members.iter().any(|member| member["value"] == id.as_str()), "{members:?}");
    accepted("unlink the group", &okta.unlink_group("Builders").await.unwrap());
}
