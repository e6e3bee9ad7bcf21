//! The addresses of the demo, read from `config.toml`. The gateway reads the same file; nothing is configured twice.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::harness::ports;

/// What the demo starts, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The configuration for the gateway, as text.
    pub config: String,
    /// The public listener.
    pub listen: SocketAddr,
    /// Health.
    pub inner_listen: SocketAddr,
    /// The login host.
    pub auth_host: String,
    /// The first application's host.
    pub application_host: String,
    /// Where the simulated Okta listens.
    pub okta: SocketAddr,
    /// Where the upstream listens.
    pub upstream: SocketAddr,
    /// The directory that SCIM fills.
    pub directory: String,
}

/// A configuration that the demo cannot be played on.
#[derive(Debug, Error)]
pub enum PlanError {
    /// It cannot be read.
    #[error("cannot read `{}`", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is not of the expected shape.
    #[error("`config.toml` is not what the demo expects")]
    Shape(#[from] toml::de::Error),
    /// A part is missing or not on loopback.
    #[error("`config.toml` names no usable {0}")]
    Missing(&'static str),
}

#[derive(Deserialize)]
struct File {
    server: Server,
    identity_provider: Vec<Provider>,
    directory: Vec<Directory>,
    application: Vec<Application>,
}

#[derive(Deserialize)]
struct Server {
    listen: Vec<SocketAddr>,
    auth_host: String,
    inner_listen: SocketAddr,
}

#[derive(Deserialize)]
struct Provider {
    issuer: String,
}

#[derive(Deserialize)]
struct Directory {
    name: String,
}

#[derive(Deserialize)]
struct Application {
    hosts: Vec<String>,
    upstreams: Vec<String>,
}

impl Plan {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not there, or lacks what the demo needs.
    pub fn read(file: &Path) -> Result<Self, PlanError> {
        let config = std::fs::read_to_string(file).map_err(|e| PlanError::Read(file.to_owned(), e))?;
        Self::parse(config)
    }

    fn parse(config: String) -> Result<Self, PlanError> {
        let file: File = toml::from_str(&config)?;
        let application = file.application.first().ok_or(PlanError::Missing("application"))?;
        let provider = file.identity_provider.first().ok_or(PlanError::Missing("identity provider"))?;
        let upstream = application.upstreams.first().ok_or(PlanError::Missing("upstream"))?;
        Ok(Self {
            listen: *file.server.listen.first().ok_or(PlanError::Missing("listener"))?,
            inner_listen: file.server.inner_listen,
            auth_host: file.server.auth_host,
            application_host: application
                .hosts
                .first()
                .ok_or(PlanError::Missing("application host"))?
                .clone(),
            okta: address(&provider.issuer).ok_or(PlanError::Missing("issuer on loopback"))?,
            upstream: address(upstream).ok_or(PlanError::Missing("upstream on loopback"))?,
            directory: file.directory.first().ok_or(PlanError::Missing("directory"))?.name.clone(),
            config,
        })
    }

    /// The same on free ports, so that it runs beside anything. Comments and order of the file stay.
    #[must_use]
    pub fn moved(mut self) -> Self {
        let mut config = std::mem::take(&mut self.config);
        for address in [&mut self.listen, &mut self.inner_listen, &mut self.okta, &mut self.upstream] {
            let old = address.to_string();
            address.set_port(ports::free());
            config = config.replace(&old, &address.to_string());
        }
        self.config = config;
        self
    }

    /// The login host's address, without a slash at the end.
    #[must_use]
    pub fn auth_url(&self) -> String {
        format!("https://{}:{}", self.auth_host, self.listen.port())
    }

    /// The first application's address, without a slash at the end.
    #[must_use]
    pub fn application_url(&self) -> String {
        format!("https://{}:{}", self.application_host, self.listen.port())
    }

    /// The SCIM base address.
    #[must_use]
    pub fn scim_url(&self) -> String {
        format!("{}/scim/v2/{}", self.auth_url(), self.directory)
    }

    /// Every port with what it is for.
    pub(super) fn ports(&self) -> [(u16, &'static str); 4] {
        [
            (self.listen.port(), "the gateway (`server.listen`)"),
            (self.inner_listen.port(), "the gateway's health (`server.inner_listen`)"),
            (self.okta.port(), "the simulated Okta (`identity_provider.issuer`)"),
            (self.upstream.port(), "the upstream (`application.upstreams`)"),
        ]
    }
}

fn address(url: &str) -> Option<SocketAddr> {
    let url = Url::parse(url).ok()?;
    let address: SocketAddr = format!("{}:{}", url.host_str()?, url.port_or_known_default()?).parse().ok()?;
    address.ip().is_loopback().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::Plan;

    const FILE: &str = r#"
        # kept
        [server]
        listen = ["127.0.0.1:8443"]
        auth_host = "auth.localhost"
        inner_listen = "127.0.0.1:9443"
        [[identity_provider]]
        issuer = "http://127.0.0.1:8090"
        [[directory]]
        name = "corp"
        [[application]]
        hosts = ["wiki.localhost"]
        upstreams = ["http://127.0.0.1:8081"]
    "#;

    #[test]
    fn a_moved_plan_is_the_same_on_other_ports() {
        let plan = Plan::parse(FILE.to_owned()).unwrap();
        assert_eq!(plan.scim_url(), "https://auth.localhost:8443/scim/v2/corp");
        let moved = plan.clone().moved();
        assert!(moved.config.contains("# kept"));
        let again = Plan::parse(moved.config.clone()).unwrap();
        assert_eq!(again.ports(), moved.ports());
        for ((old, _), (new, _)) in plan.ports().into_iter().zip(moved.ports()) {
            assert_ne!(old, new);
        }
    }
}
