//! The ID token as the hint that a later sign-out at the provider needs (OpenID Connect RP-Initiated Logout 1.0), sealed for the store. What
//! is not needed is not kept.

use portcullis_store::{Secret, SessionId};

use super::provider::Provider;
use crate::gateway::Gateway;
use crate::seal::Purpose;

/// The longest ID token that is kept: it travels in a query.
const MAX_HINT_BYTES: usize = 6 * 1024;

/// Seals the hint of a session; none where no sign-out at the provider is configured.
pub(super) fn logout_hint(
    gateway: &Gateway,
    provider: &Provider,
    id_token: &Secret<String>,
    id: SessionId,
) -> Option<Vec<u8>> {
    let id_token = id_token.expose();
    if !provider.settings().end_provider_session || id_token.len() > MAX_HINT_BYTES {
        return None;
    }
    gateway.process.sealer.seal_bytes(Purpose::AtRest, &id.to_string(), id_token.clone().into_bytes())
}

/// Opens the hint of a session.
pub(super) fn open(gateway: &Gateway, sealed: &[u8], id: SessionId) -> Option<String> {
    let opened = gateway.process.sealer.open_bytes(Purpose::AtRest, &id.to_string(), sealed)?;
    String::from_utf8(opened).ok()
}
