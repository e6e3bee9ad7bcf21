//! What a principal and a request have for a rule to compare with, as texts. Nothing is decided here.

use std::collections::HashMap;

use crate::principal::{Person, Principal};
use crate::question::{Certificate, Question};
use crate::set::PolicySet;
use crate::source::Selector;

/// The values, none where nothing is known.
pub(crate) fn had(set: &PolicySet, selector: &Selector, question: &Question<'_>) -> Vec<String> {
    let at = question.circumstances;
    match selector {
        Selector::Ip(_) => vec![at.client_ip.to_canonical().to_string()],
        Selector::Country(_) => at.country.iter().map(ToString::to_string).collect(),
        Selector::Method(_) => at.method.iter().map(ToString::to_string).collect(),
        Selector::Path(_) => at.path.iter().map(|path| path.normal.to_owned()).collect(),
        Selector::ValidCertificate | Selector::CommonName(_) => match at.certificate {
            Certificate::Unknown => Vec::new(),
            Certificate::Absent => vec!["no certificate".to_owned()],
            Certificate::Valid { common_name: None } => {
                vec!["a certificate without a common name".to_owned()]
            }
            Certificate::Valid { common_name: Some(name) } => vec![name.to_owned()],
        },
        Selector::TimeWindow(window) => vec![window.told(at.now)],
        Selector::External(name) => {
            let of_this =
                |it: &&crate::Answer| Some(it.evaluation) == set.evaluation(name) && at.now < it.until;
            let answer = question.answers.iter().find(of_this);
            vec![
                match answer.map(|answer| answer.holds) {
                    None => "not asked",
                    Some(None) => "no answer",
                    Some(Some(true)) => "yes",
                    Some(Some(false)) => "no",
                }
                .to_owned(),
            ]
        }
        Selector::Everyone | Selector::Attribute(_) | Selector::RuleGroup(_) => Vec::new(),
        _ => match question.principal {
            Principal::Person(person) => of_person(set, selector, person, at.now),
            Principal::Service(service) => vec![format!("service token {}", service.token)],
            Principal::Nobody => Vec::new(),
        },
    }
}

fn of_person(set: &PolicySet, selector: &Selector, person: &Person, now: i64) -> Vec<String> {
    let login = &person.login;
    match selector {
        Selector::Email(_) => person.email.iter().map(ToString::to_string).collect(),
        Selector::EmailDomain(_) => person.email.iter().map(|email| email.domain().to_owned()).collect(),
        Selector::Subject(_) => {
            let provider = provider(set, person).unwrap_or_default();
            person.subject.iter().map(|subject| format!("{provider}/{subject}")).collect()
        }
        Selector::LoginMethod(_) => provider(set, person).into_iter().collect(),
        Selector::Group(_) if person.groups.revision == set.revision => {
            let doubts = named(&set.ids.groups, &person.groups.unproved);
            let doubts = doubts.into_iter().map(|name| format!("perhaps {name}"));
            named(&set.ids.groups, &person.groups.ids).into_iter().chain(doubts).collect()
        }
        Selector::GroupId(_) if person.groups.revision == set.revision => {
            let doubts = named(&set.ids.group_ids, &person.groups.unproved);
            let doubts = doubts.into_iter().map(|id| format!("perhaps {id}"));
            named(&set.ids.group_ids, &person.groups.ids).into_iter().chain(doubts).collect()
        }
        Selector::Acr(_) => login.acr.iter().map(ToString::to_string).collect(),
        Selector::Amr(_) => login.amr.iter().flatten().map(ToString::to_string).collect(),
        Selector::LoginAge(_) => {
            login.authenticated_at.iter().map(|at| format!("{}s", now.saturating_sub(*at))).collect()
        }
        _ => Vec::new(),
    }
}

fn provider(set: &PolicySet, person: &Person) -> Option<String> {
    let method = person.login_method.filter(|method| method.revision == set.revision)?;
    named(&set.ids.login_methods, &[method.id]).pop()
}

/// The names behind ids, sorted.
fn named(names: &HashMap<Box<str>, u32>, ids: &[u32]) -> Vec<String> {
    let mut found: Vec<String> =
        names.iter().filter(|(_, id)| ids.contains(id)).map(|(name, _)| name.to_string()).collect();
    found.sort_unstable();
    found
}
