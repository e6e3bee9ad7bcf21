//! One request in its one reading, at one moment: where it leads, and what policies can ask of it. Who asks is left to `persona`.

use std::error::Error;
use std::net::IpAddr;

use portcullis_policy::{Answer, Certificate, Circumstances, CountryCode, RequestPath, loosened};

use super::Around;
use super::judge::Judge;
use crate::config::{Asked, Shown};
use crate::gateway::now;
use crate::host::HostPattern;
use crate::page_address::PageAddress;
use crate::route::{Canonical, Destination};

/// Whence a request comes unless it is said: an address of nobody (RFC 5737).
pub(super) const NOWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// A request that leads to an application.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) application: String,
    pub(super) host: String,
    pub(super) method: String,
    pub(super) path: String,
    loosest: String,
    pub(super) at: Moment,
}

/// From where and when somebody asks.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) ip: IpAddr,
    pub(super) country: Option<CountryCode>,
    pub(super) now: i64,
    pub(super) shown: Option<Shown>,
    pub(super) answers: Vec<(String, Option<bool>)>,
}

impl Moment {
    pub(super) fn of_flags(around: &Around, judge: &Judge) -> Self {
        let shown = around.common_name.clone().map_or(Shown::Nothing, |name| Shown::Certificate(Some(name)));
        Self {
            ip: around.ip,
            country: around.country.or_else(|| judge.country(around.ip)),
            now: around.time.unwrap_or_else(now),
            shown: Some(shown),
            answers: around.external.clone(),
        }
    }

    pub(super) fn of_case(asked: &Asked, judge: &Judge) -> Self {
        let ip = asked.ip.unwrap_or(NOWHERE);
        Self {
            ip,
            country: asked.country.or_else(|| judge.country(ip)),
            now: asked.time.unwrap_or_else(now),
            shown: asked.certificate.clone(),
            answers: asked.answers.clone(),
        }
    }

    pub(super) fn certificate(&self) -> Certificate<'_> {
        match &self.shown {
            None => Certificate::Unknown,
            Some(Shown::Nothing) => Certificate::Absent,
            Some(Shown::Certificate(name)) => Certificate::Valid { common_name: name.as_deref() },
        }
    }

    /// What external evaluations said, in the ids of the policies. One that the policies do not know is none that they ask.
    pub(super) fn answers(&self, judge: &Judge) -> Vec<Answer> {
        let told = self.answers.iter().filter_map(|(name, holds)| {
            let evaluation = judge.set().evaluation(name)?;
            Some(Answer { evaluation, holds: *holds, until: i64::MAX })
        });
        told.collect()
    }
}

impl Request {
    /// The request of a case.
    pub(super) fn of_case(asked: &Asked, judge: &Judge) -> Result<Self, Box<dyn Error>> {
        let (method, at) = (asked.method.as_deref().unwrap_or("GET"), Moment::of_case(asked, judge));
        match (&asked.url, &asked.application) {
            (Some(url), _) => Self::of_url(url, method, at, judge),
            (None, Some(application)) => {
                Self::of_application(application, asked.path.as_deref(), method, at, judge)
            }
            (None, None) => Err("neither a url nor an application is given".into()),
        }
    }

    /// What a request to an address is about: it is taken apart by the rules of a request.
    pub(super) fn of_url(url: &str, method: &str, at: Moment, judge: &Judge) -> Result<Self, Box<dyn Error>> {
        let address: PageAddress = url.parse().map_err(|error| format!("the address `{url}` {error}"))?;
        let port = judge.config.server.public_port;
        if address.host(port).is_none() {
            return Err(format!("the address `{url}` names another port than {port}").into());
        }
        let page = address.canonical;
        let canonical = Canonical::told(method, page.host.as_str(), page.path.as_str())
            .map_err(|error| format!("{method} {url}: {error}"))?;
        Self::of(&canonical, at, judge).map_err(|error| format!("{method} {url}: {error}").into())
    }

    /// A request to some host of an application.
    pub(super) fn of_application(
        name: &str,
        path: Option<&str>,
        method: &str,
        at: Moment,
        judge: &Judge,
    ) -> Result<Self, Box<dyn Error>> {
        let application = judge.config.applications.iter().find(|it| *it.name == *name);
        let application = application.ok_or_else(|| format!("no `[[application]]` is named `{name}`"))?;
        let host = match application.hosts.first() {
            Some(HostPattern::Exact(host)) => host.to_string(),
            Some(HostPattern::AnyLabel(rest)) => format!("any.{rest}"),
            None => return Err(format!("`{name}` has no host").into()),
        };
        let usual = || {
            let first = application.paths.first().map(ToString::to_string).unwrap_or_default();
            first.replace('*', "any")
        };
        let path = path.map_or_else(usual, str::to_owned);
        let canonical =
            Canonical::told(method, &host, &path).map_err(|error| format!("{method} {path}: {error}"))?;
        let request = Self::of(&canonical, at, judge).map_err(|error| format!("`{name}` {path}: {error}"))?;
        if request.application != name {
            return Err(format!(
                "{path} on {host} is the application `{}`'s, not `{name}`'s",
                request.application
            )
            .into());
        }
        Ok(request)
    }

    /// Where a request leads.
    pub(super) fn of(canonical: &Canonical, at: Moment, judge: &Judge) -> Result<Self, String> {
        let destination = judge.routes.destination(canonical).map_err(|error| error.to_string())?;
        let Destination::Application(target) = destination else {
            return Err("that is an address of the gateway's own, which no policy is about".to_owned());
        };
        let path = canonical.path.as_str().to_owned();
        Ok(Self {
            application: target.application.name.to_string(),
            host: canonical.host.to_string(),
            method: canonical.method.to_string(),
            loosest: loosened(&path),
            path,
            at,
        })
    }

    /// What policies can ask of it.
    pub(super) fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            client_ip: self.at.ip,
            now: self.at.now,
            country: self.at.country,
            method: Some(&self.method),
            path: Some(RequestPath { normal: &self.path, loosest: &self.loosest }),
            certificate: self.at.certificate(),
        }
    }
}
