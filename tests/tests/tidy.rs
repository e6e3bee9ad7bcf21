//! The rules of the repository that no compiler keeps: what each crate may depend on, how files begin and how long they
//! are, and that the documents name what is there. What the code does is left to the other tests.
#![allow(missing_docs, clippy::unwrap_used, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 8] = ["filter", "gateway", "lease", "policy", "scim-sink", "store", "tests", "xtask"];
/// Lines of a file, its own unit tests apart.
const MAX_LINES: usize = 400;
/// A word in backticks with so many underscores is the name of a test.
const UNDERSCORES_OF_A_TEST: usize = 3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn is_passed_over(name: &str) -> bool {
    ["target", ".git", "node_modules"].contains(&name)
}

/// Every file below a folder of the repository with its path from the root; what is built is passed over.
fn files_below(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if is_passed_over(&entry.file_name().to_string_lossy()) {
                continue;
            }
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                let name = entry.path().strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((name, entry.path()));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing below {}", folder.display());
    found
}

/// Every Rust file of every crate, with its text.
fn sources() -> BTreeMap<String, String> {
    let files = CRATES.iter().flat_map(|krate| files_below(&root().join(krate)));
    let rust = files.filter(|(name, _)| has_extension(name, "rs"));
    rust.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// Unit tests in `x/tests.rs` are the end of `x.rs`: they need no head of their own.
fn is_end_of_another(name: &str) -> bool {
    name.ends_with("/tests.rs")
}

fn is_test(name: &str) -> bool {
    is_end_of_another(name) || name.split('/').nth(1) == Some("tests")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The names in a section of a crate's `Cargo.toml`.
fn dependencies(krate: &str, section: &str) -> BTreeSet<String> {
    let manifest = read(&format!("{krate}/Cargo.toml"));
    let lines = manifest.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

fn assert_none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let sources = sources();
    let silent = sources.iter().filter(|(name, text)| !is_end_of_another(name) && !text.starts_with("//! "));
    let silent: Vec<String> = silent.map(|(name, _)| name.clone()).collect();
    assert_none(&silent, "these files do not begin with `//!`");
}

#[test]
fn no_file_is_long() {
    let mut long = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| !is_test(name)) {
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        if lines > MAX_LINES {
            long.push(format!("{name}: {lines}"));
        }
    }
    assert_none(&long, "these files have more lines than a reader should have to hold");
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    const EMPTY_NAMES: [&str; 9] =
        ["util", "utils", "helper", "helpers", "common", "manager", "handler", "handlers", "mod"];
    let named = |name: &String| {
        let stem = Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        stem.is_some_and(|stem| stem.split(['_', '-']).any(|word| EMPTY_NAMES.contains(&word)))
    };
    let offences: Vec<String> = sources().into_keys().filter(named).collect();
    assert_none(&offences, "these files are named for nothing");
}

#[test]
fn crates_depend_on_what_they_may() {
    let of_policy = ["ipnet", "jiff", "portcullis-filter", "serde_json"].map(str::to_owned);
    assert_eq!(dependencies("policy", "dependencies"), BTreeSet::from(of_policy));
    let ours = |krate: &str| {
        let all = dependencies(krate, "dependencies");
        all.into_iter().filter(|name| name.starts_with("portcullis")).collect::<Vec<_>>()
    };
    assert_eq!(dependencies("lease", "dependencies"), BTreeSet::new());
    assert_eq!(ours("store"), ["portcullis-lease"]);
    assert_eq!(ours("filter"), Vec::<String>::new());
    assert_eq!(ours("scim-sink"), ["portcullis-filter", "portcullis-store"]);
    assert_eq!(
        ours("gateway"),
        ["portcullis-filter", "portcullis-policy", "portcullis-scim-sink", "portcullis-store"]
    );
    let holders = |wanted: &str| -> Vec<&str> {
        let product = ["filter", "gateway", "lease", "policy", "scim-sink", "store"];
        let has = |krate: &&str| {
            dependencies(krate, "dependencies")
                .iter()
                .any(|name| name == wanted || name.starts_with(&format!("{wanted}-")))
        };
        product.into_iter().filter(has).collect()
    };
    assert_eq!(holders("rustls"), ["gateway"], "one crate speaks TLS");
    assert_eq!(holders("hyper"), ["gateway"], "one crate has sockets");
    assert_eq!(holders("rusqlite"), ["store"], "one crate writes SQL");
}

#[test]
fn only_the_store_writes_sql() {
    const SQL: [&str; 5] = ["rusqlite", "SELECT ", "INSERT INTO ", "DELETE FROM ", "BEGIN IMMEDIATE"];
    let outside = |name: &str| {
        ["filter/", "gateway/", "lease/", "policy/", "scim-sink/", "xtask/"]
            .iter()
            .any(|c| name.starts_with(c))
    };
    let mut offences = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| outside(name)) {
        offences
            .extend(SQL.iter().filter(|word| text.contains(**word)).map(|word| format!("{name}: {word}")));
    }
    assert_none(&offences, "SQL outside the store");
}

#[test]
fn the_readme_maps_what_is_there() {
    let readme = read("README.md");
    let mut missing = Vec::new();
    for entry in fs::read_dir(root()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = entry.file_type().unwrap().is_dir() && !name.starts_with('.') && !is_passed_over(&name);
        if is_ours && !readme.contains(&format!("{name}/")) {
            missing.push(format!("{name}/"));
        }
    }
    let words: BTreeSet<&str> = words(&readme).collect();
    for entry in fs::read_dir(root().join("gateway/src")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if has_extension(&name, "rs") && !words.contains(name.as_str()) {
            missing.push(format!("gateway/src/{name}"));
        }
    }
    assert_none(&missing, "the map in README.md lacks");
}

#[test]
fn documents_name_files_and_tests_that_exist() {
    let sources = sources();
    let mut wrong = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = read(document);
        for word in words(&text) {
            let at = format!("/{word}");
            if has_extension(word, "rs") && !sources.keys().any(|name| format!("/{name}").ends_with(&at)) {
                wrong.push(format!("{document}: no file `{word}`"));
            }
            let is_name = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if is_name && word.matches('_').count() >= UNDERSCORES_OF_A_TEST {
                let declared = format!("fn {word}(");
                if !sources.values().any(|text| text.contains(&declared)) {
                    wrong.push(format!("{document}: no test `{word}`"));
                }
            }
        }
    }
    assert_none(&wrong, "documents name what is not there");
}

#[test]
fn every_code_that_a_page_shows_is_explained() {
    const SPEAKERS: [&str; 9] = [
        "gateway/src/credential.rs",
        "gateway/src/login.rs",
        "gateway/src/login/initiate/error.rs",
        "gateway/src/login/provider/error.rs",
        "gateway/src/respond/words.rs",
        "gateway/src/respond/words/terminal.rs",
        "gateway/src/terminal.rs",
        "policy/src/decision.rs",
        "store/src/model.rs",
    ];
    let guide = read("deploy/okta.md");
    let mut codes = BTreeSet::new();
    for file in SPEAKERS {
        let text = read(file);
        let before = codes.len();
        // Every second piece between quotation marks is a literal; a code is one word in small letters.
        let literals = text.split('"').skip(1).step_by(2).map(str::to_owned);
        codes.extend(literals.filter(|literal| {
            literal.contains('_') && literal.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        }));
        assert!(codes.len() > before, "no code in {file}");
    }
    let silent: Vec<String> =
        codes.into_iter().filter(|code| !guide.contains(&format!("`{code}`"))).collect();
    assert_none(&silent, "deploy/okta.md does not explain");
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let mut offences = Vec::new();
    for (name, path) in files_below(&root()) {
        // What is no text has no words.
        let Ok(text) = String::from_utf8(fs::read(path).unwrap()) else { continue };
        offences.extend(
            places.iter().filter(|place| text.contains(**place)).map(|place| format!("{name}: {place}")),
        );
    }
    assert_none(&offences, "paths of one machine");
}

/// What stands between blanks and the punctuation of prose.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_between = |c: char| c.is_whitespace() || "`,;:()[]{}|\"'<>*#".contains(c);
    text.split(is_between).map(|word| word.trim_end_matches('.')).filter(|word| !word.is_empty())
}

#[test]
fn one_file_may_call_what_the_compiler_cannot_check() {
    const ALLOWED: &str = "gateway/src/socket/cutter.rs";
    let block = concat!("un", "safe {");
    let offences: Vec<String> = sources()
        .into_iter()
        .filter(|(name, text)| name != ALLOWED && text.contains(block))
        .map(|(name, _)| name)
        .collect();
    assert_none(&offences, "a block that the compiler cannot check");
}
