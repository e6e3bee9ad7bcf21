//! All hosts and paths of the configuration: which application a canonical request is for. The most specific pattern of a host
//! wins, and nothing is inherited from a less specific one.

use std::collections::HashMap;
use std::sync::Arc;

use http::request::Parts;
use hyper::ext::Protocol;
use portcullis_policy::PolicySet;

use super::pattern::{PathPattern, Reading};
use super::{Canonical, Destination, RESERVED_PREFIX, RouteError, Target, canonicalise};
use crate::config::Application;
use crate::host::{Host, HostPattern};
use crate::metrics;

/// All hosts of the configuration.
#[derive(Debug)]
pub(crate) struct Routes {
    auth_host: Host,
    exact: HashMap<Host, Sites>,
    /// By what stands behind the one label.
    any_label: HashMap<Host, Sites>,
}

/// The applications of one host pattern, the most specific path first.
#[derive(Debug, Default)]
struct Sites(Vec<Site>);

#[derive(Debug)]
struct Site {
    pattern: PathPattern,
    target: Arc<Target>,
}

impl Routes {
    pub(crate) fn new(auth_host: Host, applications: &[Arc<Application>], policies: &PolicySet) -> Self {
        let mut routes = Self { auth_host, exact: HashMap::new(), any_label: HashMap::new() };
        for application in applications {
            // Every configured application was compiled; one that is missing is not served at all.
            let Some(id) = policies.application(&application.name) else { continue };
            let target = Arc::new(Target {
                application: application.clone(),
                id,
                figures: metrics::application(&application.name),
            });
            for host in &application.hosts {
                let sites = match host {
                    HostPattern::Exact(host) => routes.exact.entry(host.clone()),
                    HostPattern::AnyLabel(rest) => routes.any_label.entry(rest.clone()),
                };
                let of_target = application.paths.iter().map(|pattern| (pattern.clone(), target.clone()));
                let sites = &mut sites.or_default().0;
                sites.extend(of_target.map(|(pattern, target)| Site { pattern, target }));
                sites.sort_by(|one, other| other.pattern.specificity(&one.pattern));
            }
        }
        routes
    }

    /// Makes a request canonical and finds where it goes. `tls_name` is what the client asked for in the handshake.
    pub(crate) fn resolve(
        &self,
        head: &Parts,
        tls_name: Option<&str>,
    ) -> Result<(Canonical, Destination), RouteError> {
        let canonical = canonicalise(head)?;
        let destination = self.destination(&canonical).map_err(|error| match (error, tls_name) {
            (RouteError::UnknownHost, Some(name)) if !name.eq_ignore_ascii_case(canonical.host.as_str()) => {
                RouteError::Misdirected
            }
            (error, _) => error,
        })?;
        // Only applications have sockets: nothing of ours would go on to speak through the tunnel.
        let is_socket = head.extensions.get::<Protocol>().is_some();
        match destination {
            Destination::AuthHost | Destination::ApplicationHost if is_socket => Err(RouteError::Method),
            destination => Ok((canonical, destination)),
        }
    }

    /// Where a canonical request goes.
    pub(crate) fn destination(&self, canonical: &Canonical) -> Result<Destination, RouteError> {
        let path = canonical.path.as_str();
        let reserved = path.starts_with(RESERVED_PREFIX) || path == RESERVED_PREFIX.trim_end_matches('/');
        let ours = if canonical.host == self.auth_host {
            Some(Destination::AuthHost)
        } else if !self.serves(&canonical.host) {
            return Err(RouteError::UnknownHost);
        } else {
            reserved.then_some(Destination::ApplicationHost)
        };
        let destination = match ours {
            Some(ours) => ours,
            None => Destination::Application(self.target(canonical)?.clone()),
        };
        let tolerated = match &destination {
            Destination::Application(target) => target.application.tolerated_in_paths.as_slice(),
            Destination::AuthHost | Destination::ApplicationHost => &[],
        };
        match canonical.path.unusual().find(|error| !tolerated.contains(error)) {
            Some(error) => Err(error.into()),
            None => Ok(destination),
        }
    }

    /// Whether an application lives on a host.
    pub(crate) fn serves(&self, host: &Host) -> bool {
        self.sites(host).next().is_some()
    }

    /// The applications of a host.
    pub(crate) fn applications<'r>(&'r self, host: &Host) -> impl Iterator<Item = &'r Arc<Application>> {
        self.sites(host).flat_map(|sites| &sites.0).map(|site| &site.target.application)
    }

    /// What is known of a host: first what names it, then what names every host beside it.
    fn sites<'r>(&'r self, host: &Host) -> impl Iterator<Item = &'r Sites> + use<'r> {
        let beside = host.without_first_label().and_then(|rest| self.any_label.get(rest));
        self.exact.get(host).into_iter().chain(beside)
    }

    fn target(&self, canonical: &Canonical) -> Result<&Arc<Target>, RouteError> {
        let path = canonical.path.as_str().strip_prefix('/').unwrap_or_default();
        let found = self.sites(&canonical.host).find_map(|sites| sites.find(path, Reading::Exact));
        let only_one = self.sites(&canonical.host).map(|sites| sites.0.len()).sum::<usize>() == 1;
        if only_one {
            return found.map(|site| &site.target).ok_or(RouteError::UnknownPath);
        }
        // A server that reads less strictly than we do must not be led by us past a more specific rule.
        let loose = canonical.path.loosened();
        let other = self.sites(&canonical.host).find_map(|sites| sites.find(&loose, Reading::Loose));
        match (found, other) {
            (Some(found), Some(other)) if found.leads_past(other) => Err(RouteError::TwoApplications),
            (None, Some(_)) => Err(RouteError::TwoApplications),
            (Some(found), _) => Ok(&found.target),
            (None, None) => Err(RouteError::UnknownPath),
        }
    }
}

impl Sites {
    fn find(&self, path: &str, reading: Reading) -> Option<&Site> {
        self.0.iter().find(|site| site.pattern.covers(path, reading))
    }
}

impl Site {
    /// Whether the loosest reading leads to a more specific pattern of another application.
    fn leads_past(&self, loosely: &Self) -> bool {
        !Arc::ptr_eq(&self.target, &loosely.target) && loosely.pattern.specificity(&self.pattern).is_gt()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use portcullis_policy::{ApplicationPolicies, Known, Sources};

    use super::*;
    use crate::route::PathError;

    fn application(name: &str, host: &str, paths: &[&str], tolerated: &[PathError]) -> Arc<Application> {
        let paths = paths.iter().map(|path| path.parse().unwrap()).collect();
        Arc::new(Application::at(name, host.parse().unwrap(), paths, tolerated.to_vec()))
    }

    fn routes(applications: &[Arc<Application>]) -> Routes {
        let attached = |application: &Arc<Application>| ApplicationPolicies {
            application: application.name.to_string(),
            policies: Vec::new(),
            login_methods: Vec::new(),
        };
        let attached: Vec<ApplicationPolicies> = applications.iter().map(attached).collect();
        let known = Known::default();
        let sources = Sources { policies: &[], rule_groups: &[], applications: &attached, known: &known };
        let policies = PolicySet::compile(&sources).unwrap();
        Routes::new("auth.corp.example".parse().unwrap(), applications, &policies)
    }

    /// The name of the application, `ours`, or the error.
    fn found(routes: &Routes, url: &str) -> String {
        let (host, path) = url.split_at(url.find('/').unwrap());
        let request = Request::get(path).header("host", host).body(()).unwrap();
        match routes.resolve(&request.into_parts().0, None) {
            Ok((_, Destination::Application(target))) => target.application.name.to_string(),
            Ok(_) => "ours".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn several() -> Routes {
        routes(&[
            application("site", "www.corp.example", &["/"], &[]),
            application("admin", "www.corp.example", &["/admin", "/teams/*/settings"], &[]),
            application("files", "www.corp.example", &["/files"], &[PathError::EncodedSlash]),
            application("public", "www.corp.example", &["/admin/public"], &[]),
            application("any", "*.corp.example", &["/"], &[]),
            application("beta", "*.corp.example", &["/beta"], &[]),
            application("part", "part.corp.example", &["/part"], &[]),
            application("all", "below.corp.example", &["/"], &[]),
            application("below", "below.corp.example", &["/admin/*", "/teams/*/keys/"], &[]),
        ])
    }

    #[test]
    fn t15_the_most_specific_path_wins_and_inherits_nothing() {
        let routes = several();
        for (url, name) in [
            ("www.corp.example/", "site"),
            ("www.corp.example/administrator", "site"),
            ("www.corp.example/admin", "admin"),
            ("www.corp.example/admin/x", "admin"),
            ("www.corp.example/admin/public/x", "public"),
            ("www.corp.example/teams/a/settings", "admin"),
            ("www.corp.example/teams/a", "site"),
            ("other.corp.example/x", "any"),
            ("other.corp.example/beta/x", "beta"),
            ("part.corp.example/part/1", "part"),
            ("part.corp.example/else", "any"),
            ("www.corp.example/cdn-cgi/access/logout", "ours"),
            ("www.corp.example/cdn-cgi/access", "ours"),
            ("auth.corp.example/x", "ours"),
            ("a.b.corp.example/", "no application lives on this host"),
            ("corp.example/", "no application lives on this host"),
        ] {
            assert_eq!(found(&routes, url), name, "{url}");
        }
    }

    #[test]
    fn t06_t10_no_reading_of_a_path_leads_past_a_more_specific_application() {
        let routes = several();
        let two = RouteError::TwoApplications.to_string();
        for path in ["/ADMIN", "/Admin/x", "/admin./x", "/admin%20", "/ADMIN/PUBLIC", "/teams/a/Settings"] {
            assert_eq!(found(&routes, &format!("www.corp.example{path}")), two, "{path}");
        }
        assert_eq!(found(&routes, "www.corp.example/files/a%2Fb"), "files");
        assert_eq!(found(&routes, "other.corp.example/BETA"), two);
        assert_eq!(found(&routes, "below.corp.example/admin/"), "below");
        for path in ["/ADMIN/", "/admin./", "/ADMIN/x", "/teams/x/Keys/"] {
            assert_eq!(found(&routes, &format!("below.corp.example{path}")), two, "{path}");
        }
    }

    #[test]
    fn t05_what_one_application_tolerates_another_does_not() {
        let routes = several();
        let slash = PathError::EncodedSlash.to_string();
        assert_eq!(found(&routes, "www.corp.example/other/a%2Fb"), slash);
        assert_eq!(found(&routes, "www.corp.example/cdn-cgi/access/a%2Fb"), slash);
        assert_eq!(found(&routes, "auth.corp.example/a%2Fb"), slash);
    }

    #[test]
    fn a_host_without_an_application_for_all_paths_has_nothing_elsewhere() {
        let routes = routes(&[
            application("a", "www.corp.example", &["/a"], &[]),
            application("b", "www.corp.example", &["/b/*"], &[]),
        ]);
        assert_eq!(found(&routes, "www.corp.example/c"), RouteError::UnknownPath.to_string());
        assert_eq!(found(&routes, "www.corp.example/b"), RouteError::UnknownPath.to_string());
        assert_eq!(found(&routes, "www.corp.example/A"), RouteError::TwoApplications.to_string());
    }
}
