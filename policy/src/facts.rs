//! Whether one rule holds for one question. A rule that lacks its fact is neither true nor false but unknown, and the three values are
//! combined so that the unknown never helps the person who asks.

use std::cell::Cell;
use std::net::IpAddr;

use crate::decision::{PolicyId, Reason};
use crate::path::Covers;
use crate::principal::{Person, Principal, Service};
use crate::question::{Answer, Certificate, Circumstances, EvaluationId, Question};
use crate::set::{CompiledGroup, PolicySet, Rules, Test};

/// Whether one entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Nobody can say.
    Unknown(Reason),
}

/// Which login is judged: the one that was made, or the best that could be made in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    AsItIs,
    /// The best, for an entry that must hold.
    BestRequired,
    /// The best, for the only entry of an `include`: the rule group that it is must hold, but what it asks of a login in its own
    /// `include` is one way among others that a policy could name.
    BestIncluded,
}

/// One question as the rules of one application see it, and what is noted while they look.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) set: &'a PolicySet,
    application: usize,
    principal: Cell<&'a Principal>,
    at: &'a Circumstances<'a>,
    answers: &'a [Answer],
    client_ip: IpAddr,
    /// When the first of the entries that were looked at can be otherwise.
    pub(crate) until: Cell<i64>,
    /// The first evaluation that was looked for and not asked.
    pub(crate) unanswered: Cell<Option<EvaluationId>>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(set: &'a PolicySet, application: usize, question: &Question<'a>) -> Self {
        let Question { principal, circumstances: at, answers } = *question;
        let client_ip = at.client_ip.to_canonical();
        let (until, unanswered) = (Cell::new(i64::MAX), Cell::new(None));
        Self { set, application, principal: Cell::new(principal), at, answers, client_ip, until, unanswered }
    }

    /// Who asks, for the rules that are looked at next: a bypass is about nobody, whoever asks.
    pub(crate) fn ask_as(&self, principal: &'a Principal) {
        self.principal.set(principal);
    }

    pub(crate) fn holds(&self, test: &Test) -> Holds {
        self.holds_after(test, Login::AsItIs)
    }

    pub(crate) fn holds_after(&self, test: &Test, login: Login) -> Holds {
        match (test, self.principal.get()) {
            (Test::RuleGroup(group), _) => self.group_holds(group, login),
            (Test::Contexts(_) | Test::LoginBy(_) | Test::LoginAge(_), Principal::Person(_))
                if login == Login::BestRequired =>
            {
                Holds::Yes
            }
            (
                Test::Networks(_)
                | Test::Countries(_)
                | Test::RequestMethods(_)
                | Test::Paths(_)
                | Test::ValidCertificate
                | Test::CommonNames(_)
                | Test::TimeWindow(_)
                | Test::External(_),
                _,
            ) => self.holds_for_request(test),
            (_, Principal::Person(person)) => self.holds_for_person(test, person),
            (_, Principal::Service(service)) => holds_for_service(test, service),
            // Only a bypass is tried for nobody, and there `everyone` is whoever asks.
            (Test::Everyone, Principal::Nobody) => Holds::Yes,
            (_, Principal::Nobody) => Holds::No,
        }
    }

    /// What is not about who somebody is.
    fn holds_for_request(&self, test: &Test) -> Holds {
        let known = |fact: Option<bool>, reason| fact.map_or(Holds::Unknown(reason), Holds::from);
        match test {
            Test::Networks(networks) => Holds::from(networks.iter().any(|net| net.contains(&self.client_ip))),
            Test::Countries(wanted) => {
                known(self.at.country.map(|country| wanted.contains(&country)), Reason::UnknownCountry)
            }
            Test::RequestMethods(wanted) => {
                known(self.at.method.map(|method| contains(wanted, method)), Reason::UnknownMethod)
            }
            Test::Paths(patterns) => {
                let Some(path) = self.at.path else { return Holds::Unknown(Reason::UnclearPath) };
                let mut found = Holds::No;
                for pattern in patterns {
                    match pattern.covers(path) {
                        Covers::Yes => return Holds::Yes,
                        Covers::Perhaps => found = Holds::Unknown(Reason::UnclearPath),
                        Covers::No => {}
                    }
                }
                found
            }
            Test::ValidCertificate | Test::CommonNames(_) => match (test, self.at.certificate) {
                (_, Certificate::Unknown) => Holds::Unknown(Reason::UnknownCertificate),
                (_, Certificate::Absent) => Holds::No,
                (Test::CommonNames(wanted), Certificate::Valid { common_name }) => {
                    Holds::from(common_name.is_some_and(|name| contains(wanted, name)))
                }
                (_, Certificate::Valid { .. }) => Holds::Yes,
            },
            Test::TimeWindow(window) => {
                let (holds, edge) = window.holds_at(self.at.now);
                self.lasts_until(edge);
                Holds::from(holds)
            }
            Test::External(id) => self.answer(*id),
            _ => Holds::No,
        }
    }

    fn answer(&self, id: u32) -> Holds {
        let evaluation = EvaluationId { revision: self.set.revision, id };
        let answered = |it: &&Answer| it.evaluation == evaluation && self.at.now < it.until;
        match self.answers.iter().find(answered) {
            Some(answer) => {
                self.lasts_until(answer.until);
                answer.holds.map_or(Holds::Unknown(Reason::EvaluationFailed), Holds::from)
            }
            None => {
                self.unanswered.set(self.unanswered.get().or(Some(evaluation)));
                Holds::Unknown(Reason::NotEvaluated)
            }
        }
    }

    /// Nobody is a service.
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
            Test::Groups(_) | Test::GroupIds(_) => self.is_member(test, person),
            Test::Attribute(id) => {
                let attributes = &person.attributes;
                if attributes.revision != self.set.revision {
                    Holds::Unknown(Reason::StaleAttributes)
                } else if attributes.unknown.binary_search(id).is_ok() {
                    Holds::Unknown(Reason::NoDirectoryRecord)
                } else {
                    Holds::from(attributes.held.binary_search(id).is_ok())
                }
            }
            Test::LoginMethods(wanted) => match person.login_method {
                Some(method) if method.revision == self.set.revision => {
                    Holds::from(wanted.contains(&method.id))
                }
                _ => Holds::Unknown(Reason::UnknownLoginMethod),
            },
            Test::Subjects(wanted) => match (person.login_method, &person.subject) {
                (Some(method), Some(subject)) if method.revision == self.set.revision => {
                    let is_they = |(provider, named): &(u32, Box<str>)| {
                        provider.cmp(&method.id).then_with(|| (**named).cmp(subject))
                    };
                    Holds::from(wanted.binary_search_by(is_they).is_ok())
                }
                (_, None) => Holds::Unknown(Reason::UnknownSubject),
                _ => Holds::Unknown(Reason::UnknownLoginMethod),
            },
            Test::Contexts(_) | Test::LoginBy(_) | Test::LoginAge(_) => self.login_is(test, person),
            Test::Unresolved => Holds::Unknown(Reason::StaleAttributes),
            _ => Holds::No,
        }
    }

    fn is_member(&self, test: &Test, person: &Person) -> Holds {
        let groups = &person.groups;
        match test {
            Test::Groups(_) | Test::GroupIds(_) if groups.revision != self.set.revision => {
                Holds::Unknown(Reason::StaleGroups)
            }
            Test::GroupIds(_) if !groups.has_ids => Holds::Unknown(Reason::NoDirectoryRecord),
            Test::Groups(wanted) | Test::GroupIds(wanted) if overlap(wanted, &groups.ids) => Holds::Yes,
            Test::Groups(wanted) | Test::GroupIds(wanted) if overlap(wanted, &groups.unproved) => {
                Holds::Unknown(Reason::UnprovedGroup)
            }
            _ => Holds::No,
        }
    }

    fn login_is(&self, test: &Test, person: &Person) -> Holds {
        let login = &person.login;
        let holds = match test {
            Test::Contexts(wanted) => login.acr.as_ref().map(|acr| contains(wanted, acr)),
            Test::LoginBy(wanted) => {
                login.amr.as_ref().map(|used| used.iter().any(|method| contains(wanted, method)))
            }
            Test::LoginAge(max_age) => login.outgrows(*max_age).map(|at| {
                let is_new = self.at.now < at;
                if is_new {
                    self.lasts_until(at);
                }
                is_new
            }),
            _ => Some(false),
        };
        holds.map_or(Holds::Unknown(Reason::LoginNotDescribed), Holds::from)
    }

    fn group_holds(&self, group: &CompiledGroup, login: Login) -> Holds {
        let Rules { include, require, exclude } = &group.rules;
        let (way_in, must) = match (login, &**include) {
            (Login::AsItIs, _) => (Login::AsItIs, Login::AsItIs),
            (best, [_]) => (best, Login::BestRequired),
            (_, _) => (Login::AsItIs, Login::BestRequired),
        };
        let included = self.first_of(include, Holds::Yes, way_in);
        if included == Holds::No {
            return Holds::No;
        }
        let required = self.first_of(require, Holds::No, must);
        if required == Holds::No {
            return Holds::No;
        }
        match (included, required, self.first_of(exclude, Holds::Yes, Login::AsItIs)) {
            (_, _, Holds::Yes) => Holds::No,
            (Holds::Unknown(reason), _, _)
            | (_, Holds::Unknown(reason), _)
            | (_, _, Holds::Unknown(reason)) => Holds::Unknown(reason),
            _ => Holds::Yes,
        }
    }

    /// The value that settles a list, if an entry has it; else unknown, if one is; else the other value.
    fn first_of(&self, tests: &[Test], settling: Holds, login: Login) -> Holds {
        let mut found = if settling == Holds::Yes { Holds::No } else { Holds::Yes };
        for test in tests {
            match self.holds_after(test, login) {
                holds if holds == settling => return settling,
                Holds::Unknown(reason) if !matches!(found, Holds::Unknown(_)) => {
                    found = Holds::Unknown(reason);
                }
                _ => {}
            }
        }
        found
    }

    /// Whether somebody granted the policy for this application.
    pub(crate) fn is_granted(&self, policy: PolicyId) -> bool {
        let Principal::Person(person) = self.principal.get() else { return false };
        let grants = &person.grants;
        let key = (self.application, policy.index);
        let found = grants.granted.binary_search_by_key(&key, |(key, _)| *key).ok();
        let found = found.and_then(|at| grants.granted.get(at));
        grants.revision == self.set.revision && found.is_some_and(|(_, until)| self.counts(*until))
    }

    /// Whether the person has said what they need this application for.
    pub(crate) fn has_purpose(&self) -> bool {
        let Principal::Person(person) = self.principal.get() else { return false };
        let purposes = &person.purposes;
        let found = purposes.given.binary_search_by_key(&self.application, |(key, _)| *key).ok();
        let found = found.and_then(|at| purposes.given.get(at));
        purposes.revision == self.set.revision && found.is_some_and(|(_, until)| self.counts(*until))
    }

    fn counts(&self, until: i64) -> bool {
        let counts = self.at.now < until;
        if counts {
            self.lasts_until(until);
        }
        counts
    }

    fn lasts_until(&self, edge: i64) {
        self.until.set(self.until.get().min(edge));
    }
}

/// A service is nobody: what is true of people is certainly not true of it, and `everyone` means people.
fn holds_for_service(test: &Test, service: &Service) -> Holds {
    match test {
        Test::AnyServiceToken => Holds::Yes,
        Test::ServiceTokens(names) => Holds::from(contains(names, &service.token)),
        Test::Unresolved => Holds::Unknown(Reason::StaleAttributes),
        _ => Holds::No,
    }
}

impl Holds {
    pub(crate) fn is_certain(self) -> bool {
        self == Self::Yes
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
