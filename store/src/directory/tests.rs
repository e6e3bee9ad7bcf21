use crate::testing::{Model, content, group_content, new_store};
use crate::{
    Change, DirectoryError, FormerGroupName, GroupContent, GroupId, GroupLookup, Holds, MemberEdit,
    ModifyError, PersonContent, PersonId, PersonLookup, Provisioner, Seen, SeenAttribute, SeenIn, Store,
    StoredGroup, StoredPerson, limits,
};
use std::sync::{Arc, OnceLock};

async fn people(store: &Store, count: usize) -> Vec<StoredPerson> {
    let mut people = Vec::new();
    for number in 0..count {
        people.push(store.create_person("corp", content(&format!("person {number}")), 1).await.unwrap());
    }
    people
}

fn scim_ids(people: &[StoredPerson]) -> Vec<String> {
    people.iter().map(|person| person.scim_id.clone()).collect()
}

async fn edit_members(
    store: &Store,
    group: &StoredGroup,
    edit: MemberEdit,
) -> Result<StoredGroup, ModifyError<()>> {
    store.modify_group("corp", &group.scim_id, 2, |group| Ok((group.content.clone(), edit))).await
}

#[tokio::test]
async fn a_person_is_kept_whole() {
    let (_folder, store) = new_store().await;
    let mut whole = PersonContent {
        external_id: Some("00u1".to_owned()),
        emails: ["B@corp.example", "a@corp.example", "b@CORP.example ", ""].map(str::to_owned).to_vec(),
        display_name: Some("Engineer".to_owned()),
        ..content("Engineer@corp.example")
    };
    whole.document.insert("title".to_owned(), "größer".into());
    let created = store.create_person("corp", whole.clone(), 7).await.unwrap();
    assert_eq!(created.content.emails, ["b@corp.example", "a@corp.example"]);
    whole.emails.clone_from(&created.content.emails);
    assert_eq!(created.content, whole);
    assert_eq!((created.version, created.created_at, created.updated_at), (1, 7, 7));
    assert_eq!(store.person("corp", &created.scim_id).unwrap().as_ref(), Some(&created));
    assert_eq!(store.person("annex", &created.scim_id).unwrap(), None);
    let watermark = store.watermark().unwrap();
    let same =
        store.modify_person("corp", &created.scim_id, 8, |person| Ok::<_, ()>(person.content.clone())).await;
    assert_eq!(same.unwrap(), created, "an edit that changes nothing writes nothing");
    assert_eq!(store.watermark().unwrap(), watermark);
    let edited = store
        .modify_person("corp", &created.scim_id, 9, |person| {
            Ok::<_, ()>(PersonContent { emails: vec!["c@corp.example".to_owned()], ..person.content.clone() })
        })
        .await
        .unwrap();
    assert_eq!((edited.version, edited.created_at, edited.updated_at), (2, 7, 9));
    assert_eq!(edited.content.emails, ["c@corp.example"]);
}

#[tokio::test]
async fn nobody_is_taken_over_by_their_name() {
    // T91
    let (_folder, store) = new_store().await;
    let first = store.create_person("corp", content("Étude@corp.example"), 1).await.unwrap();
    let taken = store.create_person("corp", content(" éTUDE@CORP.example"), 1).await;
    assert!(matches!(taken, Err(DirectoryError::UserNameTaken)));
    let second = store.create_person("corp", content("second"), 1).await.unwrap();
    let name = first.content.user_name.to_uppercase();
    let taken = store
        .modify_person("corp", &second.scim_id, 2, move |_| Ok::<_, ()>(PersonContent { ..content(&name) }))
        .await;
    assert!(matches!(taken, Err(ModifyError::Directory(DirectoryError::UserNameTaken))));
    let own =
        store.modify_person("corp", &first.scim_id, 2, |_| Ok::<_, ()>(content("étude@corp.example"))).await;
    assert_eq!(own.unwrap().content.user_name, "étude@corp.example");
    store.create_person("annex", content("second"), 1).await.unwrap();
    assert_eq!(store.person("corp", &second.scim_id).unwrap(), Some(second));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_folder, store) = new_store().await;
    let person = store.create_person("corp", content("engineer"), 1).await.unwrap();
    for (directory, id) in [("corp", "nobody"), ("annex", &*person.scim_id), ("corp", "")] {
        assert!(matches!(store.delete_person(directory, id, 2).await, Err(DirectoryError::NotFound)));
        assert!(matches!(store.delete_group(directory, id, 2).await, Err(DirectoryError::NotFound)));
        let modified = store.modify_person(directory, id, 2, |_| Ok::<_, ()>(content("x"))).await;
        assert!(matches!(modified, Err(ModifyError::Directory(DirectoryError::NotFound))));
    }
    let unknown = store.create_person("nowhere", content("engineer"), 1).await;
    assert!(matches!(unknown, Err(DirectoryError::UnknownDirectory)));
    let refused = store.modify_person("corp", &person.scim_id, 2, |_| Err("no")).await;
    assert!(matches!(refused, Err(ModifyError::Edit("no"))));
}

#[tokio::test]
async fn people_are_found_by_what_they_are_called() {
    let (_folder, store) = new_store().await;
    let all = people(&store, 7).await;
    let named = PersonContent {
        external_id: Some("00u1".to_owned()),
        emails: vec!["engineer@corp.example".to_owned()],
        display_name: Some("Größte Ingenieurin".to_owned()),
        ..content("Engineer")
    };
    let named = store.create_person("corp", named, 1).await.unwrap();
    store.create_person("annex", content("engineer"), 1).await.unwrap();
    let found = |which: PersonLookup| store.list_persons("corp", &which, 0, 10).unwrap();
    for which in [
        PersonLookup::UserName("ENGINEER".to_owned()),
        PersonLookup::ExternalId("00u1".to_owned()),
        PersonLookup::Email("Engineer@corp.example".to_owned()),
        PersonLookup::DisplayName(" GRÖSSTE ingenieurin".replace("SS", "ẞ")),
        PersonLookup::ScimId(named.scim_id.clone()),
    ] {
        let page = found(which);
        assert_eq!((page.total, page.items), (1, vec![named.clone()]));
    }
    assert_eq!(found(PersonLookup::ExternalId("00U1".to_owned())).total, 0);
    let page = store.list_persons("corp", &PersonLookup::All, 2, 3).unwrap();
    assert_eq!((page.total, page.items), (8, all[2..5].to_vec()));
    assert_eq!(store.list_persons("corp", &PersonLookup::All, 8, 3).unwrap().items, []);
    assert_eq!(store.list_persons("corp", &PersonLookup::All, 0, 0).unwrap().total, 8);
    let mut scanned = Vec::new();
    let mut after = PersonId(0);
    while let Some(last) = {
        let stretch = store.scan_persons("corp", after, 3).unwrap();
        scanned.extend(stretch.iter().map(|person| person.id));
        stretch.last().map(|person| person.id)
    } {
        after = last;
    }
    assert_eq!(scanned.len(), 8);
    assert!(scanned.is_sorted());
}

#[tokio::test]
async fn only_the_difference_of_members_is_written_and_told() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let all = people(&store, 6).await;
    let ids = scim_ids(&all);
    let group = store.create_group("corp", group_content("Engineering"), ids[..3].to_vec(), 1).await.unwrap();
    assert_eq!(store.group_members(group.id).unwrap().len(), 3);
    model.told();
    let membership = |added: &[usize], removed: &[usize]| Change::Membership {
        group: group.id,
        added: added.iter().map(|at| all[*at].id).collect(),
        removed: removed.iter().map(|at| all[*at].id).collect(),
    };
    let wanted = vec![ids[1].clone(), ids[2].clone(), ids[4].clone(), ids[4].clone()];
    edit_members(&store, &group, MemberEdit::Replace(wanted.clone())).await.unwrap();
    assert_eq!(model.told(), [membership(&[4], &[0])]);
    let before = store.group("corp", &group.scim_id).unwrap().unwrap();
    assert_eq!(edit_members(&store, &group, MemberEdit::Replace(wanted)).await.unwrap(), before);
    assert_eq!(model.told(), [], "the same members again");
    let change = MemberEdit::Change {
        add: vec![ids[1].clone(), ids[5].clone()],
        remove: vec![ids[1].clone(), ids[2].clone(), ids[3].clone(), "nobody".to_owned()],
    };
    edit_members(&store, &group, change).await.unwrap();
    assert_eq!(model.told(), [membership(&[5], &[2])]);
    assert_eq!(
        store.person("corp", &ids[5]).unwrap().unwrap().groups,
        [(group.scim_id.clone(), "Engineering".to_owned())]
    );
    edit_members(&store, &group, MemberEdit::RemoveAll).await.unwrap();
    assert_eq!(model.told(), [membership(&[], &[1, 4, 5])]);
    edit_members(&store, &group, MemberEdit::RemoveAll).await.unwrap();
    edit_members(&store, &group, MemberEdit::Keep).await.unwrap();
    assert_eq!(model.told(), []);
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn a_group_of_ten_thousand_changes_by_one() {
    // T96
    let (_folder, store) = new_store().await;
    let writes: Vec<_> = (0..10_000)
        .map(|number| {
            let store = store.clone();
            async move {
                store.create_person("corp", content(&format!("person {number}")), 1).await.unwrap().scim_id
            }
        })
        .collect();
    let mut ids = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for write in writes {
        tasks.spawn(write);
        if tasks.len() >= 1000 {
            ids.extend(tasks.join_next().await.map(Result::unwrap));
        }
    }
    ids.extend(tasks.join_all().await);
    let group = store.create_group("corp", group_content("Everyone"), ids.clone(), 1).await.unwrap();
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let gone = ids.pop().unwrap();
    edit_members(&store, &group, MemberEdit::Replace(ids)).await.unwrap();
    let gone = store.person("corp", &gone).unwrap().unwrap().id;
    assert_eq!(model.told(), [Change::Membership { group: group.id, added: vec![], removed: vec![gone] }]);
    assert_eq!(store.group_members(group.id).unwrap().len(), 9_999);
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn a_member_must_be_a_person_of_the_directory() {
    let (_folder, store) = new_store().await;
    let ours = store.create_person("corp", content("ours"), 1).await.unwrap();
    let theirs = store.create_person("annex", content("theirs"), 1).await.unwrap();
    let members = vec![ours.scim_id.clone(), theirs.scim_id.clone()];
    let refused = store.create_group("corp", group_content("Engineering"), members.clone(), 1).await;
    assert!(matches!(refused, Err(DirectoryError::UnknownMember(id)) if id == theirs.scim_id));
    assert_eq!(
        store.list_groups("corp", &GroupLookup::All, 0, 10).unwrap().total,
        0,
        "nothing is left behind"
    );
    let group =
        store.create_group("corp", group_content("Engineering"), vec![ours.scim_id], 1).await.unwrap();
    let refused = edit_members(&store, &group, MemberEdit::Replace(members)).await;
    assert!(matches!(refused, Err(ModifyError::Directory(DirectoryError::UnknownMember(_)))));
    assert_eq!(store.group_members(group.id).unwrap().len(), 1);
}

#[tokio::test]
async fn a_renamed_group_is_the_same_group() {
    // T94
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let ids = scim_ids(&people(&store, 2).await);
    let group = store.create_group("corp", group_content("Engineering"), ids, 1).await.unwrap();
    let taken = store.create_group("corp", group_content(" engineering"), Vec::new(), 1).await;
    assert!(matches!(taken, Err(DirectoryError::GroupNameTaken)));
    let other = store.create_group("corp", group_content("Sales"), Vec::new(), 1).await.unwrap();
    model.told();
    let rename = |group: &StoredGroup, name: &'static str| {
        let id = group.scim_id.clone();
        let store = store.clone();
        async move {
            let edit = |before: &StoredGroup| {
                Ok::<_, ()>((
                    GroupContent { display_name: name.to_owned(), ..before.content.clone() },
                    MemberEdit::Keep,
                ))
            };
            store.modify_group("corp", &id, 2, edit).await
        }
    };
    let refused = rename(&other, "ENGINEERING").await;
    assert!(matches!(refused, Err(ModifyError::Directory(DirectoryError::GroupNameTaken))));
    let renamed = rename(&group, "Builders").await.unwrap();
    assert_eq!((renamed.id, &renamed.scim_id, renamed.version), (group.id, &group.scim_id, 2));
    assert!(matches!(
        model.told().as_slice(),
        [Change::GroupNameLeft { name, at: 2, .. }, Change::Group(after)]
            if name == "Engineering" && after.display_name == "Builders"
    ));
    let found = store.list_groups("corp", &GroupLookup::DisplayName("builders".to_owned()), 0, 10).unwrap();
    assert_eq!((found.total, found.items), (1, vec![renamed]));
    assert_eq!(store.scan_groups("corp", GroupId(0), 10).unwrap().len(), 2);
    store.delete_group("corp", &group.scim_id, 3).await.unwrap();
    assert!(matches!(
        model.told().as_slice(),
        [Change::Membership { .. }, Change::GroupNameLeft { name, at: 3, .. }, Change::GroupDeleted(_)]
            if name == "Builders"
    ));
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
    let former =
        |name: &str, left_at| FormerGroupName { directory: "corp".into(), name: name.to_owned(), left_at };
    assert_eq!(
        store.snapshot().unwrap().former_group_names,
        [former("Builders", 3), former("Engineering", 2)],
        "a claim from before would give the old name a new meaning"
    );
}

#[tokio::test]
async fn a_name_that_a_group_left_is_remembered_longer_than_any_session() {
    let (_folder, store) = new_store().await;
    let model = Arc::new(Model::default());
    store.follow(model.clone()).await.unwrap();
    let lives = [("Sales", 10), ("Sales", 40), ("Sales", 30), ("Support", 50)];
    for (name, gone) in lives {
        let group = store.create_group("corp", group_content(name), Vec::new(), 1).await.unwrap();
        store.delete_group("corp", &group.scim_id, gone).await.unwrap();
    }
    let kept = || store.snapshot().unwrap().former_group_names;
    let left: Vec<_> = kept().into_iter().map(|former| (former.name, former.left_at)).collect();
    assert_eq!(left, [("Sales".to_owned(), 40), ("Support".to_owned(), 50)], "the newest time counts");
    store.purge_expired(40 + limits::FORMER_GROUP_NAME_S).await.unwrap();
    assert_eq!(kept().len(), 2);
    store.purge_expired(41 + limits::FORMER_GROUP_NAME_S).await.unwrap();
    assert_eq!(kept().into_iter().map(|former| former.name).collect::<Vec<_>>(), ["Support"]);
    assert_eq!(model.snapshot(), store.snapshot().unwrap());
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused() {
    let (_folder, store) = new_store().await;
    let long = |limit: usize| "x".repeat(limit + 1);
    let mut document = content("whole");
    document.document.insert("note".to_owned(), long(limits::DOCUMENT_BYTES).into());
    let too_long = [
        content(&long(limits::USER_NAME_BYTES)),
        PersonContent { external_id: Some(long(limits::EXTERNAL_ID_BYTES)), ..content("a") },
        PersonContent { display_name: Some(long(limits::DISPLAY_NAME_BYTES)), ..content("b") },
        PersonContent { emails: vec![long(limits::EMAIL_BYTES)], ..content("c") },
        PersonContent { emails: vec![String::new(); limits::EMAILS_PER_PERSON + 1], ..content("d") },
        document,
    ];
    for content in too_long {
        let refused = store.create_person("corp", content, 1).await;
        assert!(matches!(refused, Err(DirectoryError::TooLong(_))));
    }
    let members = vec![String::new(); limits::MEMBERS_PER_WRITE + 1];
    let refused = store.create_group("corp", group_content("many"), members, 1).await;
    assert!(matches!(refused, Err(DirectoryError::TooLong(_))));
    let refused =
        store.create_group("corp", group_content(&long(limits::DISPLAY_NAME_BYTES)), vec![], 1).await;
    assert!(matches!(refused, Err(DirectoryError::TooLong(_))));
    assert_eq!(store.watermark().unwrap().0, 0);
}

#[tokio::test]
async fn no_question_reads_a_whole_table() {
    let (_folder, store) = new_store().await;
    let directory = "(SELECT id FROM directories WHERE name = $1 AND served = 1)";
    let person = |condition: &str| {
        format!(
            "SELECT * FROM persons p WHERE p.directory = {directory} AND {condition} ORDER BY p.id LIMIT 3"
        )
    };
    let session =
        |condition: &str| format!("SELECT id FROM sessions WHERE {condition} AND end_reason IS NULL");
    let questions = [
        (person("p.user_name_folded = $2"), "persons_by_user_name"),
        (person("p.external_id = $2"), "persons_by_external_id"),
        (person("p.id IN (SELECT person FROM person_emails WHERE email = $2)"), "person_emails_by_email"),
        (person("p.display_name_folded = $2"), "persons_by_display_name"),
        (person("p.id > $2"), "persons_in_order (directory=? AND id>?)"),
        (person("p.id >= $2"), "persons_in_order (directory=? AND id>?)"),
        (session("provider = $1 AND subject = $2"), "sessions_by_subject"),
        (session("provider = $1 AND email = $2"), "sessions_by_email"),
        (session("person = $1"), "sessions_by_person"),
        (
            "SELECT g.id FROM memberships m JOIN groups g ON g.roster = m.roster WHERE m.person_id = $1 ORDER BY g.id"
                .to_owned(),
            "groups_by_roster",
        ),
        (
            "SELECT m.person_id FROM groups g JOIN memberships m ON m.roster = g.roster JOIN persons p \
             ON p.id = m.person_id WHERE g.id = $1 ORDER BY m.person_id"
                .to_owned(),
            "SEARCH m USING PRIMARY KEY (roster=?)",
        ),
        (
            "SELECT s.id FROM groups g JOIN memberships m ON m.roster = g.roster JOIN sessions s \
             ON s.person = m.person_id WHERE g.id = $1 AND s.end_reason IS NULL AND s.person IS NOT NULL"
                .to_owned(),
            "sessions_by_person",
        ),
        ("SELECT count(*) FROM memberships WHERE roster = $1".to_owned(), "PRIMARY KEY (roster=?)"),
        (
            "DELETE FROM memberships WHERE roster = $1 AND person_id < $2".to_owned(),
            "PRIMARY KEY (roster=? AND person_id<?)",
        ),
    ];
    for (question, index) in questions {
        let plan = store
            .read(|connection| {
                let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {question}"))?;
                // The plan does not depend on the values.
                for number in 1..=plan.parameter_count() {
                    plan.raw_bind_parameter(number, "x")?;
                }
                let mut rows = plan.raw_query();
                let mut steps = Vec::new();
                while let Some(row) = rows.next()? {
                    steps.push(row.get::<_, String>(3)?);
                }
                Ok::<_, rusqlite::Error>(steps)
            })
            .unwrap();
        assert!(plan.iter().any(|step| step.contains(index)), "{question}: {plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{question}: {plan:?}");
        // Nor everybody of a directory.
        assert!(!plan.iter().any(|step| step.ends_with("(directory=?)")), "{question}: {plan:?}");
    }
}

#[tokio::test]
async fn a_deletion_that_is_not_allowed_deletes_nothing() {
    let (_folder, store) = new_store().await;
    let person = store.create_person("corp", content("engineer"), 1).await.unwrap();
    let group = store.create_group("corp", group_content("Sales"), Vec::new(), 1).await.unwrap();
    let seq = store.watermark().unwrap();
    let refused = store.delete_person_if("corp", &person.scim_id, 2, |before| Err(before.version)).await;
    assert!(matches!(refused, Err(ModifyError::Edit(1))));
    let refused = store.delete_group_if("corp", &group.scim_id, 2, |before| Err(before.version)).await;
    assert!(matches!(refused, Err(ModifyError::Edit(1))));
    assert_eq!(store.watermark().unwrap(), seq);
    store.delete_person_if("corp", &person.scim_id, 2, |_| Ok::<_, ()>(())).await.unwrap();
    store.delete_group_if("corp", &group.scim_id, 2, |_| Ok::<_, ()>(())).await.unwrap();
    let again = store.delete_person_if("corp", &person.scim_id, 2, |_| Ok::<_, ()>(())).await;
    assert!(matches!(again, Err(ModifyError::Directory(DirectoryError::NotFound))));
}

/// Each page from each place, after each kind of write, against a list that is kept beside.
#[tokio::test]
async fn pages_and_totals_follow_every_creation_and_deletion() {
    let (_folder, store) = new_store().await;
    let mut present: Vec<String> = Vec::new();
    for number in 0..40 {
        let person = store.create_person("corp", content(&format!("person {number}")), 1).await.unwrap();
        present.push(person.scim_id);
        store.create_person("annex", content(&format!("person {number}")), 1).await.unwrap();
        if number % 3 == 2 {
            let gone = present.remove(number % present.len());
            store.delete_person("corp", &gone, 2).await.unwrap();
        }
    }
    for offset in 0..=present.len() + 1 {
        let page = store.list_persons("corp", &PersonLookup::All, offset, 4).unwrap();
        assert_eq!(page.total, present.len());
        let shown: Vec<_> = page.items.into_iter().map(|person| person.scim_id).collect();
        assert_eq!(shown, present.iter().skip(offset).take(4).cloned().collect::<Vec<_>>());
    }
    let group = store.create_group("corp", group_content("Engineering"), Vec::new(), 1).await.unwrap();
    store.create_group("corp", group_content("Sales"), Vec::new(), 1).await.unwrap();
    assert_eq!(store.list_groups("corp", &GroupLookup::All, 1, 4).unwrap().total, 2);
    store.delete_group("corp", &group.scim_id, 2).await.unwrap();
    let page = store.list_groups("corp", &GroupLookup::All, 0, 4).unwrap();
    assert_eq!((page.total, page.items.len()), (1, 1));
    assert_eq!(store.list_groups("lab", &GroupLookup::All, 0, 4).unwrap().total, 0);
}

fn attribute(name: &str) -> SeenAttribute {
    SeenAttribute {
        seen_in: SeenIn::Person,
        urn: "urn:example:own".to_owned(),
        path: vec![name.to_owned(), "part".to_owned()],
        holds: Holds::Integer,
        many: true,
    }
}

fn seen(kept: &[SeenAttribute], brought: &[SeenAttribute]) -> Provisioner {
    let seen = Seen { kept: kept.to_vec(), brought: brought.to_vec() };
    Provisioner {
        key_id: String::new(),
        key_name: String::new(),
        operation: "user.create".to_owned(),
        changed: Arc::default(),
        seen: Arc::new(OnceLock::from(seen)),
    }
}

#[tokio::test]
async fn what_is_kept_beyond_the_schemas_is_noted_with_the_write_and_has_a_most() {
    let (_folder, store) = new_store().await;
    let create = async |number: usize, kept: &[SeenAttribute], brought: &[SeenAttribute]| {
        let store = store.provisioned_by(seen(kept, brought));
        store.create_person("corp", content(&format!("person {number}")), 1).await
    };
    let all: Vec<_> =
        (0..limits::SEEN_ATTRIBUTES).map(|number| attribute(&format!("a{number:04}"))).collect();
    let (was_there, new) = all.split_at(7);
    create(0, was_there, new).await.unwrap();
    assert_eq!(store.seen_attributes("corp").unwrap(), all);
    assert!(store.seen_attributes("annex").unwrap().is_empty());
    // One more is refused, and so is the write; what is known has room for ever.
    let people = || store.list_persons("corp", &PersonLookup::All, 0, 1).unwrap().total;
    let one_more = [attribute("one more")];
    let error = create(1, &[], &one_more).await.unwrap_err();
    assert!(matches!(error, DirectoryError::TooLong(it) if it.limit == limits::SEEN_ATTRIBUTES), "{error}");
    assert_eq!(people(), 1);
    create(1, &[], was_there).await.unwrap();
    create(2, &one_more, &[]).await.unwrap();
    assert_eq!((people(), store.seen_attributes("corp").unwrap().len()), (3, limits::SEEN_ATTRIBUTES));
}

#[tokio::test]
async fn an_attribute_with_a_name_without_end_is_refused() {
    let (_folder, store) = new_store().await;
    let fits = "x".repeat(limits::SEEN_PATH_BYTES - "part".len());
    let create = async |name: &str| {
        let store = store.provisioned_by(seen(&[], &[attribute(name)]));
        store.create_person("corp", content(&format!("person {}", name.len())), 1).await
    };
    create(&fits).await.unwrap();
    let error = create(&format!("{fits}x")).await.unwrap_err();
    assert!(matches!(error, DirectoryError::TooLong(it) if it.limit == limits::SEEN_PATH_BYTES), "{error}");
}
