//! What is open and nobody's: a bypass let it in without asking who it is. It has a standing too, so that a policy that changes, or an hour
//! that ends, cuts it like anybody's. Deciding by it is left to `authorize`.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use portcullis_policy::Principal;
use portcullis_store::{Profile, SessionId};

use super::given::Held;
use super::passage::Reach;
use super::policies::Policies;
use super::session::{Cuts, LiveSession, Standing};
use crate::gateway::now;

/// Whose id is that of no session: those are hashes.
pub(super) const NOBODY: SessionId = SessionId::new([0; 32]);
/// So many that workers do not wait for each other where much is public.
const SHARES: usize = 64;

/// Nobody, in shares by address.
#[derive(Debug)]
pub(super) struct Nobodies {
    shares: Vec<Arc<LiveSession>>,
    hasher: RandomState,
}

impl Nobodies {
    pub(super) fn new(policies: &Policies) -> Self {
        let nobody = |_| Arc::new(LiveSession::of_nobody(Standing::of_nobody(policies)));
        Self { shares: (0..SHARES).map(nobody).collect(), hasher: RandomState::new() }
    }

    /// Nobody, as they come from an address.
    pub(super) fn at(&self, address: IpAddr) -> Option<Arc<LiveSession>> {
        let share = self.hasher.hash_one(address) % u64::try_from(SHARES).unwrap_or(1);
        self.shares.get(usize::try_from(share).unwrap_or_default()).cloned()
    }

    pub(super) fn all(&self) -> &[Arc<LiveSession>] {
        &self.shares
    }

    /// Judges all that is open by other policies.
    pub(super) fn adopt(&self, policies: &Policies) -> Cuts {
        let adopted = self.shares.iter().map(|share| {
            let standing = Standing::of_nobody(policies);
            share.change(standing, Reach::BothSides, now()).0
        });
        Cuts(adopted.sum())
    }
}

impl Standing {
    /// Nobody says anything of nobody.
    fn of_nobody(policies: &Policies) -> Self {
        let profile = Profile {
            email: None,
            display_name: None,
            groups: Vec::new(),
            claims_json: "{}".to_owned(),
            authenticated_at: 0,
            told_at: 0,
        };
        Self {
            profile: Arc::new(profile),
            person: None,
            member_of: Box::default(),
            groups: Vec::new(),
            doubts: Vec::new(),
            held: Held::default(),
            policies: policies.clone(),
            principal: Principal::Nobody,
            ended: None,
        }
    }
}

#[cfg(test)]
mod tests;
