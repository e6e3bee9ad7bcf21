use super::*;

fn profile(claims_json: &str) -> Profile {
    Profile {
        email: Some("ann@corp.example".to_owned()),
        display_name: Some("Zoë".to_owned()),
        groups: Vec::new(),
        claims_json: claims_json.to_owned(),
        authenticated_at: 0,
        told_at: 0,
    }
}

fn about<'a>(profile: &'a Profile, groups: &'a [String]) -> About<'a> {
    About { provider: "okta", subject: "00u1", profile, groups }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn told(source: Source) -> Told {
    Told { name: HeaderName::from_static("x-told"), source, encoding: Encoding::default() }
}

fn claim(claim: &str, claims_json: &str) -> Option<String> {
    let value = value_of(&told(Source::Claim(claim.to_owned())), &about(&profile(claims_json), &[]));
    value.unwrap().map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn claims_are_told_in_one_form_or_not_at_all() {
    let claims =
        r#"{"n": 7, "yes": true, "list": ["a", "b, c"], "deep": {"a": 1}, "none": null, "empty": ""}"#;
    for (name, expected) in [
        ("sub", Some("00u1")),
        ("email", Some("ann@corp.example")),
        ("name", Some("UTF-8''Zo%C3%AB")),
        ("provider", Some("okta")),
        ("n", Some("7")),
        ("yes", Some("true")),
        ("list", Some("a,UTF-8''b%2C%20c")),
        ("deep", None),
        ("none", None),
        ("empty", None),
        ("absent", None),
    ] {
        assert_eq!(claim(name, claims).as_deref(), expected, "{name}");
    }
    assert_eq!(claim("n", "not json"), None);
}

#[test]
fn groups_are_told_whole_or_the_request_is_denied() {
    let groups = |only: &[&str]| told(Source::Groups { separator: LIST, only: names(only) });
    let value = |told: &Told, names: &[String]| value_of(told, &about(&profile("{}"), names));
    let few = names(&["Engineering", "Sales"]);
    assert_eq!(value(&groups(&[]), &few).unwrap().unwrap(), "Engineering,Sales");
    assert_eq!(value(&groups(&["Sales", "Other"]), &few).unwrap().unwrap(), "Sales");
    assert_eq!(value(&groups(&["Other"]), &few).unwrap(), None);
    let longest = "x".repeat(MAX_FIELD_BYTES);
    assert!(value(&groups(&[]), &names(&[&longest])).is_ok());
    let longer = format!("{longest}x");
    assert!(matches!(value(&groups(&[]), &names(&[&longer])), Err(IdentityError::TooLong(_))));
    let plain = Told { encoding: Encoding::Plain, ..groups(&[]) };
    assert!(matches!(value(&plain, &names(&["Zoë"])), Err(IdentityError::Unwritable(_))));
}
