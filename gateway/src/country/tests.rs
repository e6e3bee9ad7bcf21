use super::made::database;
use super::*;

fn country(countries: &Countries, address: &str) -> Option<String> {
    countries.of(address.parse().unwrap()).map(|code| code.as_str().to_owned())
}

#[test]
fn an_address_has_the_country_of_its_network_or_none() {
    let networks =
        [([192, 0, 2, 0], 24, "DE"), ([198, 51, 100, 128], 25, "FR"), ([203, 0, 113, 7], 32, "ZZ")];
    let countries = Countries::of_bytes(database(&networks)).unwrap();
    for (address, expected) in [
        ("192.0.2.77", Some("DE")),
        ("::ffff:192.0.2.77", Some("DE")),
        ("198.51.100.200", Some("FR")),
        ("198.51.100.1", None),
        // What is no country is none, whatever the file says.
        ("203.0.113.7", None),
        ("203.0.113.8", None),
        ("2001:db8::1", None),
    ] {
        assert_eq!(country(&countries, address).as_deref(), expected, "{address}");
    }
}

#[test]
fn what_tells_no_countries_is_refused_with_the_reason() {
    assert!(matches!(Countries::of_bytes(Vec::new()), Err(CountriesError::Format(_))));
    assert!(matches!(Countries::of_bytes(database(&[])), Err(CountriesError::NoCountries(_))));
    let whole = database(&[([192, 0, 2, 0], 24, "DE")]);
    // Cut short anywhere it is an error or an absent answer, never an end of the program.
    for length in 0..whole.len() {
        if let Ok(countries) = Countries::of_bytes(whole[..length].to_vec()) {
            let _ = country(&countries, "192.0.2.1");
        }
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        if let Ok(countries) = Countries::of_bytes(changed) {
            let _ = country(&countries, "192.0.2.1");
        }
    }
}

#[test]
fn a_file_over_its_limit_is_not_read() {
    let file = std::env::temp_dir().join(format!("portcullis-country-{}", std::process::id()));
    let made = std::fs::File::create(&file).unwrap();
    made.set_len(MAX_FILE_BYTES + 1).unwrap();
    assert!(matches!(Countries::read(&file), Err(CountriesError::TooLarge)));
    std::fs::remove_file(&file).unwrap();
}
