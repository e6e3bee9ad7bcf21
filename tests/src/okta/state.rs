//! The directory of the org: people, groups and memberships as they are now. Sessions and tokens are in `grants`; pushing
//! changes outward is for `scim_push`.

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

use super::company::{Client, Company, Group, Person};
use super::groups_claim::{ClaimMode, GroupFilter};
use super::keys::sha256;

/// Where a person stands in Okta's lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// May sign in.
    Active,
    /// May not sign in; nothing is pushed by SCIM.
    Suspended,
    /// May not sign in after too many wrong passwords; nothing is pushed by SCIM.
    LockedOut,
    /// Deactivated.
    Deprovisioned,
}

/// What the caller asked of the simulator cannot be done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OrgError {
    /// Nobody has this login or id.
    #[error("no person `{0}`")]
    UnknownPerson(String),
    /// No group has this name or id.
    #[error("no group `{0}`")]
    UnknownGroup(String),
    /// No application has this client id.
    #[error("no client `{0}`")]
    UnknownClient(String),
    /// The name or login is taken.
    #[error("`{0}` is taken")]
    Taken(String),
    /// `Everyone` cannot be renamed or left.
    #[error("`Everyone` is built in")]
    BuiltIn,
}

/// A person as Okta holds them.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) person: Person,
    /// Whether the SCIM application is assigned.
    pub(super) provisioned: bool,
    /// The id that the SCIM sink gave, kept over unassignment.
    pub(super) scim_id: Option<String>,
}

impl Account {
    pub(super) fn email(&self) -> &str {
        self.person.email.as_deref().unwrap_or(&self.person.login)
    }

    pub(super) fn display_name(&self) -> String {
        format!("{} {}", self.person.given_name, self.person.family_name)
    }
}

/// A group as Okta holds it.
#[derive(Clone, Debug)]
pub(super) struct GroupRecord {
    pub(super) id: String,
    pub(super) built_in: bool,
    pub(super) group: Group,
    /// Ids of people.
    pub(super) members: BTreeSet<String>,
    /// The id that the SCIM sink gave, while Group Push is linked.
    pub(super) scim_id: Option<String>,
}

/// People, groups and applications.
pub(super) struct Org {
    pub(super) people: Vec<Account>,
    pub(super) groups: Vec<GroupRecord>,
    pub(super) clients: Vec<Client>,
    pub(super) claim_mode: ClaimMode,
    pub(super) claim_filter: GroupFilter,
    /// Whether the custom authorization server has an access policy that matches.
    pub(super) custom_policy_matches: bool,
}

impl Org {
    pub(super) fn new(company: &Company) -> Result<Self, OrgError> {
        let mut org = Self {
            people: Vec::new(),
            groups: Vec::new(),
            clients: company.clients.clone(),
            claim_mode: company.claim_mode,
            claim_filter: company.claim_filter.clone(),
            custom_policy_matches: true,
        };
        org.add_group(Group {
            description: Some("All users in your organization".to_owned()),
            ..Group::unpushed("Everyone")
        })?;
        for group in company.groups.iter().filter(|group| group.name != "Everyone") {
            org.add_group(group.clone())?;
        }
        for person in &company.people {
            org.add_person(person.clone())?;
        }
        Ok(org)
    }

    pub(super) fn add_person(&mut self, person: Person) -> Result<String, OrgError> {
        if self.account(&person.login).is_ok() {
            return Err(OrgError::Taken(person.login));
        }
        let id = okta_id("00u", &person.login.to_lowercase());
        for name in std::iter::once("Everyone").chain(person.groups.iter().map(String::as_str)) {
            if self.group(name).is_err() {
                self.add_group(Group::unpushed(name))?;
            }
            self.group_mut(name)?.members.insert(id.clone());
        }
        self.people.push(Account {
            id: id.clone(),
            status: Status::Active,
            person,
            provisioned: false,
            scim_id: None,
        });
        Ok(id)
    }

    pub(super) fn add_group(&mut self, group: Group) -> Result<String, OrgError> {
        if self.group(&group.name).is_ok() {
            return Err(OrgError::Taken(group.name));
        }
        let id = okta_id("00g", &group.name);
        // A renamed group keeps its id, so its old name may come back for another one.
        let id = if self.group(&id).is_ok() { okta_id("00g", &format!("{id} again")) } else { id };
        let built_in = group.name == "Everyone";
        self.groups.push(GroupRecord {
            id: id.clone(),
            built_in,
            group,
            members: BTreeSet::new(),
            scim_id: None,
        });
        Ok(id)
    }

    /// Finds by id or by login, the latter in any case.
    pub(super) fn account(&self, id_or_login: &str) -> Result<&Account, OrgError> {
        self.people
            .iter()
            .find(|account| {
                account.id == id_or_login || account.person.login.eq_ignore_ascii_case(id_or_login)
            })
            .ok_or_else(|| OrgError::UnknownPerson(id_or_login.to_owned()))
    }

    pub(super) fn account_mut(&mut self, id_or_login: &str) -> Result<&mut Account, OrgError> {
        self.people
            .iter_mut()
            .find(|account| {
                account.id == id_or_login || account.person.login.eq_ignore_ascii_case(id_or_login)
            })
            .ok_or_else(|| OrgError::UnknownPerson(id_or_login.to_owned()))
    }

    /// The users API also takes the part before the `@`, when only one person has it.
    pub(super) fn account_by_short_login(&self, text: &str) -> Result<&Account, OrgError> {
        self.account(text).or_else(|unknown| {
            let mut fits = self.people.iter().filter(|account| {
                account
                    .person
                    .login
                    .split_once('@')
                    .is_some_and(|(short, _)| short.eq_ignore_ascii_case(text))
            });
            match (fits.next(), fits.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(unknown),
            }
        })
    }

    pub(super) fn group(&self, id_or_name: &str) -> Result<&GroupRecord, OrgError> {
        self.groups
            .iter()
            .find(|record| record.id == id_or_name || record.group.name == id_or_name)
            .ok_or_else(|| OrgError::UnknownGroup(id_or_name.to_owned()))
    }

    pub(super) fn group_mut(&mut self, id_or_name: &str) -> Result<&mut GroupRecord, OrgError> {
        self.groups
            .iter_mut()
            .find(|record| record.id == id_or_name || record.group.name == id_or_name)
            .ok_or_else(|| OrgError::UnknownGroup(id_or_name.to_owned()))
    }

    pub(super) fn groups_of(&self, person_id: &str) -> impl Iterator<Item = &GroupRecord> {
        self.groups.iter().filter(move |record| record.members.contains(person_id))
    }

    pub(super) fn group_names_of(&self, person_id: &str) -> Vec<String> {
        self.groups_of(person_id).map(|record| record.group.name.clone()).collect()
    }

    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    /// Whether the application is assigned to the person.
    pub(super) fn is_assigned(&self, client: &str, login: &str) -> bool {
        self.client(client).is_some_and(|client| match &client.assigned {
            None => true,
            Some(logins) => logins.iter().any(|assigned| assigned.eq_ignore_ascii_case(login)),
        })
    }
}

/// An id of Okta's shape, 20 characters. It depends on the name alone, so that a simulator that starts anew knows its people
/// by the same ids.
pub(super) fn okta_id(prefix: &str, name: &str) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let tail = sha256(&format!("{prefix}:{name}"));
    let letters = tail.iter().take(17).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
    prefix.chars().chain(letters).collect()
}
