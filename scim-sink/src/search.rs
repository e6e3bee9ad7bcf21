//! `.search` at the root: users and groups in one listing, users first (RFC 7644 section 3.4.2.1).
//!
//! Searching one kind is `listing`'s matter; only the seam between the two is here.

use serde_json::Value;

use crate::answer::Answer;
use crate::listing::response;
use crate::rejection::Rejection;
use crate::request::ListQuery;
use crate::sink::Visit;
use crate::{groups, users};

pub(crate) async fn everything(visit: &Visit<'_>, query: ListQuery) -> Result<Answer, Rejection> {
    let (people, mut resources) = parts(users::list(visit, query.clone()).await?);
    // Groups begin where the users end.
    let rest = ListQuery {
        start_index: query.start_index.saturating_sub(people).max(1),
        count: if users_are_done(&query, people, resources.len()) {
            query.count - resources.len()
        } else {
            0
        },
        ..query.clone()
    };
    let (groups, more) = parts(groups::list(visit, rest).await?);
    resources.extend(more);
    Ok(Answer::Found(response(people.saturating_add(groups), query.start_index, &resources)))
}

fn users_are_done(query: &ListQuery, people: usize, shown: usize) -> bool {
    query.offset().saturating_add(shown) >= people && shown <= query.count
}

fn parts(answer: Answer) -> (usize, Vec<Value>) {
    let Answer::Found(mut page) = answer else { return (0, Vec::new()) };
    let total =
        page.get("totalResults").and_then(Value::as_u64).and_then(|total| usize::try_from(total).ok());
    let resources = match page.get_mut("Resources").map(Value::take) {
        Some(Value::Array(resources)) => resources,
        _ => Vec::new(),
    };
    (total.unwrap_or(0), resources)
}
