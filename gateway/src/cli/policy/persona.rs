//! Somebody as policies can see them, from a case, the command line or the directory: everything that a login would tell, in texts.
//! Whom the store knows is left to `directory`.

use portcullis_policy::{Attributes, EmailAddress, Grant, LoginFacts, Person, PolicySet, Principal, Service};
use portcullis_scim_sink::user_case_exact;
use serde_json::{Map, Value};

use super::LoggedIn;
use crate::config::{Config, Invented};

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    Person(Box<Persona>),
    /// By the name of its token.
    Service(String),
    Nobody,
}

/// Somebody. What is left out is not known of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Persona {
    pub(super) email: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) groups: Vec<String>,
    /// Groups in which they are by a word that does not count.
    pub(super) doubts: Vec<String>,
    /// Ids of groups of their record in the directory; there is no record without.
    pub(super) group_ids: Option<Vec<String>>,
    /// Ids that another directory may have given a group of its own.
    pub(super) doubtful_ids: Vec<String>,
    /// The record.
    pub(super) user: Option<Map<String, Value>>,
    pub(super) claims: Map<String, Value>,
    pub(super) login: LoginFacts,
    /// What was granted to them: application, policy, until when.
    pub(super) grants: Vec<(String, String, i64)>,
    /// The applications for which they have said what they need them for.
    pub(super) purposes: Vec<String>,
    /// A word on what is assumed of them, for people.
    pub(super) notes: Vec<String>,
}

impl Persona {
    /// Somebody who needs not exist.
    pub(super) fn invented(told: &Invented, config: &Config, now: i64) -> Self {
        let age = told.login_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let has_record = told.user.is_some() || told.group_ids.is_some();
        let mut claims = told.claims.clone();
        for (name, text) in [("sub", &told.subject), ("email", &told.email)] {
            if let Some(text) = text {
                claims.entry(name).or_insert_with(|| text.as_str().into());
            }
        }
        claims.entry("groups").or_insert_with(|| told.groups.as_slice().into());
        Self {
            email: told.email.clone(),
            subject: told.subject.clone(),
            provider: told.provider.clone().or_else(|| only_provider(config)),
            groups: told.groups.clone(),
            group_ids: has_record.then(|| told.group_ids.clone().unwrap_or_default()),
            user: told.user.clone().or_else(|| has_record.then(Map::new)),
            claims,
            login: LoginFacts {
                authenticated_at: age.map(|age| now.saturating_sub(age)),
                acr: told.acr.as_deref().map(Box::from),
                amr: told.amr.as_ref().map(|methods| methods.iter().map(|it| it.as_str().into()).collect()),
            },
            ..Self::default()
        }
    }

    /// Replaces what is known of the login by what was told on the command line.
    pub(super) fn logged_in(&mut self, told: &LoggedIn, now: i64) {
        if let Some(acr) = &told.acr {
            self.login.acr = Some(acr.as_str().into());
        }
        if !told.amr.is_empty() {
            self.login.amr = Some(told.amr.iter().map(|method| method.as_str().into()).collect());
        }
        if let Some(age) = told.login_age {
            self.login.authenticated_at = Some(now.saturating_sub(age));
        }
    }

    /// In the small ids of a set of policies.
    pub(super) fn person(&self, set: &PolicySet) -> Person {
        let (groups, doubts) = (self.groups.iter(), self.doubts.iter());
        let mut interned =
            set.intern_groups_with_doubts(groups.map(String::as_str), doubts.map(String::as_str));
        if let Some(ids) = &self.group_ids {
            interned = set.intern_group_ids(interned, ids.iter().map(String::as_str));
            interned = set.doubt_group_ids(interned, self.doubtful_ids.iter().map(String::as_str));
        }
        let grants = self.grants.iter().map(|(application, policy, until)| Grant {
            application,
            policy,
            until: *until,
        });
        Person {
            email: self.email.as_deref().and_then(|email| email.parse::<EmailAddress>().ok()),
            subject: self.subject.as_deref().map(Box::from),
            groups: interned,
            attributes: if set.asks_for_attributes() {
                set.intern_attributes(&self.attributes())
            } else {
                set.unknown_attributes()
            },
            login_method: self.provider.as_deref().and_then(|provider| set.login_method(provider)),
            login: self.login.clone(),
            purposes: set.intern_purposes(self.purposes.iter().map(|name| (name.as_str(), i64::MAX))),
            grants: set.intern_grants(grants),
        }
    }

    /// The documents that predicates ask about.
    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes { user: self.user.as_ref(), claims: &self.claims, case_exact: user_case_exact }
    }

    /// What they are called.
    pub(super) fn name(&self) -> &str {
        self.email.as_deref().or(self.subject.as_deref()).unwrap_or("somebody without a name")
    }
}

impl Asker {
    pub(super) fn principal(&self, set: &PolicySet) -> Principal {
        match self {
            Self::Person(persona) => Principal::Person(persona.person(set)),
            Self::Service(token) => Principal::Service(Service { token: token.as_str().into() }),
            Self::Nobody => Principal::Nobody,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Person(persona) => persona.name().to_owned(),
            Self::Service(token) => format!("service `{token}`"),
            Self::Nobody => "nobody".to_owned(),
        }
    }

    pub(super) fn persona_mut(&mut self) -> Option<&mut Persona> {
        match self {
            Self::Person(persona) => Some(persona),
            Self::Service(_) | Self::Nobody => None,
        }
    }

    pub(super) fn persona(&self) -> Option<&Persona> {
        match self {
            Self::Person(persona) => Some(persona),
            Self::Service(_) | Self::Nobody => None,
        }
    }
}

fn only_provider(config: &Config) -> Option<String> {
    match &config.identity_providers[..] {
        [only] => Some(only.name.clone()),
        _ => None,
    }
}
