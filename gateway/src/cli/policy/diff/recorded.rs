//! Requests that were recorded, asked again of two configurations with what the directory says now. Reading the record is left to
//! `decision_log`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::path::Path;

use portcullis_policy::Principal;

use super::Both;
use super::compare::{Access, Direction, Outcome, decide};
use crate::cli::policy::asked::{Moment, NOWHERE, Request};
use crate::cli::policy::directory::Directory;
use crate::cli::policy::judge::Judge;
use crate::cli::policy::persona::{Asker, Persona};
use crate::config::Shown;
use crate::decision_log::{Record, decisions};
use crate::route::Canonical;

/// What became of the record.
#[derive(Default)]
pub(super) struct Replayed {
    /// Requests that were asked again.
    pub(super) asked: usize,
    /// Requests that no policy decided, or that lead nowhere now.
    pub(super) left_out: usize,
    /// Requests of people of whom no directory knows.
    pub(super) strangers: usize,
    /// Requests that already the configuration in force would decide otherwise than recorded: the people have changed, or the policies.
    pub(super) changed_since: usize,
    pub(super) kinds: BTreeMap<(String, Direction, Outcome, Outcome), Requests>,
}

/// Requests to which the same would happen.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) count: usize,
    pub(super) people: BTreeSet<String>,
    /// References of some.
    pub(super) references: Vec<String>,
}

/// Whom a record names: provider, subject, address.
type Named = (String, String, String);

/// Asks everything again that policies decided.
pub(super) fn replay(
    record: &Path,
    judges: &Both<Judge>,
    directory: &Directory,
    references: usize,
) -> Result<Replayed, Box<dyn Error>> {
    let fault = |error| format!("cannot read the record `{}`: {error}", record.display());
    let mut known: HashMap<Named, Option<Both<Persona>>> = HashMap::new();
    let mut replayed = Replayed::default();
    for record in decisions(record).map_err(fault)? {
        let record = record.map_err(fault)?;
        let allowed = match record.verdict.as_str() {
            "allow" | "failed" => true,
            "deny" | "login_required" => false,
            _ => {
                replayed.left_out += 1;
                continue;
            }
        };
        let Some(requests) = requests(&record, judges) else {
            replayed.left_out += 1;
            continue;
        };
        let askers = askers(&record, judges, directory, &mut known, &mut replayed)?;
        replayed.asked += 1;
        let outcome = |side: usize| {
            let (judge, request) = (judges.get(side)?, requests.get(side)?.as_ref()?);
            let principal: Principal = askers.get(side)?.principal(judge.set());
            Some(decide(judge, request, &principal))
        };
        let [before, after] = [outcome(0), outcome(1)].map(|outcome| outcome.unwrap_or_else(Outcome::absent));
        replayed.changed_since += usize::from((before.access == Access::Yes) != allowed);
        let Some(direction) = before.towards(&after) else { continue };
        let kind = replayed.kinds.entry((record.application.clone(), direction, before, after)).or_default();
        kind.count += 1;
        kind.people.extend(askers.first().map(Asker::name));
        if kind.references.len() < references {
            kind.references.push(record.request.clone());
        }
    }
    Ok(replayed)
}

/// The request in either configuration; none when it leads nowhere in both.
fn requests(record: &Record, judges: &Both<Judge>) -> Option<Both<Option<Request>>> {
    let shown = if record.certificate.is_empty() {
        Shown::Nothing
    } else {
        Shown::Certificate(Some(record.certificate_subject.clone()).filter(|name| !name.is_empty()))
    };
    let now = record.at()?;
    let ip = record.client.unwrap_or(NOWHERE);
    let requests = judges.each_ref().map(|judge| {
        let canonical = Canonical::told(&record.method, &record.host, &record.path).ok()?;
        let at =
            Moment { ip, country: judge.country(ip), now, shown: Some(shown.clone()), answers: Vec::new() };
        Request::of(&canonical, at, judge).ok()
    });
    requests.iter().any(Option::is_some).then_some(requests)
}

/// Who asked, as either configuration sees them now.
fn askers(
    record: &Record,
    judges: &Both<Judge>,
    directory: &Directory,
    known: &mut HashMap<Named, Option<Both<Persona>>>,
    replayed: &mut Replayed,
) -> Result<Both<Asker>, Box<dyn Error>> {
    if !record.service.is_empty() {
        return Ok([Asker::Service(record.service.clone()), Asker::Service(record.service.clone())]);
    }
    if record.subject.is_empty() && record.email.is_empty() {
        return Ok([Asker::Nobody, Asker::Nobody]);
    }
    let named = (record.provider.clone(), record.subject.clone(), record.email.clone());
    if !known.contains_key(&named) {
        let found = in_directory(&named, judges, directory)?;
        known.insert(named.clone(), found);
    }
    let personas = known.get(&named).cloned().flatten();
    replayed.strangers += usize::from(personas.is_none());
    let personas = personas.unwrap_or_else(|| [stranger(&named), stranger(&named)]);
    Ok(personas.map(|mut persona| {
        persona.login.authenticated_at = record.login_at.or(persona.login.authenticated_at);
        persona.purposes.push(record.application.clone());
        Asker::Person(Box::new(persona))
    }))
}

/// By the subject at the provider, else by the address; as the store links a login.
fn in_directory(
    (provider, subject, email): &Named,
    judges: &Both<Judge>,
    directory: &Directory,
) -> Result<Option<Both<Persona>>, Box<dyn Error>> {
    for text in [subject, email].into_iter().filter(|text| !text.is_empty()) {
        for person in directory.look().persons_called(text)? {
            let personas = judges.each_ref().map(|judge| directory.persona(&person, &judge.config));
            if personas.iter().all(|persona| persona.provider.as_deref() == Some(provider)) {
                return Ok(Some(personas));
            }
        }
    }
    Ok(None)
}

/// Somebody of whom the record alone tells.
fn stranger((provider, subject, email): &Named) -> Persona {
    let told = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Persona { email: told(email), subject: told(subject), provider: told(provider), ..Persona::default() }
}
