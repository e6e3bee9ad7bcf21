//! A request that nobody is asked about, and what a client showed without being asked who it is. Whether a bypass lets it in is left to the
//! policies.

use portcullis_store::EndReason;

use super::{Asking, Decided};
use crate::authorize::{Denial, NoPermit};
use crate::circumstances::Shown;
use crate::credential::{self, Credential};
use crate::respond::Rejection;
use crate::route::{Canonical, Target};

impl Asking<'_> {
    /// What the client proved in its handshake. A proxy that is trusted to name its clients shook hands in their place.
    pub(super) fn shown(&self) -> Shown {
        match self.client.handshake.get() {
            Some(_) if self.gateway.config.server.is_proxy(self.client.peer) => Shown::Unknown,
            Some(handshake) => handshake.presented.clone().map_or(Shown::Nothing, Shown::Certificate),
            None => Shown::Unknown,
        }
    }

    /// A request that a bypass lets in. Only a service's policy may stand before the bypass, so a service that is known is one.
    pub(super) fn decide_for_nobody<P>(
        &self,
        (canonical, target): (&Canonical, &Target),
        mut decide: impl FnMut(&Credential) -> Result<P, NoPermit>,
    ) -> Option<Decided<P>> {
        let (live, application) = (&self.gateway.process.live, &target.application);
        let field = application.headers.service_token.as_ref();
        if let Some(Ok(secret)) = credential::service(live, &self.head.headers, field, self.now) {
            return self.decide_for(&Credential::Service(secret), (canonical, application), decide);
        }
        let Some(nobody) = live.nobody(self.client_ip) else { return Some((None, Err(Rejection::NotFound))) };
        match decide(&Credential::Nobody(nobody)) {
            Ok(proof) => Some((None, Ok(proof))),
            Err(NoPermit::Superseded) => None,
            Err(NoPermit::Denied(denial)) => Some((None, Err(denial.into()))),
            Err(NoPermit::Outlived) => Some((None, Err(Denial::Ended(EndReason::Expired).into()))),
        }
    }
}
