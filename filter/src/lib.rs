//! The filter language of RFC 7644 section 3.4.2.2: its tree, its text, and its truth over a JSON document.
//!
//! It knows neither the store nor the schemas: which attributes compare case-exactly is told by the caller, and what an
//! index can answer is decided where the index is known.

mod evaluate;
mod limits;
mod parse;
mod print;
mod read;

#[cfg(test)]
mod tests;

pub use evaluate::{CaseRule, Place};
pub use limits::{MAX_FILTER_DEPTH, MAX_FILTER_LENGTH, MAX_FILTER_TERMS};
pub use parse::{FilterError, PathForm, parse_target};
pub use read::{attribute, is_core, values_at};

use std::str::FromStr;

use serde_json::Number;

/// A filter as its author wrote it, within the limits on length, depth and number of terms. `P` is what stands where an attribute is
/// named outside of brackets: SCIM's own paths, unless the filter is about several documents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter<P = AttributePath> {
    /// `userName eq "x"`, `title pr`
    Attribute(P, Condition),
    /// `emails[type eq "work"]`, and with a rest `emails[type eq "work"].value co "@corp"`, which others send.
    Elements {
        /// The multi-valued attribute whose elements are looked at one by one.
        attribute: P,
        /// What one element has to meet.
        filter: Box<Filter>,
        /// A sub-attribute of that same element, and what it has to meet.
        rest: Option<(String, Condition)>,
    },
    /// `not (...)`
    Not(Box<Filter<P>>),
    /// All hold; at least two.
    And(Vec<Filter<P>>),
    /// Any holds; at least two.
    Or(Vec<Filter<P>>),
}

impl<P: PathForm> FromStr for Filter<P> {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        parse::parse_filter(text)
    }
}

/// What is asked of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `pr`: it has a value that is not empty.
    Present,
    /// A comparison with a literal.
    Compare(Operator, Literal),
}

/// The comparison operators of RFC 7644, table 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `co`
    Contains,
    /// `sw`
    StartsWith,
    /// `ew`
    EndsWith,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
}

impl Operator {
    const ALL: [(Operator, &'static str); 9] = [
        (Operator::Equal, "eq"),
        (Operator::NotEqual, "ne"),
        (Operator::Contains, "co"),
        (Operator::StartsWith, "sw"),
        (Operator::EndsWith, "ew"),
        (Operator::Greater, "gt"),
        (Operator::GreaterOrEqual, "ge"),
        (Operator::Less, "lt"),
        (Operator::LessOrEqual, "le"),
    ];

    fn from_word(word: &str) -> Option<Operator> {
        Self::ALL.iter().find(|(_, text)| text.eq_ignore_ascii_case(word)).map(|(operator, _)| *operator)
    }

    /// The word that the language has for it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(operator, _)| *operator == self).map_or("", |(_, text)| text)
    }

    fn orders(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual | Self::Less | Self::LessOrEqual)
    }

    fn looks_inside_text(self) -> bool {
        matches!(self, Self::Contains | Self::StartsWith | Self::EndsWith)
    }
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Literal {
    /// A JSON string.
    Text(String),
    /// A JSON number.
    Number(Number),
    /// `true` or `false`, in any case of letters.
    Boolean(bool),
    /// `null`: the attribute is unassigned.
    Null,
}

/// `name`, `name.sub`, or either behind a schema URN and a colon (RFC 7644 section 3.10).
///
/// A text that is a URN and nothing more (`urn:…:enterprise:2.0:User`) cannot be told from an attribute by its form. It is kept as
/// schema `urn:…:2.0` and name `User`, and whoever looks it up in a document knows better.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttributePath {
    /// The URN before the last colon.
    pub schema: Option<String>,
    /// The attribute, spelt as the client spelt it.
    pub name: String,
    /// The sub-attribute after the dot.
    pub sub: Option<String>,
}

impl AttributePath {
    /// A path of one plain name.
    pub fn plain(name: &str) -> AttributePath {
        AttributePath { schema: None, name: name.to_owned(), sub: None }
    }

    /// Whether this is `name` (or `name.sub`) of the resource itself, in any case of letters; `core` is the resource's own schema.
    pub fn names(&self, core: &str, name: &str, sub: Option<&str>) -> bool {
        let own = self.schema.as_deref().is_none_or(|schema| schema.eq_ignore_ascii_case(core));
        let same_sub = match (&self.sub, sub) {
            (None, None) => true,
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        };
        own && same_sub && self.name.eq_ignore_ascii_case(name)
    }

    /// The text read as the URN of a whole extension, when it has the form of one.
    pub fn as_extension(&self) -> Option<String> {
        match (&self.schema, &self.sub) {
            (Some(schema), None) => Some(format!("{schema}:{}", self.name)),
            _ => None,
        }
    }
}

impl<P> Filter<P> {
    /// Every attribute that is named outside of brackets, in the order of the text and with repetition.
    pub fn paths(&self) -> Vec<&P> {
        match self {
            Filter::Attribute(path, _) | Filter::Elements { attribute: path, .. } => vec![path],
            Filter::Not(inner) => inner.paths(),
            Filter::And(terms) | Filter::Or(terms) => terms.iter().flat_map(Filter::paths).collect(),
        }
    }
}

impl Filter {
    /// Whether any comparison looks at the top-level attribute `name`.
    pub fn mentions(&self, name: &str) -> bool {
        match self {
            Filter::Attribute(path, _) => path.name.eq_ignore_ascii_case(name),
            Filter::Elements { attribute, .. } => attribute.name.eq_ignore_ascii_case(name),
            Filter::Not(inner) => inner.mentions(name),
            Filter::And(terms) | Filter::Or(terms) => terms.iter().any(|term| term.mentions(name)),
        }
    }
}
