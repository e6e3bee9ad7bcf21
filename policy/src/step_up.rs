//! What a login can be short of, and what would mend it: a context (`acr`), a method (`amr`), or a newer date. Sending the
//! person back to log in is left to the enforcement point.
//!
//! Only `require` speaks of it, and the rule groups that must hold: there every entry must, so it is known what the next login has to
//! bring.

use std::time::Duration;

use crate::fault::Fault;
use crate::rule_group::{ByName, asked_of_a_login};
use crate::source::{Policy, Selector};

/// Most bytes of all contexts and methods that the `require` of one policy names: they travel in addresses, cookies and headers.
pub const MAX_STEP_UP_BYTES: usize = 256;
/// What each of them costs beside its own bytes: quotes and what divides it from the next.
const AROUND_EACH_BYTES: usize = 3;

/// How and when somebody proved who they are, as far as their identity provider said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginFacts {
    /// When, in unix seconds.
    pub authenticated_at: Option<i64>,
    /// In which context: `acr` of the ID token.
    pub acr: Option<Box<str>>,
    /// By which methods: `amr` of the ID token.
    pub amr: Option<Box<[Box<str>]>>,
}

/// What a login must bring for a policy to allow, all else being in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// One of these contexts, the preferred one first; any when empty.
    pub acr: Vec<Box<str>>,
    /// Of each of these lists one method.
    pub amr: Vec<Vec<Box<str>>>,
    /// How long ago it may have been.
    pub max_age: Option<Duration>,
}

impl LoginFacts {
    /// From when on the login is older than that, in unix seconds; `None` when nobody knows.
    pub(crate) fn outgrows(&self, max_age: Duration) -> Option<i64> {
        let max_age_s = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        // As in OpenID Connect Core 1.0 section 3.1.2.1: a login of exactly that age is still good.
        Some(self.authenticated_at?.saturating_add(max_age_s).saturating_add(1))
    }
}

impl StepUp {
    /// Whether a login brings all of it. What is not known is not brought.
    #[must_use]
    pub fn is_met_by(&self, login: &LoginFacts, now: i64) -> bool {
        let context = self.acr.is_empty() || login.acr.as_ref().is_some_and(|acr| self.acr.contains(acr));
        let used = login.amr.as_deref().unwrap_or_default();
        let methods = self.amr.iter().all(|any_of| any_of.iter().any(|method| used.contains(method)));
        let age = self.max_age.is_none_or(|max| login.outgrows(max).is_some_and(|at| now < at));
        context && methods && age
    }

    /// What the policy asks of a login; `None` when nothing.
    pub(crate) fn of(policy: &Policy, named: &ByName<'_>) -> Option<Self> {
        let mut wanted = Self::default();
        let mut contexts: Option<Vec<Box<str>>> = None;
        let asked = asked_of_a_login(&policy.include, &policy.require, named);
        for selector in &asked {
            match selector {
                Selector::Acr(list) => {
                    let listed: Vec<Box<str>> = list.iter().map(|acr| acr.as_str().into()).collect();
                    // A login has one context, so it must be one that all entries name.
                    contexts = Some(match contexts {
                        Some(earlier) => earlier.into_iter().filter(|acr| listed.contains(acr)).collect(),
                        None => listed,
                    });
                }
                Selector::Amr(list) => wanted.amr.push(list.iter().map(|it| it.as_str().into()).collect()),
                Selector::LoginAge(age) => {
                    wanted.max_age = Some(wanted.max_age.map_or(*age, |earlier| earlier.min(*age)));
                }
                _ => {}
            }
        }
        wanted.acr = contexts.unwrap_or_default();
        (!asked.is_empty()).then_some(wanted)
    }

    /// What is wrong with what a policy asks of a login, taken together.
    pub(crate) fn faults(policy: &Policy, named: &ByName<'_>) -> Vec<Fault> {
        let Some(wanted) = Self::of(policy, named) else { return Vec::new() };
        let mut faults = Vec::new();
        let asked = asked_of_a_login(&policy.include, &policy.require, named);
        let asks = asked.iter().any(|it| matches!(it, Selector::Acr(list) if !list.is_empty()));
        if asks && wanted.acr.is_empty() {
            faults.push(Fault::NoCommonAcr);
        }
        let values = wanted.acr.iter().chain(wanted.amr.iter().flatten());
        if values.map(|value| value.len() + AROUND_EACH_BYTES).sum::<usize>() > MAX_STEP_UP_BYTES {
            faults.push(Fault::LongStepUp);
        }
        faults
    }
}

/// Contexts and methods travel in a list that spaces divide (RFC 9470 section 3) and in quotes: no space, quote or backslash.
pub(crate) fn bad_values(list: &[String]) -> impl Iterator<Item = Fault> {
    let is_good = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    let bad = list.iter().filter(move |value| value.is_empty() || !value.bytes().all(is_good));
    bad.cloned().map(Fault::BadLoginValue)
}
