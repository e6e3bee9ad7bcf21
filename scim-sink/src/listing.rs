//! Listings: an index where the filter allows it, else a bounded look through everything, then a page (RFC 7644 section 3.4.2).
//!
//! What is listed, and which attributes have an index, is told by a [`Source`]. Pages of a cursor and sorted ones stand in files of their
//! own.

mod by_cursor;
mod candidates;
mod sorted;

#[cfg(test)]
mod tests;

use portcullis_store::{Begin, Direction, SortedPage};
use serde_json::{Map, Value, json};

use self::candidates::{Candidates, candidates};
use crate::filter::{AttributePath, Filter};
use crate::limits::{MAX_LOOK_WORK, MAX_MEMBERS_PER_PAGE, MAX_SCANNED};
use crate::list_query::{Cursor, ListQuery, Place, Sort, Start};
use crate::patch::{terms, weight};
use crate::projection::Projection;
use crate::rejection::Rejection;

pub(crate) use candidates::Equality;

const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// Resources read at a time when looking through all.
const SCAN_BATCH: usize = 500;

/// How many there are, and those of the page.
pub(crate) type Listed<T> = Result<(usize, Vec<T>), Rejection>;

/// A resource as clients see it, and how many members it weighs.
pub(crate) type Resource = Result<(Map<String, Value>, usize), Rejection>;

/// One kind of resource of one directory.
pub(crate) trait Source: Send + 'static {
    type Item;
    type Lookup;
    type Order;
    const ALL: Self::Lookup;

    /// The index that answers an equality, if there is one.
    fn lookup(&self, equality: &Equality<'_>) -> Option<Self::Lookup>;
    fn core_urn() -> &'static str;
    /// Rises in the order of creation, and is never given twice.
    fn number(item: &Self::Item) -> i64;
    /// In a stable order, so that pages neither repeat nor miss.
    fn list(&self, which: &Self::Lookup, offset: usize, limit: usize) -> Listed<Self::Item>;
    /// Those behind a number, in the order of creation.
    fn scan(&self, after: i64, limit: usize) -> Result<Vec<Self::Item>, Rejection>;
    /// The index that has an order, if there is one.
    fn order(sort: &Sort) -> Option<Self::Order>;
    /// A page in the order of an index, with what each is sorted by.
    fn ordered(
        &self,
        order: (Self::Order, Direction),
        begin: &Begin,
        limit: usize,
    ) -> Result<SortedPage<Self::Item>, Rejection>;
    fn resource(&self, item: &Self::Item, projection: &Projection, filter: Option<&Filter>) -> Resource;
    fn case_exact(path: &AttributePath) -> bool;
}

/// A part of a listing, as resources.
#[derive(Debug)]
pub(crate) struct Page {
    /// How many there are on all pages, where that was counted.
    pub(crate) total: Option<usize>,
    pub(crate) resources: Vec<Value>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<Place>,
}

/// A part of a listing, as they are stored; each with the place behind it.
struct Window<T> {
    total: Option<usize>,
    items: Vec<(Place, T)>,
    next: Option<Place>,
}

/// Reads on a blocking thread: looking through a directory takes longer than a runtime's thread should be held.
pub(crate) async fn page<S: Source>(source: S, query: ListQuery) -> Result<Page, Rejection> {
    let read = tokio::task::spawn_blocking(move || read_page(&source, &query));
    read.await.map_err(|_| Rejection::BrokeOff)?
}

/// RFC 7644 figure 3, and RFC 9865 section 2 for a page of a cursor.
pub(crate) fn response(page: &Page, query: &ListQuery) -> Value {
    let mut response = Map::new();
    let mut set = |name: &str, value: Value| response.insert(name.to_owned(), value);
    set("schemas", json!([LIST_URN]));
    if let Some(total) = page.total {
        set("totalResults", Value::from(total));
    }
    match (&query.start, &page.next) {
        (Start::Index(start), _) => {
            set("startIndex", Value::from(*start));
        }
        (Start::Cursor(_), Some(place)) => {
            let next = Cursor { kind: 0, place: place.clone(), total: page.total };
            set("nextCursor", Value::from(next.to_text(query.question)));
        }
        (Start::Cursor(_), None) => {}
    }
    set("itemsPerPage", Value::from(page.resources.len()));
    set("Resources", Value::from(page.resources.clone()));
    Value::Object(response)
}

fn read_page<S: Source>(source: &S, query: &ListQuery) -> Result<Page, Rejection> {
    let window = match (&query.sort, &query.start) {
        (Some(sort), _) => sorted::window(source, query, sort)?,
        (None, Start::Index(_)) => by_index(source, query)?,
        (None, Start::Cursor(cursor)) => by_cursor::window(source, query, cursor.as_ref())?,
    };
    let mut page =
        Page { total: window.total, resources: Vec::with_capacity(window.items.len()), next: window.next };
    let mut members = 0;
    for (place, item) in &window.items {
        let (resource, weight) = source.resource(item, &query.projection, None)?;
        page.resources.push(Value::Object(query.projection.apply(resource)));
        members += weight;
        // RFC 7644 section 3.4.2.4: fewer than asked for is allowed; the client goes on from there.
        if members > MAX_MEMBERS_PER_PAGE && page.resources.len() < window.items.len() {
            page.next = Some(place.clone());
            break;
        }
    }
    Ok(page)
}

fn by_index<S: Source>(source: &S, query: &ListQuery) -> Result<Window<S::Item>, Rejection> {
    let (total, items) = match &query.filter {
        None => source.list(&S::ALL, query.offset(), query.count)?,
        Some(filter) => filtered(source, filter, query)?,
    };
    Ok(Window { total: Some(total), items: items.into_iter().map(placed::<S>).collect(), next: None })
}

/// A resource with the place behind it, in the order of creation.
fn placed<S: Source>(item: S::Item) -> (Place, S::Item) {
    (Place { key: None, number: S::number(&item) }, item)
}

fn filtered<S: Source>(source: &S, filter: &Filter, query: &ListQuery) -> Listed<S::Item> {
    let mut looking = Looking::new(filter);
    match candidates(source, &mut looking)? {
        Candidates::Answered(which) => source.list(&which, query.offset(), query.count),
        Candidates::Few(items) => {
            let total = items.len();
            Ok((total, items.into_iter().skip(query.offset()).take(query.count).collect()))
        }
        Candidates::Everybody => {
            let mut found = Found { query, total: 0, items: Vec::new() };
            look_through_all(source, |batch| found.take(source, &mut looking, batch))?;
            Ok((found.total, found.items))
        }
    }
}

/// Gives everything to `see`, as long as it is not too much.
fn look_through_all<S: Source>(
    source: &S,
    mut see: impl FnMut(Vec<S::Item>) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let (mut scanned, mut after) = (0, 0);
    loop {
        let batch = source.scan(after, SCAN_BATCH)?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = S::number(last);
        scanned += batch.len();
        if scanned > MAX_SCANNED {
            return Err(Rejection::TooMany);
        }
        see(batch)?;
    }
}

/// A filter, and how much may still be looked at for it.
struct Looking<'f> {
    filter: &'f Filter,
    /// How often it walks a resource.
    terms: usize,
    left: usize,
}

impl<'f> Looking<'f> {
    fn new(filter: &'f Filter) -> Self {
        Looking { filter, terms: terms(filter), left: MAX_LOOK_WORK }
    }

    fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Whether a resource meets the filter. The last one may take more than is left.
    fn meets<S: Source>(&mut self, source: &S, item: &S::Item) -> Result<bool, Rejection> {
        if self.is_over() {
            return Err(Rejection::TooMany);
        }
        let (resource, _) = source.resource(item, &Projection::Only(Vec::new()), Some(self.filter))?;
        let places: usize = resource.values().map(weight).sum();
        self.left = self.left.saturating_sub(places.saturating_mul(self.terms));
        Ok(self.filter.matches(&resource, S::case_exact))
    }
}

/// What met the filter so far: all are counted, those of the page are kept.
struct Found<'q, T> {
    query: &'q ListQuery,
    total: usize,
    items: Vec<T>,
}

impl<T> Found<'_, T> {
    fn take<S: Source<Item = T>>(
        &mut self,
        source: &S,
        looking: &mut Looking<'_>,
        batch: Vec<T>,
    ) -> Result<(), Rejection> {
        for item in batch {
            if !looking.meets(source, &item)? {
                continue;
            }
            if self.total >= self.query.offset() && self.items.len() < self.query.count {
                self.items.push(item);
            }
            self.total += 1;
        }
        Ok(())
    }
}
