//! A page of a cursor in the order of creation: what stands behind the page before it, however many there are.
//!
//! A filter that no index answers is looked for in stretches: a page may come back with fewer than were asked for, or none, and the cursor
//! of the next stretch.

use super::candidates::{Candidates, all_of, candidates};
use super::{Looking, SCAN_BATCH, Source, Window, placed};
use crate::limits::MAX_SCANNED;
use crate::list_query::{Cursor, ListQuery, Place};
use crate::rejection::Rejection;

pub(super) fn window<S: Source>(
    source: &S,
    query: &ListQuery,
    cursor: Option<&Cursor>,
) -> Result<Window<S::Item>, Rejection> {
    let after = cursor.map_or(0, |cursor| cursor.place.number);
    let Some(filter) = &query.filter else {
        // Counting all again for each page would make a long listing slow.
        let total = match cursor {
            Some(cursor) => cursor.total,
            None => Some(source.list(&S::ALL, 0, 0)?.0),
        };
        let items = source.scan(after, query.count.saturating_add(1))?;
        return Ok(cut::<S>(total, items, query.count));
    };
    let mut looking = Looking::new(filter);
    let few = match candidates(source, &mut looking)? {
        Candidates::Answered(which) => all_of(source, &which)?,
        Candidates::Few(items) => items,
        Candidates::Everybody => return stretch(source, query, &mut looking, after),
    };
    let total = Some(few.len());
    let items = few.into_iter().filter(|item| S::number(item) > after).collect();
    Ok(cut::<S>(total, items, query.count))
}

/// The first of these; the next page begins behind them, if there are more.
fn cut<S: Source>(total: Option<usize>, items: Vec<S::Item>, count: usize) -> Window<S::Item> {
    let more = items.len() > count;
    let items: Vec<_> = items.into_iter().take(count).map(placed::<S>).collect();
    let next = items.last().filter(|_| more).map(|(place, _)| place.clone());
    Window { total, items, next }
}

fn stretch<S: Source>(
    source: &S,
    query: &ListQuery,
    looking: &mut Looking<'_>,
    mut after: i64,
) -> Result<Window<S::Item>, Rejection> {
    let mut window = Window { total: None, items: Vec::new(), next: None };
    let mut scanned = 0;
    if query.count == 0 {
        return Ok(window);
    }
    loop {
        let batch = source.scan(after, SCAN_BATCH)?;
        if batch.is_empty() {
            return Ok(window);
        }
        for item in batch {
            if window.items.len() == query.count || scanned == MAX_SCANNED || looking.is_over() {
                window.next = Some(Place { key: None, number: after });
                return Ok(window);
            }
            scanned += 1;
            after = S::number(&item);
            if looking.meets(source, &item)? {
                window.items.push(placed::<S>(item));
            }
        }
    }
}
