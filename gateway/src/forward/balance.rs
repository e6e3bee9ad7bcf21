//! Which endpoint of an application gets a request: of two drawn by weight, the one with less to do. Shared by all workers. What is
//! known of each endpoint is left to `endpoint`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

use super::budget::Budget;
use super::clock::{in_ms, now_ms};
use super::endpoint::{Endpoint, InFlight};
use crate::config::Application;

/// The endpoints of one application.
#[derive(Debug)]
pub(super) struct Balance {
    application: Arc<Application>,
    endpoints: Vec<Arc<Endpoint>>,
    pub(super) budget: Budget,
}

impl Balance {
    /// Takes over what is known of endpoints that were there `before`.
    pub(super) fn new(application: &Arc<Application>, before: Option<&Self>) -> Self {
        let known = |url: &str| {
            let endpoints = before.map(|before| before.endpoints.as_slice()).unwrap_or_default();
            endpoints.iter().find(|endpoint| endpoint.url == url).cloned()
        };
        let made = |url: &str| Arc::new(Endpoint::new(&application.name, url));
        let configured = application.upstream.endpoints.iter();
        let endpoints: Vec<Arc<Endpoint>> =
            configured.map(|it| known(&it.url).unwrap_or_else(|| made(&it.url))).collect();
        let asked_before = before.and_then(|before| before.application.upstream.health.as_ref());
        if application.upstream.health.as_ref().is_none_or(|health| Some(health) != asked_before) {
            // Nobody asks any more, so that nobody could find it well again; or it is asked something else.
            endpoints.iter().for_each(|endpoint| endpoint.set_healthy(true, now_ms(), ""));
        }
        let budget = Budget::new(application.upstream.retry_budget_percent);
        Self { application: application.clone(), endpoints, budget }
    }

    pub(super) fn application(&self) -> &Arc<Application> {
        &self.application
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// Whether there is a choice at all.
    pub(super) fn has_choice(&self) -> bool {
        self.endpoints.len() > 1
    }

    /// Counts an exchange at an endpoint, where that decides anything.
    pub(super) fn begin(&self, number: usize) -> Option<InFlight> {
        self.endpoints.get(number).filter(|_| self.has_choice()).map(Endpoint::begin)
    }

    /// The number of the endpoint for a request, another one than `avoid` where there is another.
    ///
    /// When none is well, all are tried: whoever judges them unwell may be wrong, and an endpoint that really is away answers
    /// with its own failure, at once.
    pub(super) fn choose(&self, avoid: Option<usize>, random: &Draw) -> usize {
        if !self.has_choice() {
            return 0;
        }
        let now = now_ms();
        let usable = |number: usize, endpoint: &Endpoint| Some(number) != avoid && endpoint.is_usable(now);
        let other = |number: usize, _: &Endpoint| Some(number) != avoid;
        self.best_of_two(now, random, usable).or_else(|| self.best_of_two(now, random, other)).unwrap_or(0)
    }

    fn best_of_two(&self, now: u64, random: &Draw, may: impl Fn(usize, &Endpoint) -> bool) -> Option<usize> {
        let weight = |number: usize, endpoint: &Endpoint| {
            let configured = self.application.upstream.endpoints.get(number).map_or(1, |it| it.weight);
            u64::from(configured) * endpoint.share(now, self.application.upstream.slow_start)
        };
        let candidates = || self.endpoints.iter().enumerate().filter(|(number, it)| may(*number, it));
        let whole: u64 = candidates().map(|(number, it)| weight(number, it)).sum();
        let drawn = |without: Option<usize>, whole: u64| {
            let mut left = random.below(whole)?;
            let mut others = candidates().filter(|(number, _)| Some(*number) != without);
            others.find(|(number, it)| {
                let weight = weight(*number, it);
                let here = left < weight;
                left = left.saturating_sub(weight);
                here
            })
        };
        let (first, one) = drawn(None, whole)?;
        let (first_weight, load) = (weight(first, one), one.in_flight());
        let Some((second, two)) = drawn(Some(first), whole - first_weight) else { return Some(first) };
        // What each has to do for its weight, without dividing. At a tie the draw, which favours the heavier, has decided.
        let ours = load as u128 * u128::from(weight(second, two));
        let theirs = two.in_flight() as u128 * u128::from(first_weight);
        Some(if ours <= theirs { first } else { second })
    }

    /// An endpoint answered with this status.
    pub(super) fn note_answer(&self, number: usize, status: StatusCode) {
        let Some(endpoint) = self.endpoints.get(number) else { return };
        match status {
            // What servers and proxies say when they cannot serve; any other failure is the application's own.
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                self.note_failure(number);
            }
            _ => endpoint.note_success(),
        }
    }

    /// An endpoint could not be reached, or gave no answer.
    pub(super) fn note_failure(&self, number: usize) {
        let outlier = &self.application.upstream.outlier;
        let Some(endpoint) = self.endpoints.get(number).filter(|_| self.has_choice()) else { return };
        if !endpoint.note_failure(outlier) {
            return;
        }
        let now = now_ms();
        let others = self.endpoints.iter().enumerate().filter(|(other, _)| *other != number);
        let ejected = others.filter(|(_, other)| other.is_ejected(now)).count();
        if (ejected + 1) * 100 <= self.endpoints.len() * outlier.max_ejected_percent as usize {
            endpoint.eject(now.saturating_add(in_ms(outlier.eject_for)), outlier);
        }
    }
}

/// Draws numbers; fair enough to spread load, and no secret.
#[derive(Debug)]
pub(super) struct Draw(AtomicU64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `bound`; none when there is none.
    fn below(&self, bound: u64) -> Option<u64> {
        // SplitMix64.
        let mut mixed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(bound)
    }
}

#[cfg(test)]
mod tests;
