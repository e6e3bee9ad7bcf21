//! How many connections the process can bear: it raises its descriptor limit to what the operator allows and divides that between
//! clients and upstreams. Counting connections is left to `admission` and `forward`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For everything but connections: the store, listeners, the inner listener, calls to providers.
const OTHERS: usize = 256;
/// Clients get two of three: one that has nothing under way needs no upstream, and an upstream connection serves many of them in turn.
const PARTS: usize = 3;
const PARTS_OF_CLIENTS: usize = 2;

/// Connections on each side, one descriptor each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Borne {
    pub(crate) clients: usize,
    pub(crate) upstreams: usize,
}

impl Borne {
    /// Raises the limit first. Without a descriptor for it, the provisioning client could not reach us either: so what is borne is
    /// less than what there is.
    pub(crate) fn by_this_process() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
        Self::of(current.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX)))
    }

    fn of(descriptors: usize) -> Self {
        let connections = descriptors.saturating_sub(OTHERS);
        let clients = connections / PARTS * PARTS_OF_CLIENTS;
        Self { clients, upstreams: connections - clients }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_borne_than_there_are_descriptors() {
        for descriptors in [0, OTHERS, OTHERS + 1, 1_024, 20_000, usize::MAX] {
            let borne = Borne::of(descriptors);
            assert_eq!(borne.clients + borne.upstreams, descriptors.saturating_sub(OTHERS), "{descriptors}");
            assert!(borne.clients <= borne.upstreams.saturating_mul(2), "{descriptors}: {borne:?}");
        }
        assert_eq!(Borne::of(20_000), Borne { clients: 13_162, upstreams: 6_582 });
    }
}
