//! One decision: the application's policies in order, the first that matches ends the walk.
//!
//! Nothing here allocates, fails or waits. A test that lacks its fact is neither true nor false but unknown, and the
//! three values are combined so that the unknown never helps the person who asks.

use std::cell::Cell;
use std::net::IpAddr;

use crate::decision::{Decision, Reason, RulePosition, Verdict};
use crate::principal::{Person, Principal, Question, Service};
use crate::set::{ApplicationId, CompiledApplication, CompiledPolicy, PolicySet, Test};
use crate::source::{Action, Concerns, Section};
use crate::step_up::LoginFacts;

impl PolicySet {
    /// Decides one request. Default deny.
    pub fn decide(&self, application: ApplicationId, question: &Question<'_>) -> Decision {
        let ours = self.applications.get(application.index).filter(|_| application.revision == self.revision);
        let Some(application) = ours else {
            return Decision::without_policy(Reason::StaleApplication);
        };
        if application.policies.is_empty() {
            return Decision::without_policy(Reason::NoPolicies);
        }
        if let Some(reason) = self.foreign_login(application, question.principal) {
            return Decision::without_policy(reason);
        }
        let facts = Facts {
            revision: self.revision,
            principal: question.principal,
            client_ip: question.client_ip.to_canonical(),
            now: question.now,
            until: Cell::new(i64::MAX),
        };
        let decision = facts.walk(application);
        Decision { until: facts.until.get(), ..decision }
    }

    /// Why a login does not count for an application, whatever its policies say. A service has none that could be wrong.
    fn foreign_login(&self, application: &CompiledApplication, principal: &Principal) -> Option<Reason> {
        let (Some(accepted), Principal::Person(person)) = (&application.login_methods, principal) else {
            return None;
        };
        match person.login_method {
            Some(method) if method.revision != self.revision => Some(Reason::UnknownLoginMethod),
            Some(method) if accepted.contains(&method.id) => None,
            _ => Some(Reason::LoginElsewhere),
        }
    }
}

impl Decision {
    fn by(policy: &CompiledPolicy, rule: RulePosition, verdict: Verdict, reason: Reason) -> Self {
        Self { verdict, reason, policy: Some(policy.id), rule: Some(rule), until: i64::MAX }
    }

    fn without_policy(reason: Reason) -> Self {
        Self { verdict: Verdict::Deny, reason, policy: None, rule: None, until: i64::MAX }
    }
}

/// Whether a policy matches, and the entry that says so.
enum Match {
    Yes(RulePosition),
    No,
    Unknown(RulePosition, Reason),
    /// All holds for certain but what another login could bring: that fails, or is not known for the reason given.
    Short(RulePosition, Option<Reason>),
}

/// Whether one entry holds.
#[derive(Clone, Copy)]
enum Holds {
    Yes,
    No,
    Unknown(Reason),
}

struct Facts<'a> {
    revision: u64,
    principal: &'a Principal,
    client_ip: IpAddr,
    now: i64,
    /// When the first of the entries that were looked at will hold no longer.
    until: Cell<i64>,
}

impl Facts<'_> {
    /// A block ends the walk, but not a way that was open before it: who logs in as an earlier allow asks would not come to
    /// the block.
    fn walk(&self, application: &CompiledApplication) -> Decision {
        let concerned = match self.principal {
            Principal::Person(_) => Concerns::People,
            Principal::Service(_) => Concerns::Services,
        };
        let (mut step_up, mut first_doubt, mut none) = (None, None, true);
        for policy in application.policies.iter().filter(|policy| policy.action.concerns() == concerned) {
            none = false;
            let deny = |rule, reason| Decision::by(policy, rule, Verdict::Deny, reason);
            let denied = match (policy.action, self.matches(policy)) {
                (_, Match::No) | (Action::Block, Match::Short(_, None)) => continue,
                (Action::Allow, Match::Yes(rule)) => {
                    return Decision::by(policy, rule, Verdict::Allow, Reason::AllowedByPolicy);
                }
                (Action::ServiceAuth, Match::Yes(rule)) => {
                    return Decision::by(policy, rule, Verdict::Allow, Reason::AllowedByServiceAuth);
                }
                (Action::Allow | Action::ServiceAuth, Match::Short(rule, _)) => {
                    step_up.get_or_insert(deny(rule, Reason::StepUpRequired));
                    continue;
                }
                (Action::Allow | Action::ServiceAuth, Match::Unknown(rule, reason)) => {
                    first_doubt.get_or_insert(deny(rule, reason));
                    continue;
                }
                (Action::Block, Match::Yes(rule)) => deny(rule, Reason::BlockedByPolicy),
                (Action::Block, Match::Unknown(rule, reason) | Match::Short(rule, Some(reason))) => {
                    deny(rule, reason)
                }
            };
            return step_up.unwrap_or(denied);
        }
        let nothing = match concerned {
            Concerns::Services if none => Reason::NoServiceAuth,
            _ => Reason::NoPolicyMatched,
        };
        step_up.or(first_doubt).unwrap_or(Decision::without_policy(nothing))
    }

    /// Any include, all require, no exclude. A part that certainly fails settles it, whatever is unknown beside it.
    fn matches(&self, policy: &CompiledPolicy) -> Match {
        let included = match self.any(&policy.include, Section::Include) {
            Match::No => return Match::No,
            included => included,
        };
        let mut doubt = None;
        let mut short = None;
        for (index, test) in policy.require.iter().enumerate() {
            let rule = RulePosition { section: Section::Require, index };
            match (self.holds(test), test.is_about_the_login()) {
                (Holds::Yes, _) => {}
                (Holds::No, false) => return Match::No,
                (Holds::Unknown(reason), false) => {
                    doubt.get_or_insert((rule, reason));
                }
                // What certainly fails weighs more than what is not known.
                (Holds::No, true) => short = Some(short.map_or((rule, None), |(first, _)| (first, None))),
                (Holds::Unknown(reason), true) => {
                    short.get_or_insert((rule, Some(reason)));
                }
            }
        }
        match self.any(&policy.exclude, Section::Exclude) {
            Match::Yes(_) => return Match::No,
            Match::Unknown(rule, reason) => {
                doubt.get_or_insert((rule, reason));
            }
            Match::No | Match::Short(..) => {}
        }
        match (included, doubt, short) {
            (Match::Yes(_), None, Some((rule, reason))) => Match::Short(rule, reason),
            (_, _, Some((_, None))) => Match::No,
            (Match::Yes(_), Some((rule, reason)), _) => Match::Unknown(rule, reason),
            (included, _, _) => included,
        }
    }

    fn any(&self, tests: &[Test], section: Section) -> Match {
        let mut found = Match::No;
        for (index, test) in tests.iter().enumerate() {
            let rule = RulePosition { section, index };
            match self.holds(test) {
                Holds::Yes => return Match::Yes(rule),
                Holds::Unknown(reason) if matches!(found, Match::No) => found = Match::Unknown(rule, reason),
                Holds::Unknown(_) | Holds::No => {}
            }
        }
        found
    }

    fn holds(&self, test: &Test) -> Holds {
        match (test, self.principal) {
            (Test::Networks(networks), _) => {
                Holds::from(networks.iter().any(|net| net.contains(&self.client_ip)))
            }
            (_, Principal::Person(person)) => self.holds_for_person(test, person),
            (_, Principal::Service(service)) => holds_for_service(test, service),
        }
    }

    /// What is not about where somebody is. Nobody is a service.
    fn holds_for_person(&self, test: &Test, person: &Person) -> Holds {
        match test {
            Test::Everyone => Holds::Yes,
            Test::Emails(addresses) => match &person.email {
                Some(email) => Holds::from(contains(addresses, email.as_str())),
                None => Holds::Unknown(Reason::NoVerifiedEmail),
            },
            Test::EmailDomains(domains) => match &person.email {
                Some(email) => Holds::from(contains(domains, email.domain())),
                None => Holds::Unknown(Reason::NoVerifiedEmail),
            },
            Test::Groups(wanted) => {
                let groups = &person.groups;
                if groups.revision != self.revision {
                    Holds::Unknown(Reason::StaleGroups)
                } else if overlap(wanted, &groups.ids) {
                    Holds::Yes
                } else if overlap(wanted, &groups.unproved) {
                    Holds::Unknown(Reason::UnprovedGroup)
                } else {
                    Holds::No
                }
            }
            Test::LoginMethods(wanted) => match person.login_method {
                Some(method) if method.revision == self.revision => Holds::from(wanted.contains(&method.id)),
                _ => Holds::Unknown(Reason::UnknownLoginMethod),
            },
            Test::Contexts(_) | Test::Methods(_) | Test::LoginAge(_) => {
                self.holds_for_login(test, &person.login)
            }
            Test::Networks(_) | Test::ServiceTokens(_) | Test::AnyServiceToken => Holds::No,
        }
    }

    fn holds_for_login(&self, test: &Test, login: &LoginFacts) -> Holds {
        let holds = match test {
            Test::Contexts(wanted) => login.acr.as_ref().map(|acr| contains(wanted, acr)),
            Test::Methods(wanted) => {
                login.amr.as_ref().map(|used| used.iter().any(|method| contains(wanted, method)))
            }
            Test::LoginAge(max_age) => login.outgrows(*max_age).map(|at| {
                let is_new = self.now < at;
                if is_new {
                    self.until.set(self.until.get().min(at));
                }
                is_new
            }),
            _ => Some(false),
        };
        holds.map_or(Holds::Unknown(Reason::LoginNotDescribed), Holds::from)
    }
}

/// A service is nobody: what is true of people is certainly not true of it, and `everyone` means people.
fn holds_for_service(test: &Test, service: &Service) -> Holds {
    match test {
        Test::AnyServiceToken => Holds::Yes,
        Test::ServiceTokens(names) => Holds::from(contains(names, &service.token)),
        Test::Everyone
        | Test::Emails(_)
        | Test::EmailDomains(_)
        | Test::Groups(_)
        | Test::LoginMethods(_)
        | Test::Contexts(_)
        | Test::Methods(_)
        | Test::LoginAge(_)
        | Test::Networks(_) => Holds::No,
    }
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

fn contains(sorted: &[Box<str>], text: &str) -> bool {
    sorted.binary_search_by(|entry| (**entry).cmp(text)).is_ok()
}

/// Whether two sorted lists share an id: each of the shorter is looked up in the longer.
fn overlap(left: &[u32], right: &[u32]) -> bool {
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    short.iter().any(|id| long.binary_search(id).is_ok())
}
