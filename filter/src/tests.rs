use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};

use super::*;

fn document() -> Map<String, Value> {
    let value = json!({
        "id": "Ab1",
        "userName": "Jane@Corp.example",
        "active": true,
        "logins": 12,
        "name": {"familyName": "O'Malley", "givenName": "Jane"},
        "emails": [
            {"value": "jane@corp.example", "type": "work", "primary": true},
            {"value": "j@home.example", "type": "home"}
        ],
        "tags": ["red", "Blue"],
        "nickName": "",
        "meta": {"lastModified": "2026-05-01T10:00:00Z"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "department": "Engineering", "manager": {"displayName": "Boss"}
        }
    });
    value.as_object().unwrap().clone()
}

fn holds(text: &str) -> bool {
    let filter: Filter = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    filter.matches(&document(), |path| path.name == "id")
}

#[test]
fn true_ones() {
    for text in [
        r#"userName eq "jane@corp.example""#,
        r#"USERNAME Eq "JANE@CORP.EXAMPLE""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "JANE""#,
        r#"name.familyName co "O'Malley""#,
        r#"emails eq "j@home.example""#,
        r#"emails.type eq "home""#,
        r#"emails[type eq "work" and value co "@corp"]"#,
        r#"emails[type eq "work"].value eq "jane@corp.example""#,
        r#"not(active eq False)"#,
        r#"not (title pr) and active eq True"#,
        r#"active eq "true""#,
        r#"nickName eq null"#,
        r#"title ne "x""#,
        r#"logins gt 11 and logins le 12.0"#,
        r#"tags eq "blue""#,
        r#"tags[value ew "ed"]"#,
        r#"meta.lastModified ge "2026-05-01T12:00:00+02:00""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "engineering""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName pr"#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr"#,
        r#"title pr or userName pr and active eq true"#,
        r#"userName eq "jane\u0040corp.example""#,
        "  userName pr\t",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn false_ones() {
    for text in [
        r#"id eq "ab1""#,
        r#"emails[type eq "work" and value co "@home"]"#,
        r#"emails[type eq "home"].value eq "jane@corp.example""#,
        r#"nickName pr"#,
        r#"title co "x""#,
        r#"logins gt 12"#,
        r#"userName eq 12"#,
        r#"(title pr or userName pr) and active eq false"#,
        r#"urn:unknown:thing:userName pr"#,
        r#"emails.nothing pr"#,
    ] {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn refused_ones_say_where() {
    for (text, at) in [
        ("", 1),
        ("userName", 9),
        ("userName is \"x\"", 10),
        ("userName eq", 12),
        ("userName eq x", 13),
        ("userName eq 'x'", 13),
        ("userName eq \"x", 13),
        ("userName eq \"\\x\"", 13),
        ("userName pr userName pr", 12),
        ("(userName pr", 13),
        ("userName pr)", 12),
        ("emails[type pr", 15),
        ("1x pr", 1),
        ("a.b.c pr", 1),
        ("a:b pr", 1),
        ("userName pr and", 16),
        ("not userName pr", 5),
        ("userName eq 1e999", 13),
    ] {
        let error = text.parse::<Filter>().unwrap_err();
        let FilterError::Syntax { at: found, .. } = error else { panic!("{text}: {error}") };
        assert_eq!(found, at, "{text}: {error}");
    }
    assert_eq!("active gt true".parse::<Filter>(), Err(FilterError::NotOrdered(Operator::Greater)));
    assert_eq!("userName co 1".parse::<Filter>(), Err(FilterError::NotText(Operator::Contains)));
}

#[test]
fn precedence() {
    let flat = "a pr or b pr and c pr".parse::<Filter>().unwrap();
    let bracketed = "a pr or (b pr and c pr)".parse::<Filter>().unwrap();
    assert_eq!(flat, bracketed);
    assert_ne!(flat, "(a pr or b pr) and c pr".parse::<Filter>().unwrap());
}

#[test]
fn limits_hold_just_over_them() {
    let nested = |depth: usize| format!("{}a pr{}", "(".repeat(depth), ")".repeat(depth));
    assert!(nested(MAX_FILTER_DEPTH).parse::<Filter>().is_ok());
    assert_eq!(nested(MAX_FILTER_DEPTH + 1).parse::<Filter>(), Err(FilterError::TooDeep));
    let not = |depth: usize| format!("{}a pr{}", "not (".repeat(depth), ")".repeat(depth));
    assert_eq!(not(MAX_FILTER_DEPTH + 1).parse::<Filter>(), Err(FilterError::TooDeep));
    let brackets = |depth: usize| format!("{}a pr{}", "a[".repeat(depth), "]".repeat(depth));
    assert_eq!(brackets(MAX_FILTER_DEPTH + 1).parse::<Filter>(), Err(FilterError::TooDeep));

    let terms = |count: usize| vec!["a pr"; count].join(" or ");
    assert!(terms(MAX_FILTER_TERMS).parse::<Filter>().is_ok());
    assert_eq!(terms(MAX_FILTER_TERMS + 1).parse::<Filter>(), Err(FilterError::TooManyTerms));

    let long = |length: usize| format!("a eq \"{}\"", "x".repeat(length - 7));
    assert!(long(MAX_FILTER_LENGTH).parse::<Filter>().is_ok());
    assert_eq!(long(MAX_FILTER_LENGTH + 1).parse::<Filter>(), Err(FilterError::TooLong));
    assert_eq!("(".repeat(100_000).parse::<Filter>(), Err(FilterError::TooLong));
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z][a-zA-Z0-9_-]{0,8}",
        Just("$ref".to_owned()),
        Just("not".to_owned()),
        Just("and".to_owned())
    ]
}

fn any_path() -> impl Strategy<Value = AttributePath> {
    let schema = prop_oneof![
        3 => Just(None),
        1 => Just(Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User".to_owned())),
    ];
    (schema, any_name(), proptest::option::of(any_name())).prop_map(|(schema, name, sub)| AttributePath {
        schema,
        name,
        sub,
    })
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let text = any::<String>().prop_map(Literal::Text);
    let number = prop_oneof![
        any::<i64>().prop_map(Number::from),
        (-1e9..1e9).prop_map(|float| Number::from_f64(float).unwrap()),
    ]
    .prop_map(Literal::Number);
    let plain = prop_oneof![any::<bool>().prop_map(Literal::Boolean), Just(Literal::Null)];
    prop_oneof![
        Just(Condition::Present),
        (0..Operator::ALL.len(), text)
            .prop_map(|(index, literal)| Condition::Compare(Operator::ALL[index].0, literal)),
        (5..Operator::ALL.len(), number).prop_map(|(index, n)| Condition::Compare(Operator::ALL[index].0, n)),
        (0..2usize, plain).prop_map(|(index, literal)| Condition::Compare(Operator::ALL[index].0, literal)),
    ]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let leaf = (any_path(), any_condition()).prop_map(|(path, condition)| Filter::Attribute(path, condition));
    leaf.prop_recursive(4, 24, 3, |inner| {
        let some = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            some.clone().prop_map(Filter::And),
            some.prop_map(Filter::Or),
            (any_path(), inner, proptest::option::of((any_name(), any_condition()))).prop_map(
                |(attribute, filter, rest)| Filter::Elements { attribute, filter: Box::new(filter), rest }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn printing_and_parsing_agree(filter in any_filter()) {
        let text = filter.to_string();
        match text.parse::<Filter>() {
            Ok(again) => prop_assert_eq!(again, filter),
            Err(error) => prop_assert!(matches!(error, FilterError::TooLong | FilterError::TooManyTerms), "{}: {}", text, error),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Ok(filter) = text.parse::<Filter>() {
            filter.matches(&document(), |_| false);
        }
        let _ = parse_target(&text);
    }

    #[test]
    fn text_made_of_the_language_is_read_or_refused(
        words in proptest::collection::vec(
            prop_oneof![Just("("), Just(")"), Just("["), Just("]"), Just("not"), Just("and"), Just("or"), Just("eq"),
                Just("pr"), Just("\""), Just("\\"), Just("emails"), Just("."), Just("value"), Just("\"x\""), Just("é"),
                Just("urn:a:2.0:User:"), Just("true"), Just("1")],
            0..24,
        ),
        spaced in any::<bool>(),
    ) {
        let text = words.join(if spaced { " " } else { "" });
        if let Ok(filter) = text.parse::<Filter>() {
            prop_assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter.clone());
            filter.matches(&document(), |_| false);
        }
    }

    #[test]
    fn a_not_turns_every_answer(filter in any_filter()) {
        let not = Filter::Not(Box::new(filter.clone()));
        prop_assert_ne!(filter.matches(&document(), |_| false), not.matches(&document(), |_| false));
    }
}

/// A path of one of two documents.
#[derive(Debug, Clone, PartialEq)]
enum Either {
    Here(AttributePath),
    Elsewhere,
}

impl PathForm for Either {
    const EXPECTED: &'static str = "here or there";

    fn from_token(token: &str) -> Option<Self> {
        match token.split_once('.')? {
            ("here", rest) => AttributePath::from_token(rest).map(Either::Here),
            ("there", _) => Some(Either::Elsewhere),
            _ => None,
        }
    }
}

#[test]
fn what_depends_on_a_document_that_is_not_at_hand_is_unknown() {
    let document = document();
    for (text, truth) in [
        ("here.userName pr", Some(true)),
        ("there.x pr", None),
        ("not (there.x pr)", None),
        ("here.userName pr or there.x pr", Some(true)),
        ("there.x pr or here.userName pr", Some(true)),
        ("there.x pr or here.title pr", None),
        ("there.x pr and here.title pr", Some(false)),
        ("here.title pr and there.x pr", Some(false)),
        ("there.x pr and here.userName pr", None),
        ("not (there.x pr and here.userName pr) or here.title pr", None),
        (r#"there.emails[type eq "work"] or here.emails[type eq "work"].value co "corp""#, Some(true)),
    ] {
        let filter: Filter<Either> = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let found = filter.truth(&|path| match path {
            Either::Here(path) => Some(Place { document: &document, path, case_exact: |_| false }),
            Either::Elsewhere => None,
        });
        assert_eq!(found, truth, "{text}");
    }
    let error = "nowhere.x pr".parse::<Filter<Either>>().unwrap_err();
    assert_eq!(error, FilterError::Syntax { at: 1, expected: "here or there" });
}
