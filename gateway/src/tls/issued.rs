//! What an authority has issued to us while the process runs, and our answers to its questions on the way there (RFC 8737). Both
//! are replaced under open connections, and shared by all configurations. Ordering and keeping certificates is left to `acme`.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, ServerConfig};

use super::certificate::Certified;
use super::{TlsError, server_config};
use crate::host::Host;

/// The protocol in which an authority asks; nothing is ever said in it beyond the handshake.
const PROTOCOL: &[u8] = b"acme-tls/1";

/// A certificate with whence it came.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub(crate) certified: Certified,
    /// The directory of the authority that issued it.
    pub(crate) directory: String,
}

/// All of a process. It holds no more hosts than its configurations have named.
#[derive(Debug, Default)]
pub(crate) struct Issued {
    certificates: ArcSwap<HashMap<Host, Arc<Ordered>>>,
    answers: ArcSwap<HashMap<Host, Arc<ServerConfig>>>,
}

impl Issued {
    /// Shows a certificate from the next handshake on.
    pub(crate) fn install(&self, host: &Host, ordered: Ordered) {
        let ordered = Arc::new(ordered);
        self.certificates.rcu(|before| with(before, host, ordered.clone()));
    }

    /// The certificate of a host.
    pub(crate) fn of(&self, host: &Host) -> Option<Arc<Ordered>> {
        self.certificates.load().get(host).cloned()
    }

    /// What is shown for a host: its certificate, until that ends.
    pub(super) fn key(&self, host: &Host, now: i64) -> Option<Arc<CertifiedKey>> {
        let certificates = self.certificates.load();
        let certified = &certificates.get(host)?.certified;
        (now <= certified.validity().not_after).then(|| certified.key.clone())
    }

    /// Answers an authority that asks for a host, until the answering is dropped. `digest` is of the key authorization.
    pub(crate) fn answer(self: &Arc<Self>, host: &Host, digest: [u8; 32]) -> Result<Answering, TlsError> {
        let config = Arc::new(answer(host, digest)?);
        self.answers.rcu(|before| with(before, host, config.clone()));
        Ok(Answering { issued: self.clone(), host: host.clone() })
    }

    /// The answer to an authority's question; none to anybody else. It asks in one protocol and for one name (RFC 8737 section 3).
    pub(super) fn asked(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let mut protocols = hello.alpn()?;
        if protocols.next() != Some(PROTOCOL) || protocols.next().is_some() {
            return None;
        }
        let host: Host = hello.server_name()?.parse().ok()?;
        self.answers.load().get(&host).cloned()
    }
}

/// An answer stands as long as this is held.
#[derive(Debug)]
pub(crate) struct Answering {
    issued: Arc<Issued>,
    host: Host,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.issued.answers.rcu(|before| {
            let mut next = HashMap::clone(before);
            next.remove(&self.host);
            next
        });
    }
}

fn with<T: Clone>(before: &HashMap<Host, T>, host: &Host, value: T) -> HashMap<Host, T> {
    let mut next = before.clone();
    next.insert(host.clone(), value);
    next
}

/// A certificate that nobody believes, with the digest in it.
fn answer(host: &Host, digest: [u8; 32]) -> Result<ServerConfig, TlsError> {
    let mut params = CertificateParams::new([host.to_string()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|text| Error::General(text.to_owned()))?;
    // Not looked at like a certificate of a host: whoever does not know this extension must refuse it.
    let shown = CertifiedKey::new(vec![certificate.der().clone()], any_supported_type(&key)?);
    let shown = Arc::new(SingleCertAndKey::from(shown));
    let mut config = server_config(WebPkiClientVerifier::no_client_auth(), shown)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
