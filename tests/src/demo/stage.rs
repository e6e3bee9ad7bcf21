//! Starts the parts of the demo by its plan and provisions the company by SCIM, as Okta would.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::harness::{Folder, Gateway, Launch, Scene, Settings, StartFailure, binary, ports};
use crate::okta::company::{DEMO_API_TOKEN, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET};
use crate::okta::{
    Client, Company, Dialect, OktaConfig, OktaSim, OrgError, Push, ScimError, ScimTarget, StartError,
};
use crate::upstream::{Keep, Upstream, UpstreamConfig};

use super::{Plan, PlanError};

/// The store's files; a demo begins with an empty one, and keeps its certificate authority.
const STORE_FILES: [&str; 3] = ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"];

/// Everything that runs. Dropping it stops everything.
pub struct Stage {
    /// Where things are.
    pub plan: Plan,
    /// The provider.
    pub okta: OktaSim,
    /// The application.
    pub upstream: Upstream,
    /// What stands between.
    pub gateway: Gateway,
    /// The key that Okta pushes with.
    pub scim_key: String,
    /// The company as it began.
    pub company: Company,
}

/// Why the demo does not start.
#[derive(Debug, Error)]
pub enum StageError {
    /// The configuration does not fit.
    #[error("the plan")]
    Plan(#[from] PlanError),
    /// A port is taken.
    #[error(
        "port {port} is in use, and {purpose} needs it; stop what listens there, or change it in config.toml"
    )]
    PortInUse {
        /// Which.
        port: u16,
        /// What for.
        purpose: &'static str,
    },
    /// The gateway's program is missing.
    #[error("`{0}` is missing; `cargo xtask demo` builds it")]
    NoProgram(String),
    /// A file cannot be written.
    #[error("the demo's folder cannot be written")]
    Write(#[source] io::Error),
    /// The upstream does not start.
    #[error("the upstream does not start")]
    Upstream(#[source] io::Error),
    /// Okta does not start.
    #[error("the simulated Okta does not start")]
    Okta(#[from] StartError),
    /// The gateway does not start.
    #[error("the gateway does not start")]
    Gateway(#[from] StartFailure),
    /// The SCIM target is unusable.
    #[error("the SCIM target")]
    Scim(#[from] ScimError),
    /// The company is inconsistent.
    #[error("the company")]
    Company(#[from] OrgError),
    /// The gateway refused a push.
    #[error("the gateway refused the push {0}")]
    Push(String),
}

impl Stage {
    /// Starts everything in this folder; the upstream records as much as `keep` says.
    ///
    /// # Errors
    /// The first thing that is in the way.
    pub async fn set(plan: Plan, folder: &Path, keep: Keep) -> Result<Self, StageError> {
        if let Some((port, purpose)) = plan.ports().into_iter().find(|(port, _)| !ports::is_free(*port)) {
            return Err(StageError::PortInUse { port, purpose });
        }
        let program = binary::profile_folder().join("portcullis");
        if !program.is_file() {
            return Err(StageError::NoProgram(program.display().to_string()));
        }
        let folder = Folder::at(folder).map_err(StageError::Write)?;
        empty_store(folder.path()).map_err(StageError::Write)?;
        let upstream = UpstreamConfig { listen: plan.upstream, keep };
        let upstream = Upstream::start(upstream).await.map_err(StageError::Upstream)?;
        let company = company(&plan);
        let config = OktaConfig { port: plan.okta.port(), ..OktaConfig::new(company.clone()) };
        let okta = OktaSim::start(config).await?;
        let launch = Launch {
            program,
            folder,
            config: plan.config.clone(),
            environment: vec![
                (Settings::SECRET_VARIABLE.to_owned(), DEMO_CLIENT_SECRET.to_owned()),
                (Settings::TOKEN_VARIABLE.to_owned(), DEMO_API_TOKEN.to_owned()),
            ],
            inner_port: plan.inner_listen.port(),
        };
        let gateway = Gateway::start(launch).await?;
        let scim_key = gateway.scim_key(&plan.directory, "okta");
        let stage = Self { plan, okta, upstream, gateway, scim_key, company };
        stage.provision().await?;
        Ok(stage)
    }

    async fn provision(&self) -> Result<(), StageError> {
        self.okta.set_scim_target(ScimTarget {
            base_url: self.plan.scim_url(),
            token: self.scim_key.clone(),
            bearer: true,
            ca_pem: Some(self.gateway.ca_pem()),
            dialect: Dialect::Wizard,
        })?;
        let pushes = self.okta.provision_everyone().await?;
        match pushes.iter().find(|push| !push.accepted() && !is_lookup(push)) {
            Some(p) => Err(StageError::Push(format!("{} {}: {:?} {}", p.method, p.path, p.status, p.body))),
            None => Ok(()),
        }
    }

    /// The parts as the walk wants them.
    #[must_use]
    pub fn scene(&self) -> Scene<'_> {
        Scene {
            okta: &self.okta,
            recorder: self.upstream.recorder(),
            wiki: self.plan.application_url(),
            auth: self.plan.auth_url(),
            ca_pem: self.gateway.ca_pem(),
        }
    }
}

/// A lookup may find nothing; only a refused write is a fault.
fn is_lookup(push: &Push) -> bool {
    push.method == "GET"
}

fn company(plan: &Plan) -> Company {
    let redirect = format!("{}/cdn-cgi/access/callback", plan.auth_url());
    let client = Client::confidential(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, &redirect);
    Company { clients: vec![client], ..Company::demo() }
}

fn empty_store(folder: &Path) -> io::Result<()> {
    for name in STORE_FILES {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
