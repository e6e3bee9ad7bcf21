//! What the policies of an application look at in requests, and when two requests are one to them.
//!
//! Who keeps something open for a request, and decides about it again later, needs no more of it than this.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::path::{Covers, PathPattern, RequestPath};
use crate::set::{ApplicationId, CompiledPolicy, PolicySet, Rules, Test};

/// Which facts of a request the policies of an application ask for; what none asks for need not be found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Looks {
    /// The method.
    pub method: bool,
    /// The path.
    pub path: bool,
    /// The country of the address.
    pub country: bool,
}

/// Requests that every rule of an application about method and path judges alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestClass {
    form: u64,
    method: Option<usize>,
    paths: Box<[u8]>,
}

/// The rules of an application about requests.
#[derive(Debug, Default)]
pub(crate) struct RequestRules {
    looks: Looks,
    methods: Vec<Box<str>>,
    paths: Vec<PathPattern>,
    /// A digest of the two lists.
    form: u64,
}

impl RequestRules {
    /// Those of all policies of an application, report-only ones too.
    pub(crate) fn of<'a>(policies: impl Iterator<Item = &'a CompiledPolicy>) -> Self {
        let mut all = Self::default();
        policies.for_each(|policy| all.gather(&policy.rules));
        all.methods.sort_unstable();
        all.methods.dedup();
        all.paths.sort_unstable();
        all.paths.dedup();
        let mut hasher = DefaultHasher::new();
        (&all.methods, &all.paths).hash(&mut hasher);
        all.form = hasher.finish();
        all
    }

    fn gather(&mut self, rules: &Rules) {
        for test in rules.include.iter().chain(&rules.require).chain(&rules.exclude) {
            match test {
                Test::RequestMethods(methods) => {
                    self.looks.method = true;
                    self.methods.extend(methods.iter().cloned());
                }
                Test::Paths(patterns) => {
                    self.looks.path = true;
                    self.paths.extend(patterns.iter().cloned());
                }
                Test::Countries(_) => self.looks.country = true,
                Test::RuleGroup(group) => self.gather(&group.rules),
                _ => {}
            }
        }
    }
}

impl PolicySet {
    /// What the policies of an application look at.
    #[must_use]
    pub fn looks_at(&self, application: ApplicationId) -> Looks {
        self.compiled(application).map_or(Looks::default(), |it| it.requests.looks)
    }

    /// The class of a request; none where the application's policies look at neither method nor path.
    #[must_use]
    pub fn request_class(
        &self,
        application: ApplicationId,
        method: &str,
        path: RequestPath<'_>,
    ) -> Option<RequestClass> {
        let rules = &self.compiled(application)?.requests;
        if !rules.looks.method && !rules.looks.path {
            return None;
        }
        let covered = rules.paths.iter().map(|pattern| match pattern.covers(path) {
            Covers::No => 0,
            Covers::Perhaps => 1,
            Covers::Yes => 2,
        });
        let method = rules.methods.binary_search_by(|known| (**known).cmp(method)).ok();
        Some(RequestClass { form: rules.form, method, paths: covered.collect() })
    }

    /// Whether a class, made by this set or another, still says all that the application's policies ask about its requests.
    #[must_use]
    pub fn is_current(&self, application: ApplicationId, class: &RequestClass) -> bool {
        self.compiled(application).is_some_and(|it| it.requests.form == class.form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, ApplicationPolicies, Known, Policy, RuleGroup, Selector, Sources};

    fn set(paths: &[&str]) -> PolicySet {
        let paths = Selector::Path(paths.iter().map(|path| path.parse().unwrap()).collect());
        let group = RuleGroup {
            name: "writing".into(),
            include: vec![Selector::Method(vec!["POST".into(), "PUT".into()])],
            require: vec![paths],
            ..RuleGroup::default()
        };
        let policies = [
            Policy::new("write", Action::Block, vec![Selector::RuleGroup("writing".into())]),
            Policy::new("all", Action::Allow, vec![Selector::Everyone]),
        ];
        let attached = |name: &str, policies: &[&str]| ApplicationPolicies {
            application: name.into(),
            policies: policies.iter().map(|&name| name.into()).collect(),
            login_methods: Vec::new(),
        };
        let applications = [attached("wiki", &["write", "all"]), attached("open", &["all"])];
        let known = Known::default();
        let (policies, rule_groups, applications) = (&policies[..], &[group][..], &applications[..]);
        PolicySet::compile(&Sources { policies, rule_groups, applications, known: &known }).unwrap()
    }

    #[test]
    fn requests_of_a_class_are_judged_alike_and_others_are_of_another() {
        let set = set(&["/admin", "/api/*"]);
        let wiki = set.application("wiki").unwrap();
        let class = |method, path: &str| {
            let loosest = crate::loosened(path);
            set.request_class(wiki, method, RequestPath { normal: path, loosest: &loosest }).unwrap()
        };
        assert_eq!(class("GET", "/a"), class("DELETE", "/b/c"));
        assert_eq!(class("POST", "/admin/x"), class("POST", "/admin"));
        let different =
            [("GET", "/a"), ("GET", "/admin"), ("GET", "/Admin"), ("GET", "/api/x"), ("PUT", "/a")];
        for (at, one) in different.iter().enumerate() {
            for other in different.iter().skip(at + 1) {
                assert_ne!(class(one.0, one.1), class(other.0, other.1), "{one:?} {other:?}");
            }
        }
        assert_eq!(set.looks_at(wiki), Looks { method: true, path: true, country: false });
    }

    #[test]
    fn who_looks_at_no_request_knows_no_classes_and_other_rules_know_others() {
        let (set, other) = (set(&["/admin"]), set(&["/other"]));
        let open = set.application("open").unwrap();
        assert!(set.request_class(open, "GET", RequestPath::plain("/")).is_none());
        let wiki = set.application("wiki").unwrap();
        let class = set.request_class(wiki, "GET", RequestPath::plain("/")).unwrap();
        assert!(set.is_current(wiki, &class));
        assert!(!other.is_current(other.application("wiki").unwrap(), &class));
    }
}
