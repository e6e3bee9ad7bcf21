//! A login that has to bring something: a context, a method, a new date. It is carried sealed to the login, asked of the
//! provider, and checked when the person comes back: who brings less than was asked gets a page, and is not sent again.
//! Which policy asks for it is left to the policies.

use std::time::Duration;

use portcullis_policy::{Decision, LoginFacts, StepUp};
use portcullis_store::EndReason;
use portcullis_store::EndWhat;
use serde::{Deserialize, Serialize};

use super::claims::{LEEWAY_S, VerifiedClaims};
use super::provider::Wanted;
use super::{Challenge, LoginError};
use crate::gateway::Gateway;
use crate::live::{LiveSession, login_facts};

/// Most characters of what a provider said of a login that are told on a page.
const MAX_TOLD_CHARS: usize = 200;

/// What the next login has to bring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Need {
    /// One of these contexts, the preferred one first; any when empty.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    acr: Vec<Box<str>>,
    /// Of each of these lists one method.
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    amr: Vec<Vec<Box<str>>>,
    /// How long ago it may have been.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    max_age_s: Option<u64>,
}

/// The policy's no to a login, and the way to a better one.
#[derive(Debug)]
pub(crate) struct Summons {
    pub(crate) decision: Decision,
    pub(crate) need: Need,
    pub(crate) challenge: Challenge,
}

impl From<&StepUp> for Need {
    fn from(wanted: &StepUp) -> Self {
        let max_age_s = wanted.max_age.map(|age| age.as_secs());
        Self { acr: wanted.acr.clone(), amr: wanted.amr.clone(), max_age_s }
    }
}

impl Need {
    /// The same question as the policy's, so that whoever passes here passes there.
    fn is_met_by(&self, facts: &LoginFacts, now: i64) -> bool {
        let max_age = self.max_age_s.map(Duration::from_secs);
        StepUp { acr: self.acr.clone(), amr: self.amr.clone(), max_age }.is_met_by(facts, now)
    }

    /// Whether a session brings it already: another tab may have logged in meanwhile.
    pub(super) fn is_met_by_session(&self, session: &LiveSession, now: i64) -> bool {
        let profile = &session.standing().profile;
        self.is_met_by(&login_facts(&profile.claims_json, profile.authenticated_at), now)
    }

    /// How the provider is asked for it.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            acr_values: (!self.acr.is_empty()).then(|| self.acr.join(" ")),
            // A little less than what is meant: clocks differ, and a login that is too old in a moment helps nobody.
            max_age_s: self.max_age_s.map(|age| age - (age / 2).min(LEEWAY_S.unsigned_abs())),
            // There is no way to ask for a method; who logs in anew can choose another.
            anew: self.acr.is_empty() && !self.amr.is_empty(),
        }
    }

    /// The challenge of RFC 9470 section 3. The policy's compiler lets no quote into a value.
    pub(crate) fn bearer_challenge(&self) -> String {
        let mut text = "Bearer error=\"insufficient_user_authentication\"".to_owned();
        if !self.acr.is_empty() {
            text.push_str(&format!(", acr_values=\"{}\"", self.acr.join(" ")));
        }
        if let Some(age) = self.max_age_s {
            text.push_str(&format!(", max_age={age}"));
        }
        text
    }

    fn in_words(&self) -> String {
        let contexts = (!self.acr.is_empty()).then(|| format!("acr {}", self.acr.join(" or ")));
        let methods = self.amr.iter().map(|any_of| format!("amr {}", any_of.join(" or ")));
        let age = self.max_age_s.map(|age| format!("a login no older than {age} s"));
        contexts.into_iter().chain(methods).chain(age).collect::<Vec<_>>().join(", ")
    }
}

/// Lets a login through that brings what it was asked for.
pub(super) fn check(need: Option<&Need>, claims: &VerifiedClaims, now: i64) -> Result<(), LoginError> {
    let Some(need) = need else { return Ok(()) };
    let facts = login_facts(&claims.others_json, claims.auth_time.unwrap_or(now).min(now));
    if need.is_met_by(&facts, now) {
        return Ok(());
    }
    Err(LoginError::StepUpUnmet { wanted: need.in_words(), came: described(&facts, now) })
}

/// Ends the session that this browser had, unless another tab began it for the same reason: what it could open is not to be
/// opened by two, and whoever got hold of its cookie gets nothing of the better login.
pub(super) async fn replace(
    gateway: &Gateway,
    need: &Need,
    former: &LiveSession,
    now: i64,
) -> Result<(), LoginError> {
    if !need.is_met_by_session(former, now) {
        let former = EndWhat::Session(former.id);
        gateway.process.store.end_sessions(former, EndReason::SignedOut, now).await?;
    }
    Ok(())
}

/// What came, cut and without control characters: it is the provider's text.
fn described(facts: &LoginFacts, now: i64) -> String {
    let acr = facts.acr.as_deref().map_or("no acr".to_owned(), |acr| format!("acr {acr}"));
    let amr = match facts.amr.as_deref() {
        Some(methods) if !methods.is_empty() => format!("amr {}", methods.join(" ")),
        _ => "no amr".to_owned(),
    };
    let age = match facts.authenticated_at {
        Some(at) => format!("a login {} s old", now.saturating_sub(at)),
        None => "no auth_time".to_owned(),
    };
    let text = [age, acr, amr].join(", ");
    text.chars().filter(|character| !character.is_control()).take(MAX_TOLD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(acr: &[&str], amr: &[&[&str]], max_age_s: Option<u64>) -> Need {
        let boxed = |list: &[&str]| list.iter().copied().map(Box::from).collect::<Vec<Box<str>>>();
        Need { acr: boxed(acr), amr: amr.iter().map(|list| boxed(list)).collect(), max_age_s }
    }

    #[test]
    fn the_provider_is_asked_for_what_it_can_be_asked_for() {
        let by_context = need(&["phr", "2fa"], &[&["hwk"]], Some(900)).wanted();
        assert_eq!(by_context.acr_values.as_deref(), Some("phr 2fa"));
        assert_eq!((by_context.max_age_s, by_context.anew), (Some(780), false));
        let by_method = need(&[], &[&["hwk", "swk"]], None).wanted();
        assert_eq!((by_method.acr_values, by_method.max_age_s, by_method.anew), (None, None, true));
        assert_eq!(need(&[], &[], Some(60)).wanted().max_age_s, Some(30));
        assert_eq!(need(&[], &[], Some(1)).wanted().max_age_s, Some(1));
    }

    #[test]
    fn a_program_is_told_by_rfc_9470() {
        let all = need(&["phr", "2fa"], &[&["hwk"]], Some(900)).bearer_challenge();
        let start = "Bearer error=\"insufficient_user_authentication\"";
        assert_eq!(all, format!("{start}, acr_values=\"phr 2fa\", max_age=900"));
        assert_eq!(need(&[], &[&["hwk"]], None).bearer_challenge(), start);
    }

    #[test]
    fn what_is_carried_comes_back_the_same() {
        for carried in [need(&["a"], &[&["b", "c"], &["d"]], Some(5)), need(&[], &[], None)] {
            let text = serde_json::to_string(&carried).unwrap();
            assert_eq!(serde_json::from_str::<Need>(&text).unwrap(), carried, "{text}");
        }
    }

    #[test]
    fn t69_what_came_is_cut_and_has_no_control_characters() {
        let facts = LoginFacts { acr: Some("a\u{7}\n".repeat(1000).into()), ..LoginFacts::default() };
        let text = described(&facts, 0);
        assert_eq!(text.chars().count(), MAX_TOLD_CHARS);
        assert!(!text.contains(char::is_control));
    }
}
