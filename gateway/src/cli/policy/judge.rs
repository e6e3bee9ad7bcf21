//! A configuration that is asked for decisions without being in force.

use std::error::Error;
use std::net::IpAddr;
use std::path::Path;

use portcullis_policy::{ApplicationId, CountryCode, Decision, Explanation, PolicySet, Question};

use super::asked::Request;
use super::persona::Asker;
use crate::config::Config;
use crate::route::Routes;

/// A configuration and where its hosts lead.
pub(super) struct Judge {
    pub(super) config: Config,
    pub(super) routes: Routes,
}

impl Judge {
    pub(super) fn load(file: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Self::of(Config::load(file)?))
    }

    pub(super) fn of(config: Config) -> Self {
        let routes = Routes::new(config.server.auth_host.clone(), &config.applications, &config.policies);
        Self { config, routes }
    }

    pub(super) fn set(&self) -> &PolicySet {
        &self.config.policies
    }

    pub(super) fn application(&self, name: &str) -> Option<ApplicationId> {
        self.set().application(name)
    }

    /// In which country an address is, if the configuration says how to know.
    pub(super) fn country(&self, address: IpAddr) -> Option<CountryCode> {
        self.config.countries.as_ref()?.of(address)
    }

    /// What becomes of a request, and why.
    pub(super) fn explain(&self, asker: &Asker, request: &Request) -> Option<Explanation> {
        let principal = asker.principal(self.set());
        let (circumstances, answers) = (request.circumstances(), request.at.answers(self));
        let question = Question { principal: &principal, circumstances: &circumstances, answers: &answers };
        self.set().explain(self.application(&request.application)?, &question)
    }

    /// The name of the policy that decided.
    pub(super) fn policy_of(&self, decision: &Decision) -> Option<&str> {
        self.set().policy_name(decision.policy?)
    }
}
