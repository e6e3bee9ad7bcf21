use portcullis_store::PersonId;

use super::*;

pub(in super::super) fn person(id: i64, groups: &[i64]) -> Arc<Person> {
    Arc::new(Person {
        id: PersonId(id),
        scim_id: format!("person-{id}"),
        directory: "corp".into(),
        user_name: format!("person{id}@corp.example"),
        external_id: None,
        emails: Vec::new(),
        display_name: None,
        active: true,
        groups: groups.iter().copied().map(GroupId).collect(),
        document: "{}".into(),
    })
}

fn group(id: i64, name: &str) -> Arc<Group> {
    Arc::new(Group {
        id: GroupId(id),
        scim_id: format!("group-{id}"),
        directory: "corp".into(),
        display_name: name.to_owned(),
        external_id: None,
    })
}

fn people(groups: Vec<Arc<Group>>) -> People {
    People::new(groups, Vec::new())
}

/// What counts for a login at the time 100.
fn names(people: &People, person: Option<&Person>, claimed: &[&str]) -> Vec<String> {
    let claimed: Vec<String> = claimed.iter().map(|name| (*name).to_owned()).collect();
    people.groups_that_count(person, &claimed, 100)
}

#[test]
fn the_directory_speaks_for_the_groups_that_it_holds() {
    let (one, people) = (person(1, &[2]), people(vec![group(1, "Engineering"), group(2, "Finance")]));
    assert_eq!(names(&people, Some(&one), &["Engineering", "Book club"]), ["Book club", "Finance"]);
    assert_eq!(names(&people, None, &["Engineering", "Book club"]), ["Book club", "Engineering"]);
}

#[test]
fn where_the_directory_alone_speaks_a_claim_is_a_doubt() {
    let (one, people) = (person(1, &[2]), people(vec![group(1, "Engineering"), group(2, "Finance")]));
    let claimed = ["Engineering", "Book club", "Finance"].map(str::to_owned);
    let counted = |person: Option<&Person>| {
        let CountedGroups { names, unproved } = people.groups_of_directory_alone(person, &claimed, 100);
        (names, unproved)
    };
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    // The directory holds Engineering and says no: that is no doubt.
    assert_eq!(counted(Some(&one)), (owned(&["Finance"]), owned(&["Book club"])));
    assert_eq!(counted(None), (owned(&[]), owned(&["Book club", "Engineering", "Finance"])));
}

#[test]
fn a_renamed_or_removed_group_gives_nothing_back_to_an_earlier_claim() {
    let (one, mut people) = (person(1, &[]), people(vec![group(1, "Engineering")]));
    assert!(names(&people, Some(&one), &["Engineering"]).is_empty());
    people.leave_name("corp".into(), "Engineering".to_owned(), 200);
    people.set_group(group(1, "engineering"));
    assert!(names(&people, Some(&one), &["Engineering"]).is_empty());
    people.remove_group(GroupId(1));
    assert!(names(&people, Some(&one), &["Engineering"]).is_empty());
    people.forget_names(200);
    assert_eq!(
        names(&people, Some(&one), &["Engineering"]),
        ["Engineering"],
        "forgotten after the longest session"
    );
}

#[test]
fn a_login_after_a_group_left_its_name_speaks_for_itself() {
    let left = FormerGroupName { directory: "corp".into(), name: "Engineering".to_owned(), left_at: 99 };
    let people = People::new(Vec::new(), vec![left]);
    let one = person(1, &[]);
    assert_eq!(names(&people, Some(&one), &["Engineering"]), ["Engineering"]);
}
