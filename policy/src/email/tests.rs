//! What is an address, what is not, and what is equal.

use super::*;

fn address(text: &str) -> Result<String, EmailError> {
    text.parse::<EmailAddress>().map(|address| address.to_string())
}

#[test]
fn letters_are_folded_in_both_parts() {
    assert_eq!(address("Engineer@CORP.Example").as_deref(), Ok("engineer@corp.example"));
    assert_eq!("CORP.Example".parse::<EmailDomain>().map(|d| d.to_string()).as_deref(), Ok("corp.example"));
}

#[test]
fn every_offence_has_its_own_cause() {
    let long_local = format!("{}@corp.example", "a".repeat(MAX_LOCAL_BYTES + 1));
    let long_label = format!("a@{}.example", "a".repeat(MAX_LABEL_BYTES + 1));
    let long_domain = format!("a@{}a.example", "a.".repeat(MAX_DOMAIN_BYTES / 2));
    let table = [
        ("", EmailError::NoAt),
        ("corp.example", EmailError::NoAt),
        ("a@corp.example@evil.example", EmailError::SeveralAts),
        ("a@@corp.example", EmailError::SeveralAts),
        ("\"a@evil.example\"@corp.example", EmailError::SeveralAts),
        ("@corp.example", EmailError::EmptyLocalPart),
        (long_local.as_str(), EmailError::LongLocalPart),
        ("\"a b\"@corp.example", EmailError::BadLocalPart),
        ("a b@corp.example", EmailError::BadLocalPart),
        (" a@corp.example", EmailError::BadLocalPart),
        ("a\0@corp.example", EmailError::BadLocalPart),
        ("a(comment)@corp.example", EmailError::BadLocalPart),
        (".a@corp.example", EmailError::BadLocalPart),
        ("a..b@corp.example", EmailError::BadLocalPart),
        ("a@", EmailError::EmptyDomain),
        (long_domain.as_str(), EmailError::LongDomain),
        ("a@corp.example.", EmailError::TrailingDot),
        (long_label.as_str(), EmailError::BadDomain),
        ("a@corp..example", EmailError::BadDomain),
        ("a@.corp.example", EmailError::BadDomain),
        ("a@-corp.example", EmailError::BadDomain),
        ("a@corp-.example", EmailError::BadDomain),
        ("a@corp_.example", EmailError::BadDomain),
        ("a@[10.0.0.1]", EmailError::BadDomain),
        ("a@corp.example ", EmailError::BadDomain),
        ("a@corp.example\n", EmailError::BadDomain),
        ("a@corp.example\u{200b}", EmailError::NotAscii),
        ("\u{430}@corp.example", EmailError::NotAscii),
        ("a@\u{441}orp.example", EmailError::NotAscii),
        ("\u{212a}@corp.example", EmailError::NotAscii),
    ];
    for (text, error) in table {
        assert_eq!(address(text), Err(error), "{text:?}");
    }
}

#[test]
fn what_stands_at_a_limit_is_accepted() {
    let local = "a".repeat(MAX_LOCAL_BYTES);
    assert!(address(&format!("{local}@corp.example")).is_ok());
    let label = "a".repeat(MAX_LABEL_BYTES);
    assert!(address(&format!("a@{label}.example")).is_ok());
    let domain = format!("{}a", "a.".repeat(MAX_DOMAIN_BYTES / 2));
    assert_eq!(domain.len(), MAX_DOMAIN_BYTES);
    assert!(address(&format!("a@{domain}")).is_ok());
}

#[test]
fn ordinary_and_odd_but_honest_addresses_are_accepted() {
    for text in [
        "first.last+tag@corp.example",
        "o'neil@corp.example",
        "a@xn--bcher-kva.example",
        "a@localhost",
        "1@2.example",
    ] {
        assert_eq!(address(text).as_deref(), Ok(text));
    }
}

#[test]
fn a_domain_with_an_at_or_a_wildcard_is_refused() {
    for text in ["@corp.example", "*.corp.example", "a@corp.example", ".corp.example", "corp.example."] {
        assert!(text.parse::<EmailDomain>().is_err(), "{text:?}");
    }
}

#[test]
fn the_domain_of_an_address_is_the_whole_domain() {
    let address: EmailAddress = "a@Mail.Corp.Example".parse().unwrap();
    assert_eq!(address.domain(), "mail.corp.example");
}
