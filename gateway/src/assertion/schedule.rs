//! When one signing key follows another: what is due, from the keys as they are, what is configured, and the time. Pure, so that
//! a transaction can ask it again; making keys is left to `key`, taking the steps to `rotation`.
//!
//! A key is published before it signs (`Next`), signs (`Active`), is published for those who still check what it signed
//! (`Retired`), and is deleted. Every wait is counted from the moment at which the key came to where it stands, which is kept
//! with it, so that a restart neither forgets a wait nor begins one anew.

use portcullis_store::{SigningKey, SigningKeyState, SigningKeyStep};

use super::key::Algorithm;

/// How long a key is published before it signs. Our answer may be kept for 5 minutes; libraries that check assertions keep keys
/// for minutes (PyJWT, jose) to an hour, and ask again for a key they do not know. A day is beyond them all, and leaves those who
/// copy keys by a daily job in time.
const PUBLISHED_BEFORE_S: i64 = 86_400;
/// How long a key is published after it signed: a week, as origins written for Cloudflare Access are used to. The longest
/// assertion, of an hour, is over long before.
const PUBLISHED_AFTER_S: i64 = 7 * 86_400;
/// A time so far ahead was written by another clock than ours.
const AHEAD_S: i64 = 300;

/// What is wanted of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) algorithm: Algorithm,
    pub(crate) rotate_every_s: i64,
}

/// Why somebody looks whether something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Time has passed.
    Time,
    /// The clock was set: waits that are under way begin anew, since nobody knows how much of them is over.
    ClockWasSet,
    /// An operator wants the next key to be made, and to follow when it was published for long enough.
    Asked,
    /// An operator wants another key to sign at once.
    AskedNow,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// These, or nothing.
    Steps(Vec<SigningKeyStep>),
    /// The same question again, with a new key at hand.
    NewKey,
}

impl Wish {
    /// How long the next key is published before it signs: a shorter life of keys leaves less for it.
    pub(crate) fn published_before_s(self) -> i64 {
        PUBLISHED_BEFORE_S.min(self.rotate_every_s / 2)
    }

    /// When a key that waits will sign.
    pub(crate) fn signs_at(self, next: &SigningKey) -> i64 {
        next.state_since.saturating_add(self.published_before_s())
    }
}

/// When a retired key is deleted.
pub(crate) fn deleted_at(retired: &SigningKey) -> i64 {
    retired.state_since.saturating_add(PUBLISHED_AFTER_S)
}

/// What is due at `now`. A `made` key is used if one is needed still.
pub(crate) fn due(
    keys: &[SigningKey],
    wish: Wish,
    occasion: Occasion,
    now: i64,
    made: Option<SigningKey>,
) -> Due {
    let mut plan = Plan { now, steps: Vec::new() };
    let keys = plan.with_believable_times(keys, occasion);
    plan.delete_what_is_over(&keys, wish);
    let find = |state| keys.iter().find(|key| key.state == state);
    let next = find(SigningKeyState::Next).filter(|next| next.algorithm == wish.algorithm.as_str());
    let Some(active) = find(SigningKeyState::Active) else { return plan.first(next, made) };
    let is_old = now.saturating_sub(active.state_since) >= wish.rotate_every_s - wish.published_before_s();
    let is_other = active.algorithm != wish.algorithm.as_str();
    match next {
        Some(next) if occasion == Occasion::AskedNow || now >= wish.signs_at(next) => {
            plan.step(active, SigningKeyState::Retired);
            plan.step(next, SigningKeyState::Active);
        }
        Some(_) => {}
        None if occasion == Occasion::AskedNow => {
            let Some(made) = made else { return Due::NewKey };
            plan.step(active, SigningKeyState::Retired);
            plan.insert(made, SigningKeyState::Active);
        }
        None if is_old || is_other || occasion == Occasion::Asked => {
            let Some(made) = made else { return Due::NewKey };
            plan.insert(made, SigningKeyState::Next);
        }
        None => {}
    }
    Due::Steps(plan.steps)
}

struct Plan {
    now: i64,
    steps: Vec<SigningKeyStep>,
}

impl Plan {
    /// The keys, with waits begun anew where their beginning cannot be believed.
    fn with_believable_times(&mut self, keys: &[SigningKey], occasion: Occasion) -> Vec<SigningKey> {
        let mut keys = keys.to_vec();
        for key in &mut keys {
            let waits = key.state != SigningKeyState::Active;
            let is_ahead = key.state_since > self.now.saturating_add(AHEAD_S);
            if is_ahead || (waits && occasion == Occasion::ClockWasSet) {
                key.state_since = self.now;
                self.step(key, key.state);
            }
        }
        keys
    }

    /// Retired keys whose assertions are long over, and a next one that is not wanted any more: it has signed nothing.
    fn delete_what_is_over(&mut self, keys: &[SigningKey], wish: Wish) {
        let is_over = |key: &&SigningKey| match key.state {
            SigningKeyState::Retired => self.now >= deleted_at(key),
            SigningKeyState::Next => key.algorithm != wish.algorithm.as_str(),
            SigningKeyState::Active => false,
        };
        let over: Vec<SigningKeyStep> =
            keys.iter().filter(is_over).map(|key| SigningKeyStep::Delete { kid: key.kid.clone() }).collect();
        self.steps.extend(over);
    }

    /// Nothing signs yet, so there is nobody who would have to be told beforehand.
    fn first(mut self, next: Option<&SigningKey>, made: Option<SigningKey>) -> Due {
        match (next, made) {
            (Some(next), _) => self.step(next, SigningKeyState::Active),
            (None, Some(made)) => self.insert(made, SigningKeyState::Active),
            (None, None) => return Due::NewKey,
        }
        Due::Steps(self.steps)
    }

    fn step(&mut self, key: &SigningKey, state: SigningKeyState) {
        self.steps.push(SigningKeyStep::Move { kid: key.kid.clone(), state, since: self.now });
    }

    fn insert(&mut self, made: SigningKey, state: SigningKeyState) {
        self.steps.push(SigningKeyStep::Insert(SigningKey { state, state_since: self.now, ..made }));
    }
}

#[cfg(test)]
mod tests;
