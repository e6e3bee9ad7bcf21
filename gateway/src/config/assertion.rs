//! `[assertion]`, and what an application says of its own: with which keys upstreams are told about people, and what. Signing,
//! and making the keys, is left to `crate::assertion`.

use std::time::Duration;

use super::document::{Section, Value};
use crate::assertion::Algorithm;

/// `[assertion]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// What assertions are signed with. Another one is a rotation: the key for it is published first, and signs later.
    pub algorithm: Algorithm,
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long an assertion is good. Short, because one that was sent cannot be called back.
    pub life: Duration,
}

impl Default for Assertion {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Rs256,
            rotate_every: Duration::from_secs(42 * 86_400),
            life: Duration::from_secs(120),
        }
    }
}

/// What the assertions for one application hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asserted {
    /// `assertion_audience`: whom they are for, the application's name if nothing else is wanted.
    pub audience: String,
    /// `assertion_claims`: what of the login they repeat, in `custom`.
    pub claims: Vec<String>,
    /// How long they are good, in seconds.
    pub life_s: i64,
}

/// Shorter ones would be signed more often than they are used.
const SHORTEST_LIFE_S: u64 = 30;
/// Much shorter than a retired key is published: see `assertion::schedule`.
const LONGEST_LIFE_S: u64 = 3_600;
const SHORTEST_ROTATION_S: u64 = 86_400;
const LONGEST_ROTATION_S: u64 = 400 * 86_400;
/// The longest audience and the longest name of a claim, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// The most claims that are repeated.
const MAX_CLAIMS: usize = 32;

pub(super) fn read_assertion(root: &mut Section<'_, '_>) -> Option<Assertion> {
    let mut assertion = Assertion::default();
    let Some(value) = root.optional("assertion") else { return Some(assertion) };
    let mut section = value.section()?;
    if let Some(algorithm) = section.optional("algorithm").and_then(|value| value.parsed()) {
        assertion.algorithm = algorithm;
    }
    let life = section.optional("life").and_then(|value| within(&value, SHORTEST_LIFE_S, LONGEST_LIFE_S));
    let rotate_every = section
        .optional("rotate_every")
        .and_then(|value| within(&value, SHORTEST_ROTATION_S, LONGEST_ROTATION_S));
    section.finish();
    assertion.life = life.unwrap_or(assertion.life);
    assertion.rotate_every = rotate_every.unwrap_or(assertion.rotate_every);
    Some(assertion)
}

fn within(value: &Value<'_, '_>, shortest_s: u64, longest_s: u64) -> Option<Duration> {
    let duration = value.duration()?;
    if (shortest_s..=longest_s).contains(&duration.as_secs()) {
        return Some(duration);
    }
    value.fault(format!("must be from {} to {}", in_words(shortest_s), in_words(longest_s)));
    None
}

fn in_words(seconds: u64) -> String {
    match seconds {
        days if days.is_multiple_of(86_400) => format!("{}d", days / 86_400),
        hours if hours.is_multiple_of(3_600) => format!("{}h", hours / 3_600),
        seconds => format!("{seconds}s"),
    }
}

/// What the assertions for the application of this section hold.
pub(super) fn read_asserted(
    section: &mut Section<'_, '_>,
    application: Option<&str>,
    assertion: &Assertion,
) -> Asserted {
    let audience = section.optional("assertion_audience").and_then(|value| read_audience(&value));
    let claims = section.optional("assertion_claims").map(|value| read_claims(&value));
    Asserted {
        audience: audience.or_else(|| application.map(str::to_owned)).unwrap_or_default(),
        claims: claims.unwrap_or_default(),
        life_s: i64::try_from(assertion.life.as_secs()).unwrap_or(i64::MAX),
    }
}

fn read_audience(value: &Value<'_, '_>) -> Option<String> {
    let audience = value.string()?;
    if audience.is_empty() || audience.len() > MAX_NAME_BYTES {
        value.fault(format!("must have from 1 to {MAX_NAME_BYTES} bytes"));
    }
    Some(audience.to_owned())
}

fn read_claims(value: &Value<'_, '_>) -> Vec<String> {
    let claims = value.texts();
    if claims.len() > MAX_CLAIMS {
        value.fault(format!("names more than {MAX_CLAIMS} claims"));
    }
    if claims.iter().any(|claim| claim.is_empty() || claim.len() > MAX_NAME_BYTES) {
        value.fault(format!("the name of a claim has from 1 to {MAX_NAME_BYTES} bytes"));
    }
    claims
}
