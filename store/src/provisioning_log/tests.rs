use super::*;
use crate::testing::{content, group_content, login, new_store};
use crate::{MemberEdit, PersonContent, Provisioning};

fn by(operation: &str, changed: &[&str]) -> Provisioner {
    let held = OnceLock::new();
    held.set(changed.iter().map(|name| (*name).to_owned()).collect()).unwrap();
    Provisioner {
        seen: Arc::default(),
        key_id: "0a1b2c3d".to_owned(),
        key_name: "okta".to_owned(),
        operation: operation.to_owned(),
        changed: Arc::new(held),
    }
}

#[tokio::test]
async fn an_entry_says_who_wrote_what_and_what_it_ended() {
    let (_folder, store) = new_store().await;
    let create = store.provisioned_by(by("user.create", &["userName", "active"]));
    let jane = create.create_person("corp", content("jane@corp.example"), 10).await.unwrap();
    let gone = store.create_person("corp", content("gone@corp.example"), 10).await.unwrap();
    for number in 1..=2 {
        let session = login(number, "00u1", Some("jane@corp.example"));
        store.begin_session(session, Provisioning::Required).await.unwrap();
    }
    let group = store.provisioned_by(by("group.create", &["displayName", "members"]));
    let members = vec![jane.scim_id.clone(), gone.scim_id.clone()];
    let team = group.create_group("corp", group_content("Team"), members, 11).await.unwrap();
    let patch = store.provisioned_by(by("group.patch", &["members"]));
    let edit =
        MemberEdit::Change { add: Vec::new(), remove: vec![gone.scim_id.clone(), "nobody".to_owned()] };
    let content_of_team = group_content("Team");
    patch
        .modify_group("corp", &team.scim_id, 12, move |_| Ok::<_, ()>((content_of_team, edit)))
        .await
        .unwrap();
    let deactivate = store.provisioned_by(by("user.patch", &["active"]));
    let inactive =
        |person: &crate::StoredPerson| Ok::<_, ()>(PersonContent { active: false, ..person.content.clone() });
    deactivate.modify_person("corp", &jane.scim_id, 13, inactive).await.unwrap();
    // The same again changes nothing and is no entry.
    let again = store.provisioned_by(by("user.patch", &[]));
    again.modify_person("corp", &jane.scim_id, 14, inactive).await.unwrap();
    store.provisioned_by(by("user.delete", &[])).delete_person("corp", &gone.scim_id, 15).await.unwrap();

    let log = store.provisioning_log(None, None, 10).unwrap();
    let told: Vec<_> = log
        .iter()
        .map(|entry| {
            let counts = (entry.joined, entry.departed, entry.sessions_ended);
            (entry.operation.as_str(), entry.name.as_deref(), counts, entry.changed.join(","))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("user.delete", None, (0, 0, 0), String::new()),
            ("user.patch", Some("jane@corp.example"), (0, 0, 2), "active".to_owned()),
            ("group.patch", Some("Team"), (0, 1, 0), "members".to_owned()),
            ("group.create", Some("Team"), (2, 0, 0), "displayName,members".to_owned()),
            ("user.create", Some("jane@corp.example"), (0, 0, 0), "userName,active".to_owned()),
        ]
    );
    assert_eq!((log[1].at, log[1].key_id.as_str(), &log[1].refused), (13, "0a1b2c3d", &None));
    assert_eq!(store.provisioning_log(Some("annex"), None, 10).unwrap(), []);
    let about: Vec<i64> = store
        .provisioning_log(Some("corp"), Some(&jane.scim_id), 1)
        .unwrap()
        .iter()
        .map(|one| one.at)
        .collect();
    assert_eq!(about, [13]);
}

#[tokio::test]
async fn a_write_that_is_refused_leaves_no_entry_of_itself() {
    let (_folder, store) = new_store().await;
    let create = store.provisioned_by(by("user.create", &["userName"]));
    create.create_person("corp", content("jane@corp.example"), 10).await.unwrap();
    create.create_person("corp", content("Jane@corp.example"), 10).await.unwrap_err();
    assert_eq!(store.provisioning_log(None, None, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn refusals_are_cut_and_the_oldest_entries_are_dropped() {
    let (_folder, store) = new_store().await;
    let refused = |path: &str| RefusedProvisioning {
        directory: "corp".to_owned(),
        key_id: "0a1b2c3d".to_owned(),
        key_name: "okta".to_owned(),
        operation: "POST".to_owned(),
        resource: path.to_owned(),
        status: 409,
        reason: "x".repeat(PROVISIONING_TEXT_CHARS + 1),
    };
    store.note_refused_provisioning(refused(&"ü".repeat(PROVISIONING_TEXT_CHARS + 1)), 10);
    // A number far on stands for as many entries between.
    store
        .write::<_, _, StoreError>(|transaction| {
            let far = sql_count(PROVISIONING_ENTRIES_KEPT);
            sql::run(
                transaction.connection,
                "UPDATE sqlite_sequence SET seq = $1 WHERE name = 'provisioning_log'",
                [far],
            )?;
            Ok(())
        })
        .await
        .unwrap();
    let log = store.provisioning_log(None, None, 10).unwrap();
    let (status, reason) = log[0].refused.clone().unwrap();
    assert_eq!((status, reason.chars().count()), (409, PROVISIONING_TEXT_CHARS));
    assert_eq!(log[0].resource.chars().count(), PROVISIONING_TEXT_CHARS);
    store.note_refused_provisioning(refused("Users"), 11);
    store.create_person("corp", content("a@x"), 12).await.unwrap();
    let log = store.provisioning_log(None, None, 10).unwrap();
    assert_eq!(log.iter().map(|entry| entry.at).collect::<Vec<_>>(), [11], "the first is too old by one");
}
