//! What was confided to the simulator and by it: every secret and token that passed through, so that a test can look for it where
//! it must not be. Nothing of Okta depends on it.

use std::collections::BTreeSet;

use http::header::{AUTHORIZATION, LOCATION};
use serde_json::Value;
use url::Url;

use super::exchange::{Answer, Ask};
use super::{Okta, lock};

/// One secret or token, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confided {
    /// What it is.
    pub what: &'static str,
    /// The value.
    pub value: String,
}

/// Parameters of requests and redirects that are nobody else's business.
const PARAMETERS: [&str; 11] = [
    "code",
    "state",
    "nonce",
    "code_verifier",
    "client_secret",
    "client_assertion",
    "refresh_token",
    "id_token_hint",
    "password",
    "token",
    "request",
];
/// Fields of answers that are nobody else's business.
const FIELDS: [&str; 3] = ["id_token", "access_token", "refresh_token"];
/// What is shorter stands somewhere by chance.
const SHORTEST: usize = 8;

/// All that passed through.
#[derive(Default)]
pub(super) struct Ledger(BTreeSet<Confided>);

impl Ledger {
    fn note(&mut self, what: &'static str, value: &str) {
        if value.len() >= SHORTEST {
            self.0.insert(Confided { what, value: value.to_owned() });
        }
    }
}

impl Okta {
    /// Every secret and token that was in play so far.
    #[must_use]
    pub fn confided(&self) -> Vec<Confided> {
        lock(&self.confided).0.iter().cloned().collect()
    }

    pub(super) fn confide(&self, ask: &Ask, answer: &Answer) {
        let mut ledger = lock(&self.confided);
        let (query, form) = (&ask.query, ask.form());
        for name in PARAMETERS {
            for value in [query.value(name), form.value(name)].into_iter().flatten() {
                ledger.note(name, value);
            }
        }
        if let Some(credentials) = ask.header(AUTHORIZATION).and_then(|line| line.split_once(' ')) {
            ledger.note("authorization", credentials.1);
        }
        let location = answer.headers.get(LOCATION).and_then(|line| line.to_str().ok());
        if let Some(url) = location.and_then(|line| Url::parse(line).ok()) {
            for (name, value) in url.query_pairs() {
                let known = PARAMETERS.into_iter().find(|known| *known == name);
                if let Some(name) = known {
                    ledger.note(name, &value);
                }
            }
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        for name in FIELDS {
            if let Some(value) = body[name].as_str() {
                ledger.note(name, value);
            }
        }
    }
}
