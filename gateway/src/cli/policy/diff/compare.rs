//! What becomes of everybody at one application, before and after: decided once for all whom its policies cannot tell apart.

use std::collections::BTreeMap;

use portcullis_policy::{Decision, Marks, Principal, Question, Reason, Verdict};

use super::Both;
use super::crowd::Crowd;
use crate::cli::policy::asked::{Moment, Request};
use crate::cli::policy::judge::Judge;
use crate::cli::policy::persona::Asker;

/// What is asked of both configurations.
pub(super) struct Asking<'a> {
    pub(super) judges: &'a Both<Judge>,
    pub(super) at: &'a Both<Moment>,
    pub(super) method: &'a str,
    pub(super) path: Option<&'a str>,
    /// How many of each kind are named.
    pub(super) names: usize,
}

/// How far somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Access {
    No,
    /// After another login, a purpose, an approval, or the word of an external evaluation.
    IfMore,
    Yes,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Outcome {
    pub(super) access: Access,
    pub(super) reason: &'static str,
    pub(super) policy: Option<String>,
}

/// Which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Direction {
    Gain,
    Lose,
    /// More or less is asked of whoever comes in.
    Change,
}

/// All to whom the same happens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) direction: Direction,
    pub(super) before: Outcome,
    pub(super) after: Outcome,
    pub(super) count: usize,
    pub(super) names: Vec<String>,
}

/// What happens at one application.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) application: String,
    /// How many people may use it before and after, if need be after more is asked of them.
    pub(super) allowed: Both<usize>,
    /// The most people first.
    pub(super) kinds: Vec<Kind>,
    /// Services, and nobody, to whom something happens.
    pub(super) others: Vec<(String, Direction, Outcome, Outcome)>,
}

/// Who gains or loses anything anywhere.
pub(super) struct Totals {
    gained: Vec<bool>,
    lost: Vec<bool>,
}

impl Totals {
    pub(super) fn new(crowd: &Crowd) -> Self {
        let nobody = vec![false; crowd.names.len()];
        Self { gained: nobody.clone(), lost: nobody }
    }

    pub(super) fn gained(&self) -> usize {
        self.gained.iter().filter(|gained| **gained).count()
    }

    pub(super) fn lost(&self) -> usize {
        self.lost.iter().filter(|lost| **lost).count()
    }

    fn note(&mut self, person: usize, direction: Direction) {
        let list = match direction {
            Direction::Gain => &mut self.gained,
            Direction::Lose => &mut self.lost,
            Direction::Change => return,
        };
        if let Some(noted) = list.get_mut(person) {
            *noted = true;
        }
    }
}

impl Outcome {
    /// Where there is no such application.
    pub(super) fn absent() -> Self {
        Self { access: Access::No, reason: "no_such_application", policy: None }
    }

    pub(super) fn of(judge: &Judge, decision: &Decision) -> Self {
        let access = match (decision.verdict, decision.reason) {
            (Verdict::Allow, _) => Access::Yes,
            (_, Reason::StepUpRequired | Reason::PurposeRequired | Reason::ApprovalRequired) => {
                Access::IfMore
            }
            (Verdict::Deny, _) if decision.unanswered.is_some() => Access::IfMore,
            (Verdict::Deny, _) => Access::No,
        };
        let policy = judge.policy_of(decision).map(str::to_owned);
        Self { access, reason: decision.reason.as_str(), policy }
    }

    /// What the difference means for whom it concerns; none when they come as far as before.
    pub(super) fn towards(&self, after: &Self) -> Option<Direction> {
        match (self.access, after.access) {
            (before, after) if before == after => None,
            (Access::No, _) => Some(Direction::Gain),
            (_, Access::No) => Some(Direction::Lose),
            _ => Some(Direction::Change),
        }
    }
}

impl Asking<'_> {
    /// The request to an application that is assumed of either; none where the configuration does not have the application.
    fn requests(&self, application: &str) -> Option<Both<Option<Request>>> {
        let [before, after] = self.judges;
        let [at_before, at_after] = self.at;
        let request = |judge: &Judge, at: &Moment| {
            judge.application(application)?;
            Some(Request::of_application(application, self.path, self.method, at.clone(), judge).ok())
        };
        match (request(before, at_before), request(after, at_after)) {
            // The application is there, and the path is another one's: nothing is known of it then.
            (Some(None), _) | (_, Some(None)) => None,
            (before, after) => Some([before.flatten(), after.flatten()]),
        }
    }

    /// What becomes of everybody at an application; none when the path that is asked for is not its own.
    pub(super) fn compare(
        &self,
        application: &str,
        crowd: &Crowd,
        services: &[String],
        totals: &mut Totals,
    ) -> Option<Change> {
        let requests = self.requests(application)?;
        let marks = self.judges.each_ref().map(|judge| {
            judge.application(application).map(|id| Marks::new(judge.set()).asked(id)).unwrap_or_default()
        });
        let classes = crowd.classes(marks.each_ref().map(Vec::as_slice));
        let mut change = Change {
            application: application.to_owned(),
            allowed: [0, 0],
            kinds: Vec::new(),
            others: self.others(&requests, services),
        };
        let mut kinds: BTreeMap<(Direction, Outcome, Outcome), Kind> = BTreeMap::new();
        let mut of_class = Vec::with_capacity(classes.classes.len());
        for class in &classes.classes {
            let Some(class) = class else {
                of_class.push(None);
                continue;
            };
            let [before, after] = self.outcomes(&requests, |side| {
                let person = crowd.sides.get(side)?.people.get(class.of)?;
                Some(Principal::Person(person.clone()))
            });
            for (allowed, outcome) in change.allowed.iter_mut().zip([&before, &after]) {
                *allowed += if outcome.access == Access::No { 0 } else { class.size };
            }
            let key = before.towards(&after).map(|direction| (direction, before, after));
            if let Some((direction, before, after)) = key.clone() {
                let new = || Kind {
                    direction,
                    before: before.clone(),
                    after: after.clone(),
                    count: 0,
                    names: Vec::new(),
                };
                kinds.entry((direction, before.clone(), after.clone())).or_insert_with(new).count +=
                    class.size;
            }
            of_class.push(key);
        }
        if !kinds.is_empty() {
            for (person, class) in classes.of_person.iter().enumerate() {
                let Some(Some(key)) = of_class.get(*class as usize) else { continue };
                totals.note(person, key.0);
                let Some(kind) = kinds.get_mut(key).filter(|kind| kind.names.len() < self.names) else {
                    continue;
                };
                kind.names.extend(crowd.names.get(person).cloned());
            }
        }
        change.kinds = kinds.into_values().collect();
        change.kinds.sort_by_key(|kind| (kind.direction, std::cmp::Reverse(kind.count)));
        Some(change)
    }

    fn outcomes(
        &self,
        requests: &Both<Option<Request>>,
        principal: impl Fn(usize) -> Option<Principal>,
    ) -> Both<Outcome> {
        let outcome = |side: usize| {
            let (judge, request) = (self.judges.get(side)?, requests.get(side)?.as_ref()?);
            Some(decide(judge, request, &principal(side)?))
        };
        [outcome(0), outcome(1)].map(|outcome| outcome.unwrap_or_else(Outcome::absent))
    }

    /// Whoever is no person: services, and nobody.
    fn others(
        &self,
        requests: &Both<Option<Request>>,
        services: &[String],
    ) -> Vec<(String, Direction, Outcome, Outcome)> {
        let services = services.iter().map(|token| Asker::Service(token.clone()));
        let askers = [Asker::Nobody].into_iter().chain(services);
        let changed = askers.filter_map(|asker| {
            let [before, after] =
                self.outcomes(requests, |side| Some(asker.principal(self.judges.get(side)?.set())));
            let direction = before.towards(&after)?;
            Some((asker.name(), direction, before, after))
        });
        changed.collect()
    }
}

/// What one configuration says of a request.
pub(super) fn decide(judge: &Judge, request: &Request, principal: &Principal) -> Outcome {
    let Some(application) = judge.application(&request.application) else { return Outcome::absent() };
    let (circumstances, answers) = (request.circumstances(), request.at.answers(judge));
    let question = Question { principal, circumstances: &circumstances, answers: &answers };
    Outcome::of(judge, &judge.set().decide(application, &question))
}
