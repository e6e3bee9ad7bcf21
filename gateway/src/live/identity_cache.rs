//! What was built to tell upstreams about a session and may be told again. Building is left to `identity_headers`.

use std::sync::{Arc, Mutex, PoisonError};

use super::session::Standing;
use crate::identity_headers::IdentityHeaders;
use crate::route::Target;

/// How many applications one session keeps fields for; the oldest go first.
const MAX_CACHED: usize = 64;

/// Kept for one application as it is configured now, and for what is true of the person now. A change of either is another
/// object, so that nothing is told that was true before; the objects are held, so that no later one can have their address.
#[derive(Debug)]
struct Kept {
    target: Arc<Target>,
    standing: Arc<Standing>,
    until: i64,
    headers: Arc<IdentityHeaders>,
}

/// The fields of one session, by application.
#[derive(Debug, Default)]
pub(crate) struct IdentityCache(Mutex<Vec<Kept>>);

impl IdentityCache {
    /// Fields that may be told again at `now`.
    pub(crate) fn find(
        &self,
        target: &Arc<Target>,
        standing: &Arc<Standing>,
        now: i64,
    ) -> Option<Arc<IdentityHeaders>> {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = cached.iter().find(|kept| {
            Arc::ptr_eq(&kept.target, target) && Arc::ptr_eq(&kept.standing, standing) && now < kept.until
        });
        good.map(|kept| kept.headers.clone())
    }

    /// Keeps fields to be told again until a time.
    pub(crate) fn keep(
        &self,
        target: Arc<Target>,
        standing: Arc<Standing>,
        until: i64,
        headers: Arc<IdentityHeaders>,
    ) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cached.retain(|kept| kept.target.application.name != target.application.name);
        if cached.len() >= MAX_CACHED {
            cached.remove(0);
        }
        cached.push(Kept { target, standing, until, headers });
    }

    /// Forgets all: what they say may no longer be true.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
