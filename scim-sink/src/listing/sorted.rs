//! A page in another order than that of creation: that of an index, or else the keys of all that are listed, sorted, then those of the page.
//!
//! Only keys are held of what is not on the page; where there are too many even of these, the listing is refused.

use portcullis_store::{Begin, Direction};

use super::candidates::{Candidates, all_of, candidates};
use super::{Looking, Source, Window, look_through_all};
use crate::list_query::{Key, ListQuery, Place, Sort, Start};
use crate::projection::Projection;
use crate::rejection::Rejection;

pub(super) fn window<S: Source>(
    source: &S,
    query: &ListQuery,
    sort: &Sort,
) -> Result<Window<S::Item>, Rejection> {
    if let (None, Some(order)) = (&query.filter, S::order(sort)) {
        return indexed(source, query, (order, sort.order.into()));
    }
    let mut keys = keys(source, query, sort)?;
    // Equal keys stand in the order of creation, whichever way the keys are sorted.
    keys.sort_by(|(one, first), (other, second)| sort.order.of(one.compare(other)).then(first.cmp(second)));
    let begin = match &query.start {
        Start::Index(_) => query.offset(),
        Start::Cursor(None) => 0,
        Start::Cursor(Some(cursor)) => {
            let Place { key: Some(last), number } = &cursor.place else {
                return Err(Rejection::InvalidCursor);
            };
            keys.partition_point(|(key, held)| {
                sort.order.of(key.compare(last)).then(held.cmp(number)).is_le()
            })
        }
    };
    let total = keys.len();
    let mut window = Window { total: Some(total), items: Vec::new(), next: None };
    for (key, number) in keys.into_iter().skip(begin).take(query.count) {
        let place = Place { key: Some(key), number };
        window.next = Some(place.clone());
        // Whoever was deleted meanwhile is not there.
        let found = source.scan(number.saturating_sub(1), 1)?.into_iter().next();
        window.items.extend(found.filter(|item| S::number(item) == number).map(|item| (place, item)));
    }
    if begin.saturating_add(query.count) >= total {
        window.next = None;
    }
    Ok(window)
}

/// However many there are: an index has the order. Nobody shares a key there.
fn indexed<S: Source>(
    source: &S,
    query: &ListQuery,
    order: (S::Order, Direction),
) -> Result<Window<S::Item>, Rejection> {
    let begin = match &query.start {
        Start::Index(_) => Begin::At(query.offset()),
        Start::Cursor(None) => Begin::At(0),
        Start::Cursor(Some(cursor)) => match &cursor.place.key {
            Some(Key::Text(last)) => Begin::Behind(last.clone()),
            _ => return Err(Rejection::InvalidCursor),
        },
    };
    let page = source.ordered(order, &begin, query.count.saturating_add(1))?;
    let more = page.items.len() > query.count;
    let placed = |(key, item)| (Place { key: Some(Key::Text(key)), number: S::number(&item) }, item);
    let items: Vec<_> = page.items.into_iter().take(query.count).map(placed).collect();
    let next = items.last().filter(|_| more).map(|(place, _)| place.clone());
    Ok(Window { total: Some(page.total), items, next })
}

fn keys<S: Source>(source: &S, query: &ListQuery, sort: &Sort) -> Result<Vec<(Key, i64)>, Rejection> {
    let mut keys = Vec::new();
    let mut looking = query.filter.as_ref().map(Looking::new);
    let found = looking.as_mut().map(|looking| candidates(source, looking)).transpose()?;
    let mut take = |items: Vec<S::Item>, is_met: bool| -> Result<(), Rejection> {
        for item in items {
            if let Some(looking) = looking.as_mut().filter(|_| !is_met)
                && !looking.meets(source, &item)?
            {
                continue;
            }
            let (resource, _) = source.resource(&item, &Projection::Only(Vec::new()), None)?;
            keys.push((sort.key(&resource, S::case_exact), S::number(&item)));
        }
        Ok(())
    };
    match found {
        Some(Candidates::Answered(which)) => take(all_of(source, &which)?, true)?,
        Some(Candidates::Few(items)) => take(items, true)?,
        Some(Candidates::Everybody) | None => look_through_all(source, |batch| take(batch, false))?,
    }
    Ok(keys)
}
