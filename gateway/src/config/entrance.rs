//! What a provider is as an entrance, in its `[[identity_provider]]` section: how people know it, whose addresses may come in,
//! where a click on its tile leads. How we talk to it is left to `provider`.

use portcullis_policy::{EmailAddress, EmailDomain};

use super::application::{Application, ReadApplication};
use super::document::{Section, Value};
use super::provider::IdentityProvider;
use super::server::Server;
use crate::page_address::PageAddress;

/// The longest name that people see, in characters.
const MAX_DISPLAY_NAME_CHARS: usize = 64;
/// Most domains of one provider.
const MAX_DOMAINS: usize = 1_000;

/// How people come in by a provider.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// What people see where they choose; the provider's name without one.
    pub display_name: Option<String>,
    /// Domains whose verified e-mail addresses may sign in; empty when the provider's word is enough.
    pub domains: Vec<EmailDomain>,
    /// The page that a click on the provider's tile opens: an address of an application.
    pub initiate_to: Option<String>,
}

impl Entrance {
    /// Whether an address in normal form may sign in here. A domain is itself: neither its subdomains nor a longer name.
    pub(crate) fn admits(&self, address: &EmailAddress) -> bool {
        self.domains.iter().any(|domain| domain.as_str() == address.domain())
    }
}

pub(super) fn read_entrance(section: &mut Section<'_, '_>) -> Entrance {
    let display_name = section.optional("display_name").and_then(|value| {
        let name = value.string()?.trim();
        let shown = !name.is_empty() && !name.chars().any(char::is_control);
        if !shown || name.chars().count() > MAX_DISPLAY_NAME_CHARS {
            value.fault(format!("must be 1 to {MAX_DISPLAY_NAME_CHARS} characters on one line"));
        }
        Some(name.to_owned())
    });
    let domains = section.optional("domains").map_or(Vec::new(), |value| {
        let domains: Vec<EmailDomain> = value.list().iter().filter_map(Value::parsed).collect();
        if domains.is_empty() {
            value.fault("needs at least one domain, such as \"corp.example\"; leave it out for any address");
        }
        if domains.len() > MAX_DOMAINS {
            value.fault(format!("at most {MAX_DOMAINS} domains"));
        }
        domains
    });
    // Where it leads is looked at when the applications are known: `check_targets`.
    let initiate_to = section.optional("initiate_to").and_then(|value| value.string().map(str::to_owned));
    Entrance { display_name, domains, initiate_to }
}

/// A tile must lead to a page of an application.
pub(super) fn check_targets(root: &mut Section<'_, '_>, server: &Server, applications: &[ReadApplication]) {
    for mut section in root.sections("identity_provider") {
        let Some(value) = section.optional("initiate_to") else { continue };
        let Some(text) = value.string() else { continue };
        let address = match text.parse::<PageAddress>() {
            Ok(address) => address,
            Err(error) => {
                value.fault(format!("`{text}` {error}"));
                continue;
            }
        };
        let Some(host) = address.host(server.public_port) else {
            value.fault(format!("`{text}` names another port than browsers use, {}", server.public_port));
            continue;
        };
        let is_there = |application: &Application| {
            let on_host = application.hosts.iter().any(|pattern| pattern.covers(host));
            on_host && application.covers(&address.canonical.path)
        };
        if !applications.iter().any(|read| is_there(&read.application)) {
            value.fault(format!("`{text}` is no page of an `[[application]]`"));
        }
    }
}

/// An address must lead to one provider: whoever controls another could sign in under it.
pub(super) fn check_domains(
    section: &Section<'_, '_>,
    provider: &IdentityProvider,
    earlier: &[IdentityProvider],
) {
    for (position, domain) in provider.entrance.domains.iter().enumerate() {
        if provider.entrance.domains.iter().take(position).any(|other| other == domain) {
            section.fault(format!("`domains` holds `{domain}` twice"));
        }
        if let Some(other) = earlier.iter().find(|other| other.entrance.domains.contains(domain)) {
            let (this, other) = (&provider.name, &other.name);
            section.fault(format!(
                "the domain `{domain}` is claimed by two identity providers, `{other}` and `{this}`: give it to one of them"
            ));
        }
    }
}
