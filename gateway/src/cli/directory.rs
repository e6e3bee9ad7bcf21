//! `portcullis directory`: which directories there are, what they hold and by which rules. It only reads; who writes is the provisioning
//! client.

use std::error::Error;

use clap::{Args, Subcommand};
use portcullis_store::{GroupLookup, LinkBy, OnGroupChange, PersonLookup, Store, UniqueBy};

use super::{ConfigFile, date, say, scim_key};
use crate::config::{Config, Directory};
use crate::gateway::now;

/// How many people or groups are read at a time.
const AT_ONCE: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List directories: base URL, provider, how many people and groups
    List(List),
    /// Show one: rules, keys, how many people and groups
    Show(One),
    /// List its people: SCIM id, whether active, userName, externalId
    People(One),
    /// List its groups, by whose names policies call them: SCIM id, members, name
    Groups(One),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub(super) struct One {
    #[command(flatten)]
    config: ConfigFile,
    /// The name of a `[[directory]]`
    name: String,
}

pub(super) fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::List(list) => run_list(&list.config),
        Command::Show(one) => {
            let (config, directory, store) = open(one)?;
            show(&config, &directory, &store)
        }
        Command::People(one) => {
            let (_, directory, store) = open(one)?;
            people(&directory, &store)
        }
        Command::Groups(one) => {
            let (_, directory, store) = open(one)?;
            groups(&directory, &store)
        }
    }
}

fn open(one: &One) -> Result<(Config, Directory, Store), Box<dyn Error>> {
    let config = one.config.load()?;
    let found = config.directories.iter().find(|directory| directory.name == one.name).cloned();
    let known: Vec<&str> = config.directories.iter().map(|directory| directory.name.as_str()).collect();
    let directory = found.ok_or_else(|| {
        let file = one.config.file.display();
        format!("no [[directory]] is named `{}` in {file}; known: {}", one.name, known.join(", "))
    })?;
    let store = Store::open(&config.store_file)?;
    Ok((config, directory, store))
}

fn counts(store: &Store, name: &str) -> Result<(usize, usize), Box<dyn Error>> {
    let people = store.list_persons(name, &PersonLookup::All, 0, 0)?.total;
    Ok((people, store.list_groups(name, &GroupLookup::All, 0, 0)?.total))
}

fn run_list(file: &ConfigFile) -> Result<(), Box<dyn Error>> {
    let config = file.load()?;
    let store = Store::open(&config.store_file)?;
    for directory in &config.directories {
        let (people, groups) = counts(&store, &directory.name)?;
        say(&format!(
            "{}  {}  provider {}  people {people}  groups {groups}",
            directory.name,
            config.scim_base_url(&directory.name),
            directory.identity_provider
        ))?;
    }
    Ok(())
}

fn show(config: &Config, directory: &Directory, store: &Store) -> Result<(), Box<dyn Error>> {
    let (people, groups) = counts(store, &directory.name)?;
    let header = directory.key_header.as_ref().map_or("authorization", |name| name.as_str());
    say(&format!(
        "directory: {}\nbase URL: {}\nidentity provider: {}\npeople: {people}\ngroups: {groups}\nkey in the field: {header}",
        directory.name,
        config.scim_base_url(&directory.name),
        directory.identity_provider
    ))?;
    let unique = match directory.rules.unique_by {
        UniqueBy::UserName => "userName",
        UniqueBy::Email => "userName, and email (unique identifier field)",
        UniqueBy::ExternalId => "userName, and externalId (unique identifier field)",
    };
    let change = match directory.rules.on_group_change {
        OnGroupChange::Apply => "decided again at once",
        OnGroupChange::Reauthenticate => "ended: a new login",
        OnGroupChange::Ignore => "left alone until the next login",
    };
    say(&format!("unique: {unique}\na login is linked by: {}", linked_by(directory.rules.link_by)))?;
    say(&format!("sessions when groups change: {change}"))?;
    if !directory.users.required.is_empty() {
        let required: Vec<String> = directory.users.required.iter().map(ToString::to_string).collect();
        say(&format!("required: {}", required.join(", ")))?;
    }
    if !directory.users.roles.is_empty() {
        say(&format!("roles: {}", directory.users.roles.join(", ")))?;
    }
    let keys = store.list_scim_keys()?;
    for key in keys.iter().filter(|key| *key.directory == *directory.name) {
        say(&scim_key::line(key, now()))?;
    }
    Ok(())
}

fn linked_by(link_by: LinkBy) -> String {
    let ways = [
        (link_by.external_id, "externalId = sub"),
        (link_by.email, "verified e-mail address"),
        (link_by.user_name, "userName = verified e-mail address"),
    ];
    let used: Vec<&str> = ways.into_iter().filter(|(used, _)| *used).map(|(_, way)| way).collect();
    used.join(", else ")
}

/// Names are a client's own: they are shown escaped.
fn people(directory: &Directory, store: &Store) -> Result<(), Box<dyn Error>> {
    let mut after = portcullis_store::PersonId(0);
    loop {
        let batch = store.scan_persons(&directory.name, after, AT_ONCE)?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = last.id;
        for person in &batch {
            let state = if person.content.active { "active  " } else { "inactive" };
            let external_id = person.content.external_id.as_deref().unwrap_or("-");
            say(&format!(
                "{}  {state}  {}  {}  changed {}",
                person.scim_id,
                person.content.user_name.escape_debug(),
                external_id.escape_debug(),
                date(person.updated_at)
            ))?;
        }
    }
}

fn groups(directory: &Directory, store: &Store) -> Result<(), Box<dyn Error>> {
    let mut after = portcullis_store::GroupId(0);
    loop {
        let batch = store.scan_groups(&directory.name, after, AT_ONCE)?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = last.id;
        for group in &batch {
            let members = store.group_members(group.id)?.len();
            let name = group.content.display_name.escape_debug();
            say(&format!("{}  members {members}  {name}", group.scim_id))?;
        }
    }
}
