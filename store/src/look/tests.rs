use super::*;
use crate::testing::{Folder, content, group_content, login, new_store};
use crate::{PersonContent, Provisioning, Store};

fn named(user_name: &str, external_id: &str, email: &str) -> PersonContent {
    PersonContent {
        external_id: Some(external_id.to_owned()),
        emails: vec![email.to_owned()],
        ..content(user_name)
    }
}

async fn filled(store: &Store) {
    let jane = store.create_person("corp", named("Jane", "00u1", "jane@corp.example"), 1).await.unwrap();
    store.create_person("corp", named("joe", "00u2", "joe@corp.example"), 1).await.unwrap();
    store.create_group("corp", group_content("Engineering"), vec![jane.scim_id], 1).await.unwrap();
    store.begin_session(login(7, "00u1", Some("jane@corp.example")), Provisioning::Optional).await.unwrap();
}

#[tokio::test]
async fn people_are_shown_whole_and_found_by_what_they_are_called() {
    let (folder, store) = new_store().await;
    filled(&store).await;
    let look = StoreLook::open(&folder.database()).unwrap();
    let mut shown = Vec::new();
    look.each_person(|person| shown.push(person)).unwrap();
    assert_eq!(shown.iter().map(|it| it.user_name.as_str()).collect::<Vec<_>>(), ["Jane", "joe"]);
    assert_eq!(shown[1].emails, ["joe@corp.example"]);
    assert_eq!(*shown[0].groups, [look.groups().unwrap()[0].id]);
    for called in ["JANE", "jane@CORP.example", "00u1", shown[0].scim_id.as_str()] {
        assert_eq!(look.persons_called(called).unwrap(), [shown[0].clone()], "{called}");
    }
    assert!(look.persons_called("jan").unwrap().is_empty());
    assert_eq!(look.sessions().unwrap()[0].person, Some(shown[0].id));
    assert_eq!(look.directories().unwrap().len(), 3);
}

#[tokio::test]
async fn it_stays_at_its_moment_and_hinders_no_writer() {
    let (folder, store) = new_store().await;
    let look = StoreLook::open(&folder.database()).unwrap();
    filled(&store).await;
    assert!(look.persons_called("jane").unwrap().is_empty());
    let later = StoreLook::open(&folder.database()).unwrap();
    assert_eq!(later.persons_called("jane").unwrap().len(), 1);
    assert!(look.connection.execute("DELETE FROM persons", []).is_err(), "it cannot write");
}

#[tokio::test]
async fn what_is_no_store_of_this_schema_is_left_alone() {
    let folder = Folder::new();
    let path = folder.database();
    assert!(matches!(StoreLook::open(&path), Err(OpenError::File { .. })));
    assert!(!path.exists(), "nothing is made");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    assert!(matches!(StoreLook::open(&path), Err(OpenError::NotAStore)));
    let (folder, store) = new_store().await;
    drop(store);
    Connection::open(folder.database()).unwrap().execute_batch("PRAGMA user_version = 1").unwrap();
    assert!(matches!(StoreLook::open(&folder.database()), Err(OpenError::OlderSchema { version: 1 })));
}
