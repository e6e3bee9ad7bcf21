use super::{Begin, Direction, GroupOrder, PersonOrder};
use crate::testing::{content, group_content, new_store};
use crate::{Store, StoreError};

fn walk(store: &Store, order: PersonOrder, direction: Direction) -> Vec<String> {
    let (mut names, mut begin) = (Vec::new(), Begin::At(0));
    loop {
        let page = store.sorted_persons("corp", (order, direction), &begin, 2).unwrap();
        assert_eq!(page.total, 5);
        let Some((last, _)) = page.items.last() else { return names };
        begin = Begin::Behind(last.clone());
        names.extend(page.items.into_iter().map(|(_, person)| person.content.user_name));
    }
}

#[tokio::test]
async fn people_and_groups_are_sorted_whole_and_within_their_directory() {
    let (_folder, store) = new_store().await;
    for name in ["delta", "Alpha", "charlie", "Äsop", "Bravo"] {
        store.create_person("corp", content(name), 1).await.unwrap();
        store.create_group("corp", group_content(name), Vec::new(), 1).await.unwrap();
        store.create_person("annex", content(name), 1).await.unwrap();
    }
    let sorted = ["Alpha", "Bravo", "charlie", "delta", "Äsop"].map(str::to_owned).to_vec();
    assert_eq!(walk(&store, PersonOrder::UserName, Direction::Ascending), sorted);
    let backwards: Vec<_> = sorted.iter().rev().cloned().collect();
    assert_eq!(walk(&store, PersonOrder::UserName, Direction::Descending), backwards);
    let by_id = |direction| {
        let page = store.sorted_persons("corp", (PersonOrder::ScimId, direction), &Begin::At(0), 10).unwrap();
        assert!(page.items.iter().all(|(id, person)| *id == person.scim_id));
        page.items.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    let ids = by_id(Direction::Ascending);
    assert!(ids.len() == 5 && ids.is_sorted());
    assert!(by_id(Direction::Descending).iter().eq(ids.iter().rev()));

    let groups = |begin: Begin, limit| {
        let order = (GroupOrder::DisplayName, Direction::Ascending);
        let page = store.sorted_groups("corp", order, &begin, limit).unwrap();
        assert_eq!(page.total, 5);
        page.items.into_iter().map(|(_, group)| group.content.display_name).collect::<Vec<_>>()
    };
    assert_eq!(groups(Begin::At(0), 10), sorted);
    assert_eq!(groups(Begin::At(3), 10), sorted[3..]);
    assert_eq!(groups(Begin::At(usize::MAX), 10), sorted[5..]);
    // Behind somebody who is not there.
    assert_eq!(groups(Begin::Behind("c".to_owned()), 2), sorted[2..4]);
    let none =
        store.sorted_persons("absent", (PersonOrder::UserName, Direction::Ascending), &Begin::At(0), 9);
    assert_eq!(none.unwrap().total, 0);
}

/// Neither loads everybody nor sorts: the index has the order.
#[tokio::test]
async fn the_index_alone_is_walked() {
    let (_folder, store) = new_store().await;
    for (table, column, index) in [
        ("persons p", "p.user_name_folded", "persons_by_user_name"),
        ("persons p", "p.scim_id", "persons_by_scim_id"),
        ("groups g", "g.display_name_folded", "groups_by_display_name"),
        ("groups g", "g.scim_id", "groups_by_scim_id"),
    ] {
        let alias = column.split('.').next().unwrap();
        for way in ["ASC", "DESC"] {
            let query = format!(
                "EXPLAIN QUERY PLAN SELECT {alias}.document FROM {table} WHERE {alias}.directory = \
                 (SELECT id FROM directories WHERE name = 'corp' AND served = 1) \
                 ORDER BY {column} {way} LIMIT 2 OFFSET 900000"
            );
            let plan: Vec<String> = store
                .read(|connection| {
                    let mut statement = connection.prepare(&query)?;
                    let rows = statement.query_map([], |row| row.get(3))?;
                    Ok::<_, StoreError>(rows.collect::<rusqlite::Result<_>>()?)
                })
                .unwrap();
            assert!(plan.iter().any(|step| step.contains(index)), "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
