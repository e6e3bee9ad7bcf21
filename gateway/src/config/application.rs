//! `[[application]]`: what is protected.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cookie::SameSite;

use super::assertion::{Asserted, Assertion, read_asserted};
use super::branding::{DenyPage, read_deny_page};
use super::cors::{Cors, read_cors};
use super::document::{Section, Value};
use super::headers::{RequestHeaders, ResponseHeaders, read_request_headers, read_response_headers};
use super::provider::read_name;
use super::server::{Limits, Server};
use super::upstream::{self, Needed, Upstream};
use crate::host::HostPattern;
use crate::route::{NormalPath, PathError, PathPattern};

/// One protected application.
#[derive(Debug)]
pub struct Application {
    /// Its name in logs, pages and the assertion's audience.
    pub name: Arc<str>,
    /// The hosts it answers on.
    pub hosts: Vec<HostPattern>,
    /// The paths on each of them.
    pub paths: Vec<PathPattern>,
    /// What its server is known to read in one way, though servers differ.
    pub tolerated_in_paths: Vec<PathError>,
    /// Where requests are forwarded to.
    pub upstream: Upstream,
    /// Names of the policies that decide, in order.
    pub policies: Vec<String>,
    /// Names of the providers whose logins it accepts; empty when it accepts all.
    pub identity_providers: Vec<String>,
    /// How long its own session lasts, when shorter than the login.
    pub session_duration: Option<Duration>,
    /// Whether its session needs a second cookie beside the first.
    pub binding_cookie: bool,
    /// Whether other proxies carry it, and ask us about each request.
    pub forward_auth: bool,
    /// Whether its cookie comes along when another site leads here.
    pub same_site: SameSite,
    /// Whether people may let programs at a terminal act as themselves.
    pub terminals: bool,
    /// What becomes of requests that pages of other origins make.
    pub cors: Cors,
    /// What people are told whom its policies deny.
    pub deny_page: DenyPage,
    /// What its upstreams are told about people, signed.
    pub asserted: Asserted,
    /// `[application.headers]`
    pub headers: RequestHeaders,
    /// `[application.response_headers]`
    pub response_headers: ResponseHeaders,
}

impl Application {
    /// Whether a path of its hosts is its own, unless a more specific application has it.
    pub(crate) fn covers(&self, path: &NormalPath) -> bool {
        self.paths.iter().any(|pattern| pattern.leads_to(path))
    }

    /// Whether a login at a provider counts here.
    pub(crate) fn accepts(&self, identity_provider: &str) -> bool {
        let listed = &self.identity_providers;
        listed.is_empty() || listed.iter().any(|name| name == identity_provider)
    }
}

#[cfg(test)]
impl Application {
    /// One that is there to be found.
    pub(crate) fn at(
        name: &str,
        host: HostPattern,
        paths: Vec<PathPattern>,
        tolerated_in_paths: Vec<PathError>,
    ) -> Self {
        let upstream = Upstream::nowhere();
        let (name, hosts): (Arc<str>, _) = (name.into(), vec![host]);
        let asserted = Asserted { audience: name.to_string(), claims: Vec::new(), life_s: 120 };
        Self {
            name,
            hosts,
            paths,
            tolerated_in_paths,
            upstream,
            policies: Vec::new(),
            identity_providers: Vec::new(),
            session_duration: None,
            binding_cookie: false,
            forward_auth: false,
            same_site: SameSite::Lax,
            terminals: true,
            cors: Cors::Off,
            deny_page: DenyPage::default(),
            asserted,
            headers: RequestHeaders::default(),
            response_headers: ResponseHeaders::default(),
        }
    }
}

/// An application and where its list of policies stands, for faults found when policies are compiled.
pub(super) struct ReadApplication {
    pub(super) application: Application,
    pub(super) span: Range<usize>,
}

/// What an application is read against.
pub(super) struct Place<'p> {
    pub(super) server: Option<&'p Server>,
    pub(super) limits: &'p Limits,
    pub(super) assertion: &'p Assertion,
    /// Where relative paths begin.
    pub(super) folder: &'p Path,
}

pub(super) fn read_applications(root: &mut Section<'_, '_>, place: &Place<'_>) -> Vec<ReadApplication> {
    let mut applications: Vec<ReadApplication> = Vec::new();
    for mut section in root.sections("application") {
        if let Some(application) = read_application(&mut section, place, &applications) {
            applications.push(ReadApplication { application, span: section.span() });
        }
        section.finish();
    }
    applications
}

fn read_application(
    section: &mut Section<'_, '_>,
    place: &Place<'_>,
    earlier: &[ReadApplication],
) -> Option<Application> {
    let name = read_name(section, "it stands in logs and pages");
    let hosts = section.required("hosts", "a list such as [\"wiki.corp.example\"]").map(|value| {
        let hosts: Vec<HostPattern> =
            value.list().iter().filter_map(|host| read_host(host, place.server)).collect();
        if hosts.is_empty() {
            value.fault("needs at least one host");
        }
        hosts
    });
    let paths = read_paths(section);
    let tolerated_in_paths = section
        .optional("tolerated_in_paths")
        .map_or(Vec::new(), |value| value.list().iter().filter_map(read_tolerated).collect());
    let forward_auth = section.optional("forward_auth").and_then(|value| value.boolean()).unwrap_or(false);
    let needed = if forward_auth { Needed::Never } else { Needed::Always };
    let upstream = upstream::read(section, place.limits, place.folder, earlier.len(), needed);
    let policies =
        section.required("policies", "names of `[[policy]]`; an application without one denies everybody");
    let policies = policies.map(|value| {
        value.list().iter().filter_map(|name| name.string().map(str::to_owned)).collect::<Vec<String>>()
    });
    let identity_providers =
        section.optional("identity_providers").map_or(Vec::new(), |value| read_accepted(&value));
    let session_duration = section.optional("session_duration").and_then(|value| value.duration());
    let binding_cookie = section.optional("binding_cookie").and_then(|value| value.boolean());
    let same_site = section.optional("same_site").map_or(SameSite::Lax, |value| read_same_site(&value));
    let terminals = section.optional("terminals").and_then(|value| value.boolean()).unwrap_or(true);
    let cors = read_cors(section);
    let deny_page = read_deny_page(section, hosts.as_deref().unwrap_or_default());
    let asserted = read_asserted(section, name.as_deref(), place.assertion);
    let headers = read_request_headers(section, place.folder);
    let response_headers = read_response_headers(section);
    let (name, hosts): (Arc<str>, _) = (name?.into(), hosts?);
    for other in earlier.iter().map(|read| &read.application) {
        if other.name == name {
            section.fault(format!("a second application named `{name}`"));
        }
        let host = hosts.iter().find(|host| other.hosts.contains(host));
        if host.is_some() && other.same_site != same_site {
            let owner = &other.name;
            section.fault(format!(
                "has another `same_site` than `{owner}`: one cookie serves all applications of a host"
            ));
        }
        let path = paths.iter().find(|path| other.paths.iter().any(|known| known.means(path)));
        if let (Some(host), Some(path)) = (host, path) {
            let owner = &other.name;
            section.fault(format!(
                "`{host}{path}` already belongs to the application `{owner}`: give one of them other `paths`"
            ));
        }
    }
    Some(Application {
        name,
        hosts,
        paths,
        tolerated_in_paths,
        upstream: upstream?,
        policies: policies?,
        identity_providers,
        session_duration,
        binding_cookie: binding_cookie.unwrap_or(false),
        forward_auth,
        same_site,
        terminals,
        cors,
        deny_page,
        asserted,
        headers,
        response_headers,
    })
}

/// Whether providers have these names is found when the policies are compiled, which judge by them.
fn read_accepted(value: &Value<'_, '_>) -> Vec<String> {
    let names = value.texts();
    if names.is_empty() {
        value.fault("needs at least one identity provider; leave it out to accept all");
    }
    names
}

fn read_same_site(value: &Value<'_, '_>) -> SameSite {
    match value.string() {
        Some("strict") => SameSite::Strict,
        Some("none") => SameSite::None,
        Some("lax") | None => SameSite::Lax,
        Some(_) => {
            value.fault("must be \"lax\", \"strict\" or \"none\"");
            SameSite::Lax
        }
    }
}

/// All paths, when none are named.
fn read_paths(section: &mut Section<'_, '_>) -> Vec<PathPattern> {
    let Some(value) = section.optional("paths") else { return vec![PathPattern::everything()] };
    let paths: Vec<PathPattern> = value.list().iter().filter_map(Value::parsed).collect();
    if paths.is_empty() {
        value.fault("needs at least one path, such as \"/admin\"; leave it out for all paths");
    }
    paths
}

fn read_tolerated(value: &Value<'_, '_>) -> Option<PathError> {
    match value.string()? {
        "encoded_slash" => Some(PathError::EncodedSlash),
        "semicolon" => Some(PathError::MatrixParameter),
        "empty_segment" => Some(PathError::EmptySegment),
        other => {
            value.fault(format!(
                "`{other}` is unknown: \"encoded_slash\", \"semicolon\" or \"empty_segment\""
            ));
            None
        }
    }
}

fn read_host(value: &Value<'_, '_>, server: Option<&Server>) -> Option<HostPattern> {
    let host: HostPattern = value.parsed()?;
    if server.is_some_and(|server| host == HostPattern::Exact(server.auth_host.clone())) {
        value.fault("is `server.auth_host`: an application needs a host of its own");
    }
    Some(host)
}
