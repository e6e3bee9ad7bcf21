use crate::testing::{Model, content, login, new_store, session_id, set_active, three};
use crate::{
    BeginSessionError, Change, EndReason, EndWhat, NewApplicationSession, PersonContent, Provisioning, Store,
    StoredPerson,
};
use std::sync::Arc;

async fn followed() -> (crate::testing::Folder, Store, Arc<Model>) {
    let (folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    (folder, store, model)
}

async fn person(store: &Store, user_name: &str, external_id: Option<&str>, emails: &[&str]) -> StoredPerson {
    let content = PersonContent {
        external_id: external_id.map(str::to_owned),
        emails: emails.iter().map(|email| (*email).to_owned()).collect(),
        ..content(user_name)
    };
    store.create_person("corp", content, 2).await.unwrap()
}

async fn begin(store: &Store, number: u64, subject: &str, email: Option<&str>) -> Option<crate::PersonId> {
    store.begin_session(login(number, subject, email), Provisioning::Optional).await.unwrap().person
}

async fn edit(store: &Store, person: &StoredPerson, edit: impl FnOnce(&mut PersonContent) + Send + 'static) {
    store
        .modify_person("corp", &person.scim_id, 3, |before| {
            let mut content = before.content.clone();
            edit(&mut content);
            Ok::<_, ()>(content)
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_external_id_is_stronger_than_an_address() {
    let (_folder, store, _model) = followed().await;
    let by_id = person(&store, "first", Some("00u1"), &[]).await;
    let by_name = person(&store, "Second@corp.example", None, &[]).await;
    let by_email = person(&store, "third", Some("00u3"), &["Third@CORP.example"]).await;
    assert_eq!(begin(&store, 1, "00u1", Some("second@corp.example")).await, Some(by_id.id));
    assert_eq!(begin(&store, 2, "00u9", Some(" SECOND@corp.example")).await, Some(by_name.id));
    assert_eq!(begin(&store, 3, "00u9", Some("third@corp.example")).await, Some(by_email.id));
    assert_eq!(begin(&store, 4, "00U1", None).await, None, "a sub is compared exactly");
    assert_eq!(begin(&store, 5, "00u9", None).await, None);
    assert_eq!(begin(&store, 6, "00u9", Some("")).await, None);
    let elsewhere =
        crate::NewSession { provider: "other".to_owned(), ..login(7, "00u1", Some("third@corp.example")) };
    assert_eq!(store.begin_session(elsewhere, Provisioning::Optional).await.unwrap().person, None);
}

#[tokio::test]
async fn an_address_of_two_people_is_nobodys() {
    let (_folder, store, _model) = followed().await;
    person(&store, "shared@corp.example", None, &["shared@corp.example"]).await;
    assert!(begin(&store, 1, "00u9", Some("shared@corp.example")).await.is_some(), "one person twice is one");
    person(&store, "second", None, &["shared@corp.example"]).await;
    assert_eq!(begin(&store, 2, "00u9", Some("shared@corp.example")).await, None);
    let refused =
        store.begin_session(login(3, "00u9", Some("shared@corp.example")), Provisioning::Required).await;
    assert!(matches!(refused, Err(BeginSessionError::NotProvisioned)));
}

#[tokio::test]
async fn a_session_that_might_be_a_deactivated_persons_is_over() {
    let (_folder, store, model) = followed().await;
    let first = person(&store, "first", None, &["shared@corp.example"]).await;
    person(&store, "second", None, &["shared@corp.example"]).await;
    assert_eq!(begin(&store, 1, "00u9", Some("shared@corp.example")).await, None);
    set_active(&store, &first.scim_id, false).await;
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
    let refused =
        store.begin_session(login(2, "00u9", Some("shared@corp.example")), Provisioning::Optional).await;
    assert!(matches!(refused, Err(BeginSessionError::Deactivated)));
}

#[tokio::test]
async fn a_session_finds_its_person_when_they_come_later() {
    let (_folder, store, model) = followed().await;
    assert_eq!(begin(&store, 1, "00u1", Some("engineer@corp.example")).await, None);
    assert_eq!(begin(&store, 2, "00u2", None).await, None);
    let engineer = person(&store, "engineer@corp.example", None, &[]).await;
    assert_eq!(model.person_of(session_id(1)), Some(engineer.id));
    assert_eq!(model.person_of(session_id(2)), None);
    model.told();
    edit(&store, &engineer, |content| content.external_id = Some("00u2".to_owned())).await;
    assert_eq!(model.person_of(session_id(2)), Some(engineer.id));
    assert!(matches!(model.told().as_slice(), [Change::Person(_), Change::SessionsLinked { .. }]));
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn an_external_id_that_arrives_later_takes_the_session_over() {
    let (_folder, store, model) = followed().await;
    let by_email = person(&store, "first@corp.example", None, &[]).await;
    let real = person(&store, "second@corp.example", None, &[]).await;
    assert_eq!(begin(&store, 1, "00u1", Some("first@corp.example")).await, Some(by_email.id));
    edit(&store, &real, |content| content.external_id = Some("00u1".to_owned())).await;
    assert_eq!(model.person_of(session_id(1)), Some(real.id));
    set_active(&store, &by_email.scim_id, false).await;
    assert_eq!(model.ended(session_id(1)), None);
    set_active(&store, &real.scim_id, false).await;
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
}

#[tokio::test]
async fn a_person_created_inactive_ends_the_sessions_that_were_theirs_all_along() {
    let (_folder, store, model) = followed().await;
    assert_eq!(begin(&store, 1, "00u1", Some("engineer@corp.example")).await, None);
    let inactive = PersonContent { active: false, ..content("Engineer@corp.example") };
    store.create_person("corp", inactive, 2).await.unwrap();
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
}

#[tokio::test]
async fn a_new_address_does_not_free_a_session_from_its_person() {
    let (_folder, store, model) = followed().await;
    let engineer = person(&store, "engineer@corp.example", None, &[]).await;
    assert_eq!(begin(&store, 1, "00u1", Some("engineer@corp.example")).await, Some(engineer.id));
    edit(&store, &engineer, |content| content.user_name = "married@corp.example".to_owned()).await;
    let successor = person(&store, "engineer@corp.example", None, &[]).await;
    assert_ne!(successor.id, engineer.id);
    assert_eq!(
        model.person_of(session_id(1)),
        Some(engineer.id),
        "whoever is given the address is given a session"
    );
    set_active(&store, &engineer.scim_id, false).await;
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
}

#[tokio::test]
async fn a_change_of_ids_and_a_deactivation_in_one_write_end_the_old_sessions() {
    let (_folder, store, model) = followed().await;
    let engineer = person(&store, "engineer@corp.example", Some("00u1"), &[]).await;
    begin(&store, 1, "00u1", None).await;
    begin(&store, 2, "00u7", None).await;
    edit(&store, &engineer, |content| {
        content.active = false;
        content.external_id = Some("00u7".to_owned());
        content.user_name = "somebody else".to_owned();
    })
    .await;
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
    assert_eq!(model.ended(session_id(2)), Some(EndReason::Deactivated));
}

#[tokio::test]
async fn a_person_who_says_they_are_another_gives_the_session_back() {
    let (_folder, store, model) = followed().await;
    let engineer = person(&store, "engineer", Some("00u1"), &[]).await;
    assert_eq!(begin(&store, 1, "00u1", None).await, Some(engineer.id));
    edit(&store, &engineer, |content| content.external_id = None).await;
    assert_eq!(model.person_of(session_id(1)), Some(engineer.id), "an id left out says nothing");
    edit(&store, &engineer, |content| content.external_id = Some("00u1".to_owned())).await;
    edit(&store, &engineer, |content| content.external_id = Some("00u2".to_owned())).await;
    assert_eq!(model.person_of(session_id(1)), None);
}

#[tokio::test]
async fn deleted_then_created_again_is_somebody_else() {
    // T95
    let (_folder, store, model) = followed().await;
    let engineer = person(&store, "engineer@corp.example", Some("00u1"), &[]).await;
    begin(&store, 1, "00u1", None).await;
    model.told();
    store.delete_person("corp", &engineer.scim_id, 4).await.unwrap();
    assert!(matches!(
        model.told().as_slice(),
        [Change::PersonDeleted(id, _), Change::SessionsEnded { reason: EndReason::Deleted, .. }] if *id == engineer.id
    ));
    let again = person(&store, "engineer@corp.example", Some("00u1"), &[]).await;
    assert!(again.id > engineer.id);
    assert_ne!(again.scim_id, engineer.scim_id);
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deleted));
    assert_eq!(model.person_of(session_id(1)), Some(engineer.id));
    let part = NewApplicationSession {
        id: session_id(2),
        parent: session_id(1),
        terminal: None,
        host: "wiki.corp.example".to_owned(),
        now: 5,
        expires_at: 9,
        binding: None,
    };
    assert!(store.begin_application_session(part).await.is_err());
    assert_eq!(store.end_sessions(EndWhat::Person(engineer.id), EndReason::Revoked, 6).await.unwrap(), 0);
}

#[tokio::test]
async fn a_directory_that_is_served_no_more_ends_its_sessions() {
    let (_folder, store, model) = followed().await;
    person(&store, "engineer@corp.example", Some("00u1"), &[]).await;
    begin(&store, 1, "00u1", None).await;
    begin(&store, 2, "00u2", Some("visitor@corp.example")).await;
    store.declare_directories(&three()[1..], 4).await.unwrap();
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Revoked));
    assert_eq!(model.ended(session_id(2)), None);
    assert_eq!(begin(&store, 3, "00u1", None).await, None);
    store.declare_directories(&three(), 5).await.unwrap();
    assert!(model.person_of(session_id(3)).is_some());
}

#[tokio::test]
async fn a_session_that_might_be_a_deleted_persons_is_over() {
    let (_folder, store, model) = followed().await;
    let first = person(&store, "first", None, &["shared@corp.example"]).await;
    let second = person(&store, "second", None, &["shared@corp.example", "second@corp.example"]).await;
    assert_eq!(begin(&store, 1, "00u8", Some("shared@corp.example")).await, None);
    assert_eq!(begin(&store, 2, "00u9", Some("second@corp.example")).await, Some(second.id));
    store.delete_person("corp", &first.scim_id, 4).await.unwrap();
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deleted), "it went over to the other");
    assert_eq!(model.ended(session_id(2)), None);
}

#[tokio::test]
async fn two_people_of_one_external_id_are_nobody() {
    let (_folder, store, model) = followed().await;
    let first = person(&store, "first", Some("00u1"), &[]).await;
    assert_eq!(begin(&store, 1, "00u1", None).await, Some(first.id));
    let twin = PersonContent { external_id: Some("00u1".to_owned()), ..content("first") };
    let twin = store.create_person("annex", twin, 2).await.unwrap();
    assert_eq!(model.person_of(session_id(1)), None);
    assert_eq!(begin(&store, 2, "00u1", Some("first")).await, None, "an address does not decide between ids");
    store
        .modify_person("annex", &twin.scim_id, 3, |person| {
            Ok::<_, ()>(PersonContent { active: false, ..person.content.clone() })
        })
        .await
        .unwrap();
    for number in [1, 2] {
        assert_eq!(model.ended(session_id(number)), Some(EndReason::Deactivated));
    }
}

async fn claim(store: &Store, number: u64, claimed: &[&str]) -> Result<(), BeginSessionError> {
    let session = crate::NewSession {
        claimed: claimed.iter().map(|address| (*address).to_owned()).collect(),
        ..login(number, "not an externalId", None)
    };
    let begun = store.begin_session(session, Provisioning::Optional).await?;
    assert_eq!(begun.person, None, "a claim without proof linked a session");
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_only_claimed_denies_and_never_links() {
    let (_folder, store, model) = followed().await;
    let by_email = person(&store, "engineer", Some("00u1"), &["engineer@corp.example"]).await;
    let by_name = person(&store, "second@corp.example", Some("00u2"), &[]).await;
    claim(&store, 1, &[" Engineer@CORP.example", ""]).await.unwrap();
    claim(&store, 2, &["nobody", "second@corp.example", "second@corp.example"]).await.unwrap();
    claim(&store, 3, &["third@corp.example"]).await.unwrap();
    set_active(&store, &by_email.scim_id, false).await;
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
    assert_eq!(store.sealed(session_id(1)).unwrap(), None);
    store.delete_person("corp", &by_name.scim_id, 4).await.unwrap();
    assert_eq!(model.ended(session_id(2)), Some(EndReason::Deleted));
    assert_eq!(model.ended(session_id(3)), None);
    let again = claim(&store, 4, &["nobody", "ENGINEER@corp.example"]).await;
    assert!(matches!(again, Err(BeginSessionError::Deactivated)), "the deactivated person logged in again");
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn a_deactivation_reaches_a_session_that_was_signed_out_before() {
    let (_folder, store, model) = followed().await;
    let gone = person(&store, "engineer", Some("00u1"), &["engineer@corp.example"]).await;
    claim(&store, 1, &["engineer@corp.example"]).await.unwrap();
    let signed_out = EndWhat::Session(session_id(1));
    store.end_sessions(signed_out, EndReason::SignedOut, 2).await.unwrap();
    assert_eq!(model.ended(session_id(1)), Some(EndReason::SignedOut));
    set_active(&store, &gone.scim_id, false).await;
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn a_claimed_address_says_nothing_of_a_linked_session_or_another_provider() {
    let (_folder, store, model) = followed().await;
    let gone = person(&store, "shared@corp.example", None, &[]).await;
    person(&store, "engineer", Some("00u1"), &[]).await;
    let linked =
        crate::NewSession { claimed: vec!["shared@corp.example".to_owned()], ..login(1, "00u1", None) };
    let elsewhere = crate::NewSession {
        id: session_id(2),
        subject: "00u8".to_owned(),
        provider: "other".to_owned(),
        ..linked.clone()
    };
    store.begin_session(linked.clone(), Provisioning::Optional).await.unwrap();
    store.begin_session(elsewhere, Provisioning::Optional).await.unwrap();
    set_active(&store, &gone.scim_id, false).await;
    assert_eq!(model.ended(session_id(1)), None);
    assert_eq!(model.ended(session_id(2)), None);
    let linked = crate::NewSession { id: session_id(3), ..linked };
    store.begin_session(linked, Provisioning::Optional).await.unwrap();
}

#[tokio::test]
async fn a_claimed_address_that_becomes_an_inactive_persons_ends_the_session() {
    let (_folder, store, model) = followed().await;
    for (number, address) in [(1, "created"), (2, "renamed"), (3, "old"), (4, "freed")] {
        claim(&store, number, &[address]).await.unwrap();
    }
    let inactive = PersonContent { active: false, ..content("Created") };
    let created = store.create_person("corp", inactive, 2).await.unwrap();
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
    edit(&store, &created, |content| content.emails = vec!["Renamed".to_owned()]).await;
    assert_eq!(model.ended(session_id(2)), Some(EndReason::Deactivated));
    let person = person(&store, "old", None, &[]).await;
    edit(&store, &person, |content| {
        content.active = false;
        content.user_name = "new".to_owned();
    })
    .await;
    assert_eq!(model.ended(session_id(3)), Some(EndReason::Deactivated), "a new name saved the session");
    assert_eq!(model.ended(session_id(4)), None);
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn a_session_that_loses_its_person_is_denied_by_what_it_claims() {
    let (_folder, store, model) = followed().await;
    let gone = person(&store, "gone@corp.example", None, &[]).await;
    let engineer = person(&store, "engineer", Some("00u1"), &[]).await;
    let session =
        crate::NewSession { claimed: vec!["gone@corp.example".to_owned()], ..login(1, "00u1", None) };
    store.begin_session(session, Provisioning::Optional).await.unwrap();
    set_active(&store, &gone.scim_id, false).await;
    assert_eq!(model.ended(session_id(1)), None);
    edit(&store, &engineer, |content| content.external_id = Some("00u2".to_owned())).await;
    assert_eq!(model.ended(session_id(1)), Some(EndReason::Deactivated));
}
