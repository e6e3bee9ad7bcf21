//! Sign-in domains: whose verified e-mail addresses may come in by a provider. What an address is, and which two are equal, is
//! left to the policy crate.

use portcullis_policy::EmailAddress;

use super::LoginError;
use super::claims::VerifiedClaims;
use super::provider::Provider;
use crate::gateway::Gateway;

/// A provider without domains may vouch for every address but those of a domain that another one has claimed.
pub(super) fn check(
    gateway: &Gateway,
    provider: &Provider,
    claims: &VerifiedClaims,
) -> Result<(), LoginError> {
    let entrance = &provider.settings().entrance;
    let address = claims.email.as_deref().and_then(|email| email.parse::<EmailAddress>().ok());
    let admitted = match &address {
        Some(address) if entrance.domains.is_empty() => {
            !gateway.providers.iter().any(|other| other.settings().entrance.admits(address))
        }
        Some(address) => entrance.admits(address),
        None if entrance.domains.is_empty() => true,
        None => return Err(LoginError::EmailUnverified),
    };
    let domain = || address.map(|address| address.domain().to_owned()).unwrap_or_default();
    if admitted { Ok(()) } else { Err(LoginError::EmailDomainRefused { domain: domain() }) }
}
