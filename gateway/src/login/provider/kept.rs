//! One fetched document, kept: at most one fetch under way, the last good one kept when a fetch fails, and a floor between
//! fetches. What is fetched is left to the caller.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use tokio::sync::Mutex;

use super::error::ProviderError;

/// After this time a document is fetched again, or earlier if its sender says so: a key that was withdrawn is not trusted for longer.
pub(super) const MAX_AGE_S: i64 = 3600;
/// Least time between two fetches that an unknown key asks for, and between failing ones when an old document is at hand.
pub(super) const REFETCH_FLOOR_S: i64 = 10;
/// Least time between failing fetches when there is nothing at hand: one second, so that a provider's return is noticed.
const FIRST_FETCH_FLOOR_S: i64 = 1;
/// A record further in the future than this was made before the clock was set back, and counts for nothing.
const CLOCK_STEP_S: i64 = 60;

/// A document and when it came.
#[derive(Debug)]
pub(in crate::login) struct Document<T> {
    pub(in crate::login) content: T,
    fetched_at: i64,
    life_s: i64,
}

/// A document as it came.
pub(in crate::login) struct Fetched<T> {
    pub(in crate::login) content: T,
    /// How long its sender lets it be kept.
    pub(in crate::login) max_age_s: Option<i64>,
}

/// What `Cache-Control` says (RFC 9111 section 5.2.2); `no-store` and `no-cache` are as good as no time at all.
pub(super) fn max_age_s(headers: &HeaderMap) -> Option<i64> {
    let fields = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = fields.flat_map(|field| field.split(','));
    let ages = directives.filter_map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(0),
            "max-age" => value.trim().trim_matches('"').parse().ok(),
            _ => None,
        }
    });
    ages.min()
}

/// See the head of the file.
#[derive(Debug)]
pub(in crate::login) struct Kept<T> {
    pub(super) last_good: ArcSwapOption<Document<T>>,
    flight: Mutex<Attempts>,
}

/// What is known of the fetches so far. Whoever holds the lock is the one who fetches.
#[derive(Debug, Default)]
struct Attempts {
    failed: Option<(i64, ProviderError)>,
    refetched_at: Option<i64>,
}

fn within(now: i64, then: i64, seconds: i64) -> bool {
    (-CLOCK_STEP_S..seconds).contains(&now.saturating_sub(then))
}

impl<T> Kept<T> {
    pub(in crate::login) fn new() -> Self {
        Self { last_good: ArcSwapOption::empty(), flight: Mutex::default() }
    }

    /// The document, fetched if there is none yet or if it is old.
    pub(in crate::login) async fn current<F>(
        &self,
        now: i64,
        fetch: F,
    ) -> Result<Arc<Document<T>>, ProviderError>
    where
        F: Future<Output = Result<Fetched<T>, ProviderError>>,
    {
        let old = match self.fresh(now) {
            Ok(document) => return Ok(document),
            Err(old) => old,
        };
        let mut attempts = match (&old, self.flight.try_lock()) {
            (_, Ok(attempts)) => attempts,
            // Somebody else is fetching: with something at hand nobody waits for that.
            (Some(old), Err(_)) => return Ok(Arc::clone(old)),
            (None, Err(_)) => self.flight.lock().await,
        };
        let old = match self.fresh(now) {
            Ok(document) => return Ok(document),
            Err(old) => old,
        };
        let floor = if old.is_some() { REFETCH_FLOOR_S } else { FIRST_FETCH_FLOOR_S };
        let error = match &attempts.failed {
            Some((failed_at, error)) if within(now, *failed_at, floor) => error.clone(),
            _ => match self.fetch(&mut attempts, now, fetch).await {
                Ok(document) => return Ok(document),
                Err(error) => error,
            },
        };
        old.ok_or(error)
    }

    /// A newer document than `seen`, in which something was not found; none when it may not be fetched yet, or cannot be.
    pub(in crate::login) async fn newer<F>(
        &self,
        seen: &Arc<Document<T>>,
        now: i64,
        fetch: F,
    ) -> Option<Arc<Document<T>>>
    where
        F: Future<Output = Result<Fetched<T>, ProviderError>>,
    {
        let mut attempts = self.flight.lock().await;
        if let Some(document) = self.last_good.load_full().filter(|document| !Arc::ptr_eq(document, seen)) {
            return Some(document);
        }
        if attempts.refetched_at.is_some_and(|then| within(now, then, REFETCH_FLOOR_S)) {
            return None;
        }
        // Before the fetch, so that one who goes away in the midst of it does not lift the floor.
        attempts.refetched_at = Some(now);
        self.fetch(&mut attempts, now, fetch).await.ok()
    }

    fn fresh(&self, now: i64) -> Result<Arc<Document<T>>, Option<Arc<Document<T>>>> {
        match self.last_good.load_full() {
            Some(document) if within(now, document.fetched_at, document.life_s) => Ok(document),
            old => Err(old),
        }
    }

    async fn fetch<F>(
        &self,
        attempts: &mut Attempts,
        now: i64,
        fetch: F,
    ) -> Result<Arc<Document<T>>, ProviderError>
    where
        F: Future<Output = Result<Fetched<T>, ProviderError>>,
    {
        let begun = Instant::now();
        match fetch.await {
            Ok(Fetched { content, max_age_s }) => {
                // Whoever forbids to keep it is asked as often as for an unknown key, no more.
                let life_s = max_age_s.unwrap_or(MAX_AGE_S).clamp(REFETCH_FLOOR_S, MAX_AGE_S);
                let document = Arc::new(Document { content, fetched_at: now, life_s });
                self.last_good.store(Some(Arc::clone(&document)));
                attempts.failed = None;
                Ok(document)
            }
            Err(error) => {
                tracing::warn!(
                    code = error.code(),
                    error = &error as &dyn std::error::Error,
                    "a provider's document cannot be fetched"
                );
                // The floor counts from the end of the attempt: all who queued behind a slow one share its failure.
                let took = i64::try_from(begun.elapsed().as_secs()).unwrap_or(i64::MAX);
                attempts.failed = Some((now.saturating_add(took), error.clone()));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
