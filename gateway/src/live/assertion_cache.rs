//! The assertions that were signed for a session and may be sent again. Signing is left to `assertion`.

use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use portcullis_policy::ApplicationId;

/// How many applications of one session keep an assertion; the oldest goes first.
const MAX_CACHED: usize = 64;

/// The assertions of one session, by application.
#[derive(Debug, Default)]
pub(crate) struct AssertionCache(Mutex<Vec<(ApplicationId, i64, HeaderValue)>>);

impl AssertionCache {
    /// One that may be sent again at `now`.
    pub(crate) fn find(&self, application: ApplicationId, now: i64) -> Option<HeaderValue> {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = cached.iter().find(|(known, until, _)| *known == application && now < *until);
        good.map(|(_, _, value)| value.clone())
    }

    /// Keeps one to be sent again until a time.
    pub(crate) fn keep(&self, application: ApplicationId, until: i64, value: HeaderValue) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cached.retain(|(known, _, _)| *known != application);
        if cached.len() >= MAX_CACHED {
            cached.remove(0);
        }
        cached.push((application, until, value));
    }

    /// Forgets all: what they say may no longer be true.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
