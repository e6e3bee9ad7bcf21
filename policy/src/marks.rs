//! By what policies tell people apart: two people with the same marks among those that an application asks about have the same decision
//! there, if they logged in alike and were granted alike.
//!
//! So a question about a hundred thousand people is asked of a few of them. Counting is left to whoever asks.

use std::collections::HashMap;

use crate::principal::Person;
use crate::set::{ApplicationId, CompiledPolicy, PolicySet, Rules, Test};

/// One thing that is true of somebody. It means nothing to another set of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(What);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum What {
    Login(Option<u32>),
    Group(u32),
    UnprovedGroup(u32),
    NoGroupIds,
    Predicate(u32),
    UnknownPredicate(u32),
    NoEmail,
    Email(u32),
    Domain(u32),
    NoSubject,
    Subject(u32),
}

/// The marks that one set of policies looks for.
#[derive(Debug)]
pub struct Marks<'a> {
    set: &'a PolicySet,
    emails: HashMap<&'a str, u32>,
    domains: HashMap<&'a str, u32>,
    subjects: HashMap<(u32, &'a str), u32>,
}

impl<'a> Marks<'a> {
    /// Looks through all policies of a set.
    #[must_use]
    pub fn new(set: &'a PolicySet) -> Self {
        let mut marks =
            Self { set, emails: HashMap::new(), domains: HashMap::new(), subjects: HashMap::new() };
        for policy in &set.policies {
            marks.learn(&policy.rules);
        }
        marks
    }

    fn learn(&mut self, rules: &'a Rules) {
        for test in rules.tests() {
            match test {
                Test::Emails(list) => list.iter().for_each(|text| number(&mut self.emails, text)),
                Test::EmailDomains(list) => list.iter().for_each(|text| number(&mut self.domains, text)),
                Test::Subjects(list) => {
                    list.iter().for_each(|(provider, it)| number(&mut self.subjects, (*provider, &**it)));
                }
                Test::RuleGroup(group) => self.learn(&group.rules),
                _ => {}
            }
        }
    }

    /// Everything that the policies can tell somebody by, beside how and when they logged in and what they were granted.
    #[must_use]
    pub fn of(&self, person: &Person) -> Vec<Mark> {
        let login = person.login_method.filter(|method| method.revision == self.set.revision);
        let login = login.map(|method| method.id);
        let (groups, attributes) = (&person.groups, &person.attributes);
        let mut marks = vec![What::Login(login)];
        marks.extend(groups.ids.iter().map(|id| What::Group(*id)));
        marks.extend(groups.unproved.iter().map(|id| What::UnprovedGroup(*id)));
        marks.extend((!groups.has_ids).then_some(What::NoGroupIds));
        marks.extend(attributes.held.iter().map(|id| What::Predicate(*id)));
        marks.extend(attributes.unknown.iter().map(|id| What::UnknownPredicate(*id)));
        match &person.email {
            None => marks.push(What::NoEmail),
            Some(email) => {
                marks.extend(self.emails.get(email.as_str()).map(|id| What::Email(*id)));
                marks.extend(self.domains.get(email.domain()).map(|id| What::Domain(*id)));
            }
        }
        match (&person.subject, login) {
            (None, _) => marks.push(What::NoSubject),
            (Some(subject), Some(login)) => {
                marks.extend(self.subjects.get(&(login, &**subject)).map(|id| What::Subject(*id)));
            }
            (Some(_), None) => {}
        }
        marks.into_iter().map(Mark).collect()
    }

    /// The marks that the policies of one application ask about, in order and once each.
    #[must_use]
    pub fn asked(&self, application: ApplicationId) -> Vec<Mark> {
        let policies =
            self.set.compiled(application).into_iter().flat_map(|it| it.first.iter().chain(&it.then));
        let providers = self.set.ids.login_methods.values().map(|id| What::Login(Some(*id)));
        let mut asked: Vec<What> = providers.chain([What::Login(None)]).collect();
        for policy in policies {
            let policy: &CompiledPolicy = policy;
            self.ask(&policy.rules, &mut asked);
        }
        asked.sort_unstable();
        asked.dedup();
        asked.into_iter().map(Mark).collect()
    }

    fn ask(&self, rules: &Rules, asked: &mut Vec<What>) {
        for test in rules.tests() {
            match test {
                Test::Groups(ids) => {
                    asked.extend(ids.iter().flat_map(|id| [What::Group(*id), What::UnprovedGroup(*id)]));
                }
                Test::GroupIds(ids) => {
                    asked.push(What::NoGroupIds);
                    asked.extend(ids.iter().flat_map(|id| [What::Group(*id), What::UnprovedGroup(*id)]));
                }
                Test::Attribute(id) => asked.extend([What::Predicate(*id), What::UnknownPredicate(*id)]),
                Test::Emails(list) => {
                    asked.push(What::NoEmail);
                    asked.extend(
                        list.iter().filter_map(|it| self.emails.get(&**it)).map(|id| What::Email(*id)),
                    );
                }
                Test::EmailDomains(list) => {
                    asked.push(What::NoEmail);
                    asked.extend(
                        list.iter().filter_map(|it| self.domains.get(&**it)).map(|id| What::Domain(*id)),
                    );
                }
                Test::Subjects(list) => {
                    asked.push(What::NoSubject);
                    let known = list.iter().filter_map(|(login, it)| self.subjects.get(&(*login, &**it)));
                    asked.extend(known.map(|id| What::Subject(*id)));
                }
                Test::RuleGroup(group) => self.ask(&group.rules, asked),
                _ => {}
            }
        }
    }
}

impl Rules {
    fn tests(&self) -> impl Iterator<Item = &Test> {
        self.include.iter().chain(&self.require).chain(&self.exclude)
    }
}

fn number<K: std::hash::Hash + Eq>(numbers: &mut HashMap<K, u32>, key: K) {
    let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    numbers.entry(key).or_insert(next);
}
