use super::*;
use crate::testing::{Model, content, group_content, login, new_store, session_id, set_active, three};
use crate::{
    BeginSessionError, Change, DirectoryError, EndReason, KeyError, MemberEdit, ModifyError, PersonContent,
    PersonId, Provisioning, Store,
};
use std::sync::Arc;

async fn ruled(store: &Store, rules: DirectoryRules) {
    let mut directories = three();
    directories[0].rules = rules;
    store.declare_directories(&directories, 0).await.unwrap();
    assert_eq!(store.directories().unwrap(), directories, "they are read as they were written");
}

fn with_mail(user_name: &str, email: &str) -> PersonContent {
    PersonContent { emails: vec![email.to_owned()], ..content(user_name) }
}

async fn edit(
    store: &Store,
    scim_id: &str,
    edit: impl Fn(PersonContent) -> PersonContent + Send + 'static,
) -> Result<(), DirectoryError> {
    let edited =
        store.modify_person("corp", scim_id, 5, move |person| Ok::<_, ()>(edit(person.content.clone())));
    match edited.await {
        Ok(_) => Ok(()),
        Err(ModifyError::Directory(error)) => Err(error),
        Err(ModifyError::Edit(())) => unreachable!(),
    }
}

#[tokio::test]
async fn t91_an_address_that_tells_people_apart_is_one_persons() {
    let (_folder, store) = new_store().await;
    let first = store.create_person("corp", with_mail("a", "One@x"), 1).await.unwrap();
    let twin = store.create_person("corp", with_mail("b", "one@x"), 1).await.unwrap();
    ruled(&store, DirectoryRules { unique_by: UniqueBy::Email, ..DirectoryRules::default() }).await;
    let taken =
        |outcome: Result<(), DirectoryError>| matches!(outcome, Err(DirectoryError::IdentifierTaken(_)));
    assert!(taken(store.create_person("corp", with_mail("c", "ONE@x"), 2).await.map(drop)));
    // Of a directory that has no such rule it is nobody's business.
    store.create_person("annex", with_mail("c", "one@x"), 2).await.unwrap();
    let other = store.create_person("corp", with_mail("c", "two@x"), 2).await.unwrap();
    let moved =
        edit(&store, &other.scim_id, |before| PersonContent { emails: vec!["one@x".to_owned()], ..before });
    assert!(taken(moved.await));
    // Who shared it before the rule is deactivated all the same.
    set_active(&store, &twin.scim_id, false).await;
    edit(&store, &first.scim_id, |before| PersonContent { user_name: "a2".to_owned(), ..before })
        .await
        .unwrap();
}

#[tokio::test]
async fn t91_an_external_id_that_tells_people_apart_is_one_persons() {
    let (_folder, store) = new_store().await;
    ruled(&store, DirectoryRules { unique_by: UniqueBy::ExternalId, ..DirectoryRules::default() }).await;
    let of = |name: &str, id: &str| PersonContent { external_id: Some(id.to_owned()), ..content(name) };
    let first = store.create_person("corp", of("a", "00u1"), 1).await.unwrap();
    let refused = store.create_person("corp", of("b", "00u1"), 1).await;
    assert!(matches!(refused, Err(DirectoryError::IdentifierTaken("externalId"))));
    store.create_person("corp", content("b"), 1).await.unwrap();
    store.create_person("corp", content("c"), 1).await.unwrap();
    edit(&store, &first.scim_id, |before| before).await.unwrap();
}

/// The person whom a login is linked to, if it may begin.
async fn linked(
    store: &Store,
    number: u64,
    subject: &str,
    email: &str,
) -> Result<Option<PersonId>, BeginSessionError> {
    let begun = store.begin_session(login(number, subject, Some(email)), Provisioning::Optional).await;
    begun.map(|session| session.person)
}

#[tokio::test]
async fn a_login_is_linked_by_what_the_directory_says_and_by_nothing_else() {
    let (_folder, store) = new_store().await;
    let person = PersonContent { external_id: Some("00u1".to_owned()), ..with_mail("name@x", "mail@x") };
    let person = store.create_person("corp", person, 1).await.unwrap();
    let mut number = 0;
    for (external_id, email, user_name) in [
        (true, true, true),
        (true, false, false),
        (false, true, false),
        (false, false, true),
        (false, false, false),
    ] {
        let link_by = LinkBy { external_id, email, user_name };
        ruled(&store, DirectoryRules { link_by, ..DirectoryRules::default() }).await;
        for (subject, address, is_linked) in
            [("00u1", "other@x", external_id), ("00u9", "mail@x", email), ("00u9", "name@x", user_name)]
        {
            number += 1;
            let wanted = is_linked.then_some(person.id);
            assert_eq!(
                linked(&store, number, subject, address).await.unwrap(),
                wanted,
                "{link_by:?} {subject} {address}"
            );
            // A deactivation ends what it links, and denies it.
            set_active(&store, &person.scim_id, false).await;
            let again = linked(&store, number + 100, subject, address).await;
            assert_eq!(
                matches!(again, Err(BeginSessionError::Deactivated)),
                is_linked,
                "{link_by:?} {address}"
            );
            set_active(&store, &person.scim_id, true).await;
        }
    }
}

#[tokio::test]
async fn a_session_is_linked_when_a_rule_comes_that_links_it() {
    let (_folder, store) = new_store().await;
    let person = store.create_person("corp", with_mail("name@x", "mail@x"), 1).await.unwrap();
    let by_id_alone = LinkBy { email: false, user_name: false, ..LinkBy::default() };
    ruled(&store, DirectoryRules { link_by: by_id_alone, ..DirectoryRules::default() }).await;
    assert_eq!(linked(&store, 1, "00u1", "mail@x").await.unwrap(), None);
    ruled(&store, DirectoryRules::default()).await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    set_active(&store, &person.scim_id, false).await;
    let told = format!("{:?}", model.told());
    assert!(told.contains("SessionsEnded") && told.contains("Deactivated"), "{told}");
}

/// What the sessions of a person become when a group of theirs is changed in every way.
async fn after(rule: OnGroupChange) -> Vec<(&'static str, Vec<EndReason>, usize)> {
    let (_folder, store) = new_store().await;
    ruled(&store, DirectoryRules { on_group_change: rule, ..DirectoryRules::default() }).await;
    let jane = store.create_person("corp", with_mail("jane", "jane@x"), 1).await.unwrap();
    let john = store.create_person("corp", with_mail("john", "john@x"), 1).await.unwrap();
    let group = store.create_group("corp", group_content("Team"), Vec::new(), 1).await.unwrap();
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let mut outcome = Vec::new();
    for (number, what) in ["join", "rename", "leave", "join", "delete"].into_iter().enumerate() {
        let number = u64::try_from(number).unwrap();
        store.begin_session(login(number + 1, "00u1", Some("jane@x")), Provisioning::Required).await.unwrap();
        store
            .begin_session(login(number + 50, "00u2", Some("john@x")), Provisioning::Required)
            .await
            .unwrap();
        drop(model.told());
        let (add, remove) = match what {
            "join" => (vec![jane.scim_id.clone()], Vec::new()),
            _ => (Vec::new(), vec![jane.scim_id.clone()]),
        };
        let id = group.scim_id.clone();
        if what == "delete" {
            store.delete_group("corp", &id, 5).await.unwrap();
        } else if what == "rename" {
            let renamed = |_: &crate::StoredGroup| Ok::<_, ()>((group_content("Crew"), MemberEdit::Keep));
            store.modify_group("corp", &id, 5, renamed).await.unwrap();
        } else {
            let edit = MemberEdit::Change { add, remove };
            let name = store.group("corp", &id).unwrap().unwrap().content;
            store.modify_group("corp", &id, 5, move |_| Ok::<_, ()>((name, edit))).await.unwrap();
        }
        let told = model.told();
        let ended = told.iter().filter_map(|change: &Change| match change {
            Change::SessionsEnded { sessions, reason } => {
                assert_eq!(sessions, &[session_id(number + 1)], "{what}: john has nothing to do with it");
                Some(*reason)
            }
            _ => None,
        });
        let ended = ended.collect();
        let moves = told.iter().filter(|change| matches!(change, Change::Membership { .. })).count();
        outcome.push((what, ended, moves));
    }
    drop(john);
    outcome
}

#[tokio::test]
async fn groups_change_sessions_as_the_directory_says() {
    let all = |reasons: &[EndReason], moves: [usize; 5]| {
        ["join", "rename", "leave", "join", "delete"]
            .into_iter()
            .zip(moves)
            .map(|(what, moves)| (what, reasons.to_vec(), moves))
            .collect::<Vec<_>>()
    };
    assert_eq!(after(OnGroupChange::Apply).await, all(&[], [1, 0, 1, 1, 1]));
    assert_eq!(after(OnGroupChange::Reauthenticate).await, all(&[EndReason::GroupsChanged], [1, 0, 1, 1, 1]));
    assert_eq!(after(OnGroupChange::Ignore).await, all(&[], [0, 0, 0, 0, 1]));
}

#[tokio::test]
async fn where_group_changes_are_ignored_a_login_tells_the_groups_of_today() {
    let (_folder, store) = new_store().await;
    let rules = DirectoryRules { on_group_change: OnGroupChange::Ignore, ..DirectoryRules::default() };
    ruled(&store, rules).await;
    let jane = store.create_person("corp", with_mail("jane", "jane@x"), 1).await.unwrap();
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let group =
        store.create_group("corp", group_content("Team"), vec![jane.scim_id.clone()], 1).await.unwrap();
    let groups_told = || {
        let persons = model.told().into_iter().filter_map(|change| match change {
            Change::SessionBegun { person: Some(person), .. } => Some(person.groups.to_vec()),
            _ => None,
        });
        persons.collect::<Vec<_>>()
    };
    assert!(groups_told().is_empty());
    linked(&store, 1, "00u1", "jane@x").await.unwrap();
    assert_eq!(groups_told(), [[group.id]]);
}

#[tokio::test]
async fn a_rotated_key_and_its_successor_are_both_valid_for_a_while() {
    let (_folder, store) = new_store().await;
    let (former, old) = store.create_scim_key("corp", "okta", 10).await.unwrap();
    let (latter, new) = store.rotate_scim_key(&former.key_id, 100, 20).await.unwrap();
    assert_eq!((&*latter.directory, latter.name.as_str(), latter.expires_at), ("corp", "okta", None));
    let valid = |token: &str, now: i64| store.verify_scim_key("corp", token, now).unwrap().is_some();
    assert!(valid(old.expose(), 119) && valid(new.expose(), 119));
    assert!(!valid(old.expose(), 120) && valid(new.expose(), 120));
    // A shorter life is not made longer by a rotation, and what is over is not replaced.
    store.rotate_scim_key(&former.key_id, 1_000, 30).await.unwrap();
    assert!(!valid(old.expose(), 120));
    assert!(matches!(store.rotate_scim_key(&former.key_id, 0, 120).await, Err(KeyError::Over)));
    store.revoke_scim_key(&latter.key_id, 40).await.unwrap();
    assert!(matches!(store.rotate_scim_key(&latter.key_id, 0, 50).await, Err(KeyError::Over)));
    assert!(matches!(store.rotate_scim_key("none", 0, 50).await, Err(KeyError::NotFound)));
    store.rotate_scim_key(&store.list_scim_keys().unwrap()[2].key_id, -5, 60).await.unwrap();
}
