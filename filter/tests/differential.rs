//! Where another reader of the same language, `scim_v2`, accepts a filter that ours accepts, both read the same tree.
//!
//! What either refuses is its own matter: the other's brackets hold no brackets, ours take no nested dots.
#![allow(clippy::panic, clippy::unwrap_used, reason = "test code: a panic is how it fails")]

use portcullis_filter::{AttributePath, Condition, Filter, Literal, Operator};
use proptest::prelude::*;
use scim_v2::filter as theirs;

/// Their tree in our words.
fn ours(filter: &theirs::Filter) -> Filter {
    match filter {
        theirs::Filter::Attr(expression) => attribute(expression),
        theirs::Filter::ValuePath(path) => Filter::Elements {
            attribute: name(&path.attr),
            filter: Box::new(inner(&path.filter)),
            rest: None,
        },
        theirs::Filter::Not(inner) => Filter::Not(Box::new(ours(inner))),
        theirs::Filter::And(terms) => Filter::And(terms.as_slice().iter().map(ours).collect()),
        theirs::Filter::Or(terms) => Filter::Or(terms.as_slice().iter().map(ours).collect()),
    }
}

fn inner(filter: &theirs::ValFilter) -> Filter {
    match filter {
        theirs::ValFilter::Attr(expression) => attribute(expression),
        theirs::ValFilter::Not(filter) => Filter::Not(Box::new(inner(filter))),
        theirs::ValFilter::And(terms) => Filter::And(terms.as_slice().iter().map(inner).collect()),
        theirs::ValFilter::Or(terms) => Filter::Or(terms.as_slice().iter().map(inner).collect()),
    }
}

fn attribute(expression: &theirs::AttrExp) -> Filter {
    match expression {
        theirs::AttrExp::Present(path) => Filter::Attribute(name(path), Condition::Present),
        theirs::AttrExp::Comparison(path, operator, value) => {
            Filter::Attribute(name(path), Condition::Compare(word(operator), literal(value)))
        }
    }
}

fn name(path: &theirs::AttrPath) -> AttributePath {
    AttributePath { schema: path.uri.clone(), name: path.name.clone(), sub: path.sub_attr.clone() }
}

fn word(operator: &theirs::CompareOp) -> Operator {
    match operator {
        theirs::CompareOp::Eq => Operator::Equal,
        theirs::CompareOp::Ne => Operator::NotEqual,
        theirs::CompareOp::Co => Operator::Contains,
        theirs::CompareOp::Sw => Operator::StartsWith,
        theirs::CompareOp::Ew => Operator::EndsWith,
        theirs::CompareOp::Gt => Operator::Greater,
        theirs::CompareOp::Ge => Operator::GreaterOrEqual,
        theirs::CompareOp::Lt => Operator::Less,
        theirs::CompareOp::Le => Operator::LessOrEqual,
    }
}

fn literal(value: &theirs::CompValue) -> Literal {
    match value {
        theirs::CompValue::True => Literal::Boolean(true),
        theirs::CompValue::False => Literal::Boolean(false),
        theirs::CompValue::Null => Literal::Null,
        theirs::CompValue::Number(number) => Literal::Number(number.clone()),
        theirs::CompValue::Str(text) => Literal::Text(text.clone()),
    }
}

/// Chains in chains of the same kind mean the same as one: which of them brackets make is a matter of taste.
fn flat(filter: Filter) -> Filter {
    let joined = |terms: Vec<Filter>, parts: fn(Filter) -> Vec<Filter>| -> Vec<Filter> {
        terms.into_iter().map(flat).flat_map(parts).collect()
    };
    match filter {
        Filter::And(terms) => Filter::And(joined(terms, |term| match term {
            Filter::And(inner) => inner,
            other => vec![other],
        })),
        Filter::Or(terms) => Filter::Or(joined(terms, |term| match term {
            Filter::Or(inner) => inner,
            other => vec![other],
        })),
        Filter::Not(inner) => Filter::Not(Box::new(flat(*inner))),
        Filter::Elements { attribute, filter, rest } => {
            Filter::Elements { attribute, filter: Box::new(flat(*filter)), rest }
        }
        leaf @ Filter::Attribute(..) => leaf,
    }
}

/// Whether both read the text, and then alike.
fn agree(text: &str) -> bool {
    let (Ok(own), Ok(other)) = (text.parse::<Filter>(), text.parse::<theirs::Filter>()) else { return false };
    assert_eq!(flat(own), flat(ours(&other)), "{text}");
    true
}

#[test]
fn the_examples_of_the_standard_are_read_alike() {
    // RFC 7644 section 3.4.2.2, without the one that leaves the quotes away.
    let examples = [
        r#"userName eq "bjensen""#,
        r#"name.familyName co "O'Malley""#,
        r#"userName sw "J""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
        "title pr",
        r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified le "2011-05-13T04:42:34Z""#,
        r#"title pr and userType eq "Employee""#,
        r#"title pr or userType eq "Intern""#,
        r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
        r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType eq "Employee" and (emails.type eq "work")"#,
        r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#,
        r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
        "a pr or b pr and c pr or not (d pr and e pr)",
        r#"((a pr and b pr) and c pr) or n eq -1.5e3"#,
        r#"active eq true and manager eq null and t eq "\u00e9\"\\""#,
    ];
    for text in examples {
        assert!(agree(text), "{text} is refused by one of the two");
    }
}

fn word_of_the_language() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b.c",
        "emails[type eq \"work\"]",
        "emails[",
        "]",
        "(",
        ")",
        "not (",
        "and",
        "or",
        "eq",
        "ne",
        "co",
        "gt",
        "le",
        "pr",
        "\"x\"",
        "\"a b\\n\"",
        "1",
        "-2.50",
        "1e2",
        "true",
        "false",
        "null",
        "urn:a:2.0:User:d",
        "AND",
        "Or",
    ])
}

fn sentence() -> impl Strategy<Value = String> {
    let condition = prop_oneof![
        Just("a pr".to_owned()),
        Just("b.c eq \"x\"".to_owned()),
        Just("urn:a:2.0:User:d sw \"\\u0041\"".to_owned()),
        Just("n ge 2".to_owned()),
        Just("t ne null".to_owned()),
        Just("emails[type eq \"work\" or not (value pr)]".to_owned()),
    ];
    condition.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one} and {other}")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one} or {other}")),
            inner.clone().prop_map(|one| format!("({one})")),
            inner.prop_map(|one| format!("not ({one})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_both_accept_both_read_alike(words in prop::collection::vec(word_of_the_language(), 1..9)) {
        agree(&words.join(" "));
    }

    #[test]
    fn sentences_are_accepted_by_both_and_read_alike(text in sentence()) {
        prop_assert!(agree(&text), "{}", text);
    }
}
