//! One order, from the wish to the certificate: the authority asks whether the host is ours, we answer in the handshake
//! (RFC 8737), it signs our key. When to order, and what becomes of the certificate, is left to `acme`.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    AuthorizationStatus, ChallengeType, Identifier, KeyAuthorization, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use portcullis_store::Secret;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::account::Account;
use super::error::{AcmeError, shortened};
use crate::host::{Host, HostPattern};
use crate::tls::{Certified, Issued};

/// Most certificates of a chain, and most bytes of it in PEM form: each handshake carries it.
pub(super) const MAX_CHAIN: usize = 8;
pub(super) const MAX_CHAIN_BYTES: usize = 64 << 10;
/// How long an authority may take to verify, and to sign; it is asked ever less often meanwhile.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// A certificate chain and its key, both in PEM form.
pub(super) struct Pair {
    pub(super) chain: String,
    pub(super) key: Secret<String>,
}

impl Pair {
    /// The same, if it can be shown for the host now.
    pub(super) fn certified(&self, host: &Host, now: i64) -> Result<Certified, AcmeError> {
        Ok(self.certified_then(host)?.valid_at(now)?)
    }

    /// The same, if it could be shown for the host at some time.
    pub(super) fn certified_then(&self, host: &Host) -> Result<Certified, AcmeError> {
        if self.chain.len() > MAX_CHAIN_BYTES {
            return Err(AcmeError::Chain);
        }
        let unreadable = |_| AcmeError::Answer("the chain is not in PEM form".to_owned());
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes());
        let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(unreadable)?;
        if chain.len() > MAX_CHAIN {
            return Err(AcmeError::Chain);
        }
        let key = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes()).map_err(unreadable)?;
        let certified = Certified::new(chain, &key)?;
        let covers = certified.covers(&HostPattern::Exact(host.clone()));
        if covers { Ok(certified) } else { Err(AcmeError::OtherName) }
    }
}

/// Orders a certificate for a host.
pub(super) async fn order(account: &Account, host: &Host, issued: &Arc<Issued>) -> Result<Pair, AcmeError> {
    let wanted = [Identifier::Dns(host.to_string())];
    let mut order = account.order(&NewOrder::new(&wanted)).await?;
    verify(&mut order, host, issued).await?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([host.to_string()])?;
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    Ok(Pair { chain, key: Secret::new(key.serialize_pem()) })
}

/// Lets the authority ask, unless it knows already, until the order is ready.
async fn verify(order: &mut Order, host: &Host, issued: &Arc<Issued>) -> Result<(), AcmeError> {
    if order.state().authorizations.len() != 1 {
        return Err(AcmeError::OtherHost);
    }
    let answering = {
        let mut authorizations = order.authorizations();
        let mut authorization = authorizations.next().await.ok_or(AcmeError::OtherHost)??;
        let identifier = authorization.identifier();
        if identifier.wildcard || *identifier.identifier != Identifier::Dns(host.to_string()) {
            return Err(AcmeError::OtherHost);
        }
        match authorization.status {
            AuthorizationStatus::Valid => None,
            AuthorizationStatus::Pending => {
                let mut challenge =
                    authorization.challenge(ChallengeType::TlsAlpn01).ok_or(AcmeError::NoChallenge)?;
                let answering = issued.answer(host, digest(&challenge.key_authorization())?)?;
                challenge.set_ready().await?;
                Some(answering)
            }
            _ => return Err(AcmeError::NotVerified("it has given the question up".to_owned())),
        }
    };
    if order.state().status != OrderStatus::Ready {
        let ready = order.poll_ready(&PATIENCE).await;
        if !matches!(ready, Ok(OrderStatus::Ready)) {
            return Err(why_not(order, ready.err()).await);
        }
    }
    drop(answering);
    Ok(())
}

fn digest(authorization: &KeyAuthorization) -> Result<[u8; 32], AcmeError> {
    let digest = authorization.digest();
    digest.as_ref().try_into().map_err(|_| AcmeError::NoChallenge)
}

/// An order says that it failed, its authorization why.
async fn why_not(order: &mut Order, error: Option<instant_acme::Error>) -> AcmeError {
    let mut authorizations = order.authorizations();
    if let Some(Ok(mut authorization)) = authorizations.next().await
        && let Ok(state) = authorization.refresh().await
        && state.status == AuthorizationStatus::Invalid
        && let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref())
    {
        return AcmeError::NotVerified(shortened(&problem.to_string()));
    }
    error.map_or_else(|| AcmeError::NotVerified("it does not say why".to_owned()), AcmeError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, copies: usize) -> Pair {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Pair { chain: made.cert.pem().repeat(copies), key: Secret::new(made.signing_key.serialize_pem()) }
    }

    #[test]
    fn a_chain_over_its_limits_is_not_shown() {
        let host: Host = "wiki.example".parse().unwrap();
        let now = crate::gateway::now();
        assert!(pair("wiki.example", MAX_CHAIN).certified(&host, now).is_ok());
        let over = pair("wiki.example", MAX_CHAIN + 1).certified(&host, now);
        assert!(matches!(over, Err(AcmeError::Chain)));
        let mut long = pair("wiki.example", 1);
        long.chain.push_str(&"#".repeat(MAX_CHAIN_BYTES + 1 - long.chain.len()));
        assert!(matches!(long.certified(&host, now), Err(AcmeError::Chain)));
    }

    #[test]
    fn what_is_shown_is_made_out_to_the_host_and_to_our_key_and_valid() {
        let host: Host = "wiki.example".parse().unwrap();
        let now = crate::gateway::now();
        let other = pair("mail.example", 1);
        assert!(matches!(other.certified(&host, now), Err(AcmeError::OtherName)));
        let crossed = Pair { key: other.key, ..pair("wiki.example", 1) };
        assert!(matches!(crossed.certified(&host, now), Err(AcmeError::Certificate(_))));
        assert!(matches!(pair("wiki.example", 1).certified(&host, i64::MAX), Err(AcmeError::Certificate(_))));
        let none = Pair { chain: String::new(), ..pair("wiki.example", 1) };
        assert!(matches!(none.certified(&host, now), Err(AcmeError::Certificate(_))));
        let garbage = Pair { chain: "-----BEGIN CERTIFICATE-----\n!".to_owned(), ..pair("wiki.example", 1) };
        assert!(garbage.certified(&host, now).is_err());
    }
}
