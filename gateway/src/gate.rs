//! Whether this process may let anything pass at this moment: the lease of its store, which ends by itself. A process that was stopped and goes
//! on finds it over before it can send a byte. Deciding about people is left to `authorize`, cutting to `live`.

use std::sync::{Arc, OnceLock};

use portcullis_store::{Lease, Streams};

/// A process serves from one store. None where nothing is served, as in unit tests.
static LEASE: OnceLock<Arc<Lease>> = OnceLock::new();

/// From now on nothing passes without this lease.
pub(crate) fn guard_by(lease: Arc<Lease>) {
    // A second store in one process there is not; the first goes on to guard.
    let _ = LEASE.set(lease);
}

/// Whether anything may pass.
pub(crate) fn is_open() -> bool {
    LEASE.get().is_none_or(|lease| lease.holds())
}

/// What may happen to bytes that are under way.
pub(crate) fn streams() -> Streams {
    LEASE.get().map_or(Streams::Flow, |lease| lease.streams())
}
