use super::*;
use crate::testing::{Folder, Model, content, crowd, group_content, login, new_store, session_id, three};
use crate::{
    Change, DirectoryRules, EndReason, GroupContent, MemberEdit, OnGroupChange, PersonContent, Provisioner,
    Provisioning, StoreLook, StoredGroup, StoredPerson,
};
use std::sync::Arc;

/// One more than leave by name.
const MANY: usize = MEMBERSHIPS_AT_ONCE + 1;

async fn edit(store: &Store, group: &StoredGroup, edit: MemberEdit) -> StoredGroup {
    let edit = |before: &StoredGroup| Ok::<_, ()>((before.content.clone(), edit));
    store.modify_group("corp", &group.scim_id, 2, edit).await.unwrap()
}

async fn rename(store: &Store, group: &StoredGroup, name: &'static str) {
    let edit = move |before: &StoredGroup| {
        Ok::<_, ()>((
            GroupContent { display_name: name.to_owned(), ..before.content.clone() },
            MemberEdit::Keep,
        ))
    };
    store.modify_group("corp", &group.scim_id, 2, edit).await.unwrap();
}

fn one(person: &StoredPerson) -> MemberEdit {
    MemberEdit::Change { add: vec![person.scim_id.clone()], remove: Vec::new() }
}

/// Somebody who logs in by this id.
async fn known(store: &Store, subject: &str) -> StoredPerson {
    let content = PersonContent { external_id: Some(subject.to_owned()), ..content(subject) };
    store.create_person("corp", content, 1).await.unwrap()
}

async fn begin(store: &Store, number: u64, subject: &str) {
    store.begin_session(login(number, subject, None), Provisioning::Required).await.unwrap();
}

async fn ruled(store: &Store, on_group_change: OnGroupChange) {
    let mut directories = three();
    directories[0].rules = DirectoryRules { on_group_change, ..DirectoryRules::default() };
    store.declare_directories(&directories, 0).await.unwrap();
}

fn number(store: &Store, sql: &str) -> i64 {
    store.read(|connection| connection.query_row(sql, [], |row| row.get::<_, i64>(0))).unwrap()
}

fn memberships(store: &Store) -> i64 {
    number(store, "SELECT count(*) FROM memberships")
}

fn abandoned(store: &Store) -> i64 {
    number(store, "SELECT count(*) FROM abandoned_rosters")
}

/// The groups of somebody, wherever they can be read.
fn groups_of(folder: &Folder, store: &Store, person: &StoredPerson) -> Vec<GroupId> {
    let shown = store.person("corp", &person.scim_id).unwrap().unwrap().groups.len();
    let mut looked = Vec::new();
    let look = StoreLook::open(&folder.database()).unwrap();
    look.each_person(|seen| looked.extend((seen.id == person.id).then(|| seen.groups.to_vec()))).unwrap();
    assert_eq!(looked.len(), 1);
    let snapshot = store.snapshot().unwrap();
    for known in snapshot.persons.iter().filter(|known| known.id == person.id) {
        assert_eq!(looked[0], *known.groups);
    }
    assert_eq!(looked[0].len(), shown);
    looked.remove(0)
}

#[tokio::test]
async fn a_large_group_is_emptied_at_once_and_swept_afterwards() {
    let (folder, store) = new_store().await;
    let jane = known(&store, "00u1").await;
    let mut everybody = crowd(&store, MANY).await;
    everybody.push(jane.scim_id.clone());
    let small =
        store.create_group("corp", group_content("Sales"), vec![jane.scim_id.clone()], 1).await.unwrap();
    let group = store.create_group("corp", group_content("Everybody"), everybody, 1).await.unwrap();
    begin(&store, 1, "00u1").await;
    let second = Store::open(&folder.database()).unwrap();
    let models = [Arc::new(Model::default()), Arc::new(Model::default())];
    store.follow(models[0].clone()).await.unwrap();
    second.follow(models[1].clone()).await.unwrap();
    assert_eq!(groups_of(&folder, &store, &jane), [small.id, group.id]);

    let changes = || async {
        let count = |transaction: &mut crate::transaction::WriteTransaction<'_>| {
            let sql = "SELECT total_changes()";
            Ok::<_, StoreError>(transaction.connection.query_row(sql, [], |row| row.get::<_, i64>(0))?)
        };
        store.write(count).await.unwrap()
    };
    let before = changes().await;
    let emptied = edit(&store, &group, MemberEdit::RemoveAll).await;
    assert!(changes().await - before < 20, "the rows of everybody were touched");
    assert_eq!((emptied.version, emptied.updated_at), (group.version + 1, 2));
    assert!(store.group_members(group.id).unwrap().is_empty());
    assert!(!store.has_more_members(group.id, 0).unwrap());
    assert_eq!(groups_of(&folder, &store, &jane), [small.id]);
    for model in &models {
        assert_eq!(model.told(), [Change::MembersReplaced { group: group.id, members: vec![] }]);
        assert_eq!(model.snapshot(), store.snapshot().unwrap());
    }
    let again = edit(&store, &group, MemberEdit::Replace(Vec::new())).await;
    assert_eq!(again, emptied, "nobody was left to leave");

    // Whoever comes back does so before the sweep, and outlives it.
    let joined = Change::Membership { group: group.id, added: vec![jane.id], removed: vec![] };
    edit(&store, &group, one(&jane)).await;
    for model in &models {
        assert_eq!(model.told().as_slice(), std::slice::from_ref(&joined));
    }
    let rows = memberships(&store);
    assert_eq!(rows, i64::try_from(MANY).unwrap() + 3);
    assert!(store.sweep_rosters().await.unwrap(), "a step takes so many and no more");
    assert_eq!(memberships(&store), rows - i64::try_from(MEMBERSHIPS_AT_ONCE).unwrap());
    assert_eq!(groups_of(&folder, &store, &jane), [small.id, group.id]);
    assert!(!store.sweep_rosters().await.unwrap());
    assert_eq!((memberships(&store), abandoned(&store)), (2, 0));
    assert!(!second.sweep_rosters().await.unwrap());
    assert_eq!(groups_of(&folder, &store, &jane), [small.id, group.id]);
    for model in &models {
        assert_eq!(model.told(), [], "a sweep tells nothing");
        assert_eq!(model.snapshot(), store.snapshot().unwrap());
    }
    // And may leave by name again.
    edit(&store, &group, MemberEdit::RemoveAll).await;
    assert_eq!(groups_of(&folder, &store, &jane), [small.id]);
}

#[tokio::test]
async fn a_roster_is_abandoned_when_more_leave_than_one_write_deletes() {
    let (_folder, store) = new_store().await;
    let ids = crowd(&store, MANY).await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let few = ids[..MEMBERSHIPS_AT_ONCE].to_vec();
    let group = store.create_group("corp", group_content("Everybody"), few, 1).await.unwrap();
    model.told();
    edit(&store, &group, MemberEdit::RemoveAll).await;
    assert!(matches!(
        model.told().as_slice(),
        [Change::Membership { removed, .. }] if removed.len() == MEMBERSHIPS_AT_ONCE
    ));
    assert_eq!((memberships(&store), abandoned(&store)), (0, 0), "nothing is left behind");

    edit(&store, &group, MemberEdit::Replace(ids.clone())).await;
    edit(&store, &group, MemberEdit::Replace(Vec::new())).await;
    assert_eq!(abandoned(&store), 1);
    let says = |leaving: usize, wanted: usize| {
        store.read(|connection| is_to_be_abandoned(connection, leaving, wanted)).unwrap()
    };
    assert!(!says(MEMBERSHIPS_AT_ONCE, 0) && says(MANY, 0));
    assert!(says(MANY, MANY) && !says(MANY, MANY + 1), "what costs less");

    // Where nobody sweeps, there is an end to it.
    let fill = format!(
        "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {ABANDONED_ROSTERS}) \
         INSERT INTO abandoned_rosters (roster) SELECT -1000000 - i FROM n"
    );
    store
        .write(move |transaction| Ok::<_, StoreError>(transaction.connection.execute_batch(&fill)?))
        .await
        .unwrap();
    assert_eq!(abandoned(&store), i64::try_from(ABANDONED_ROSTERS).unwrap());
    edit(&store, &group, MemberEdit::Replace(ids)).await;
    model.told();
    edit(&store, &group, MemberEdit::RemoveAll).await;
    assert!(matches!(model.told().as_slice(), [Change::Membership { removed, .. }] if removed.len() == MANY));
    assert_eq!(abandoned(&store), i64::try_from(ABANDONED_ROSTERS).unwrap());
    assert!(store.group_members(group.id).unwrap().is_empty());
    while store.sweep_rosters().await.unwrap() {}
    assert_eq!((memberships(&store), abandoned(&store)), (0, 0));
}

#[tokio::test]
async fn a_sweep_goes_on_after_a_restart_and_in_several_processes_at_once() {
    let (folder, store) = new_store().await;
    let ids = crowd(&store, 2 * MANY).await;
    let small = store.create_group("corp", group_content("Sales"), ids[..3].to_vec(), 1).await.unwrap();
    let group = store.create_group("corp", group_content("Everybody"), ids.clone(), 1).await.unwrap();
    edit(&store, &group, MemberEdit::RemoveAll).await;
    assert!(store.sweep_rosters().await.unwrap());
    drop(store);
    let stores = [Store::open(&folder.database()).unwrap(), Store::open(&folder.database()).unwrap()];
    edit(&stores[0], &group, MemberEdit::Replace(ids.clone())).await;
    edit(&stores[0], &group, MemberEdit::RemoveAll).await;
    assert_eq!(abandoned(&stores[1]), 2);
    let sweep = |store: Store| tokio::spawn(async move { while store.sweep_rosters().await.unwrap() {} });
    let (one, other) = (sweep(stores[0].clone()), sweep(stores[1].clone()));
    one.await.unwrap();
    other.await.unwrap();
    assert_eq!((memberships(&stores[0]), abandoned(&stores[0])), (3, 0));
    assert_eq!(stores[1].group_members(small.id).unwrap().len(), 3);
    // A number is not given twice, also when no roster waits: whoever reads late mistakes none for another.
    edit(&stores[0], &group, MemberEdit::Replace(ids)).await;
    edit(&stores[0], &group, MemberEdit::RemoveAll).await;
    assert_eq!(number(&stores[1], "SELECT min(roster) FROM groups"), -3);
}

#[tokio::test]
async fn somebody_who_is_deleted_leaves_nothing_in_a_roster_that_waits() {
    let (_folder, store) = new_store().await;
    let ids = crowd(&store, MANY).await;
    let group = store.create_group("corp", group_content("Everybody"), ids.clone(), 1).await.unwrap();
    edit(&store, &group, MemberEdit::RemoveAll).await;
    let before = memberships(&store);
    store.delete_person("corp", &ids[7], 3).await.unwrap();
    assert_eq!(memberships(&store), before - 1);
    while store.sweep_rosters().await.unwrap() {}
    assert_eq!((memberships(&store), abandoned(&store)), (0, 0));
}

#[tokio::test]
async fn a_large_group_that_is_deleted_is_gone_under_every_rule() {
    for rule in [OnGroupChange::Apply, OnGroupChange::Reauthenticate, OnGroupChange::Ignore] {
        let (folder, store) = new_store().await;
        ruled(&store, rule).await;
        let jane = known(&store, "00u1").await;
        let mut ids = crowd(&store, MANY).await;
        ids.push(jane.scim_id.clone());
        let group = store.create_group("corp", group_content("Everybody"), ids, 1).await.unwrap();
        let model = Arc::new(Model::default());
        store.follow(model.clone()).await.unwrap();
        begin(&store, 1, "00u1").await;
        model.told();
        store.delete_group("corp", &group.scim_id, 3).await.unwrap();
        let mut told = model.told();
        let ended = told.iter().position(|change| matches!(change, Change::SessionsEnded { .. }));
        assert_eq!(ended.map(|at| told.remove(at)).is_some(), rule == OnGroupChange::Reauthenticate);
        assert!(
            matches!(
                told.as_slice(),
                [
                    Change::MembersReplaced { members, .. },
                    Change::GroupNameLeft { .. },
                    Change::GroupDeleted(_)
                ] if members.is_empty()
            ),
            "{told:?}"
        );
        assert_eq!(model.snapshot(), store.snapshot().unwrap());
        let next = store.create_group("corp", group_content("Everybody"), Vec::new(), 4).await.unwrap();
        assert!(store.group_members(next.id).unwrap().is_empty(), "the members of a group before it");
        assert_eq!(groups_of(&folder, &store, &jane), []);
        while store.sweep_rosters().await.unwrap() {}
        assert_eq!((memberships(&store), abandoned(&store)), (0, 0));
    }
}

#[tokio::test]
async fn many_who_leave_at_once_log_in_again_where_that_is_the_rule_and_nobody_else() {
    let (_folder, store) = new_store().await;
    ruled(&store, OnGroupChange::Reauthenticate).await;
    let mut people = Vec::new();
    for subject in ["leaves", "stays", "joins", "other"] {
        people.push(known(&store, subject).await);
    }
    let id = |at: usize| people[at].scim_id.clone();
    let mut ids = crowd(&store, MANY).await;
    ids.extend([id(0), id(1)]);
    let group = store.create_group("corp", group_content("Everybody"), ids, 1).await.unwrap();
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    for (number, subject) in [(1, "leaves"), (2, "stays"), (3, "joins"), (4, "other")] {
        begin(&store, number, subject).await;
    }
    let writer = store.provisioned_by(Provisioner {
        seen: Arc::default(),
        key_id: "0a1b2c3d".to_owned(),
        key_name: "okta".to_owned(),
        operation: "group.replace".to_owned(),
        changed: Arc::default(),
    });
    edit(&writer, &group, MemberEdit::Replace(vec![id(1), id(2)])).await;
    let ended = |number| model.ended(session_id(number));
    let again = Some(EndReason::GroupsChanged);
    assert_eq!([ended(1), ended(2), ended(3), ended(4)], [again, None, again, None]);
    let log = store.provisioning_log(None, None, 1).unwrap();
    assert_eq!(
        (log[0].joined, log[0].departed, log[0].sessions_ended),
        (1, i64::try_from(MANY).unwrap() + 1, 2)
    );
    assert!(
        model.told().contains(&Change::MembersReplaced {
            group: group.id,
            members: vec![people[1].id, people[2].id]
        })
    );
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
    // Who left has nothing to do with the group any more, though their row still waits for the sweep.
    begin(&store, 5, "leaves").await;
    rename(&store, &group, "Some").await;
    assert_eq!([ended(5), ended(2), ended(4)], [None, again, None]);
}

#[tokio::test]
async fn where_group_changes_are_ignored_an_emptied_group_is_told_by_nobody() {
    let (folder, store) = new_store().await;
    ruled(&store, OnGroupChange::Ignore).await;
    let ids = crowd(&store, MANY).await;
    let first = store.person("corp", &ids[0]).unwrap().unwrap();
    let group = store.create_group("corp", group_content("Everybody"), ids, 1).await.unwrap();
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let emptied = edit(&store, &group, MemberEdit::RemoveAll).await;
    assert_eq!(model.told(), []);
    assert_eq!(emptied.version, group.version + 1);
    assert_eq!(groups_of(&folder, &store, &first), []);
}
