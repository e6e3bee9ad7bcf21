//! Listings: an index where the filter allows it, else a bounded look through everything, then a page (RFC 7644 section 3.4.2).
//!
//! What is listed, and which attributes have an index, is told by a [`Source`].

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::filter::{AttributePath, Condition, Filter, Literal, Operator};
use crate::limits::{MAX_MEMBERS_PER_PAGE, MAX_SCANNED};
use crate::projection::Projection;
use crate::rejection::Rejection;
use crate::request::ListQuery;

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
    const ALL: Self::Lookup;

    /// The index that answers an equality, if there is one.
    fn lookup(equality: &Equality<'_>) -> Option<Self::Lookup>;
    fn core_urn() -> &'static str;
    /// In a stable order, so that pages neither repeat nor miss.
    fn list(&self, which: &Self::Lookup, offset: usize, limit: usize) -> Listed<Self::Item>;
    fn scan(&self, after: Option<&Self::Item>, limit: usize) -> Result<Vec<Self::Item>, Rejection>;
    fn resource(&self, item: &Self::Item, projection: &Projection, filter: Option<&Filter>) -> Resource;
    fn case_exact(path: &AttributePath) -> bool;
}

/// `attribute eq "text"`, wherever it stands in a filter that cannot hold without it.
pub(crate) struct Equality<'f> {
    core_urn: &'static str,
    path: AttributePath,
    pub(crate) text: &'f str,
}

impl Equality<'_> {
    pub(crate) fn is(&self, name: &str, sub: Option<&str>) -> bool {
        self.path.names(self.core_urn, name, sub)
    }
}

/// Reads on a blocking thread: looking through a directory takes longer than a runtime's thread should be held.
pub(crate) async fn list<S: Source>(source: S, query: ListQuery) -> Result<Value, Rejection> {
    let read = tokio::task::spawn_blocking(move || page(&source, &query));
    read.await.map_err(|_| Rejection::BrokeOff)?
}

fn page<S: Source>(source: &S, query: &ListQuery) -> Result<Value, Rejection> {
    let (total, items) = match &query.filter {
        None => source.list(&S::ALL, query.offset(), query.count)?,
        Some(filter) => filtered(source, filter, query)?,
    };
    let mut resources = Vec::with_capacity(items.len());
    let mut members = 0;
    for item in &items {
        let (resource, weight) = source.resource(item, &query.projection, None)?;
        resources.push(Value::Object(query.projection.apply(resource)));
        members += weight;
        // RFC 7644 section 3.4.2.4: fewer than asked for is allowed; the client goes on from there.
        if members > MAX_MEMBERS_PER_PAGE {
            break;
        }
    }
    Ok(response(total, query.start_index, &resources))
}

/// RFC 7644 figure 3.
pub(crate) fn response(total: usize, start_index: usize, resources: &[Value]) -> Value {
    json!({
        "schemas": [LIST_URN],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

fn filtered<S: Source>(source: &S, filter: &Filter, query: &ListQuery) -> Listed<S::Item> {
    if let Some(which) = equality(filter, S::core_urn()).and_then(|equality| S::lookup(&equality)) {
        return source.list(&which, query.offset(), query.count);
    }
    let mut found = Found { query, total: 0, items: Vec::new() };
    let narrowed = match filter {
        Filter::And(terms) => terms
            .iter()
            .find_map(|term| equality(term, S::core_urn()).and_then(|equality| S::lookup(&equality))),
        _ => None,
    };
    if let Some(which) = narrowed {
        let (total, candidates) = source.list(&which, 0, SCAN_BATCH)?;
        if total <= SCAN_BATCH {
            found.take(source, filter, candidates)?;
            return Ok((found.total, found.items));
        }
    }
    look_through_all(source, filter, &mut found)?;
    Ok((found.total, found.items))
}

fn look_through_all<S: Source>(
    source: &S,
    filter: &Filter,
    found: &mut Found<'_, S::Item>,
) -> Result<(), Rejection> {
    let mut scanned = 0;
    let mut batch = source.scan(None, SCAN_BATCH)?;
    while !batch.is_empty() {
        scanned += batch.len();
        if scanned > MAX_SCANNED {
            return Err(Rejection::TooMany);
        }
        let next = source.scan(batch.last(), SCAN_BATCH)?;
        found.take(source, filter, batch)?;
        batch = next;
    }
    Ok(())
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
        filter: &Filter,
        batch: Vec<T>,
    ) -> Result<(), Rejection> {
        for item in batch {
            let (resource, _) = source.resource(&item, &Projection::Only(Vec::new()), Some(filter))?;
            if !filter.matches(&resource, S::case_exact) {
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

/// `emails.value eq "x"` and `emails[value eq "x"]` are one question.
fn equality<'f>(filter: &'f Filter, core_urn: &'static str) -> Option<Equality<'f>> {
    match filter {
        Filter::Attribute(path, Condition::Compare(Operator::Equal, Literal::Text(text))) => {
            Some(Equality { core_urn, path: path.clone(), text })
        }
        Filter::Elements { attribute, filter, rest: None } if attribute.sub.is_none() => match &**filter {
            Filter::Attribute(inner, Condition::Compare(Operator::Equal, Literal::Text(text)))
                if inner.schema.is_none() && inner.sub.is_none() =>
            {
                let path = AttributePath { sub: Some(inner.name.clone()), ..attribute.clone() };
                Some(Equality { core_urn, path, text })
            }
            _ => None,
        },
        _ => None,
    }
}
