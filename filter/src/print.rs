//! A filter as text again, such that reading the text gives the same filter.

use std::fmt::{Display, Formatter, Result};

use super::{AttributePath, Condition, Filter, Literal};

impl<P: Display> Display for Filter<P> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self {
            Filter::Attribute(path, condition) => write!(out, "{path} {condition}"),
            Filter::Elements { attribute, filter, rest: None } => write!(out, "{attribute}[{filter}]"),
            Filter::Elements { attribute, filter, rest: Some((sub, condition)) } => {
                write!(out, "{attribute}[{filter}].{sub} {condition}")
            }
            Filter::Not(inner) => write!(out, "not ({inner})"),
            Filter::And(terms) => {
                joined(out, terms, " and ", |term| matches!(term, Filter::And(_) | Filter::Or(_)))
            }
            Filter::Or(terms) => joined(out, terms, " or ", |term| matches!(term, Filter::Or(_))),
        }
    }
}

fn joined<P: Display>(
    out: &mut Formatter<'_>,
    terms: &[Filter<P>],
    word: &str,
    needs_brackets: fn(&Filter<P>) -> bool,
) -> Result {
    for (index, term) in terms.iter().enumerate() {
        if index > 0 {
            out.write_str(word)?;
        }
        if needs_brackets(term) {
            write!(out, "({term})")?;
        } else {
            write!(out, "{term}")?;
        }
    }
    Ok(())
}

impl Display for Condition {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self {
            Condition::Present => out.write_str("pr"),
            Condition::Compare(operator, literal) => write!(out, "{} {literal}", operator.word()),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self {
            // The JSON form of a string is its form in a filter too.
            Literal::Text(text) => write!(out, "{}", serde_json::Value::from(text.as_str())),
            Literal::Number(number) => write!(out, "{number}"),
            Literal::Boolean(value) => write!(out, "{value}"),
            Literal::Null => out.write_str("null"),
        }
    }
}

impl Display for AttributePath {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        if let Some(schema) = &self.schema {
            write!(out, "{schema}:")?;
        }
        out.write_str(&self.name)?;
        match &self.sub {
            Some(sub) => write!(out, ".{sub}"),
            None => Ok(()),
        }
    }
}
