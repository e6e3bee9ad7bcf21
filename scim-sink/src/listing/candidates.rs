//! Which resources a filter may be true for, as far as an index can tell.
//!
//! Which attributes have an index is told by the [`Source`].

use super::{Looking, SCAN_BATCH, Source};
use crate::filter::{AttributePath, Condition, Filter, Literal, Operator};
use crate::rejection::Rejection;

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

/// Where a filter is true.
pub(super) enum Candidates<S: Source> {
    /// For those of an index, all of them.
    Answered(S::Lookup),
    /// For these.
    Few(Vec<S::Item>),
    /// That has to be looked for among all.
    Everybody,
}

pub(super) fn candidates<S: Source>(
    source: &S,
    looking: &mut Looking<'_>,
) -> Result<Candidates<S>, Rejection> {
    let filter = looking.filter;
    let index = |term| equality(term, S::core_urn()).and_then(|equality| source.lookup(&equality));
    if let Some(which) = index(filter) {
        return Ok(Candidates::Answered(which));
    }
    let Filter::And(terms) = filter else { return Ok(Candidates::Everybody) };
    let Some(which) = terms.iter().find_map(index) else { return Ok(Candidates::Everybody) };
    let (total, items) = source.list(&which, 0, SCAN_BATCH)?;
    if total > SCAN_BATCH {
        return Ok(Candidates::Everybody);
    }
    let mut few = Vec::new();
    for item in items {
        if looking.meets(source, &item)? {
            few.push(item);
        }
    }
    Ok(Candidates::Few(few))
}

/// All of an index, as long as they are few; a filter that an index answers is true for few.
pub(super) fn all_of<S: Source>(source: &S, which: &S::Lookup) -> Result<Vec<S::Item>, Rejection> {
    let (total, items) = source.list(which, 0, SCAN_BATCH)?;
    if total > items.len() { Err(Rejection::TooMany) } else { Ok(items) }
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
