use serde_json::{Map, Value, json};

use super::*;

/// As many resources as one likes, each with as many members as one likes.
struct Crowd {
    people: usize,
    members_of_each: usize,
}

impl Source for Crowd {
    type Item = usize;
    type Lookup = Option<usize>;
    const ALL: Option<usize> = None;

    fn lookup(equality: &Equality<'_>) -> Option<Option<usize>> {
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

    fn scan(&self, after: Option<&usize>, limit: usize) -> Result<Vec<usize>, Rejection> {
        Ok((1..=self.people).skip(after.copied().unwrap_or(0)).take(limit).collect())
    }

    fn resource(&self, item: &usize, _: &Projection, _: Option<&Filter>) -> Resource {
        let resource = json!({"id": item.to_string(), "number": item.to_string(), "odd": item % 2 == 1});
        Ok((resource.as_object().cloned().unwrap_or_else(Map::new), self.members_of_each))
    }

    fn case_exact(_: &AttributePath) -> bool {
        true
    }
}

fn ask(people: usize, members_of_each: usize, query: &str) -> Result<Value, Rejection> {
    page(&Crowd { people, members_of_each }, &ListQuery::parse(query)?)
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
