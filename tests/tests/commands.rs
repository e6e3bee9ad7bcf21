//! What the commands tell of a directory that a provisioning client filled: its people and groups, who changed what, and which policies mean
//! nobody in it. Each reads the store of a gateway that runs.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use portcullis_tests::harness::{World, WorldConfig};
use serde_json::Value;

const ENGINEER: &str = "engineer@corp.example";

/// What a command says, and how it ends.
fn said(world: &World, arguments: &[&str]) -> (String, bool) {
    let output = world.gateway.command(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains('\u{1b}'), "{text:?}");
    (text, output.status.success())
}

fn told(world: &World, arguments: &[&str]) -> String {
    let (text, succeeded) = said(world, arguments);
    assert!(succeeded, "{arguments:?}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_tell_what_the_directory_holds_and_who_changed_it() {
    let world = World::with(WorldConfig {
        change: |settings| {
            settings.policies += "[[policy]]\nname = \"nobody-here\"\naction = \"allow\"\ninclude = [{ group = \"Enginers\" }]\n";
            settings.applications[1].policies.push("nobody-here".to_owned());
        },
        ..WorldConfig::default()
    })
    .await;
    world.deactivate(ENGINEER).await;

    let list = told(&world, &["directory", "list"]);
    assert!(list.starts_with(&format!("corp  {}  provider okta  people ", world.scim_url())), "{list}");
    let people = told(&world, &["directory", "people", "corp"]);
    let line = |text: &str, part: &str| {
        text.lines()
            .find(|line| line.contains(part))
            .unwrap_or_else(|| panic!("no {part} in {text}"))
            .to_owned()
    };
    let engineer = line(&people, ENGINEER);
    assert!(engineer.contains("  inactive  "), "{engineer}");
    assert!(people.lines().any(|line| line.contains("  active    ")), "{people}");
    let id = engineer.split("  ").next().unwrap();
    let groups = told(&world, &["directory", "groups", "corp"]);
    assert!(line(&groups, "Engineering").contains("  members "), "{groups}");
    let counted = format!("people {}  groups {}", people.lines().count(), groups.lines().count());
    assert!(list.contains(&counted), "{list} {counted}");
    let shown = told(&world, &["directory", "show", "corp"]);
    for part in
        ["identity provider: okta", "sessions when groups change: ", "  name okta  ", &world.scim_url()]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains(&world.scim_key), "the key is told");
    let unknown = world.gateway.command(&["directory", "show", "annex"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("known: corp"), "{unknown:?}");

    // The provisioning log: the newest last, of one person, and for programs.
    let log = told(&world, &["scim", "log", "--resource", id]);
    let last = log.lines().last().unwrap();
    assert!(last.contains("(okta)") && last.contains("changed active"), "{log}");
    let one = told(&world, &["scim", "log", "--resource", id, "--last", "1", "--json"]);
    let entry: Value = serde_json::from_str(&one).unwrap();
    assert_eq!((&entry["directory"], &entry["changed"]), (&"corp".into(), &serde_json::json!(["active"])));
    assert_eq!(told(&world, &["scim", "log", "--directory", "annex"]), "");
    assert_eq!(told(&world, &["scim", "log", "--last", "3"]).lines().count(), 3);

    // Without the directory nobody knows that the group is misspelt.
    let (plain, _) = said(&world, &["policy", "lint"]);
    assert!(!plain.contains("unknown_group"), "{plain}");
    let store = world.gateway.folder().join("portcullis.db");
    for directory in [&["--directory"][..], &["--store", store.to_str().unwrap()]] {
        let (found, succeeded) = said(&world, &[&["policy", "lint"][..], directory].concat());
        let finding = line(&found, "[unknown_group]");
        assert!(finding.contains("nobody-here") && !succeeded, "{found}");
    }
    let (json, _) = said(&world, &["policy", "lint", "--directory", "--json"]);
    let found: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert!(found.iter().any(|found| found["code"] == "unknown_group"), "{json}");
}
