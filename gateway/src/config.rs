//! The configuration: read from one TOML file into whole, checked settings, or refused with every fault at once. Reading keys
//! is left to `document`, what each section means to the files named after them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod acme;
mod application;
mod assertion;
mod branding;
mod case;
mod cors;
mod country;
mod decisions;
mod directory;
mod document;
mod entrance;
mod evaluation;
mod headers;
mod networks;
mod observe;
mod policy;
mod provider;
mod server;
mod session;
mod sidecar;
mod tls;
mod upstream;
mod upstream_health;
mod upstream_tls;

pub use acme::{Acme, ExternalAccount};
pub use application::Application;
pub use assertion::{Asserted, Assertion};
pub use branding::{Branding, Colour, DenyPage, Logo};
pub use case::{Asked, Case, CaseError, CaseFile, Expected, Invented, Shown, Who};
pub(crate) use case::{answer, moment};
pub use cors::{Cors, CorsRules};
pub use decisions::{Decisions, Unrecorded};
pub use directory::Directory;
pub use document::Fault;
pub use entrance::Entrance;
pub use evaluation::{Evaluation, EvaluationKeys, PinnedKey};
pub use headers::{Encoding, RequestHeaders, ResponseHeaders, Separator, Source, Told};
pub use networks::Networks;
pub use observe::{Log, LogFormat, LogLevel, LogOutput, Telemetry};
pub use policy::{Mention, Named, PolicyFiles};
pub use provider::{
    ClientAuthentication, ClientKey, GroupsApi, GroupsCredentials, GroupsSource, IdentityProvider,
    PushedRequests, ServiceApp, SigningAlgorithm,
};
pub use server::{Limits, Server};
pub use session::Session;
pub use sidecar::Sidecar;
pub use tls::{Certificates, ClientCertificates, Tls};
pub use upstream::{Address, Endpoint, Protocol, Upstream, UpstreamHost};
pub use upstream_health::{Health, Outlier};

use portcullis_policy::PolicySet;

use crate::country::Countries;
use crate::host::{Host, HostPattern};
use crate::route::RESERVED_PREFIX;

/// Everything that the gateway was told, checked as a whole.
#[derive(Debug)]
pub struct Config {
    /// The file that it was read from.
    pub file: PathBuf,
    /// Further files that it names: certificates, keys, secrets.
    pub files: Vec<PathBuf>,
    /// `[server]`
    pub server: Server,
    /// `[tls]`
    pub tls: Tls,
    /// `[store] url`: the SQLite file.
    pub store_file: PathBuf,
    /// `[store] key_file`: the key that seals secrets at rest and the cookies of a login; made on first start.
    pub store_key_file: PathBuf,
    /// `[store] freeze`: how long open streams stand still without a lease before they are dropped.
    pub store_freeze: Duration,
    /// `[session]`
    pub session: Session,
    /// `[assertion]`
    pub assertion: Assertion,
    /// `[limits]`
    pub limits: Limits,
    /// `[sidecar]`
    pub sidecar: Option<Sidecar>,
    /// `[branding]`
    pub branding: Branding,
    /// `[log]`
    pub log: Log,
    /// `[telemetry]`
    pub telemetry: Option<Telemetry>,
    /// `[[identity_provider]]`, in the order of the file.
    pub identity_providers: Vec<Arc<IdentityProvider>>,
    /// `[[directory]]`
    pub directories: Vec<Directory>,
    /// `[[application]]`
    pub applications: Vec<Arc<Application>>,
    /// `[[external_evaluation]]`
    pub evaluations: Vec<Evaluation>,
    /// `[[policy]]` and `[[rule_group]]`, compiled for the applications.
    pub policies: Arc<PolicySet>,
    /// What policies name that only a directory or the store can know.
    pub mentions: Arc<[Mention]>,
    /// What people are asked by a policy with `purpose`, where it says so in words of its own; by policy.
    pub purpose_prompts: HashMap<String, String>,
    /// `policy_files`
    pub policy_files: PolicyFiles,
    /// `[country]`: in which country an address is.
    pub countries: Option<Arc<Countries>>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file `{}`", file.display())]
    Read {
        /// The file that was asked for.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was read and is wrong.
    #[error("{}", Report { file, faults })]
    Faults {
        /// The file.
        file: PathBuf,
        /// All that is wrong with it, by line.
        faults: Vec<Fault>,
    },
}

struct Report<'a> {
    file: &'a Path,
    faults: &'a [Fault],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        write!(f, "{}: {count} {noun}", self.file.display())?;
        for fault in self.faults {
            write!(f, "\n  {}: {fault}", fault.file.as_deref().unwrap_or(self.file).display())?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads and checks a file. Relative paths in it are taken from the folder it lies in.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let source = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let parsed = Self::parse(&source, &folder);
        let config = parsed.map_err(|faults| ConfigError::Faults { file: file.to_owned(), faults })?;
        Ok(Self { file: file.to_owned(), ..config })
    }

    /// The keys of another configuration that cannot be put in force while the process runs.
    pub(crate) fn needs_restart(&self, next: &Self) -> Vec<&'static str> {
        let (one, other) = (&self.server, &next.server);
        let differ = [
            ("server.listen", one.listen != other.listen),
            ("server.inner_listen", one.inner_listen != other.inner_listen),
            ("server.auth_host", one.auth_host != other.auth_host),
            ("server.public_port", one.public_port != other.public_port),
            ("server.workers", one.workers != other.workers),
            ("store.url", self.store_file != next.store_file),
            ("store.key_file", self.store_key_file != next.store_key_file),
            ("store.freeze", self.store_freeze != next.store_freeze),
            ("log", self.log != next.log),
            ("telemetry", self.telemetry != next.telemetry),
        ];
        differ.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }

    pub(crate) fn parse(source: &str, folder: &Path) -> Result<Self, Vec<Fault>> {
        let faults = document::Faults::new(source);
        let table = document::parse(&faults);
        let read = read(document::Section::root(&table, &faults), &faults, folder);
        let files = faults.files();
        let list = faults.into_sorted();
        match read {
            Some(config) if list.is_empty() => Ok(Self { files, ..config }),
            _ => Err(list),
        }
    }

    /// The provider of that name.
    pub fn identity_provider(&self, name: &str) -> Option<&Arc<IdentityProvider>> {
        self.identity_providers.iter().find(|provider| provider.name == name)
    }

    /// Whether somebody of this provider must be provisioned before they may log in.
    pub fn requires_provisioning(&self, identity_provider: &str) -> bool {
        let mut of_provider = self.directories.iter().filter(|it| it.identity_provider == identity_provider);
        of_provider.any(|directory| directory.require_provisioned)
    }

    /// `host[:port]`, as a browser names it.
    pub fn authority(&self, host: &Host) -> String {
        match self.server.public_port {
            443 => host.to_string(),
            port => format!("{host}:{port}"),
        }
    }

    /// `https://<host>[:port]`, as a browser sees it.
    pub fn origin(&self, host: &Host) -> String {
        format!("https://{}", self.authority(host))
    }

    /// Where providers send people back to; registered there letter by letter.
    pub fn redirect_uri(&self) -> String {
        format!("{}{RESERVED_PREFIX}callback", self.origin(&self.server.auth_host))
    }

    /// Every host that is served.
    pub fn hosts(&self) -> impl Iterator<Item = HostPattern> {
        let hosts = self.applications.iter().flat_map(|application| &application.hosts).cloned();
        hosts.chain([HostPattern::Exact(self.server.auth_host.clone())])
    }

    /// `https://<auth host>/scim/v2/<directory>`: what is pasted into the provisioning client.
    pub fn scim_base_url(&self, directory: &str) -> String {
        format!("{}/scim/v2/{directory}", self.origin(&self.server.auth_host))
    }
}

/// Reads every section even when an earlier one is wrong, so that all faults are found in one go.
fn read(mut root: document::Section<'_, '_>, faults: &document::Faults<'_>, folder: &Path) -> Option<Config> {
    let server = server::read_server(&mut root, folder);
    let store = server::read_store(&mut root, folder);
    let session = session::read(&mut root);
    let assertion = assertion::read_assertion(&mut root);
    let limits = server::read_limits(&mut root);
    let sidecar = sidecar::read(&mut root);
    let log = observe::read_log(&mut root, folder);
    let telemetry = observe::read_telemetry(&mut root);
    let branding = branding::read_branding(&mut root, folder);
    let providers = provider::read_all(&mut root, folder);
    let directories = directory::read_directories(&mut root, &providers);
    for provider in providers.iter().filter(|provider| provider.groups_source == GroupsSource::Scim) {
        if !directories.iter().any(|directory| directory.identity_provider == provider.name) {
            let name = &provider.name;
            root.fault(format!(
                "`{name}` takes groups from SCIM alone, but no `[[directory]]` belongs to it"
            ));
        }
    }
    let place = application::Place {
        server: server.as_ref(),
        limits: &limits.clone().unwrap_or_default(),
        assertion: &assertion.clone().unwrap_or_default(),
        folder,
    };
    let applications = application::read_applications(&mut root, &place);
    if let Some(server) = &server {
        entrance::check_targets(&mut root, server, &applications);
    }
    let countries = country::read(&mut root, folder);
    let evaluations = evaluation::read_all(&mut root, folder);
    let beside = policy::Beside {
        applications: &applications,
        providers: &providers,
        evaluations: &evaluations,
        countries: !matches!(countries, Some(None)),
        folder,
    };
    let policies = policy::read_all(&mut root, faults, beside);
    let hosts = applications.iter().flat_map(|read| &read.application.hosts);
    let auth_host = server.as_ref().map(|server| HostPattern::Exact(server.auth_host.clone()));
    let hosts: Vec<HostPattern> = hosts.cloned().chain(auth_host).collect();
    let tls = tls::read_tls(&mut root, folder, &hosts);
    root.finish();
    let (store_file, store_key_file, store_freeze) = store?;
    let policy::ReadPolicies { set, mentions, purpose_prompts, files: policy_files } = policies?;
    Some(Config {
        file: PathBuf::new(),
        files: Vec::new(),
        server: server?,
        tls: tls?,
        store_file,
        store_key_file,
        store_freeze,
        session: session?,
        assertion: assertion?,
        limits: limits?,
        sidecar,
        branding,
        log: log?,
        telemetry: telemetry?,
        identity_providers: providers.into_iter().map(Arc::new).collect(),
        directories,
        applications: applications.into_iter().map(|read| Arc::new(read.application)).collect(),
        evaluations,
        policies: set,
        mentions,
        purpose_prompts,
        policy_files,
        countries: countries?,
    })
}

#[cfg(test)]
mod tests;
