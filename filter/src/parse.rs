//! From text to a filter or a PATCH target, by recursive descent that is bounded in length, depth and terms.
//!
//! What the text means for a document is `evaluate`'s and the PATCH's matter.

use serde_json::Number;
use winnow::combinator::opt;
use winnow::error::ParserError;
use winnow::stream::{Stateful, Stream};
use winnow::token::{literal, take_while};
use winnow::{Parser, Result};

use super::limits::{MAX_FILTER_DEPTH, MAX_FILTER_LENGTH, MAX_FILTER_TERMS};
use super::{AttributePath, Condition, Filter, Literal, Operator};

/// Why a filter or a path was refused. Positions are byte offsets, counted from 1 as people do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Longer than [`MAX_FILTER_LENGTH`].
    #[error("longer than {MAX_FILTER_LENGTH} bytes")]
    TooLong,
    /// Nested deeper than [`MAX_FILTER_DEPTH`].
    #[error("nested deeper than {MAX_FILTER_DEPTH} levels")]
    TooDeep,
    /// More comparisons than [`MAX_FILTER_TERMS`].
    #[error("more than {MAX_FILTER_TERMS} comparisons")]
    TooManyTerms,
    /// Not in the grammar.
    #[error("expected {expected} at character {at}")]
    Syntax {
        /// Where.
        at: usize,
        /// What would have been right there.
        expected: &'static str,
    },
    /// RFC 7644 section 3.4.2.2: booleans have no order.
    #[error("`{}` needs a string or a number on its right", .0.word())]
    NotOrdered(Operator),
    /// `co`, `sw` and `ew` look inside text.
    #[error("`{}` needs a string on its right", .0.word())]
    NotText(Operator),
}

/// What may stand where a filter names an attribute.
pub trait PathForm: Sized {
    /// What would have been right, for whoever wrote something else.
    const EXPECTED: &'static str;

    /// Reads a run of letters, digits and `$-_.:`.
    fn from_token(token: &str) -> Option<Self>;
}

impl PathForm for AttributePath {
    const EXPECTED: &'static str = "the name of an attribute";

    fn from_token(token: &str) -> Option<Self> {
        split_path(token)
    }
}

/// Whole text as a filter.
pub(super) fn parse_filter<P: PathForm>(text: &str) -> std::result::Result<Filter<P>, FilterError> {
    parse_whole(text, any_of)
}

/// A PATCH `path` (RFC 7644 figure 7): attribute, optional element filter, optional sub-attribute after it.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn parse_target(
    text: &str,
) -> std::result::Result<(AttributePath, Option<Filter>, Option<String>), FilterError> {
    parse_whole(text, |input| {
        let attribute = path(input)?;
        if opt(literal('[')).parse_next(input)?.is_none() {
            return Ok((attribute, None, None));
        }
        let filter = bracketed(input)?;
        let sub = opt(literal('.')).parse_next(input)?.map(|_| sub_attribute(input)).transpose()?;
        Ok((attribute, Some(filter), sub))
    })
}

/// The text that is left, and what was used up of the bounds.
type Input<'i> = Stateful<&'i str, Spent>;

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    depth: usize,
    terms: usize,
}

/// A refusal, placed by what was left of the text.
#[derive(Debug)]
enum Fault {
    /// Nothing matched here; an optional part may still be absent.
    Unmatched {
        left: usize,
    },
    /// Certain: no other reading is tried.
    Expected {
        left: usize,
        expected: &'static str,
    },
    Final(FilterError),
}

impl<'i> ParserError<Input<'i>> for Fault {
    type Inner = Fault;

    fn from_input(input: &Input<'i>) -> Fault {
        Fault::Unmatched { left: input.eof_offset() }
    }

    fn is_backtrack(&self) -> bool {
        matches!(self, Fault::Unmatched { .. })
    }

    fn into_inner(self) -> std::result::Result<Fault, Fault> {
        Ok(self)
    }
}

fn expected(input: &Input<'_>, expected: &'static str) -> Fault {
    Fault::Expected { left: input.eof_offset(), expected }
}

fn parse_whole<T>(
    text: &str,
    parser: impl FnOnce(&mut Input<'_>) -> Result<T, Fault>,
) -> std::result::Result<T, FilterError> {
    if text.len() > MAX_FILTER_LENGTH {
        return Err(FilterError::TooLong);
    }
    let mut input = Stateful { input: text.trim_matches(SPACE), state: Spent::default() };
    let whole = input.eof_offset();
    let outcome = parser(&mut input).and_then(|value| match input.eof_offset() {
        0 => Ok(value),
        _ => Err(expected(&input, "the end, `and` or `or`")),
    });
    outcome.map_err(|fault| match fault {
        Fault::Unmatched { left } => FilterError::Syntax { at: whole - left + 1, expected: "something else" },
        Fault::Expected { left, expected } => FilterError::Syntax { at: whole - left + 1, expected },
        Fault::Final(error) => error,
    })
}

const SPACE: [char; 2] = [' ', '\t'];

fn space(input: &mut Input<'_>) {
    run(input, |c| SPACE.contains(&c));
}

/// `or` binds weakest, then `and`, then `not` (RFC 7644 section 3.4.2.2).
fn any_of<P: PathForm>(input: &mut Input<'_>) -> Result<Filter<P>, Fault> {
    chain(input, "or", all_of, Filter::Or)
}

fn all_of<P: PathForm>(input: &mut Input<'_>) -> Result<Filter<P>, Fault> {
    chain(input, "and", term, Filter::And)
}

fn chain<P: PathForm>(
    input: &mut Input<'_>,
    word: &str,
    part: fn(&mut Input<'_>) -> Result<Filter<P>, Fault>,
    join: fn(Vec<Filter<P>>) -> Filter<P>,
) -> Result<Filter<P>, Fault> {
    let first = part(input)?;
    let mut rest = Vec::new();
    while keyword(input, word) {
        rest.push(part(input)?);
    }
    if rest.is_empty() {
        return Ok(first);
    }
    rest.insert(0, first);
    Ok(join(rest))
}

/// Takes `word` with the space around it, or leaves the input as it was.
fn keyword(input: &mut Input<'_>, word: &str) -> bool {
    let start = input.checkpoint();
    space(input);
    let found = word_token(input).eq_ignore_ascii_case(word);
    if found {
        space(input);
    } else {
        input.reset(&start);
    }
    found
}

fn term<P: PathForm>(input: &mut Input<'_>) -> Result<Filter<P>, Fault> {
    if opt(literal('(')).parse_next(input)?.is_some() {
        return deeper(input, ')', "`)`");
    }
    let start = input.checkpoint();
    if keyword(input, "not") && opt(literal('(')).parse_next(input)?.is_some() {
        return Ok(Filter::Not(Box::new(deeper(input, ')', "`)`")?)));
    }
    input.reset(&start);
    attribute_term(input)
}

/// What stands between two brackets, one level deeper.
fn deeper<P: PathForm>(input: &mut Input<'_>, close: char, name: &'static str) -> Result<Filter<P>, Fault> {
    input.state.depth += 1;
    if input.state.depth > MAX_FILTER_DEPTH {
        return Err(Fault::Final(FilterError::TooDeep));
    }
    space(input);
    let inner = any_of(input)?;
    space(input);
    if opt(literal(close)).parse_next(input)?.is_none() {
        return Err(expected(input, name));
    }
    input.state.depth -= 1;
    Ok(inner)
}

fn bracketed(input: &mut Input<'_>) -> Result<Filter, Fault> {
    deeper(input, ']', "`]`")
}

fn attribute_term<P: PathForm>(input: &mut Input<'_>) -> Result<Filter<P>, Fault> {
    let attribute = path(input)?;
    if opt(literal('[')).parse_next(input)?.is_none() {
        return Ok(Filter::Attribute(attribute, condition(input)?));
    }
    let filter = Box::new(bracketed(input)?);
    let rest = match opt(literal('.')).parse_next(input)? {
        Some(_) => Some((sub_attribute(input)?, condition(input)?)),
        None => None,
    };
    Ok(Filter::Elements { attribute, filter, rest })
}

fn condition(input: &mut Input<'_>) -> Result<Condition, Fault> {
    input.state.terms += 1;
    if input.state.terms > MAX_FILTER_TERMS {
        return Err(Fault::Final(FilterError::TooManyTerms));
    }
    space(input);
    let at_word = input.checkpoint();
    let word = word_token(input);
    if word.eq_ignore_ascii_case("pr") {
        return Ok(Condition::Present);
    }
    let Some(operator) = Operator::from_word(word) else {
        input.reset(&at_word);
        return Err(expected(input, "one of pr, eq, ne, co, sw, ew, gt, ge, lt, le"));
    };
    space(input);
    let literal = comparison_literal(input)?;
    if operator.orders() && matches!(literal, Literal::Boolean(_) | Literal::Null) {
        return Err(Fault::Final(FilterError::NotOrdered(operator)));
    }
    if operator.looks_inside_text() && !matches!(literal, Literal::Text(_)) {
        return Err(Fault::Final(FilterError::NotText(operator)));
    }
    Ok(Condition::Compare(operator, literal))
}

fn comparison_literal(input: &mut Input<'_>) -> Result<Literal, Fault> {
    let start = input.checkpoint();
    if opt(literal('"')).parse_next(input)?.is_some() {
        input.reset(&start);
        return quoted(input).map(Literal::Text);
    }
    let token = run(input, |c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if token.eq_ignore_ascii_case("true") {
        return Ok(Literal::Boolean(true));
    }
    if token.eq_ignore_ascii_case("false") {
        return Ok(Literal::Boolean(false));
    }
    if token.eq_ignore_ascii_case("null") {
        return Ok(Literal::Null);
    }
    json_number(token).map(Literal::Number).ok_or_else(|| {
        input.reset(&start);
        expected(input, "a string in double quotes, a number, true, false or null")
    })
}

/// A JSON number. The JSON parser checks its form; a fraction is read again by the standard library, which alone rounds exactly.
fn json_number(token: &str) -> Option<Number> {
    let number: Number = serde_json::from_str(token).ok()?;
    if number.is_f64() { Number::from_f64(token.parse().ok()?) } else { Some(number) }
}

/// A JSON string: its end is found here, its escapes are read by the JSON parser.
fn quoted(input: &mut Input<'_>) -> Result<String, Fault> {
    let mut escaped = false;
    let end = input.input.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    let Some((end, _)) = end else {
        return Err(expected(input, "a closing double quote"));
    };
    let start = input.checkpoint();
    let text = input.next_slice(end + 1);
    serde_json::from_str(text).map_err(|_| {
        input.reset(&start);
        expected(input, "a JSON string")
    })
}

/// The longest run of accepted characters, possibly empty.
fn run<'i>(input: &mut Input<'i>, accept: fn(char) -> bool) -> &'i str {
    let taken: Result<&str, Fault> = take_while(0.., accept).parse_next(input);
    taken.unwrap_or_default()
}

fn word_token<'i>(input: &mut Input<'i>) -> &'i str {
    run(input, |c| c.is_ascii_alphanumeric())
}

fn path<P: PathForm>(input: &mut Input<'_>) -> Result<P, Fault> {
    let start = input.checkpoint();
    P::from_token(run(input, |c| c.is_ascii_alphanumeric() || "$-_.:".contains(c))).ok_or_else(|| {
        input.reset(&start);
        expected(input, P::EXPECTED)
    })
}

/// `[URN ":"] name ["." sub]`. The version in a URN has a dot, so the last colon is looked for first.
fn split_path(token: &str) -> Option<AttributePath> {
    let (schema, local) = match token.rsplit_once(':') {
        Some((schema, local)) if starts_as_urn(schema) => (Some(schema.to_owned()), local),
        Some(_) => return None,
        None => (None, token),
    };
    let (name, sub) = match local.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (local, None),
    };
    let sound = is_name(name) && sub.is_none_or(is_name);
    sound.then(|| AttributePath { schema, name: name.to_owned(), sub: sub.map(str::to_owned) })
}

fn starts_as_urn(text: &str) -> bool {
    text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("urn:")) && text.len() > 4
}

/// RFC 7643 section 2.1: `ALPHA *(nameChar)`; `$ref` is the one name that starts otherwise.
fn is_name(text: &str) -> bool {
    let body = text.strip_prefix('$').unwrap_or(text);
    body.starts_with(|c: char| c.is_ascii_alphabetic())
        && body.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn sub_attribute(input: &mut Input<'_>) -> Result<String, Fault> {
    let start = input.checkpoint();
    let token = run(input, |c| c.is_ascii_alphanumeric() || "$-_".contains(c));
    if is_name(token) {
        return Ok(token.to_owned());
    }
    input.reset(&start);
    Err(expected(input, "the name of a sub-attribute"))
}
