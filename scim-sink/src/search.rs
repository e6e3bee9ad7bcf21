//! `.search` at the root: users and groups in one listing, users first (RFC 7644 section 3.4.2.1). An order holds within each kind.
//!
//! Searching one kind is `listing`'s matter; only the seam between the two is here.

use crate::answer::Answer;
use crate::list_query::{Cursor, ListQuery, Place, Start};
use crate::listing::{Page, response};
use crate::rejection::Rejection;
use crate::sink::Visit;
use crate::{groups, users};
use serde_json::Value;

/// Which kind a cursor goes on with.
const USERS: u8 = 0;
const GROUPS: u8 = 1;

pub(crate) async fn everything(visit: &Visit<'_>, query: ListQuery) -> Result<Answer, Rejection> {
    match query.start.clone() {
        Start::Index(start) => by_index(visit, query, start).await,
        Start::Cursor(cursor) => by_cursor(visit, query, cursor).await,
    }
}

async fn by_index(visit: &Visit<'_>, query: ListQuery, start: usize) -> Result<Answer, Rejection> {
    let mut people = users::page(visit, query.clone()).await?;
    let total = people.total.unwrap_or(0);
    // Groups begin where the users end.
    let shown = people.resources.len();
    let users_are_done = query.offset().saturating_add(shown) >= total && shown <= query.count;
    let rest = ListQuery {
        start: Start::Index(start.saturating_sub(total).max(1)),
        count: if users_are_done { query.count - shown } else { 0 },
        ..query.clone()
    };
    let groups = groups::page(visit, rest).await?;
    people.resources.extend(groups.resources);
    people.total = Some(total.saturating_add(groups.total.unwrap_or(0)));
    Ok(Answer::Found(response(&people, &query)))
}

async fn by_cursor(visit: &Visit<'_>, query: ListQuery, cursor: Option<Cursor>) -> Result<Answer, Rejection> {
    let at_groups = cursor.as_ref().is_some_and(|cursor| cursor.kind == GROUPS);
    if at_groups {
        // The beginning of the groups is a place like others, but no place among those sorted by a key.
        let from = cursor.filter(|cursor| cursor.place != Place::BEGINNING);
        let groups = groups::page(visit, ListQuery { start: Start::Cursor(from), ..query.clone() }).await?;
        return Ok(shown(groups.resources, groups.next.map(|place| (GROUPS, place)), &query));
    }
    let people = users::page(visit, query.clone()).await?;
    // A page of users, then a page of groups: the seam stands between two pages.
    let next = match people.next {
        Some(place) => Some((USERS, place)),
        None if query.count == 0 => None,
        None => Some((GROUPS, Place::BEGINNING)),
    };
    Ok(shown(people.resources, next, &query))
}

fn shown(resources: Vec<Value>, next: Option<(u8, Place)>, query: &ListQuery) -> Answer {
    let page = Page { total: None, resources, next: None };
    let mut body = response(&page, query);
    if let (Some((kind, place)), Some(map)) = (next, body.as_object_mut()) {
        let cursor = Cursor { kind, place, total: None };
        map.insert("nextCursor".to_owned(), Value::from(cursor.to_text(query.question)));
    }
    Answer::Found(body)
}
