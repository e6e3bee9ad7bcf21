//! `[[directory]]`: where people are provisioned from, and by which rules. What the rules mean is left to the SCIM sink and the store.

use http::HeaderName;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use portcullis_scim_sink::{RequiredAttribute, UserRules};
use portcullis_store::{DirectoryRules, LinkBy, OnGroupChange, UniqueBy};

use super::document::{Section, Value};
use super::provider::{IdentityProvider, read_name};

/// Most attributes that a directory may require.
const MAX_REQUIRED: usize = 64;
/// Most roles that a directory may know.
const MAX_ROLES: usize = 256;
/// The longest of their names, in bytes.
const MAX_ROLE_BYTES: usize = 256;

/// One provisioning source.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Its name, and its part of the SCIM base URL.
    pub name: String,
    /// The provider whose logins belong to it.
    pub identity_provider: String,
    /// Whether somebody of that provider must be provisioned before they may log in.
    pub require_provisioned: bool,
    /// A field in which a provisioning client may show its key in place of `Authorization`.
    pub key_header: Option<HeaderName>,
    /// What is asked of its people.
    pub users: UserRules,
    /// How a login finds its person, and what a change of groups does to a session.
    pub rules: DirectoryRules,
}

pub(super) fn read_directories(root: &mut Section<'_, '_>, providers: &[IdentityProvider]) -> Vec<Directory> {
    let mut directories: Vec<Directory> = Vec::new();
    for mut section in root.sections("directory") {
        if let Some(directory) = read_directory(&mut section, providers) {
            if directories.iter().any(|other| other.name == directory.name) {
                section.fault(format!("a second directory named `{}`", directory.name));
            }
            directories.push(directory);
        }
        section.finish();
    }
    directories
}

fn read_directory(section: &mut Section<'_, '_>, providers: &[IdentityProvider]) -> Option<Directory> {
    let name = read_name(section, "it is part of the SCIM base URL");
    let provider = section.required("identity_provider", "the provider whose logins belong to it");
    let identity_provider = provider.and_then(|value| {
        let provider = value.string()?;
        if !providers.iter().any(|known| known.name == provider) {
            value.fault(format!("no `[[identity_provider]]` is named `{provider}`"));
        }
        Some(provider.to_owned())
    });
    let required = section.optional("require_provisioned").and_then(|value| value.boolean());
    let key_header = section.optional("key_header").and_then(|value| read_key_header(&value));
    let unique_by = section.optional("unique_identifier").and_then(|value| {
        let words = [
            ("user_name", UniqueBy::UserName),
            ("email", UniqueBy::Email),
            ("external_id", UniqueBy::ExternalId),
        ];
        chosen(&value, &words)
    });
    let on_group_change = section.optional("on_group_change").and_then(|value| {
        let words = [
            ("apply", OnGroupChange::Apply),
            ("reauthenticate", OnGroupChange::Reauthenticate),
            ("ignore", OnGroupChange::Ignore),
        ];
        chosen(&value, &words)
    });
    let unique_by = unique_by.unwrap_or_default();
    let rules = DirectoryRules {
        unique_by,
        link_by: section.optional("link_by").map(|value| read_link_by(&value)).unwrap_or_default(),
        on_group_change: on_group_change.unwrap_or_default(),
    };
    let users = UserRules { unique_by, required: read_required(section), roles: read_roles(section) };
    let require_provisioned = required.unwrap_or(false);
    Some(Directory {
        name: name?,
        identity_provider: identity_provider?,
        require_provisioned,
        key_header,
        users,
        rules,
    })
}

/// One of a few words.
fn chosen<T: Copy>(value: &Value<'_, '_>, words: &[(&str, T)]) -> Option<T> {
    let text = value.string()?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
    if found.is_none() {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        value.fault(format!("`{text}` is none of {}", known.join(", ")));
    }
    found
}

fn read_key_header(value: &Value<'_, '_>) -> Option<HeaderName> {
    let text = value.string()?;
    let Ok(name) = text.parse::<HeaderName>() else {
        value.fault(format!("`{text}` is no name of a header field"));
        return None;
    };
    let taken = [CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE];
    if taken.contains(&name) {
        value.fault(format!("`{text}` means something else in every request"));
    }
    Some(name)
}

fn read_link_by(value: &Value<'_, '_>) -> LinkBy {
    let mut link_by = LinkBy { external_id: false, email: false, user_name: false };
    let listed = value.list();
    for item in &listed {
        let words = [("external_id", 0), ("email", 1), ("user_name", 2)];
        let place = match chosen(item, &words) {
            Some(0) => &mut link_by.external_id,
            Some(1) => &mut link_by.email,
            Some(_) => &mut link_by.user_name,
            None => continue,
        };
        if std::mem::replace(place, true) {
            item.fault("is listed twice");
        }
    }
    if listed.is_empty() {
        value.fault("must list something: with nothing, no deactivation would end any session");
    }
    link_by
}

fn read_required(section: &mut Section<'_, '_>) -> Vec<RequiredAttribute> {
    let Some(value) = section.optional("required_attributes") else { return Vec::new() };
    let listed = value.list();
    if listed.len() > MAX_REQUIRED {
        value.fault(format!("at most {MAX_REQUIRED} attributes"));
    }
    listed.iter().filter_map(Value::parsed).collect()
}

fn read_roles(section: &mut Section<'_, '_>) -> Vec<String> {
    let Some(value) = section.optional("roles") else { return Vec::new() };
    let roles = value.texts();
    if roles.is_empty() {
        value.fault("needs at least one role; leave it out for any role");
    }
    if roles.len() > MAX_ROLES || roles.iter().any(|role| role.is_empty() || role.len() > MAX_ROLE_BYTES) {
        value.fault(format!("at most {MAX_ROLES} roles of 1 to {MAX_ROLE_BYTES} bytes"));
    }
    roles
}

#[cfg(test)]
mod tests;
