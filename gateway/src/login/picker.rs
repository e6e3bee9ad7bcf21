//! Which provider a login goes to: the only one that the application accepts, the one that was picked, the one whose dashboard
//! the person comes from, or a page to pick one.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::provider::Provider;
use crate::body::Body;
use crate::config::Application;
use crate::gateway::Gateway;
use crate::host::Host;
use crate::respond::{self, Page, Rejection};
use crate::route::RESERVED_PREFIX;

/// What is known of the way to log in.
pub(super) enum Choice<'g> {
    Made(&'g Arc<Provider>),
    /// The person chooses among these.
    Open(Vec<&'g Arc<Provider>>),
}

/// A provider can be picked only where the application accepts its logins, whatever the browser asks for.
pub(super) fn choose<'g>(
    gateway: &'g Gateway,
    application: &Application,
    picked: Option<&str>,
    wanted_issuer: Option<&str>,
) -> Result<Choice<'g>, Rejection> {
    let offered = offered(gateway, application);
    if let Some(name) = picked {
        let known = offered.into_iter().find(|provider| provider.settings().name == name);
        return known.map(Choice::Made).ok_or(Rejection::NotFound);
    }
    let is_wanted = |provider: &&&Arc<Provider>| Some(provider.settings().issuer.as_str()) == wanted_issuer;
    let wanted: Vec<_> = offered.iter().filter(is_wanted).copied().collect();
    match (offered.as_slice(), wanted.as_slice()) {
        ([only], _) | (_, [only]) => Ok(Choice::Made(only)),
        _ => Ok(Choice::Open(offered)),
    }
}

/// In the order of the configuration.
fn offered<'g>(gateway: &'g Gateway, application: &Application) -> Vec<&'g Arc<Provider>> {
    gateway.providers.iter().filter(|provider| application.accepts(&provider.settings().name)).collect()
}

/// A link for each provider, by the names that people know.
pub(super) fn page(
    gateway: &Gateway,
    offered: &[&Arc<Provider>],
    host: &Host,
    sealed: &str,
) -> Response<Body> {
    let mut page = Page::new(StatusCode::OK, "Choose how to sign in");
    for provider in offered {
        let settings = provider.settings();
        let address = format!("{RESERVED_PREFIX}login/{host}?provider={}&request={sealed}", settings.name);
        page = page.link(&address, &format!("Continue with {}", settings.label()));
    }
    respond::page(&gateway.look, page, None)
}
