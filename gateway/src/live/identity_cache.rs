//! What was built to tell upstreams about a session and may be told again. Building is left to `identity_headers`.

use std::sync::{Arc, Mutex, PoisonError};

use super::session::Standing;
use crate::assertion::Ring;
use crate::identity_headers::IdentityHeaders;
use crate::route::Target;

/// How many applications one session keeps fields for; the oldest go first.
const MAX_CACHED: usize = 64;

/// What fields are built of: one application as it is configured now, what is true of the person now, and the keys that sign
/// now. A change of either is another object, so that nothing is told that was true before; the objects are held, so that no
/// later one can have their address.
#[derive(Debug)]
pub(crate) struct Grounds {
    pub(crate) target: Arc<Target>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) ring: Arc<Ring>,
}

#[derive(Debug)]
struct Kept {
    grounds: Grounds,
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
        ring: &Arc<Ring>,
        now: i64,
    ) -> Option<Arc<IdentityHeaders>> {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = cached.iter().find(|kept| {
            Arc::ptr_eq(&kept.grounds.target, target)
                && Arc::ptr_eq(&kept.grounds.standing, standing)
                && Arc::ptr_eq(&kept.grounds.ring, ring)
                && now < kept.until
        });
        good.map(|kept| kept.headers.clone())
    }

    /// Keeps fields to be told again until a time.
    pub(crate) fn keep(&self, grounds: Grounds, until: i64, headers: Arc<IdentityHeaders>) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let application = |grounds: &Grounds| grounds.target.application.name.clone();
        cached.retain(|kept| application(&kept.grounds) != application(&grounds));
        if cached.len() >= MAX_CACHED {
            cached.remove(0);
        }
        cached.push(Kept { grounds, until, headers });
    }

    /// Forgets all: what they say may no longer be true.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
