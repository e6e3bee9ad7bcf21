//! `portcullis policy lint`: what the policy crate finds in the sources, what only hosts and paths tell, and, beside a store, what only
//! the directory knows; each with its line.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use http::{HeaderName, HeaderValue};
use portcullis_policy::{ApplicationPolicies, Known, Place, Policy, Section, Selector, Sources, lint};
use serde_json::{Value, json};

use super::directory::Directory;
use super::judge::Judge;
use super::lines::Lines;
use super::{StoreFile, count, say};
use crate::cli::ConfigFile;
use crate::config::Application;
use crate::host::HostPattern;
use crate::live::GroupIds;
use crate::route::{Canonical, Destination};

#[derive(Debug, Args)]
pub(in crate::cli) struct Lint {
    #[command(flatten)]
    config: ConfigFile,
    /// Look into the directory too: groups that nobody is in, people and tokens that do not exist
    #[arg(long)]
    directory: bool,
    #[command(flatten)]
    store: StoreFile,
    /// Accept findings of this kind, such as report_only; can be given several times
    #[arg(long, value_name = "KIND")]
    accept: Vec<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// One finding as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    file: PathBuf,
    line: usize,
    code: &'static str,
    place: String,
    what: String,
    remedy: &'static str,
    applications: Vec<String>,
}

pub(in crate::cli) fn run(lint: &Lint) -> Result<(), Box<dyn Error>> {
    let judge = Judge::of(lint.config.load()?);
    let lines = Lines::of(&judge.config);
    let mut found = in_sources(&judge, &lines);
    found.extend(in_paths(&judge, &lines));
    found.extend(in_fields(&judge, &lines));
    if lint.directory || lint.store.store.is_some() {
        let directory = Directory::open(&lint.store, &judge.config)?;
        found.extend(in_directory(&judge, &directory, &lines)?);
    }
    found.retain(|told| !lint.accept.iter().any(|accepted| accepted == told.code));
    found.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    if lint.json {
        let list: Value = found.iter().map(as_json).collect();
        say(&serde_json::to_string_pretty(&list)?)?;
    } else {
        for told in &found {
            let Told { file, line, code, place, what, remedy, .. } = told;
            say(&format!("{}:{line}: {place} {what} [{code}]\n    {remedy}", file.display()))?;
        }
    }
    match found.len() {
        0 if lint.json => Ok(()),
        0 => say(&format!("{}: nothing found", lint.config.file.display())),
        some => Err(count(some, "finding", "findings").into()),
    }
}

fn as_json(told: &Told) -> Value {
    json!({
        "file": told.file.display().to_string(),
        "line": told.line,
        "code": told.code,
        "place": told.place,
        "what": told.what,
        "remedy": told.remedy,
        "applications": told.applications,
    })
}

fn in_sources(judge: &Judge, lines: &Lines) -> Vec<Told> {
    let config = &judge.config;
    let known = Known {
        identity_providers: config.identity_providers.iter().map(|it| it.name.clone()).collect(),
        ..Known::default()
    };
    let attached = config.applications.iter().map(|application| ApplicationPolicies {
        application: application.name.to_string(),
        policies: application.policies.clone(),
        login_methods: application.identity_providers.clone(),
    });
    let applications: Vec<ApplicationPolicies> = attached.collect();
    let (policies, rule_groups) = judge.set().written();
    let found = lint(&Sources { policies, rule_groups, applications: &applications, known: &known });
    let told = found.into_iter().map(|finding| Told {
        code: finding.kind.code(),
        what: finding.kind.to_string(),
        remedy: finding.kind.remedy(),
        applications: finding.kind.applications().to_vec(),
        ..at(lines, &finding.place)
    });
    told.collect()
}

/// A place with its line, to be completed.
fn at(lines: &Lines, place: &Place) -> Told {
    let (file, line) = lines.at(place);
    Told {
        file: file.to_owned(),
        line,
        code: "",
        place: place.to_string(),
        what: String::new(),
        remedy: "",
        applications: Vec::new(),
    }
}

/// Parts of the names of fields by which an upstream may take somebody for let in.
const TELLING: [&str; 8] = ["auth", "token", "secret", "key", "user", "password", "identity", "gateway"];

/// Applications that are told, by a field that they may take for a sign of a login, of requests that a bypass lets pass.
fn in_fields(judge: &Judge, lines: &Lines) -> Vec<Told> {
    let mut found = Vec::new();
    for (index, application) in judge.config.applications.iter().enumerate() {
        let has_bypass = judge.application(&application.name).is_some_and(|it| judge.set().has_bypass(it));
        if !has_bypass {
            continue;
        }
        let is_telling = |(name, value): &&(HeaderName, HeaderValue)| {
            value.is_sensitive() || TELLING.iter().any(|part| name.as_str().contains(part))
        };
        let names: Vec<String> = application
            .headers
            .fixed
            .iter()
            .filter(is_telling)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if names.is_empty() {
            continue;
        }
        let name = application.name.to_string();
        found.push(Told {
            code: "bypass_tells",
            what: format!("sends {} with requests that a bypass lets pass without a login", names.join(", ")),
            remedy: "give what the bypass opens an application of its own without the field, or see that the upstream takes it for no login",
            applications: vec![name.clone()],
            ..at(lines, &Place::Application { name, index })
        });
    }
    found
}

/// Applications that have what is below a folder, and not the folder.
fn in_paths(judge: &Judge, lines: &Lines) -> Vec<Told> {
    let mut found = Vec::new();
    for (index, application) in judge.config.applications.iter().enumerate() {
        for (pattern, leads_to) in bare_folders(judge, application) {
            let name = application.name.to_string();
            let folder = pattern.trim_end_matches('*').trim_end_matches('/').to_owned();
            let else_where = leads_to.map_or_else(
                || format!("`{folder}` itself is answered by nobody"),
                |other| format!("`{folder}` itself is `{other}`'s"),
            );
            found.push(Told {
                code: "below_only",
                what: format!("has `{pattern}`, which covers what is below: {else_where}"),
                remedy: "add the folder itself, or write the pattern without what follows it",
                applications: vec![name.clone()],
                ..at(lines, &Place::Application { name, index })
            });
        }
    }
    found
}

/// The patterns of an application that leave out their folder, and whose that is.
fn bare_folders(judge: &Judge, application: &Application) -> Vec<(String, Option<String>)> {
    let host = match application.hosts.first() {
        Some(HostPattern::Exact(host)) => host.to_string(),
        Some(HostPattern::AnyLabel(rest)) => format!("any.{rest}"),
        None => return Vec::new(),
    };
    let patterns = application.paths.iter().map(ToString::to_string);
    let leaves_out = patterns.filter_map(|pattern| {
        let folder = pattern.strip_suffix("/*").or_else(|| pattern.strip_suffix('/'))?;
        let canonical = Canonical::told("GET", &host, &folder.replace('*', "any")).ok()?;
        match judge.routes.destination(&canonical) {
            Ok(Destination::Application(target)) if target.application.name == application.name => None,
            Ok(Destination::Application(target)) => {
                Some((pattern, Some(target.application.name.to_string())))
            }
            _ => Some((pattern, None)),
        }
    });
    leaves_out.collect()
}

/// What the people of a directory are in, as far as policies ask.
#[derive(Default)]
struct Seen {
    group_names: HashMap<String, usize>,
    group_ids: HashMap<String, usize>,
    people: BTreeSet<(String, String)>,
    tokens: BTreeSet<String>,
    /// For each policy whether somebody is in all groups that it requires.
    met: Vec<bool>,
}

fn in_directory(judge: &Judge, directory: &Directory, lines: &Lines) -> Result<Vec<Told>, Box<dyn Error>> {
    let seen = seen(judge, directory)?;
    let (policies, rule_groups) = judge.set().written();
    let mut found = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        for (section, entries) in policy.sections() {
            for (rule, entry) in entries.iter().enumerate() {
                let place = Place::Rule { policy: policy.name.clone(), index, section, rule };
                found.extend(seen.missing(entry).into_iter().map(|told| told.placed(at(lines, &place))));
            }
        }
        if required_groups(policy).len() > 1 && seen.met.get(index) == Some(&false) {
            found.push(Told {
                code: "nobody_in_all_groups",
                what: "requires groups that nobody of the directory is in at once".to_owned(),
                remedy: "alternatives go into one entry, as a list: { group = [\"A\", \"B\"] }",
                ..at(lines, &Place::Policy { name: policy.name.clone(), index })
            });
        }
    }
    for (index, group) in rule_groups.iter().enumerate() {
        for (section, entries) in group.sections() {
            for (rule, entry) in entries.iter().enumerate() {
                let place = Place::GroupRule { rule_group: group.name.clone(), index, section, rule };
                found.extend(seen.missing(entry).into_iter().map(|told| told.placed(at(lines, &place))));
            }
        }
    }
    Ok(found)
}

/// A name that nobody bears.
struct Missing {
    code: &'static str,
    what: String,
    remedy: &'static str,
}

impl Missing {
    fn placed(self, at: Told) -> Told {
        let Self { code, what, remedy } = self;
        Told { code, what, remedy, ..at }
    }
}

impl Seen {
    /// What of an entry names nobody and nothing that the store knows.
    fn missing(&self, entry: &Selector) -> Vec<Missing> {
        let group = |known: Option<&usize>, name: &str| match known {
            Some(0) => Some(Missing {
                code: "empty_group",
                what: format!("names the group `{name}`, which nobody is in"),
                remedy: "put somebody in, or take the rule out",
            }),
            Some(_) => None,
            None => Some(Missing {
                code: "unknown_group",
                what: format!("names the group `{name}`, which no directory has"),
                remedy: "correct it, unless the group comes with tokens alone",
            }),
        };
        match entry {
            Selector::Group(names) => {
                names.iter().filter_map(|name| group(self.group_names.get(name), name)).collect()
            }
            Selector::GroupId(ids) => ids.iter().filter_map(|id| group(self.group_ids.get(id), id)).collect(),
            Selector::Subject(users) => {
                let unknown = users.iter().filter(|user| {
                    !self.people.contains(&(user.identity_provider.clone(), user.subject.clone()))
                });
                let missing = unknown.map(|user| Missing {
                    code: "unknown_person",
                    what: format!("names the user `{}`, whom no directory has", user.subject),
                    remedy: "correct the subject, unless the person is not provisioned",
                });
                missing.collect()
            }
            Selector::ServiceToken(names) => {
                let unknown = names.iter().filter(|name| !self.tokens.contains(*name));
                let missing = unknown.map(|name| Missing {
                    code: "unknown_service_token",
                    what: format!("names the service token `{name}`, which does not exist"),
                    remedy: "make it with `portcullis service-token create`, or correct the name",
                });
                missing.collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Goes through all people once.
fn seen(judge: &Judge, directory: &Directory) -> Result<Seen, Box<dyn Error>> {
    let (policies, _) = judge.set().written();
    let wanted: Vec<Vec<&[String]>> = policies.iter().map(required_groups).collect();
    let mut seen = Seen { met: vec![false; policies.len()], ..Seen::default() };
    for group in directory.look().groups()? {
        seen.group_names.entry(group.display_name.clone()).or_default();
        for id in GroupIds::of([group.as_ref()], judge.config.directories.len() > 1).proved {
            seen.group_ids.entry(id).or_default();
        }
    }
    let tokens = directory.look().service_tokens()?;
    seen.tokens = tokens.iter().filter(|it| it.revoked_at.is_none()).map(|it| it.name.clone()).collect();
    directory.look().each_person(|person| {
        let persona = directory.persona(&person, &judge.config);
        let provider = persona.provider.clone().unwrap_or_default();
        seen.people.extend(person.external_id.clone().map(|subject| (provider, subject)));
        for (counts, names) in [
            (&mut seen.group_names, &persona.groups),
            (&mut seen.group_ids, persona.group_ids.as_ref().unwrap_or(&Vec::new())),
        ] {
            for name in names {
                if let Some(members) = counts.get_mut(name) {
                    *members += 1;
                }
            }
        }
        for (met, wanted) in seen.met.iter_mut().zip(&wanted) {
            *met =
                *met || wanted.iter().all(|any_of| any_of.iter().any(|name| persona.groups.contains(name)));
        }
    })?;
    Ok(seen)
}

/// The groups of each entry by which somebody must be in one of them for a policy to match.
fn required_groups(policy: &Policy) -> Vec<&[String]> {
    let mut required: Vec<&[String]> = Vec::new();
    for (section, entries) in policy.sections() {
        match (section, entries) {
            (Section::Include, [only]) => required.extend(group_of(only)),
            (Section::Require, all) => required.extend(all.iter().filter_map(group_of)),
            _ => {}
        }
    }
    required
}

fn group_of(entry: &Selector) -> Option<&[String]> {
    match entry {
        Selector::Group(names) => Some(names),
        _ => None,
    }
}
