//! Who may use what in a small company, as one text: a change of the rules, of the language or of this crate shows up as lines that
//! changed.
//!
//! `PORTCULLIS_WRITE_MATRIX=1 cargo test -p portcullis-policy --test table` writes the text anew.

use std::env;
use std::fmt::Write as _;
use std::fs;

use portcullis_policy::Decision;

use super::form::{self, File};

const TEXT: &str = "company/access.txt";

#[test]
fn everybody_may_use_what_the_matrix_says() {
    let company = form::read(&form::folder().join("company/company.toml"));
    let found = matrix(&company);
    let path = form::folder().join(TEXT);
    if env::var_os("PORTCULLIS_WRITE_MATRIX").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let changed = |one: &str, other: &str, sign: char| -> String {
        let mut text = String::new();
        let gone = one.lines().filter(|line| !other.lines().any(|it| it == *line));
        gone.for_each(|line| writeln!(text, "{sign} {line}").unwrap());
        text
    };
    let (gone, come) = (changed(&written, &found, '-'), changed(&found, &written, '+'));
    assert!(written == found, "{TEXT} says otherwise:\n{gone}{come}");
}

/// A line for each kind of asker at each application, which reads alone.
fn matrix(company: &File) -> String {
    let (set, other) = (company.compile(false), company.compile(true));
    let mut text = String::new();
    for application in company.applications() {
        for asker in &company.case {
            let asker = asker.at_application(&application.application);
            let decision = asker.ask(&set, &other, company, |id, question| set.decide(id, question));
            let Decision { verdict, reason, policy, .. } = decision;
            let policy = policy.and_then(|id| set.policy_name(id)).unwrap_or("-");
            let (name, verdict) = (&application.application, verdict.as_str());
            writeln!(text, "{name:<10} {:<44} {verdict:<6} {policy:<20} {reason}", asker.name).unwrap();
        }
    }
    text
}
