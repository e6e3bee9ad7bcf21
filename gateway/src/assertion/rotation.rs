//! Makes keys, lets one follow another in the store, and puts what became of it in use: at start, while the gateway runs, and
//! for the command line. What is due is left to `schedule`; that one of several processes does it, to the store's transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_store::{SigningKey, SigningKeyState, Store};

use super::schedule::{self, Due, Occasion, Wish};
use super::{AssertionError, Signer, key};
use crate::config::Config;
use crate::gateway::{Current, Gateway, now};
use crate::seal::Sealer;

/// How often the keys are looked at: within this time, what the command line or another process has done is followed.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// By how much more or less than the time that passed the clock may move between two looks without having been set.
const MAX_DRIFT_S: i64 = 60;

/// Takes the steps that are due, all in one write; the keys afterwards.
pub(crate) async fn rotate(
    store: &Store,
    sealer: &Arc<Sealer>,
    issuer: &str,
    wish: Wish,
    occasion: Occasion,
    now: i64,
) -> Result<Vec<SigningKey>, AssertionError> {
    let keys = store.signing_keys()?;
    let made = match schedule::due(&keys, wish, occasion, now, None) {
        Due::Steps(steps) if steps.is_empty() => return Ok(keys),
        Due::Steps(_) => None,
        // Not within the write: nothing else is written meanwhile, and a deactivation would wait.
        Due::NewKey => Some(make(sealer.clone(), wish, issuer.to_owned(), now).await?),
    };
    let after = store
        .rotate_signing_keys(move |keys| match schedule::due(keys, wish, occasion, now, made) {
            Due::Steps(steps) => steps,
            // Another process changed the keys meanwhile; the next look has a new key at hand.
            Due::NewKey => Vec::new(),
        })
        .await?;
    tell(&keys, &after);
    Ok(after)
}

async fn make(
    sealer: Arc<Sealer>,
    wish: Wish,
    issuer: String,
    now: i64,
) -> Result<SigningKey, AssertionError> {
    let making = tokio::task::spawn_blocking(move || key::make(&sealer, wish.algorithm, &issuer, now));
    making.await.map_err(|_| AssertionError::Interrupted)?
}

/// One line for each key that was made, went on, or was deleted.
fn tell(before: &[SigningKey], after: &[SigningKey]) {
    let state_in = |keys: &[SigningKey], kid: &str| {
        let known = keys.iter().find(|key| key.kid == kid);
        known.map(|key| key.state)
    };
    for key in after.iter().filter(|key| state_in(before, &key.kid) != Some(key.state)) {
        let (kid, algorithm) = (&key.kid, &key.algorithm);
        match key.state {
            SigningKeyState::Next => {
                tracing::info!(target: "portcullis::assertion", kid, algorithm, "a signing key is published, and will sign later");
            }
            SigningKeyState::Active => {
                tracing::info!(target: "portcullis::assertion", kid, algorithm, "a signing key signs from now on");
            }
            SigningKeyState::Retired => {
                tracing::info!(target: "portcullis::assertion", kid, algorithm, "a signing key signs no more");
            }
        }
    }
    for key in before.iter().filter(|key| state_in(after, &key.kid).is_none()) {
        tracing::info!(target: "portcullis::assertion", kid = key.kid, "a signing key was deleted");
    }
}

/// What a configuration wants of the keys.
pub(crate) fn wish(config: &Config) -> Wish {
    let rotate_every_s = i64::try_from(config.assertion.rotate_every.as_secs()).unwrap_or(i64::MAX);
    Wish { algorithm: config.assertion.algorithm, rotate_every_s }
}

/// Looks at the keys again and again, until the runtime ends.
pub(crate) async fn keep(current: Arc<Current>) {
    let mut clock = Clock { wall: now(), steady: Instant::now() };
    let mut last_fault = None;
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let was_set = clock.was_set(now(), Instant::now());
        let occasion = if was_set { Occasion::ClockWasSet } else { Occasion::Time };
        match look(&current.get(), occasion).await {
            Ok(()) => last_fault = None,
            // What is in use stays in use. A fault that lasts is told once.
            Err(cause) if last_fault.as_ref() != Some(&cause.to_string()) => {
                tracing::error!(target: "portcullis::assertion", %cause, "the signing keys could not be looked after");
                last_fault = Some(cause.to_string());
            }
            Err(_) => {}
        }
    }
}

async fn look(gateway: &Gateway, occasion: Occasion) -> Result<(), AssertionError> {
    let process = &gateway.process;
    let signer: &Signer = &process.signer;
    let keys =
        rotate(&process.store, &process.sealer, &signer.issuer, wish(&gateway.config), occasion, now())
            .await?;
    signer.follow(&keys, &process.sealer)
}

/// Notices when the clock is set, by a clock that cannot be.
struct Clock {
    wall: i64,
    steady: Instant,
}

impl Clock {
    fn was_set(&mut self, wall: i64, steady: Instant) -> bool {
        let passed = i64::try_from(steady.duration_since(self.steady).as_secs()).unwrap_or(i64::MAX);
        let moved = wall.saturating_sub(self.wall);
        *self = Self { wall, steady };
        moved.saturating_sub(passed).saturating_abs() > MAX_DRIFT_S
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut clock = Clock { wall: 1_000, steady: begun };
        assert!(!clock.was_set(1_002, after(2)));
        assert!(!clock.was_set(1_002 + 3_600, after(3_602)), "a busy machine is no step");
        assert!(clock.was_set(1_002 + 7_200, after(3_604)), "forward");
        assert!(!clock.was_set(1_002 + 7_202, after(3_606)), "once");
        assert!(clock.was_set(1_002, after(3_608)), "backward");
    }
}
