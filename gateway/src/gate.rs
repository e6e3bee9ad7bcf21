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
    lease().is_none_or(|lease| lease.holds())
}

/// How often the lease began anew. What is read of memory under one count is told under no other.
pub(crate) fn lapses() -> u64 {
    lease().map_or(0, |lease| lease.lapses())
}

/// What may happen to bytes that are under way.
pub(crate) fn streams() -> Streams {
    lease().map_or(Streams::Flow, |lease| lease.streams())
}

#[cfg(not(test))]
fn lease() -> Option<&'static Arc<Lease>> {
    LEASE.get()
}

#[cfg(test)]
fn lease() -> Option<Arc<Lease>> {
    testing::lease()
}

#[cfg(test)]
pub(crate) mod testing {
    //! A lease for one test, which has a thread of its own.

    use std::cell::RefCell;

    use super::{Arc, LEASE, Lease};

    thread_local! {
        static OWN: RefCell<Option<Arc<Lease>>> = const { RefCell::new(None) };
    }

    pub(crate) fn guard_this_thread_by(lease: Arc<Lease>) {
        OWN.set(Some(lease));
    }

    pub(super) fn lease() -> Option<Arc<Lease>> {
        OWN.with_borrow(Clone::clone).or_else(|| LEASE.get().cloned())
    }
}
