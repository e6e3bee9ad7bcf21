//! Sign-in domains: whose verified e-mail addresses may come in by a provider. What an address is, and which two are equal, is
//! left to the policy crate.

use portcullis_policy::EmailAddress;

use super::LoginError;
use super::claims::VerifiedClaims;
use crate::config::Entrance;

/// Without domains the provider's word is enough.
pub(super) fn check(entrance: &Entrance, claims: &VerifiedClaims) -> Result<(), LoginError> {
    if entrance.domains.is_empty() {
        return Ok(());
    }
    let address = claims.email.as_deref().and_then(|email| email.parse::<EmailAddress>().ok());
    let address = address.ok_or(LoginError::EmailUnverified)?;
    if entrance.admits(&address) {
        return Ok(());
    }
    Err(LoginError::EmailDomainRefused { domain: address.domain().to_owned() })
}
