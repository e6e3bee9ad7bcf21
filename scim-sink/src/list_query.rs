//! What a listing is asked for: filter, order, part and projection (RFC 7644 section 3.4.2, RFC 9865), from a query or from the body of a
//! `.search`.
//!
//! Answering it is `listing`'s matter.

mod cursor;
mod sort;

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use url::form_urlencoded;

pub(crate) use cursor::{Cursor, Place};
pub(crate) use sort::{Key, Sort};

use crate::filter::Filter;
use crate::limits::{DEFAULT_PAGE, MAX_PAGE};
use crate::projection::Projection;
use crate::rejection::Rejection;
use crate::request::{expect_schema, json_object, parameter};

const SEARCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// The parameters of a listing.
#[derive(Debug, Clone)]
pub(crate) struct ListQuery {
    pub(crate) filter: Option<Filter>,
    pub(crate) sort: Option<Sort>,
    pub(crate) start: Start,
    pub(crate) count: usize,
    pub(crate) projection: Projection,
    /// What the listing is of, so that a cursor goes on with nothing else.
    pub(crate) question: u64,
}

/// Where the part that is asked for begins.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// At this place, counted from 1.
    Index(usize),
    /// Where a page before it ended, or at the beginning.
    Cursor(Option<Cursor>),
}

impl ListQuery {
    /// The query of an address; `of` is the path that is listed.
    pub(crate) fn parse(query: &str, of: &str) -> Result<ListQuery, Rejection> {
        let filter_text = parameter(query, "filter")?;
        let filter = filter_text.as_deref().map(str::parse::<Filter>).transpose()?;
        let sort = Sort::parse(query)?;
        // RFC 7644 section 3.4.2.4: a start below 1 is 1, a count below 0 is 0.
        let start_index = integer(query, "startIndex")?.map(|start| start.max(1));
        let count = integer(query, "count")?.map_or(DEFAULT_PAGE, |count| count.min(MAX_PAGE));
        let question = cursor::question(of, filter_text.as_deref(), sort.as_ref());
        let start = match (cursor_text(query)?, start_index) {
            (None, start) => Start::Index(start.unwrap_or(1)),
            (Some(_), Some(_)) => {
                return Err(Rejection::InvalidValue(
                    "`cursor` and `startIndex` exclude each other".to_owned(),
                ));
            }
            // RFC 9865 section 2: the first page is asked for by an empty cursor.
            (Some(text), None) if text.is_empty() => Start::Cursor(None),
            (Some(text), None) => Start::Cursor(Some(Cursor::parse(&text, question)?)),
        };
        Ok(ListQuery { filter, sort, start, count, projection: Projection::parse(query)?, question })
    }

    /// The body of a `.search` (RFC 7644 section 3.4.3): the same parameters, as JSON.
    pub(crate) fn from_body(request: &Request<Bytes>, of: &str) -> Result<ListQuery, Rejection> {
        let body = json_object(request)?;
        expect_schema(&body, SEARCH_URN)?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        for name in PARAMETERS {
            let text = match crate::filter::attribute(&body, name) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Array(names)) => {
                    names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
                }
                Some(_) => return Err(Rejection::InvalidValue(format!("`{name}` has a wrong type"))),
            };
            query.append_pair(name, &text);
        }
        ListQuery::parse(&query.finish(), of)
    }

    /// How many resources stand before the part that is asked for by its index.
    pub(crate) fn offset(&self) -> usize {
        match self.start {
            Start::Index(start) => start.saturating_sub(1),
            Start::Cursor(_) => 0,
        }
    }
}

const PARAMETERS: [&str; 8] =
    ["filter", "sortBy", "sortOrder", "startIndex", "count", "cursor", "attributes", "excludedAttributes"];

/// Unlike of the other parameters, an empty value says something here.
fn cursor_text(query: &str) -> Result<Option<String>, Rejection> {
    let mut found = form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key.eq_ignore_ascii_case("cursor"))
        .map(|(_, value)| value.into_owned());
    let first = found.next();
    match found.next() {
        Some(_) => Err(Rejection::InvalidCursor),
        None => Ok(first),
    }
}

/// A whole number, from zero up; anything larger than can be counted is as large as can be.
fn integer(query: &str, name: &str) -> Result<Option<usize>, Rejection> {
    let Some(text) = parameter(query, name)? else { return Ok(None) };
    let number = text
        .parse::<i128>()
        .map_err(|_| Rejection::InvalidValue(format!("`{name}` must be a whole number")))?;
    Ok(Some(usize::try_from(number.max(0)).unwrap_or(usize::MAX)))
}
