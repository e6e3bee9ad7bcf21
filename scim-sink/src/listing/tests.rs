use serde_json::{Map, Value, json};

use super::*;

/// As many resources as one likes, each with as many members as one likes.
struct Crowd {
    people: usize,
    members_of_each: usize,
    /// Values of an attribute of each.
    values: usize,
}

impl Source for Crowd {
    type Item = usize;
    type Lookup = Option<usize>;
    type Order = ();
    const ALL: Option<usize> = None;

    fn lookup(&self, equality: &Equality<'_>) -> Option<Option<usize>> {
        equality.is("number", None).then(|| equality.text.parse().ok())
    }

    fn core_urn() -> &'static str {
        "urn:test"
    }

    fn list(&self, which: &Option<usize>, offset: usize, limit: usize) -> Listed<usize> {
        match which {
            Some(number) => Ok((1, std::iter::once(*number).skip(offset).take(limit).collect())),
            None => Ok((self.people, (1..=self.people).skip(offset).take(limit).collect())),
        }
    }

    fn number(item: &usize) -> i64 {
        i64::try_from(*item).unwrap()
    }

    fn scan(&self, after: i64, limit: usize) -> Result<Vec<usize>, Rejection> {
        Ok((1..=self.people).skip(usize::try_from(after).unwrap()).take(limit).collect())
    }

    /// By a name that sorts as numbers do.
    fn order(sort: &Sort) -> Option<()> {
        sort.is_by("urn:test", "name").then_some(())
    }

    fn ordered(
        &self,
        ((), direction): ((), Direction),
        begin: &Begin,
        limit: usize,
    ) -> Result<SortedPage<usize>, Rejection> {
        let mut named: Vec<_> = (1..=self.people).map(|number| (format!("{number:09}"), number)).collect();
        if direction == Direction::Descending {
            named.reverse();
        }
        let skipped = match begin {
            Begin::At(offset) => *offset,
            Begin::Behind(last) => named.iter().position(|(name, _)| name == last).map_or(0, |it| it + 1),
        };
        let items = named.into_iter().skip(skipped).take(limit).collect();
        Ok(SortedPage { total: self.people, items })
    }

    fn resource(&self, item: &usize, _: &Projection, _: Option<&Filter>) -> Resource {
        let mut resource = json!({"id": item.to_string(), "number": item.to_string(), "odd": item % 2 == 1});
        if self.values > 0 {
            resource["values"] = json!(vec![0; self.values]);
        }
        Ok((resource.as_object().cloned().unwrap_or_else(Map::new), self.members_of_each))
    }

    fn case_exact(_: &AttributePath) -> bool {
        true
    }
}

fn ask(people: usize, members_of_each: usize, query: &str) -> Result<Value, Rejection> {
    let query = ListQuery::parse(query, "/Users")?;
    Ok(response(&read_page(&Crowd { people, members_of_each, values: 0 }, &query)?, &query))
}

fn numbers(page: &Value) -> Vec<&str> {
    page["Resources"].as_array().unwrap().iter().map(|item| item["number"].as_str().unwrap()).collect()
}

#[test]
fn looking_through_ends_just_over_its_limit() {
    let page = ask(MAX_SCANNED, 0, "filter=odd+eq+true&startIndex=3&count=2").unwrap();
    assert_eq!(page["totalResults"], json!(MAX_SCANNED / 2));
    assert_eq!(numbers(&page), ["5", "7"]);
    assert!(matches!(ask(MAX_SCANNED + 1, 0, "filter=odd+eq+true"), Err(Rejection::TooMany)));
    // An index needs no looking.
    let page = ask(MAX_SCANNED + 1, 0, "filter=number+eq+%227%22").unwrap();
    assert_eq!(numbers(&page), ["7"]);
    let page = ask(MAX_SCANNED + 1, 0, "filter=odd+eq+true+and+number+eq+%227%22").unwrap();
    assert_eq!(numbers(&page), ["7"]);
    // An index under an `or` or a `not` answers nothing alone.
    for filter in ["number+eq+%227%22+or+odd+eq+true", "not+(number+eq+%227%22)"] {
        let refused = ask(MAX_SCANNED + 1, 0, &format!("filter={filter}"));
        assert!(matches!(refused, Err(Rejection::TooMany)), "{filter}");
    }
}

#[test]
fn a_page_of_many_members_ends_early() {
    let each = MAX_MEMBERS_PER_PAGE / 4;
    let page = ask(10, each, "count=10").unwrap();
    assert_eq!(
        (numbers(&page).len(), &page["totalResults"], &page["itemsPerPage"]),
        (5, &json!(10), &json!(5))
    );
    let page = ask(10, MAX_MEMBERS_PER_PAGE + 1, "count=10&startIndex=4").unwrap();
    assert_eq!(numbers(&page), ["4"], "one at least, or nobody would come to the end");
}

/// All pages of a cursor, one after the other: the numbers on each.
fn pages(people: usize, members_of_each: usize, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ask(people, members_of_each, &format!("{query}&cursor={cursor}")).unwrap();
        assert_eq!(page["itemsPerPage"], json!(numbers(&page).len()));
        pages.push(numbers(&page).into_iter().map(str::to_owned).collect());
        match page.get("nextCursor") {
            None => return pages,
            Some(next) => cursor = next.as_str().unwrap().to_owned(),
        }
    }
}

#[test]
fn a_cursor_leads_to_the_end_whatever_is_looked_for() {
    assert_eq!(pages(5, 0, "count=2"), [vec!["1", "2"], vec!["3", "4"], vec!["5"]]);
    assert_eq!(pages(4, 0, "count=2"), [["1", "2"], ["3", "4"]]);
    assert_eq!(pages(0, 0, "count=2"), [Vec::<String>::new()]);
    assert_eq!(pages(7, 0, "count=2&filter=odd+eq+true"), [["1", "3"], ["5", "7"]]);
    assert_eq!(pages(9, 0, "count=2&filter=number+eq+%227%22"), [["7"]]);
    // What an index does not answer and is too much to look through at once comes in stretches.
    let last = format!("count=2&filter=odd+eq+true+and+id+co+%22{}%22", MAX_SCANNED + 1);
    assert_eq!(pages(MAX_SCANNED + 2, 0, &last), [vec![], vec![(MAX_SCANNED + 1).to_string()]]);
    // A page that is too heavy ends early, and the next goes on behind it.
    assert_eq!(pages(3, MAX_MEMBERS_PER_PAGE + 1, "count=3"), [["1"], ["2"], ["3"]]);
}

#[test]
fn an_order_holds_over_pages_and_equal_ones_stand_as_they_came() {
    let sorted = |query: &str| numbers(&ask(12, 0, query).unwrap()).join(" ");
    // As texts.
    assert_eq!(sorted("sortBy=number&count=5"), "1 10 11 12 2");
    assert_eq!(sorted("sortBy=number&count=5&startIndex=10"), "7 8 9");
    assert_eq!(sorted("sortBy=number&sortOrder=descending&count=3"), "9 8 7");
    assert_eq!(sorted("sortBy=odd"), "2 4 6 8 10 12 1 3 5 7 9 11");
    assert_eq!(sorted("sortBy=odd&sortOrder=Descending"), "1 3 5 7 9 11 2 4 6 8 10 12");
    assert_eq!(sorted("sortBy=missing&sortOrder=descending&count=3"), "1 2 3");
    assert_eq!(sorted("sortBy=number&filter=odd+eq+true&count=3"), "1 11 3");
    assert_eq!(sorted("sortOrder=descending&count=3"), "1 2 3");
    let all = pages(12, 0, "sortBy=odd&count=5");
    assert_eq!(all, [vec!["2", "4", "6", "8", "10"], vec!["12", "1", "3", "5", "7"], vec!["9", "11"]]);
    assert!(matches!(ask(MAX_SCANNED + 1, 0, "sortBy=odd"), Err(Rejection::TooMany)));
    for bad in ["sortBy=a%20b", "sortBy=emails%5Btype+pr%5D", "sortOrder=up"] {
        assert!(matches!(ask(1, 0, bad), Err(Rejection::InvalidValue(_))), "{bad}");
    }
}

#[test]
fn a_cursor_goes_on_with_its_own_listing_alone() {
    let first = ask(5, 0, "count=2&cursor=").unwrap();
    assert_eq!(first["totalResults"], json!(5));
    let next = first["nextCursor"].as_str().unwrap();
    // The count of a page may change.
    assert_eq!(numbers(&ask(5, 0, &format!("count=9&cursor={next}")).unwrap()), ["3", "4", "5"]);
    for other in ["filter=odd+eq+true&", "sortBy=number&"] {
        let refused = ask(5, 0, &format!("{other}cursor={next}"));
        assert!(matches!(refused, Err(Rejection::InvalidCursor)), "{other}");
    }
    let long = "A".repeat(crate::limits::MAX_CURSOR_BYTES + 1);
    for bad in ["x", "W10", "%20", &long, &format!("{next}&cursor={next}")] {
        assert!(matches!(ask(5, 0, &format!("cursor={bad}")), Err(Rejection::InvalidCursor)), "{bad}");
    }
    let both = ask(5, 0, &format!("cursor={next}&startIndex=1"));
    assert!(matches!(both, Err(Rejection::InvalidValue(_))));
}

#[test]
fn the_longest_cursor_of_ours_is_taken_back() {
    let key = "\u{1}".repeat(portcullis_store::limits::USER_NAME_BYTES);
    let place = Place { key: Some(crate::list_query::Key::Text(key)), number: i64::MAX };
    let text = Cursor { kind: 1, place, total: Some(usize::MAX) }.to_text(u64::MAX);
    assert!(text.len() <= crate::limits::MAX_CURSOR_BYTES, "{}", text.len());
}

#[test]
fn an_order_that_an_index_has_is_had_however_many_there_are() {
    let people = MAX_SCANNED + 7;
    let page = ask(people, 0, &format!("sortBy=name&startIndex={people}&count=9")).unwrap();
    assert_eq!((&page["totalResults"], numbers(&page)), (&json!(people), vec![people.to_string().as_str()]));
    let first = ask(people, 0, "sortBy=name&sortOrder=descending&count=2&cursor=").unwrap();
    let next = first["nextCursor"].as_str().unwrap();
    let second = format!("sortBy=name&sortOrder=descending&count=2&cursor={next}");
    let second = ask(people, 0, &second).unwrap();
    assert_eq!(numbers(&second), [(people - 2).to_string(), (people - 3).to_string()]);
    let last = ask(2, 0, "sortBy=name&count=2&cursor=").unwrap();
    assert_eq!((numbers(&last), last.get("nextCursor")), (vec!["1", "2"], None));
    assert_eq!(ask(people, 0, "sortBy=name&count=0").unwrap()["totalResults"], json!(people));
    // No index has any other, nor any under a filter.
    for query in ["sortBy=number", "sortBy=name&filter=odd+eq+true"] {
        assert!(matches!(ask(people, 0, query), Err(Rejection::TooMany)), "{query}");
    }
}

#[test]
fn t96_a_bomb_of_a_filter_ends_by_what_it_looks_at() {
    use crate::limits::{MAX_FILTER_TERMS, MAX_LOOK_WORK};
    let bomb = vec!["odd pr"; MAX_FILTER_TERMS].join(" and ").replace(' ', "+");
    let values = 10_000;
    // So many may be looked at, and the one with which it is too much.
    let most = MAX_LOOK_WORK / (MAX_FILTER_TERMS * (values + 4)) + 1;
    let page = |people: usize, more: &str| {
        let query = ListQuery::parse(&format!("filter={bomb}{more}"), "/Users").unwrap();
        read_page(&Crowd { people, members_of_each: 0, values }, &query)
    };
    assert_eq!(page(most, "").unwrap().total, Some(most));
    assert!(matches!(page(most + 1, ""), Err(Rejection::TooMany)));
    assert!(matches!(page(most + 1, "&sortBy=id"), Err(Rejection::TooMany)));
    // By a cursor it comes in stretches.
    let stretch = page(most + 1, "&count=200&cursor=").unwrap();
    assert_eq!(
        (stretch.resources.len(), stretch.next.map(|place| place.number)),
        (most, i64::try_from(most).ok())
    );
}
