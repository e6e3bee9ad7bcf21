//! A wrong configuration: every fault is named with file, line and key, and nothing is served.

use std::process::Output;

use portcullis_tests::harness::{Launch, Settings};

fn settings() -> Settings {
    Settings::new("http://127.0.0.1:1", "http://127.0.0.1:2")
}

/// The program on a configuration that is never served.
fn launch(config: Option<&str>) -> Launch {
    let launch = Launch::of(&settings());
    if let Some(config) = config {
        std::fs::write(launch.folder.path().join("config.toml"), config).unwrap();
    }
    launch
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `check` and `run` leave with 1 and these words; what they were given is as it was.
fn assert_refused(config: &str, expected: &[&str]) -> String {
    let launch = launch(Some(config));
    std::fs::write(launch.folder.path().join("garbage.pem"), "no certificate\n").unwrap();
    let mut told = Vec::new();
    for command in ["check", "run"] {
        let output = launch.command(&[command]);
        let text = words(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {text}");
        for word in expected {
            assert!(text.contains(word), "{command}: `{word}` is missing in: {text}");
        }
        assert!(!text.contains("panicked"), "{command}: {text}");
        told.push(text);
    }
    // Certificates are read after the store was made; all other faults are found before anything is touched.
    let made = launch.folder.path().join("portcullis.db").exists();
    assert!(!made || told[0].contains("in PEM form"), "a wrong configuration made a store");
    assert_eq!(told[0], told[1], "`check` and `run` differ");
    told.remove(0)
}

/// The good file with one text in the place of another, and the line where the change begins.
fn changed(from: &str, to: &str) -> (String, String) {
    let good = settings().toml();
    assert!(good.contains(from), "`{from}` is not in {good}");
    let config = good.replacen(from, to, 1);
    let before = good.split(from).next().unwrap();
    (config, format!("line {}", before.matches('\n').count() + 1))
}

#[test]
fn each_fault_is_named_with_its_line() {
    let cases: &[(&str, &str, &[&str])] = &[
        // Unknown keys and sections, with the nearest that is known.
        ("auth_host =", "auth_hots = \"a\"\nauth_host =", &["`server.auth_hots`", "`auth_host`"]),
        ("[store]", "[stroe]\n[store]", &["`stroe`", "`store`"]),
        ("[[directory]]\n", "[[directory]]\nidentity_providr = \"okta\"\n", &["`identity_provider`"]),
        // Files and variables that are not there.
        (
            "self_signed = true",
            "certificate = \"absent.pem\"\nkey = \"garbage.pem\"",
            &["absent.pem", "No such file"],
        ),
        (
            "client_id =",
            "client_secret = { file = \"absent.secret\" }\nclient_id =",
            &["absent.secret", "No such file"],
        ),
        (
            "client_id =",
            "client_secret = { env = \"A_VARIABLE_THAT_NOBODY_SETS\" }\nclient_id =",
            &["identity_provider.client_secret.env", "is not set"],
        ),
        ("client_id =", "client_secret = \"in the clear\"\nclient_id =", &["does not stand in this file"]),
        // Values that mean nothing.
        ("{ everyone = true }", "{ ip = \"10.0.0.0/33\" }", &["10.0.0.0/33"]),
        ("{ everyone = true }", "{ ip = \"10.0.0\" }", &["10.0.0"]),
        (
            "policies = [\"engineering\"]",
            "policies = [\"nobody-wrote-this\"]",
            &["nobody-wrote-this", "`wiki`"],
        ),
        ("action = \"allow\"", "action = \"alow\"", &["alow", "allow"]),
        (
            "identity_provider = \"okta\"",
            "identity_provider = \"absent\"",
            &["no `[[identity_provider]]` is named `absent`"],
        ),
        ("issuer = \"http://127.0.0.1:1\"", "issuer = \"http://corp.example\"", &["must be https"]),
        (
            "issuer = \"http://127.0.0.1:1\"",
            "issuer = \"https://corp-admin.okta.com\"",
            &["https://corp.okta.com"],
        ),
        ("url = \"sqlite:portcullis.db\"", "url = \"mysql:portcullis\"", &["store.url", "sqlite:"]),
        ("hosts = [\"wiki.localhost\"]", "hosts = [\"auth.localhost\"]", &["server.auth_host"]),
        ("hosts = [\"wiki.localhost\"]", "hosts = [\"wiki.localhost\", \"a b\"]", &["a b"]),
    ];
    for (from, to, expected) in cases {
        let (config, line) = changed(from, to);
        let text = assert_refused(&config, expected);
        // Rules stand in a line with others; policies are put together after all sections were read.
        let line_of_section = from.starts_with(['{', 'p']);
        assert!(text.contains("config.toml"), "{to}: the file is not named: {text}");
        assert!(
            text.contains(&format!("{line}:")) || to.contains('\n') || line_of_section,
            "{to}: not {line}: {text}"
        );
        assert!(text.contains(": line "), "{to}: {text}");
        assert!(text.contains("1 fault\n"), "{to}: one fault is told as several: {text}");
        assert!(!text.contains("in the clear"), "a secret is repeated: {text}");
    }
}

#[test]
fn the_line_is_the_one_of_the_key() {
    let (config, line) = changed("auth_host =", "auth_hots = \"a\"\nauth_host =");
    let text = assert_refused(&config, &["auth_hots"]);
    assert!(text.contains(&format!("config.toml: {line}: `server.auth_hots`")), "not {line}: {text}");
}

#[test]
fn several_faults_are_told_at_once_by_line() {
    let config = settings().toml();
    let config = config.replace("self_signed = true", "certificate = \"absent.pem\"\nkey = \"absent.key\"");
    let config = config.replace("[[directory]]\n", "[[directory]]\ncolour = \"red\"\n");
    let config = config.replace("{ everyone = true }", "{ ip = \"999.0.0.0/8\" }");
    let config = config.replace("identity_provider = \"okta\"", "identity_provider = \"absent\"");
    let config = format!("{config}\n[limits]\nprovider_timeout = \"soon\"\nconnections = 0\n");
    let expected = [
        "7 faults",
        "absent.pem",
        "absent.key",
        "colour",
        "named `absent`",
        "999.0.0.0/8",
        "soon",
        "connections",
    ];
    let text = assert_refused(&config, &expected);
    let lines: Vec<usize> = text
        .lines()
        .filter_map(|line| line.split_once(": line ")?.1.split(':').next()?.parse().ok())
        .collect();
    assert_eq!(lines.len(), 7, "{text}");
    assert!(lines.is_sorted(), "{text}");
}

#[test]
fn what_is_no_toml_or_no_certificate_is_named_too() {
    // An unknown rule is told twice: as a key that is unknown, and as a rule that is none.
    let (config, _) = changed("{ everyone = true }", "{ groop = \"A\" }");
    assert_refused(&config, &["`policy.include.groop`", "`group`", "a rule has exactly one of"]);
    assert_refused("[server\nlisten = 1\n", &["config.toml", "line 1"]);
    assert_refused("", &["`server` is missing", "`tls` is missing", "`store` is missing"]);
    let (config, _) = changed("self_signed = true", "certificate = \"garbage.pem\"\nkey = \"garbage.pem\"");
    assert_refused(&config, &["garbage.pem", "no certificate can be read from"]);
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_reason() {
    let launch = launch(None);
    for command in [&["check"][..], &["run"], &["scim", "key", "list"]] {
        let output = launch.command(command);
        let text = words(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("config.toml") && text.contains("No such file"), "{command:?}: {text}");
    }
}

#[test]
fn a_good_configuration_has_no_fault_and_a_wrong_command_line_leaves_with_2() {
    let launch = launch(Some(&settings().toml()));
    let output = launch.command(&["check"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{}", words(&output));
    assert!(text.contains("no fault; 2 applications"), "{text}");
    for wrong in [&["chekc"][..], &["run", "--port", "1"], &["scim", "key", "create"]] {
        let output = launch.command(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", words(&output));
        assert!(words(&output).contains("Usage:"), "{wrong:?}: {}", words(&output));
    }
    let output = launch.command(&["scim", "key", "create", "--directory", "absent"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("no [[directory]] is named `absent`"), "{}", words(&output));
    assert!(words(&output).contains("known: corp"), "{}", words(&output));
}
