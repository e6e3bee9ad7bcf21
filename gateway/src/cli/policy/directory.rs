//! The people of a store, as its gateway would see them at their next request: groups by directory and claims, what the newest session
//! tells, what was granted. Reading the store is left to it.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use portcullis_policy::{EmailAddress, LoginFacts};
use portcullis_store::{AccessRequest, Group, GroupId, Person, PersonId, SessionRecord, StoreLook};
use serde_json::{Map, Value};

use super::StoreFile;
use super::persona::Persona;
use crate::config::{Config, GroupsSource};
use crate::live::{GroupIds, People, login_facts};

/// A store and what every person of it is seen by.
pub(super) struct Directory {
    look: StoreLook,
    people: People,
    groups: HashMap<GroupId, Arc<Group>>,
    /// The newest session of each person.
    sessions: HashMap<PersonId, SessionRecord>,
    grants: Vec<Arc<AccessRequest>>,
}

impl Directory {
    pub(super) fn open(file: &StoreFile, config: &Config) -> Result<Self, Box<dyn Error>> {
        let path = file.store.as_deref().unwrap_or(&config.store_file);
        Self::at(path).map_err(|error| {
            format!("the store `{}`: {}", path.display(), crate::causes::with_causes(error.as_ref())).into()
        })
    }

    fn at(path: &Path) -> Result<Self, Box<dyn Error>> {
        let look = StoreLook::open(path)?;
        let groups = look.groups()?;
        let people = People::new(groups.clone(), look.former_group_names()?);
        let mut sessions = HashMap::new();
        for session in look.sessions()? {
            if let Some(person) = session.person {
                sessions.entry(person).or_insert(session);
            }
        }
        let grants = look.grants()?;
        let groups = groups.into_iter().map(|group| (group.id, group)).collect();
        Ok(Self { look, people, groups, sessions, grants })
    }

    pub(super) fn look(&self) -> &StoreLook {
        &self.look
    }

    /// Whether somebody's claims are known.
    pub(super) fn has_session(&self, person: &Person) -> bool {
        self.sessions.contains_key(&person.id)
    }

    /// The one person whom a text means.
    pub(super) fn person_called(&self, text: &str) -> Result<Person, Box<dyn Error>> {
        let mut found = self.look.persons_called(text)?;
        match (found.pop(), found.len()) {
            (None, _) => {
                Err(format!("no directory knows `{text}`: not by userName, e-mail address, externalId or id")
                    .into())
            }
            (Some(person), 0) => Ok(person),
            (Some(person), more) => Err(format!(
                "`{text}` could be {} people; name one by id: {}",
                more + 1,
                found.iter().chain([&person]).map(|it| it.scim_id.as_str()).collect::<Vec<_>>().join(", ")
            )
            .into()),
        }
    }

    /// How somebody of the directory is seen under a configuration.
    pub(super) fn persona(&self, person: &Person, config: &Config) -> Persona {
        let session = self.sessions.get(&person.id);
        let directory = config.directories.iter().find(|it| it.name == *person.directory);
        let provider = match (session, directory) {
            (Some(session), _) => Some(session.provider.clone()),
            (None, Some(directory)) => Some(directory.identity_provider.clone()),
            (None, None) => None,
        };
        // A directory that the configuration does not name is not served: nobody is in it.
        let record = directory.map(|_| person);
        let profile = session.map(|session| &session.profile);
        let (claimed, told_at) = profile.map_or((&[][..], i64::MAX), |it| (&it.groups[..], it.told_at));
        let (groups, doubts) = self.groups(record, claimed, told_at, provider.as_deref(), config);
        let member_of =
            record.into_iter().flat_map(|it| it.groups.iter().filter_map(|id| self.groups.get(id)));
        let ids = GroupIds::of(member_of.map(AsRef::as_ref), config.directories.len() > 1);
        let email = profile.map_or_else(|| usual_address(person), |profile| profile.email.clone());
        let subject = session.map(|it| it.subject.clone()).or_else(|| person.external_id.clone());
        let claims = claims(session, subject.as_deref(), email.as_deref());
        let login =
            profile.map_or_else(LoginFacts::default, |it| login_facts(&it.claims_json, it.authenticated_at));
        Persona {
            grants: self.grants(provider.as_deref(), subject.as_deref()),
            email,
            subject,
            provider,
            groups,
            doubts,
            group_ids: record.map(|_| ids.proved),
            doubtful_ids: ids.doubtful,
            user: record.and_then(Person::attributes),
            claims,
            login,
            purposes: Vec::new(),
            notes: notes(person, session.is_some(), record.is_some()),
        }
    }

    fn groups(
        &self,
        record: Option<&Person>,
        claimed: &[String],
        told_at: i64,
        provider: Option<&str>,
        config: &Config,
    ) -> (Vec<String>, Vec<String>) {
        let provider = provider.and_then(|name| config.identity_provider(name));
        if provider.is_some_and(|it| it.groups_source == GroupsSource::Scim) {
            let counted = self.people.groups_of_directory_alone(record, claimed, told_at);
            return (counted.names, counted.unproved);
        }
        (self.people.groups_that_count(record, claimed, told_at), Vec::new())
    }

    fn grants(&self, provider: Option<&str>, subject: Option<&str>) -> Vec<(String, String, i64)> {
        let theirs = self
            .grants
            .iter()
            .filter(|it| Some(it.provider.as_str()) == provider && Some(it.subject.as_str()) == subject);
        theirs.filter_map(|it| Some((it.application.clone(), it.policy.clone(), it.until?))).collect()
    }
}

/// The address under which somebody would log in, as far as the directory tells.
fn usual_address(person: &Person) -> Option<String> {
    let is_address = |text: &&String| text.parse::<EmailAddress>().is_ok();
    person.emails.iter().find(is_address).or_else(|| Some(&person.user_name).filter(is_address)).cloned()
}

/// As the gateway hands them to predicates: those that were kept, and those that have places of their own.
fn claims(session: Option<&SessionRecord>, subject: Option<&str>, email: Option<&str>) -> Map<String, Value> {
    let profile = session.map(|session| &session.profile);
    let kept = profile.and_then(|profile| serde_json::from_str(&profile.claims_json).ok());
    let mut claims: Map<String, Value> = kept.unwrap_or_default();
    let name = profile.and_then(|profile| profile.display_name.as_deref());
    for (key, text) in [("sub", subject), ("email", email), ("name", name)] {
        claims.extend(text.map(|text| (key.to_owned(), text.into())));
    }
    let groups = profile.map(|profile| profile.groups.as_slice()).unwrap_or_default();
    claims.insert("groups".to_owned(), groups.into());
    claims
}

fn notes(person: &Person, has_session: bool, has_record: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if !person.active {
        notes.push("is deactivated: no login is let in, whatever the policies say".to_owned());
    }
    if !has_record {
        notes.push(format!(
            "the configuration does not serve the directory `{}`: there is no record",
            person.directory
        ));
    }
    notes.push(if has_session {
        "claims and login are those of the newest session".to_owned()
    } else {
        "has no session: there are no claims, and nothing is known of a login unless it is told".to_owned()
    });
    notes
}
